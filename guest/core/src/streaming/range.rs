//! How far a value lies beyond the range of all earlier ones.

use super::band::{Limits, RequiredNats};
use super::checks::{Checks, NOVELTY};
use super::counts::{Counts, MIN_DISTANCE};
use super::level::MAX_VALUE;
use super::record::take;
use super::row_context::RowContext;
use super::sibling_stats::SiblingStats;
use super::tail::{Tail, TailContext};
use super::tuning::Tuning;
use crate::math::{from_octaves, max, min, octaves};

/// The range of all values so far, and how often a value left it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SeenRange {
    low: f64,
    high: f64,
    tail: Tail,
}

impl SeenRange {
    /// The range of one value.
    pub(super) const fn of(value: f64) -> Self {
        Self { low: value, high: value, tail: Tail::new() }
    }

    /// Extends the range by a value, and checks how many octaves it lies beyond the bound, both as distances from `mean`; the
    /// unit is a share of the scale, the root of `mean_square`. `rows` are those behind the event counts.
    pub(super) fn check_range(
        &mut self,
        row: &RowContext<'_>,
        value: f64,
        mean: f64,
        mean_square: f64,
        rows: f32,
        checks: &mut Checks,
    ) {
        if value >= self.low && value <= self.high {
            return;
        }
        let bound = value.clamp(self.low, self.high);
        (self.low, self.high) = (min(self.low, value), max(self.high, value));
        if !row.has_scale {
            return;
        }
        let t = row.tuning;
        let unit = t.novelty_unit * mean_square.sqrt();
        let outside = (octave_of(value - mean, unit) - octave_of(bound - mean, unit)).abs() as f32 * t.novelty_octave;
        if outside >= MIN_DISTANCE {
            let context = TailContext { rows: rows.into(), ..row.tail_context(NOVELTY, false) };
            let rarity = self.tail.count_distance(outside, &context, t);
            checks.set_check(NOVELTY, rarity.nats * t.check_weights[NOVELTY], rarity.rises, value < mean);
        }
    }

    /// The limits beyond which a value has the required nats, as distances from `mean` in the metric's unit. `rows` are those
    /// behind the event counts.
    pub(super) fn limits(
        &self,
        required: RequiredNats,
        (mean, scale): (f64, f64),
        rows: f32,
        sibling_stats: Option<SiblingStats<'_>>,
        t: &Tuning,
    ) -> Limits {
        let sibling_counts = sibling_stats.map(|sibling_stats| sibling_stats.of(NOVELTY, false));
        let unit = t.novelty_unit * scale;
        let beyond = |bound: f64, nats: f64| {
            let outside = self.tail.distance_at(nats / t.check_weights[NOVELTY], rows.into(), sibling_counts, t)
                / t.novelty_octave;
            let octave = octave_of(bound - mean, unit).abs() + f64::from(outside);
            unit * (from_octaves(octave) - 1.0)
        };
        Limits::at(beyond(self.low, required.below), beyond(self.high, required.above))
    }

    /// Whether no value was below 0.
    pub(super) fn is_positive(&self) -> bool {
        self.low >= 0.0
    }

    /// The event counts.
    pub(super) fn event_counts(&self) -> Counts {
        self.tail.event_counts()
    }

    pub(super) fn tail(&mut self) -> &mut Tail {
        &mut self.tail
    }

    /// Appends the fields, little-endian.
    pub(super) fn write_state(&self, out: &mut Vec<u8>) {
        let Self { low, high, tail } = self;
        out.extend([low, high].map(|value| value.to_le_bytes()).as_flattened());
        tail.write_state(out);
    }

    /// Reads the fields from the front; `None` where one is impossible.
    pub(super) fn read_state(bytes: &mut &[u8]) -> Option<Self> {
        let [low, high] = [take(bytes)?, take(bytes)?].map(f64::from_le_bytes);
        let tail = Tail::read_state(bytes)?;
        let possible = [low, high].iter().all(|value| value.abs() <= MAX_VALUE) && low <= high;
        possible.then_some(Self { low, high, tail })
    }
}

/// The signed number of octaves of a distance: log₂ of 1 plus the distance in units.
fn octave_of(distance: f64, unit: f64) -> f64 {
    let far = distance / unit;
    octaves(1.0 + min(far.abs(), 1e300)).copysign(far)
}
