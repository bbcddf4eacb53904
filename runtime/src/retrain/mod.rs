//! Models are trained again on the rows that they scored.
//!
//! The thread that [compares](crate::drift) a model's rows also [keeps](keeper) them on disk, and starts a
//! [training](trainer) in a process of its own where the model is old, drifts, or reports more or less than it did. What comes
//! of it is offered to the detector's store of bundles, where it is found like any new model.

mod keeper;
mod trainer;

use std::path::{Path, PathBuf};

use qualm_bundle::store;

pub(crate) use self::keeper::Keeper;
pub(crate) use self::trainer::Trainer;
use crate::config;

/// How a detector's models are trained again.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The detector's name.
    pub(crate) detector: String,
    /// The directory of state.
    pub(crate) state: PathBuf,
    pub(crate) options: config::Retrain,
}

impl Plan {
    /// Where the detector's rows are kept.
    #[must_use]
    pub(crate) fn rows(&self) -> PathBuf {
        let bundles = store::directory(&self.state, &self.detector);
        self.state.join("rows").join(bundles.file_name().unwrap_or_default())
    }

    /// The bundle of a version that runs.
    fn bundle(&self, version: u64) -> PathBuf {
        store::kept_path(&self.state, &self.detector, version)
    }

    fn lock(&self) -> PathBuf {
        self.rows().join("retrain.lock")
    }
}

/// The state directory and the options of each detector, where models are trained again.
#[must_use]
pub(crate) fn plan(detector: &str, state: Option<&Path>, options: &config::Retrain) -> Option<Plan> {
    let state = state.filter(|_| options.enabled)?.to_owned();
    Some(Plan { detector: detector.to_owned(), state, options: options.clone() })
}
