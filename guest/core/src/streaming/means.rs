//! Means of residuals over several lengths. They show small deviations that last.

use super::band::{Limits, RequiredNats};
use super::checks::{Checks, MAX_MEAN, MEANS};
use super::counts::Counts;
use super::record::take;
use super::row_context::RowContext;
use super::sibling_stats::SiblingStats;
use super::sides::TwoSidedTails;
use super::signal::MIN_SQUARED_DISTANCE;
use super::tuning::Tuning;
use crate::math::{max, min};

/// Least scale of a mean, in scales of residuals.
const MIN_SCALE: f32 = 0.02;

/// The means, by length, of residuals in units of their scale.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ResidualMeans {
    values: [f32; MEANS],
    /// Mean squares of the values, which are clipped.
    mean_squares: [f32; MEANS],
    sides: [TwoSidedTails; MEANS],
}

impl ResidualMeans {
    pub(super) const fn new() -> Self {
        Self { values: [0.0; MEANS], mean_squares: [0.0; MEANS], sides: [TwoSidedTails::new(); MEANS] }
    }

    /// Adds a residual to the means, each with its gain, and checks them.
    pub(super) fn check_means(
        &mut self,
        row: &RowContext<'_>,
        residual: f32,
        gains: [f32; MEANS],
        checks: &mut Checks,
    ) {
        let (gain, clip_squared) = (row.gain as f32, if row.has_scale { row.clip_squared as f32 } else { f32::MAX });
        let mut scales = [0.0; MEANS];
        let mut any_far = false;
        for (at, scale) in scales.iter_mut().enumerate() {
            let value = flush_small(self.values[at] + gains[at] * (residual - self.values[at]));
            let (squared, square) = (value * value, self.mean_squares[at]);
            *scale = max(square, MIN_SCALE * MIN_SCALE);
            any_far |= squared >= MIN_SQUARED_DISTANCE as f32 * *scale;
            self.values[at] = value;
            self.mean_squares[at] = square + gain * (min(squared, clip_squared * *scale) - square);
        }
        if any_far && row.has_scale {
            self.check_sides(row, scales, checks);
        }
    }

    /// Counts distant means in their tails.
    #[inline(never)]
    fn check_sides(&mut self, row: &RowContext<'_>, scales: [f32; MEANS], checks: &mut Checks) {
        for (check, (value, scale)) in self.values.into_iter().zip(scales).enumerate() {
            let squared = value * value;
            if squared >= MIN_SQUARED_DISTANCE as f32 * scale {
                self.sides[check].check_side(row, check, value < 0.0, (squared / scale).sqrt(), checks);
            }
        }
    }

    /// The limits beyond which the shortest mean has the required nats, in scales of residuals. `rows` are those behind the
    /// event counts.
    pub(super) fn limits(
        &self,
        required: RequiredNats,
        rows: f64,
        sibling_stats: Option<SiblingStats<'_>>,
        t: &Tuning,
    ) -> Limits {
        let scale = max(self.mean_squares[0], MIN_SCALE * MIN_SCALE).sqrt();
        self.sides[0].limits(0, required, rows, sibling_stats, t).scaled(scale.into())
    }

    /// The clipped mean squares.
    pub(super) fn mean_squares(&self) -> [f32; MEANS] {
        self.mean_squares
    }

    /// Starts again with siblings' mean squares: the first rows were in a scale that was not known yet.
    pub(super) fn restart(&mut self, mean_squares: [f32; MEANS]) {
        (self.values, self.mean_squares) = ([0.0; MEANS], mean_squares);
    }

    /// The event counts of each mean, above and below.
    pub(super) fn event_counts(&self) -> [[Counts; 2]; MEANS] {
        self.sides.map(|sides| sides.event_counts())
    }

    /// The tails of each mean.
    pub(super) fn sides(&mut self) -> &mut [TwoSidedTails; MEANS] {
        &mut self.sides
    }

    /// Appends the fields, little-endian.
    pub(super) fn write_state(&self, out: &mut Vec<u8>) {
        let Self { values, mean_squares, sides } = self;
        out.extend(values.iter().chain(mean_squares).flat_map(|value| value.to_le_bytes()));
        for sides in sides {
            sides.write_state(out);
        }
    }

    /// Reads the fields from the front; `None` where one is impossible.
    pub(super) fn read_state(bytes: &mut &[u8]) -> Option<Self> {
        let mut means = Self::new();
        for value in means.values.iter_mut().chain(&mut means.mean_squares) {
            *value = f32::from_le_bytes(take(bytes)?);
        }
        for sides in &mut means.sides {
            *sides = TwoSidedTails::read_state(bytes)?;
        }
        let possible = means.values.iter().all(|value| value.abs() <= MAX_MEAN)
            && means.mean_squares.iter().all(|square| (0.0..=MAX_MEAN * MAX_MEAN).contains(square));
        possible.then_some(means)
    }
}

/// Sets tiny values to 0: with denormal numbers a processor is a hundred times slower.
fn flush_small(value: f32) -> f32 {
    if value.abs() < 1e-9 { 0.0 } else { value }
}
