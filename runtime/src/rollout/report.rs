//! What is told of a rollout, by `/metrics` and `qualm models list`.

use qualm_sandbox::Title;
use serde::{Deserialize, Serialize};

/// A detector with a model, as `qualm models list` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The detector's name in the configuration.
    pub detector: String,
    /// Whether it scores: the name of its [`Mode`](crate::Mode).
    pub mode: String,
    /// The model that it scores with.
    pub model: Option<Model>,
    /// Whether there is a model to roll back to.
    pub can_roll_back: bool,
    /// Its rollout, if new models are in shadow first.
    pub rollout: Option<Report>,
}

/// A model by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// Its kind.
    pub kind: String,
}

/// The state of a rollout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// There is no candidate.
    #[default]
    None,
    /// A candidate is in shadow.
    Shadow,
    /// A candidate took over and is watched; the model before is in shadow.
    Watching,
}

/// A rollout, and how the model in shadow compares with the one that scores.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Where it stands.
    pub state: State,
    /// The model in shadow: the candidate, or while watching the one before.
    pub shadow: Option<Model>,
    /// For how many seconds it has stood there.
    pub seconds: u64,
    /// Rows that both models scored.
    pub rows: u64,
    /// Incidents that began there, by the scores of the model that scores.
    pub alarms: u64,
    /// The same by those of the model in shadow.
    pub shadow_alarms: u64,
    /// How many of these rows were within such incidents.
    pub anomalous: u64,
    /// The same for the model in shadow.
    pub shadow_anomalous: u64,
    /// Of the rows that either called anomalies, the share that both did.
    pub agreement: Option<f64>,
    /// Spearman's rank correlation of their scores.
    pub correlation: Option<f64>,
    /// Failures of the model that scores, on batches that the one in shadow did not fail on.
    pub failures: u64,
    /// Failures of the model in shadow, on batches that the other did not fail on.
    pub shadow_failures: u64,
    /// The processor time of the model in shadow, in terms of the other's.
    pub cost: Option<f64>,
    /// The memory of the guest in shadow, in bytes.
    pub memory: u64,
    /// What it is out of bounds with, if anything.
    pub out_of_bounds: Option<String>,
    /// What became of candidates so far.
    pub counts: Counts,
}

/// What became of candidates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// How many took over, by rule or by command.
    pub promotions: u64,
    /// How many of those gave way to the model before again, by rule or by command.
    pub rollbacks: u64,
    /// How many were given up in shadow.
    pub rejections: u64,
}

impl State {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::None, Self::Shadow, Self::Watching];

    /// In a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Shadow => "shadow",
            Self::Watching => "watching",
        }
    }
}

impl From<&Title> for Model {
    fn from(Title { name, version, kind }: &Title) -> Self {
        Self { name: name.clone(), version: *version, kind: kind.clone() }
    }
}
