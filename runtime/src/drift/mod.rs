//! Whether live rows still look like those that a model was trained on.
//!
//! After a batch has been written, the pipeline's thread copies its rows and scores into a buffer ([`DriftWatch::record`]); a thread
//! beside it compares them with the model's reference. The pipeline never waits for it: where the thread lags behind, rows are
//! left out and counted.

mod lines;
mod monitor;
mod snapshot;
mod watch;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use qualm_bundle::reference::ReferenceFile;
use qualm_drift::Reference;
use qualm_sandbox::Title;

pub(crate) use self::lines::write as write_lines;
pub use self::snapshot::{DriftSnapshot, DriftView, Sample};
pub(crate) use self::watch::{DriftWatch, Watching};

/// What a model's training rows looked like, with what the model is called.
#[derive(Debug, Clone)]
pub(crate) struct ModelReference {
    pub(crate) title: Arc<Title>,
    /// When the last row was measured that it was made of.
    created: SystemTime,
    /// `None` of a model of an earlier version.
    known: Option<Known>,
}

#[derive(Debug, Clone)]
struct Known {
    reference: Arc<Reference>,
    window: Duration,
}

impl ModelReference {
    /// That of a model.
    #[must_use]
    pub(crate) fn new(title: Arc<Title>, file: Option<&ReferenceFile>, created: SystemTime) -> Self {
        let known = file.map(|file| Known { reference: Arc::clone(&file.reference), window: file.window });
        Self { title, created, known }
    }
}
