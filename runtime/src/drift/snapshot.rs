//! What others may see of drift.

use std::sync::Arc;
use std::time::Duration;

use qualm_drift::Report;

/// What is known of the drift of a detector's rows.
#[derive(Debug, Clone, Default)]
pub enum DriftView {
    /// Nothing is compared: the detector has no trained model, or it is switched off.
    #[default]
    Off,
    /// Its model does not say what its training rows looked like.
    Unknown,
    /// What was found at the last end of a block.
    Known(Arc<DriftSnapshot>),
}

/// What was found of a model.
#[derive(Debug, Clone)]
pub struct DriftSnapshot {
    /// What the features are called.
    pub features: Arc<[String]>,
    /// What was found.
    pub report: Report,
    /// How long a window is.
    pub window: Duration,
}

impl DriftView {
    /// The states that there are, by name.
    pub const STATES: [&'static str; 4] = ["unknown", "learning", "none", "drifting"];

    /// The state's name; `None` where nothing is compared.
    #[must_use]
    pub fn state(&self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::Unknown => Some("unknown"),
            Self::Known(snapshot) => Some(snapshot.report.state.name()),
        }
    }
}
