//! Evaluates detectors: with labels, with injected anomalies, and with perturbed rows.

pub mod drift;
pub mod evaluation;
pub mod events;
pub mod feedback;
pub(crate) mod format;
pub mod inject;
pub mod labels;
pub mod metrics;
mod networks;
mod outcome;
pub mod perturb;
mod random;
pub mod report;
pub mod require;
pub mod robustness;
pub mod score;
mod spread;
pub mod summary;
pub(crate) mod terminal;
#[cfg(test)]
pub(crate) mod testing;

pub use evaluation::{Evaluation, Settings, evaluate};
pub use networks::NetworkAlone;
pub use outcome::{Error, LabelSource, Options, Outcome, Scores, evaluate_files};
