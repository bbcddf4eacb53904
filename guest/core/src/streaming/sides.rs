//! The two sides of a look: how rare a distance is above what was expected, and below it.

use super::band::{Limits, Needed};
use super::counts::Counts;
use super::looks::Looks;
use super::lore::Loan;
use super::signal::Row;
use super::tail::Tail;
use super::tuning::Tuning;

/// The tails of both sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sides {
    above: Tail,
    below: Tail,
}

impl Sides {
    pub(super) const fn new() -> Self {
        Self { above: Tail::new(), below: Tail::new() }
    }

    /// Asks the tail on whose side a value is so far out.
    #[inline(never)]
    pub(super) fn look(&mut self, row: &Row<'_>, look: usize, below: bool, distance: f32, looks: &mut Looks) {
        let tail = if below { &mut self.below } else { &mut self.above };
        let rarity = tail.observe(distance, &row.moment(look, below), row.tuning);
        looks.set(look, rarity.nats * row.tuning.weights[look], rarity.rises, below);
    }

    /// The distances at which a look has the nats that are needed, after so many rows.
    pub(super) fn limits(&self, look: usize, needed: Needed, rows: f64, loan: Option<Loan<'_>>, t: &Tuning) -> Limits {
        let distance = |tail: &Tail, nats: f64, below: bool| {
            let lent = loan.map(|loan| loan.of(look, below));
            f64::from(tail.distance(nats / t.weights[look], rows, lent, t))
        };
        Limits::at(distance(&self.below, needed.below, true), distance(&self.above, needed.above, false))
    }

    /// What both tails have counted, above and below.
    pub(super) fn counts(&self) -> [Counts; 2] {
        [self.above.counts(), self.below.counts()]
    }

    /// Both tails.
    pub(super) fn tails(&mut self) -> [&mut Tail; 2] {
        [&mut self.above, &mut self.below]
    }

    /// Appends the fields, little-endian.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { above, below } = self;
        above.write(out);
        below.write(out);
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self { above: Tail::read(bytes)?, below: Tail::read(bytes)? })
    }
}
