//! Linear algebra for the detectors: the same bits natively and in WebAssembly.
//!
//! [`covariance`] of rows, the [`eigen`]vectors of a symmetric matrix, and [`lanes`]: four rows at a time.

pub mod covariance;
pub(crate) mod eigen;
pub(crate) mod lanes;

/// The most features: the time to fit grows with the third power of their number, and is seconds for so many.
pub const MAX_FEATURES: usize = 1024;
