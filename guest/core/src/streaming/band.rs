//! The limits of ordinary values, below and above the expected one.

use crate::math::{max, min};

/// Limits below and above.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limits {
    pub(super) below: f64,
    pub(super) above: f64,
}

/// The nats that a row needs on each side to be reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequiredNats {
    pub(super) below: f64,
    pub(super) above: f64,
}

impl Limits {
    /// At these distances from 0.
    pub(super) fn at(below: f64, above: f64) -> Self {
        Self { below: -below, above }
    }

    /// Multiplied by a unit.
    pub(super) fn scaled(self, unit: f64) -> Self {
        Self { below: self.below * unit, above: self.above * unit }
    }

    /// Shifted by `place`.
    pub(super) fn around(self, place: f64) -> Self {
        Self { below: self.below + place, above: self.above + place }
    }

    /// The intersection.
    pub(super) fn narrowed(self, other: Self) -> Self {
        Self { below: max(self.below, other.below), above: min(self.above, other.above) }
    }
}
