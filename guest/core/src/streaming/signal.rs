//! One look at a series: a signed number that should be near 0, in units of its own scale, and how rare that is on
//! each side.

use super::record::take;
use super::tail::{Rarity, Tail};
use super::tuning::Tuning;
use crate::math::{max, min};

/// Values that teach a scale count so many scales at most.
const LIMIT: f64 = 4.0;
/// The largest distance there is, in scales.
const MAX_DISTANCE: f64 = 1e9;

/// A signal's scale and its two tails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Signal {
    /// Mean square, values limited.
    square: f64,
    above: Tail,
    below: Tail,
}

/// What a row needs of its series to look at a signal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) tuning: &'a Tuning,
    /// Rows that the tails count.
    pub(super) rows: f64,
    /// Share of what is learned.
    pub(super) gain: f64,
    /// Whether scales mean anything yet.
    pub(super) settled: bool,
}

impl Signal {
    pub(super) const fn new() -> Self {
        Self { square: 0.0, above: Tail::new(), below: Tail::new() }
    }

    /// How rare `value` is on its side; learns. What tails hold decays to a share of `keep`.
    pub(super) fn observe(&mut self, row: &Row<'_>, value: f64, floor: f64, keep: f32) -> Rarity {
        let least = max(self.square, floor * floor);
        let squared = value * value;
        let mut rarity = Rarity::default();
        if row.settled {
            let (this, other) =
                if value < 0.0 { (&mut self.below, &mut self.above) } else { (&mut self.above, &mut self.below) };
            other.fade(keep);
            if squared < least {
                this.fade(keep); // within its scale nothing is told apart: most rows leave here
            } else {
                let distance = min((squared / least).sqrt(), MAX_DISTANCE) as f32;
                rarity = this.observe(distance, row.rows, keep, row.tuning);
            }
        }
        let most = if row.settled { LIMIT * LIMIT * least } else { f64::INFINITY };
        self.square += row.gain * (min(squared, most) - self.square);
        rarity
    }

    /// A value pulled in to so many scales, of `floor` at least.
    pub(super) fn limit(&self, value: f64, scales: f64, floor: f64) -> f64 {
        let most = scales * scales * max(self.square, floor * floor);
        if value * value > most { most.sqrt().copysign(value) } else { value }
    }

    /// Both tails.
    pub(super) fn tails(&mut self) -> [&mut Tail; 2] {
        [&mut self.above, &mut self.below]
    }

    /// Appends the fields, little-endian.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { square, above, below } = self;
        out.extend(square.to_le_bytes());
        above.write(out);
        below.write(out);
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let square = f64::from_le_bytes(take(bytes)?);
        let (above, below) = (Tail::read(bytes)?, Tail::read(bytes)?);
        (0.0..f64::INFINITY).contains(&square).then_some(Self { square, above, below })
    }
}
