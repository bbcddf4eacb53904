//! For how many rows the value has been the same, and how rare that is.

use super::checks::{Checks, REPETITION};
use super::counts::{Counts, LEVELS};
use super::curve::Curve;
use super::level::MAX_VALUE;
use super::record::take;
use super::row_context::RowContext;
use crate::math::{ln, min};

/// The series rests at the value of its longest run if that had so many rows.
const MIN_RESTING_ROWS: u16 = 32;

/// A series' runs of equal values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RunLengths {
    /// The value of the longest run.
    resting_value: f64,
    /// How often the value changed.
    changes: u32,
    /// Rows of the longest run and of the current one that repeat a value.
    longest: u16,
    run: u16,
    counts: Counts,
}

impl RunLengths {
    pub(super) const fn new() -> Self {
        Self { resting_value: 0.0, changes: 0, longest: 0, run: 0, counts: Counts::new() }
    }

    /// Ends the run, at a value that differs from the last one.
    pub(super) fn end_run(&mut self, row: &RowContext<'_>, last: f64) {
        if self.run > 0 {
            let levels = (self.run.ilog2() as usize).min(LEVELS);
            self.counts.add_event(0..levels, row.event_weight, row.clock);
            if self.run > self.longest {
                (self.resting_value, self.longest) = (last, self.run);
            }
            self.run = 0;
        }
        self.changes = self.changes.saturating_add(1);
    }

    /// Checks a value that is the same as the last one. The nats are limited where the value has changed seldom. A run at the
    /// value at which the series rests is ordinary up to twice the longest run: between two bursts of errors lie many zeros.
    /// During an incident a run does not rise.
    pub(super) fn check_repetition(
        &mut self,
        row: &RowContext<'_>,
        value: f64,
        rows: f32,
        ongoing: bool,
        checks: &mut Checks,
    ) {
        self.run = self.run.saturating_add(1);
        let rests = self.longest >= MIN_RESTING_ROWS
            && value.to_bits() == self.resting_value.to_bits()
            && self.run / 2 < self.longest;
        if !row.has_scale || self.run < 2 || rests {
            return;
        }
        let sibling_counts = row.sibling_stats.map(|sibling_stats| sibling_stats.of(REPETITION, false));
        let nats = Curve::new(self.counts.events(sibling_counts), rows.into(), row.tuning).nats(self.run.into());
        let most = 2.0 * ln(f64::from(self.changes) + 1.0);
        checks.set_check(REPETITION, min(nats, most) * row.tuning.check_weights[REPETITION], !ongoing, false);
    }

    /// The event counts.
    pub(super) fn event_counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn halve_counts(&mut self) {
        self.counts.halve_counts();
    }

    /// Appends the fields, little-endian.
    pub(super) fn write_state(&self, out: &mut Vec<u8>) {
        let Self { resting_value, changes, longest, run, counts } = self;
        out.extend(resting_value.to_le_bytes());
        out.extend(changes.to_le_bytes());
        out.extend([*longest, *run].map(u16::to_le_bytes).as_flattened());
        counts.write_state(out);
    }

    /// Reads the fields from the front; `None` where one is impossible.
    pub(super) fn read_state(bytes: &mut &[u8]) -> Option<Self> {
        let (resting_value, changes) = (f64::from_le_bytes(take(bytes)?), u32::from_le_bytes(take(bytes)?));
        let [longest, run] = [take(bytes)?, take(bytes)?].map(u16::from_le_bytes);
        let counts = Counts::read_state(bytes)?;
        (resting_value.abs() <= MAX_VALUE).then_some(Self { resting_value, changes, longest, run, counts })
    }
}
