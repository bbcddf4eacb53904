//! Drift: how far live values have moved from those in training.

pub mod adjust;
pub mod binned;
pub mod two_sample;
