//! Compares the rows of a detector, whichever model it has.

use qualm_contract::Batch;
use qualm_pipeline::vector::Shape;

use super::monitor::Monitor;
use super::{DriftView, ModelReference};
use crate::config::Drift;
use crate::supervisor::Supervisor;

/// How many references are kept: that of the model that scores, and of those that it may go back to.
const MAX_REFERENCES: usize = 4;

/// Compares the rows of a detector with what its model was trained on: whenever it has another model, from anew.
#[derive(Debug, Default)]
pub(crate) struct DriftWatch {
    /// Those of the last models, the newest first.
    references: Vec<ModelReference>,
    monitor: Option<Monitor>,
}

impl DriftWatch {
    /// Takes the reference of a model that may score from now on.
    pub(crate) fn add(&mut self, reference: ModelReference) {
        self.references.insert(0, reference);
        self.references.truncate(MAX_REFERENCES);
    }

    /// Copies the rows of a batch that the detector has scored. It never waits.
    pub(crate) fn record(&mut self, supervisor: &Supervisor, rows: Batch<'_>, scores: &[f64], shape: &Shape, config: &Drift) {
        let Some(title) = supervisor.title() else {
            self.monitor = None;
            return;
        };
        if !self.monitor.as_ref().is_some_and(|monitor| monitor.is_of(title)) {
            let reference = self.references.iter().find(|reference| std::sync::Arc::ptr_eq(&reference.title, title));
            let features: Vec<String> = shape.features.iter().map(|feature| feature.name.clone()).collect();
            self.monitor =
                reference.map(|reference| Monitor::start(supervisor.name(), reference, &features, config));
        }
        if let Some(monitor) = &mut self.monitor {
            monitor.record(rows, scores);
        }
    }

    /// What was found.
    #[must_use]
    pub(crate) fn view(&self) -> DriftView {
        self.monitor.as_ref().map_or(DriftView::Off, Monitor::view)
    }

    /// Rows that were left out because there was no time.
    #[must_use]
    pub(crate) fn skipped(&self) -> u64 {
        self.monitor.as_ref().map_or(0, Monitor::skipped)
    }
}
