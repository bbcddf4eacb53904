//! The model before the present one, which takes its place again if that fails.

use std::sync::Arc;

use qualm_pipeline::SeriesSnapshot;

use qualm_sandbox::DetectorSpec;
use qualm_sandbox::Title;

/// A model that worked, with what was saved of it.
#[derive(Debug)]
pub(super) struct Previous {
    pub(super) spec: DetectorSpec,
    pub(super) saved: Vec<Arc<SeriesSnapshot>>,
}

/// What a detector can fall back on, and what it fell back from.
#[derive(Debug, Default)]
pub(super) struct Fallback {
    previous: Option<Previous>,
    failed: Option<Arc<Title>>,
}

impl Fallback {
    /// From now on this is the model before, if there is one.
    pub(super) fn replace(&mut self, previous: Option<Previous>) {
        self.previous = previous;
    }

    /// The model before, once: it is not the model before itself.
    pub(super) fn take(&mut self) -> Option<Previous> {
        self.previous.take()
    }

    /// Whether there is a model before.
    pub(super) fn has_previous(&self) -> bool {
        self.previous.is_some()
    }

    /// Notes which model failed.
    pub(super) fn note_failed(&mut self, failed: Option<Arc<Title>>) {
        self.failed = failed;
    }

    /// The model that failed, where one did since this was last asked.
    pub(super) fn take_failed(&mut self) -> Option<Arc<Title>> {
        self.failed.take()
    }
}
