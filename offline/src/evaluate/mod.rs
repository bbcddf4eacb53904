//! How good a detector is on some rows.

pub mod drift;
pub mod evaluation;
pub mod events;
pub mod feedback;
pub mod inject;
pub mod labels;
pub mod metrics;
mod outcome;
pub mod perturb;
mod random;
pub mod report;
pub mod require;
pub mod robustness;
pub mod score;
pub(crate) mod screen;
mod spread;
pub mod summary;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod words;

pub use evaluation::{Evaluation, Settings, evaluate};
pub use outcome::{Error, LabelSource, Options, Outcome, Scores, evaluate_files};
