//! What the benchmarks share.

pub(crate) mod batches;
pub(crate) mod detectors;
