//! Compares the rows of a detector, whichever model it has.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use qualm_pipeline::Lane;

use super::monitor::Monitor;
use super::{DriftView, ModelReference};
use crate::config::{self, Config};
use crate::retrain::{self, Plan};
use crate::rollout::{Rollout, State};
use crate::supervisor::Supervisor;

/// How many references are kept: that of the model that scores, and of those that it may go back to.
const MAX_REFERENCES: usize = 4;

/// What is done with the rows of detectors.
#[derive(Debug, Clone)]
pub(crate) struct Watching {
    drift: config::Drift,
    retrain: config::Retrain,
    state: Option<PathBuf>,
}

impl Watching {
    /// What a configuration says.
    #[must_use]
    pub(crate) fn new(config: &Config) -> Self {
        Self { drift: config.drift.clone(), retrain: config.retrain.clone(), state: config.state.dir.clone() }
    }

    /// Whether anything is.
    #[must_use]
    pub(crate) fn is_on(&self) -> bool {
        self.drift.enabled || self.retrain.enabled
    }

    /// How often what is known of drift is emitted.
    #[must_use]
    pub(crate) fn emit(&self) -> Option<Duration> {
        self.drift.emit.filter(|_| self.drift.enabled)
    }

    /// How a detector's models are trained again: only where new ones are in shadow first.
    fn plan(&self, detector: &str, rollout: &Rollout) -> Option<Plan> {
        retrain::plan(detector, self.state.as_deref().filter(|_| rollout.shadows()), &self.retrain)
    }
}

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
    pub(crate) fn record(
        &mut self,
        supervisor: &Supervisor,
        rollout: &Rollout,
        lane: &Lane,
        scores: &[f64],
        watching: &Watching,
    ) {
        let Some(title) = supervisor.title() else {
            self.monitor = None;
            return;
        };
        if !self.monitor.as_ref().is_some_and(|monitor| monitor.is_of(title)) {
            let reference = self.references.iter().find(|reference| Arc::ptr_eq(&reference.title, title));
            let features = lane.shape().into_iter().flat_map(|shape| &shape.features);
            let features = features.map(|feature| feature.name.clone()).collect();
            let (name, before) = (supervisor.name(), self.monitor.take());
            self.monitor = reference.map(|reference| {
                Monitor::start(before, reference, name, features, &watching.drift, watching.plan(name, rollout))
            });
        }
        if let Some(monitor) = &mut self.monitor {
            // While a new model is in shadow, or has just taken over, no other is trained.
            monitor.record(lane, scores, rollout.state() != State::None);
        }
    }

    /// These series are gone; their numbers may come to mean others.
    pub(crate) fn forget_series(&mut self, series: &[u32]) {
        if let Some(monitor) = &mut self.monitor {
            monitor.forget_series(series);
        }
    }

    /// Ends what is under way, and waits until kept rows are on disk.
    pub(crate) fn finish(&mut self) {
        self.monitor.take().into_iter().for_each(|monitor| drop(monitor.finish()));
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
