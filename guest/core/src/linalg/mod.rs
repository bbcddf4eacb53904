//! Linear algebra for the detectors: the same bits natively and in WebAssembly.
//!
//! [`covariance`] of rows, the [`eigen`]vectors of a symmetric matrix, and [`lanes`]: four rows at a time.

pub mod covariance;
pub(crate) mod eigen;
pub(crate) mod lanes;
