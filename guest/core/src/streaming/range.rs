//! How far a value lies beyond all that its series ever had.

use super::band::{Limits, Needed};
use super::counts::{Counts, LEAST};
use super::level::MAX_VALUE;
use super::looks::{Looks, NOVEL};
use super::lore::Loan;
use super::record::take;
use super::signal::Row;
use super::tail::{Moment, Tail};
use super::tuning::Tuning;
use crate::math::{from_octaves, max, min, octaves};

/// All that a series ever had, and how often it left that.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Range {
    low: f64,
    high: f64,
    tail: Tail,
}

impl Range {
    /// Of one value.
    pub(super) const fn of(value: f64) -> Self {
        Self { low: value, high: value, tail: Tail::new() }
    }

    /// Takes in a value, and looks at how many octaves it lies beyond the others, seen from `center` in units of the scale
    /// that has this `square`. `rows` are those that the tail counts.
    pub(super) fn observe(
        &mut self,
        row: &Row<'_>,
        value: f64,
        center: f64,
        square: f64,
        rows: f32,
        looks: &mut Looks,
    ) {
        if value >= self.low && value <= self.high {
            return;
        }
        let nearest = value.clamp(self.low, self.high);
        (self.low, self.high) = (min(self.low, value), max(self.high, value));
        if !row.settled {
            return;
        }
        let t = row.tuning;
        let unit = t.novel_unit * square.sqrt();
        let outside = (place(value - center, unit) - place(nearest - center, unit)).abs() as f32 * t.novel_octave;
        if outside >= LEAST {
            let moment = Moment { rows: rows.into(), ..row.moment(NOVEL, false) };
            let rarity = self.tail.observe(outside, &moment, t);
            looks.set(NOVEL, rarity.nats * t.weights[NOVEL], rarity.rises, value < center);
        }
    }

    /// Where a value is reported as new, after so many rows; seen from `center`, in the metric's unit.
    pub(super) fn limits(
        &self,
        needed: Needed,
        (center, scale): (f64, f64),
        rows: f32,
        loan: Option<Loan<'_>>,
        t: &Tuning,
    ) -> Limits {
        let lent = loan.map(|loan| loan.of(NOVEL, false));
        let unit = t.novel_unit * scale;
        let beyond = |nearest: f64, nats: f64| {
            let outside = self.tail.distance(nats / t.weights[NOVEL], rows.into(), lent, t) / t.novel_octave;
            let place = place(nearest - center, unit).abs() + f64::from(outside);
            unit * (from_octaves(place) - 1.0)
        };
        Limits::at(beyond(self.low, needed.below), beyond(self.high, needed.above))
    }

    /// Whether it was never below 0.
    pub(super) fn is_positive(&self) -> bool {
        self.low >= 0.0
    }

    /// What its tail has counted.
    pub(super) fn counts(&self) -> Counts {
        self.tail.counts()
    }

    pub(super) fn tail(&mut self) -> &mut Tail {
        &mut self.tail
    }

    /// Appends the fields, little-endian.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { low, high, tail } = self;
        out.extend([low, high].map(|value| value.to_le_bytes()).as_flattened());
        tail.write(out);
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let [low, high] = [take(bytes)?, take(bytes)?].map(f64::from_le_bytes);
        let tail = Tail::read(bytes)?;
        let possible = [low, high].iter().all(|value| value.abs() <= MAX_VALUE) && low <= high;
        possible.then_some(Self { low, high, tail })
    }
}

/// How many octaves a distance is, with its sign; within `unit` of 0 it is hardly any.
fn place(distance: f64, unit: f64) -> f64 {
    let far = distance / unit;
    octaves(1.0 + min(far.abs(), 1e300)).copysign(far)
}
