//! A checked signal: a signed number around 0, in units of its own scale, and how rare its distance is on each side.

use super::band::{Limits, RequiredNats};
use super::checks::Checks;
use super::counts::{Counts, MIN_DISTANCE};
use super::record::take;
use super::row_context::RowContext;
use super::sibling_stats::SiblingStats;
use super::sides::TwoSidedTails;
use super::tuning::Tuning;
use crate::math::{clip_square, max, min};

/// The square of the least distance that tails count.
pub(super) const MIN_SQUARED_DISTANCE: f64 = (MIN_DISTANCE * MIN_DISTANCE) as f64;
/// The largest distance, in scales.
const MAX_DISTANCE: f64 = 1e9;

/// A signal's scale and its two tails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Signal {
    /// Mean square of the values, which are clipped.
    mean_square: f64,
    sides: TwoSidedTails,
}

impl Signal {
    pub(super) const fn new() -> Self {
        Self { mean_square: 0.0, sides: TwoSidedTails::new() }
    }

    /// Checks a value, given by its square and its side, and learns from it.
    pub(super) fn check_signal(
        &mut self,
        row: &RowContext<'_>,
        check: usize,
        square: f64,
        below: bool,
        min_scale: f64,
        checks: &mut Checks,
    ) {
        let min_square = max(self.mean_square, min_scale * min_scale);
        if square >= MIN_SQUARED_DISTANCE * min_square && row.has_scale {
            let distance = min((square / min_square).sqrt(), MAX_DISTANCE) as f32;
            self.sides.check_side(row, check, below, distance, checks);
        }
        let max_square = if row.has_scale { row.clip_squared * min_square } else { f64::INFINITY };
        self.mean_square += row.gain * (min(square, max_square) - self.mean_square);
    }

    /// The limits beyond which the signal has the required nats. `rows` are those behind the event counts.
    pub(super) fn limits(
        &self,
        check: usize,
        required: RequiredNats,
        min_scale: f64,
        rows: f64,
        sibling_stats: Option<SiblingStats<'_>>,
        t: &Tuning,
    ) -> Limits {
        self.sides
            .limits(check, required, rows, sibling_stats, t)
            .scaled(max(self.mean_square, min_scale * min_scale).sqrt())
    }

    /// Root mean square.
    pub(super) fn scale(&self) -> f64 {
        self.mean_square.sqrt()
    }

    /// Mixes siblings' scale into its own, with this share.
    pub(super) fn blend_scale(&mut self, scale: f64, share: f64) {
        self.mean_square += share * (scale * scale - self.mean_square);
    }

    /// The event counts, above and below.
    pub(super) fn event_counts(&self) -> [Counts; 2] {
        self.sides.event_counts()
    }

    /// The value, clipped to this number of scales, each of which is at least `min_scale`.
    pub(super) fn clip(&self, value: f64, scales: f64, min_scale: f64) -> f64 {
        clip_square(value, scales * scales * max(self.mean_square, min_scale * min_scale))
    }

    pub(super) fn sides(&mut self) -> &mut TwoSidedTails {
        &mut self.sides
    }

    /// Appends the fields, little-endian.
    pub(super) fn write_state(&self, out: &mut Vec<u8>) {
        let Self { mean_square, sides } = self;
        out.extend(mean_square.to_le_bytes());
        sides.write_state(out);
    }

    /// Reads the fields from the front; `None` where one is impossible.
    pub(super) fn read_state(bytes: &mut &[u8]) -> Option<Self> {
        let mean_square = f64::from_le_bytes(take(bytes)?);
        let sides = TwoSidedTails::read_state(bytes)?;
        (0.0..f64::INFINITY).contains(&mean_square).then_some(Self { mean_square, sides })
    }
}
