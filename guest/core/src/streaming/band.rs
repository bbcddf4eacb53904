//! The limits of what is ordinary, below and above of what is expected.

use crate::math::{max, min};

/// How far down and up an ordinary value may lie, on some axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limits {
    pub(super) below: f64,
    pub(super) above: f64,
}

/// The nats that a row needs to be reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needed {
    pub(super) below: f64,
    pub(super) above: f64,
}

impl Limits {
    /// At these distances from 0.
    pub(super) fn at(below: f64, above: f64) -> Self {
        Self { below: -below, above }
    }

    /// In a unit of so many.
    pub(super) fn scaled(self, unit: f64) -> Self {
        Self { below: self.below * unit, above: self.above * unit }
    }

    /// Seen from another place.
    pub(super) fn around(self, place: f64) -> Self {
        Self { below: self.below + place, above: self.above + place }
    }

    /// What is within both.
    pub(super) fn narrowed(self, other: Self) -> Self {
        Self { below: max(self.below, other.below), above: min(self.above, other.above) }
    }
}
