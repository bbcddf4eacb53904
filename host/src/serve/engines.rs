//! The models that `/api/v1/score` scores with run in the same sandbox as those of a pipeline.

use qualm_bundle::Bundle;
use qualm_http::api::models::{Engine, Engines, OpenError};
use qualm_stream::{Rows, Verdicts};

use crate::models::{Blame, Workshop};
use crate::supervisor::Running;

/// Opens bundles in the sandbox.
#[derive(Debug)]
pub struct Sandboxed(pub Workshop);

/// A detector there.
struct Guest(Running);

impl Engines for Sandboxed {
    fn open(&self, bundle: &Bundle) -> Result<Box<dyn Engine>, OpenError> {
        let candidate = self.0.candidate(bundle).map_err(|rejected| match rejected.blame() {
            Blame::Bundle => OpenError::Bundle(rejected.to_string()),
            Blame::Deadline => OpenError::Slow(rejected.to_string()),
            Blame::Machine => OpenError::Machine(rejected.to_string()),
        })?;
        Ok(Box::new(Guest(candidate.running)))
    }
}

impl Engine for Guest {
    fn score(&mut self, rows: &Rows, explain: bool, verdicts: &mut Verdicts) -> Result<(), String> {
        self.0.guest().observe(rows, explain, verdicts).map_err(|failure| failure.to_string())
    }

    fn forget(&mut self, series: &[u32]) -> Result<(), String> {
        self.0.guest().forget(series).map_err(|failure| failure.to_string())
    }
}
