//! `qualm evaluate`: how good a detector is on some rows.

pub mod drift;
pub mod evaluation;
pub mod events;
pub mod inject;
pub mod metrics;
pub mod perturb;
mod random;
pub mod robustness;
pub mod score;
mod spread;
pub mod summary;
#[cfg(test)]
mod testing;

pub use evaluation::{Evaluation, Settings, evaluate};
