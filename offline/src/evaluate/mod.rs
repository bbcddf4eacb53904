//! `qualm evaluate`: how good a detector is on some rows.

pub mod drift;
pub mod evaluation;
pub mod events;
pub mod inject;
pub mod labels;
pub mod metrics;
pub mod perturb;
mod random;
pub mod report;
pub mod robustness;
pub mod score;
mod screen;
mod spread;
pub mod summary;
#[cfg(test)]
mod testing;
pub(crate) mod words;

pub use evaluation::{Evaluation, Settings, evaluate};
