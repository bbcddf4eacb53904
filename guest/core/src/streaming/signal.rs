//! One look at a series: a signed number that should be near 0, in units of its own scale, and how rare that is on
//! each side.

use super::band::{Limits, Needed};
use super::counts::{Counts, LEAST};
use super::looks::{LOOKS, Looks};
use super::lore::Loan;
use super::record::take;
use super::sides::Sides;
use super::tail::{Hold, Moment};
use super::tuning::Tuning;
use crate::math::{max, min, pulled_in};

/// The square of the distance from which on a tail is asked.
pub(super) const NEAR: f64 = (LEAST * LEAST) as f64;
/// The largest distance there is, in scales.
const MAX_DISTANCE: f64 = 1e9;

/// A signal's scale and its two tails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Signal {
    /// Mean square, values limited.
    square: f64,
    sides: Sides,
}

/// What a row needs of its series to look at a signal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) tuning: &'a Tuning,
    /// Share of what is learned, and the square of the scales that count in it at most.
    pub(super) gain: f64,
    pub(super) limit: f64,
    /// Whether scales mean anything yet.
    pub(super) settled: bool,
    /// By look.
    pub(super) holds: &'a [Hold; LOOKS],
    /// The series' clock, rows behind the counts, and what an event counts.
    pub(super) clock: u16,
    pub(super) rows: f64,
    pub(super) counting: u8,
    /// What siblings lend it.
    pub(super) loan: Option<Loan<'a>>,
}

impl<'a> Row<'a> {
    /// When a look meets a distance on a side.
    pub(super) fn moment(&self, look: usize, below: bool) -> Moment<'a> {
        let &Self { clock, rows, counting, holds, loan, .. } = self;
        Moment { clock, rows, counting, hold: holds[look], lent: loan.map(|loan| loan.of(look, below)) }
    }
}

impl Signal {
    pub(super) const fn new() -> Self {
        Self { square: 0.0, sides: Sides::new() }
    }

    /// Looks at a value, given its square and its side, and learns from it.
    pub(super) fn observe(
        &mut self,
        row: &Row<'_>,
        look: usize,
        squared: f64,
        below: bool,
        floor: f64,
        looks: &mut Looks,
    ) {
        let least = max(self.square, floor * floor);
        if squared >= NEAR * least && row.settled {
            let distance = min((squared / least).sqrt(), MAX_DISTANCE) as f32;
            self.sides.look(row, look, below, distance, looks);
        }
        let most = if row.settled { row.limit * least } else { f64::INFINITY };
        self.square += row.gain * (min(squared, most) - self.square);
    }

    /// Where a look reports it, with a scale of `floor` at least, after so many rows.
    pub(super) fn limits(
        &self,
        look: usize,
        needed: Needed,
        floor: f64,
        rows: f64,
        loan: Option<Loan<'_>>,
        t: &Tuning,
    ) -> Limits {
        self.sides.limits(look, needed, rows, loan, t).scaled(max(self.square, floor * floor).sqrt())
    }

    /// Root mean square.
    pub(super) fn scale(&self) -> f64 {
        self.square.sqrt()
    }

    /// Takes in what siblings tell of its scale: this share of what is known then.
    pub(super) fn start(&mut self, scale: f64, share: f64) {
        self.square += share * (scale * scale - self.square);
    }

    /// What its tails have counted, above and below.
    pub(super) fn counts(&self) -> [Counts; 2] {
        self.sides.counts()
    }

    /// A value pulled in to so many scales, of `floor` at least.
    pub(super) fn limit(&self, value: f64, scales: f64, floor: f64) -> f64 {
        pulled_in(value, scales * scales * max(self.square, floor * floor))
    }

    pub(super) fn sides(&mut self) -> &mut Sides {
        &mut self.sides
    }

    /// Appends the fields, little-endian.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { square, sides } = self;
        out.extend(square.to_le_bytes());
        sides.write(out);
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let square = f64::from_le_bytes(take(bytes)?);
        let sides = Sides::read(bytes)?;
        (0.0..f64::INFINITY).contains(&square).then_some(Self { square, sides })
    }
}
