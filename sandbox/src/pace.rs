//! How many rows a call of a guest gets.
//!
//! The host chooses the rows of a call, so a deadline must not fail because there were too many. A batch is split into calls that
//! need a small part of the deadline each, by the time of earlier calls.

use std::time::Duration;

use crate::thread_time::thread_time;

/// A call should take the deadline divided by this. Rows differ: an explained one takes an isolation forest six times as long
/// as another, and still must be far from the deadline.
const CALL_DIVISOR: u32 = 16;

/// Rows of the first call.
const FIRST_ROWS: usize = 64;

/// The most rows of a call. With so many, the cost of the call itself, a microsecond or two, does not matter.
const MAX_ROWS: usize = 4096;

/// The most values of a call: wide rows need a guest's memory twice, as received and as processed.
const MAX_VALUES: usize = 1 << 20;

/// The most series of a call that passes on groups or dropped series.
pub(crate) const MAX_SERIES: usize = 4096;

/// After this number of deadlines no further call of a batch begins; its remaining rows pass unscored.
const BATCH_DEADLINES: u32 = 4;

/// The speed of a guest.
#[derive(Debug)]
pub(crate) struct Pace {
    rows: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { rows: FIRST_ROWS }
    }
}

impl Pace {
    /// How many of the `left` rows, of `features` values each, the next call gets.
    pub(crate) fn rows(&self, left: usize, features: usize) -> usize {
        left.min(self.rows).min((MAX_VALUES / features.max(1)).max(1))
    }

    /// Whether a call with so many rows is worth the two system calls that measure its time.
    pub(crate) fn is_worth_timing(&self, rows: usize) -> bool {
        rows * 4 >= self.rows
    }

    /// Records that a call with `rows` rows took this time of the deadline.
    pub(crate) fn record_call(&mut self, rows: usize, took: Duration, deadline: Duration) {
        let part = deadline / CALL_DIVISOR;
        if took > part {
            let fits = rows as f64 * part.as_secs_f64() / took.as_secs_f64();
            self.rows = (fits as usize).clamp(1, MAX_ROWS);
        } else if took < part / 2 {
            self.rows = (self.rows * 2).min(MAX_ROWS);
        }
    }
}

/// The time of all calls of a batch.
#[derive(Debug)]
pub struct BatchTime {
    began: Option<Duration>,
    limit: Duration,
}

impl BatchTime {
    /// Starts the time. For a single call only its own deadline counts, and no clock is read.
    pub(crate) fn start(deadline: Duration, several: bool) -> Self {
        Self { began: several.then(thread_time), limit: deadline * BATCH_DEADLINES }
    }

    /// Whether there is no time for another call.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.began.is_some_and(|began| thread_time().saturating_sub(began) >= self.limit)
    }

    /// The time after which no further call begins.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_millis(160);

    /// How many rows a call has in the end, where a row takes so long.
    fn settled(row: Duration) -> usize {
        let mut pace = Pace::default();
        for _ in 0..100 {
            let rows = pace.rows(1_000_000, 1);
            assert!(pace.is_worth_timing(rows));
            pace.record_call(rows, row * rows as u32, DEADLINE);
        }
        pace.rows(1_000_000, 1)
    }

    #[test]
    fn a_call_takes_a_small_part_of_its_deadline() {
        assert_eq!(settled(Duration::from_nanos(100)), MAX_ROWS);
        for micros in [10, 100, 1000, 9000] {
            let row = Duration::from_micros(micros);
            let call = row * settled(row) as u32;
            assert!(call <= DEADLINE / 16 && call * 4 >= DEADLINE / 16, "{micros} us a row: {call:?}");
        }
        assert_eq!(settled(Duration::from_secs(1)), 1, "less than a row cannot be");
    }

    #[test]
    fn small_batches_cost_no_clock() {
        let mut pace = Pace::default();
        for _ in 0..10 {
            pace.record_call(pace.rows(1_000_000, 1), Duration::ZERO, DEADLINE);
        }
        assert!(!pace.is_worth_timing(100) && pace.is_worth_timing(MAX_ROWS));
    }
}
