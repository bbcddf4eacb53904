//! The two tails of a check: how rare a distance is above the expected value, and below it.

use super::band::{Limits, RequiredNats};
use super::checks::Checks;
use super::counts::Counts;
use super::row_context::RowContext;
use super::sibling_stats::SiblingStats;
use super::tail::Tail;
use super::tuning::Tuning;

/// The tails of both sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TwoSidedTails {
    above: Tail,
    below: Tail,
}

impl TwoSidedTails {
    pub(super) const fn new() -> Self {
        Self { above: Tail::new(), below: Tail::new() }
    }

    /// Counts a distance in the tail of its side, and sets the result of the check.
    #[inline(never)]
    pub(super) fn check_side(
        &mut self,
        row: &RowContext<'_>,
        check: usize,
        below: bool,
        distance: f32,
        checks: &mut Checks,
    ) {
        let tail = if below { &mut self.below } else { &mut self.above };
        let rarity = tail.count_distance(distance, &row.tail_context(check, below), row.tuning);
        checks.set_check(check, rarity.nats * row.tuning.check_weights[check], rarity.rises, below);
    }

    /// The distances at which the check has the required nats. `rows` are those behind the event counts.
    pub(super) fn limits(
        &self,
        check: usize,
        required: RequiredNats,
        rows: f64,
        sibling_stats: Option<SiblingStats<'_>>,
        t: &Tuning,
    ) -> Limits {
        let distance = |tail: &Tail, nats: f64, below: bool| {
            let sibling_counts = sibling_stats.map(|sibling_stats| sibling_stats.of(check, below));
            f64::from(tail.distance_at(nats / t.check_weights[check], rows, sibling_counts, t))
        };
        Limits::at(distance(&self.below, required.below, true), distance(&self.above, required.above, false))
    }

    /// The event counts, above and below.
    pub(super) fn event_counts(&self) -> [Counts; 2] {
        [self.above.event_counts(), self.below.event_counts()]
    }

    /// Both tails.
    pub(super) fn tails(&mut self) -> [&mut Tail; 2] {
        [&mut self.above, &mut self.below]
    }

    /// Appends the fields, little-endian.
    pub(super) fn write_state(&self, out: &mut Vec<u8>) {
        let Self { above, below } = self;
        above.write_state(out);
        below.write_state(out);
    }

    /// Reads the fields from the front; `None` where one is impossible.
    pub(super) fn read_state(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self { above: Tail::read_state(bytes)?, below: Tail::read_state(bytes)? })
    }
}
