//! For how long the value has been the very same, and how rare that is.

use super::counts::{Counts, LEVELS};
use super::level::MAX_VALUE;
use super::looks::{Looks, STUCK};
use super::record::take;
use super::signal::Row;
use crate::math::{ln, min};

/// A value that was once the same for so many rows is one at which the series rests.
const RESTING: u16 = 32;

/// What is known of a series' runs of equal values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Runs {
    /// The value of the longest run.
    resting: f64,
    /// How often the value changed.
    changes: u32,
    /// Rows of the longest run, and of the one at hand: those that repeat a value.
    longest: u16,
    run: u16,
    counts: Counts,
}

impl Runs {
    pub(super) const fn new() -> Self {
        Self { resting: 0.0, changes: 0, longest: 0, run: 0, counts: Counts::new() }
    }

    /// A value that differs from the one before.
    pub(super) fn end(&mut self, row: &Row<'_>, last: f64) {
        if self.run > 0 {
            let levels = (self.run.ilog2() as usize).min(LEVELS);
            self.counts.add(0..levels, row.counting, row.clock);
            if self.run > self.longest {
                (self.resting, self.longest) = (last, self.run);
            }
            self.run = 0;
        }
        self.changes = self.changes.saturating_add(1);
    }

    /// A value that is the very same as before. Where there were few changes little can be said, and nothing of the value
    /// at which a series rests, within twice the longest rest: between two bursts of errors lie many zeros. It is no onset
    /// while an incident goes on.
    pub(super) fn repeat(&mut self, row: &Row<'_>, value: f64, rows: f32, ongoing: bool, looks: &mut Looks) {
        self.run = self.run.saturating_add(1);
        let rests = self.longest >= RESTING && value.to_bits() == self.resting.to_bits() && self.run / 2 < self.longest;
        if !row.settled || self.run < 2 || rests {
            return;
        }
        let lent = row.loan.map(|loan| loan.of(STUCK, false));
        let nats = self.counts.curve(rows.into(), lent, row.tuning).nats(self.run.into());
        let most = 2.0 * ln(f64::from(self.changes) + 1.0);
        looks.set(STUCK, min(nats, most) * row.tuning.weights[STUCK], !ongoing, false);
    }

    /// What it has counted.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn halve(&mut self) {
        self.counts.halve();
    }

    /// Appends the fields, little-endian.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { resting, changes, longest, run, counts } = self;
        out.extend(resting.to_le_bytes());
        out.extend(changes.to_le_bytes());
        out.extend([*longest, *run].map(u16::to_le_bytes).as_flattened());
        counts.write(out);
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (resting, changes) = (f64::from_le_bytes(take(bytes)?), u32::from_le_bytes(take(bytes)?));
        let [longest, run] = [take(bytes)?, take(bytes)?].map(u16::from_le_bytes);
        let counts = Counts::read(bytes)?;
        (resting.abs() <= MAX_VALUE).then_some(Self { resting, changes, longest, run, counts })
    }
}
