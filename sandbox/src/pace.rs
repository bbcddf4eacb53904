//! How many rows a guest is given in a call.
//!
//! The work of a call is the host's choice, so a deadline that a call misses because it was given too much would be the
//! host's fault. A batch is given in as many calls as it takes for each to need a small part of its deadline, by what calls
//! before it took.

use std::time::Duration;

use crate::guest::thread_time;

/// The part of a deadline that a call is meant to take. Rows differ: one that is explained takes an isolation forest six
/// times what an ordinary one does, and none of this may come near the deadline.
const CALL_DIVISOR: u32 = 16;

/// Rows of the first call, of which nothing is known.
const FIRST_ROWS: usize = 64;

/// Rows of a call at most. What a call costs by itself, a microsecond or two, is nothing beside so many.
const MAX_ROWS: usize = 4096;

/// Values of a call at most: wide rows take a guest's memory twice, as it gets them and as it works on them.
const MAX_VALUES: usize = 1 << 20;

/// Series that a guest is told of in a call: siblings, or those that are gone.
pub(crate) const MAX_SERIES: usize = 4096;

/// After so many deadlines in all a batch begins no call any more; what is left of it passes unscored.
const BATCH_DEADLINES: u32 = 4;

/// How fast one guest is.
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
    /// How many of the rows that are left, each of so many values, the next call is given.
    pub(crate) fn rows(&self, left: usize, features: usize) -> usize {
        left.min(self.rows).min((MAX_VALUES / features.max(1)).max(1))
    }

    /// Whether a call of so many rows is worth the two system calls that tell how long it took.
    pub(crate) fn is_worth_timing(&self, rows: usize) -> bool {
        rows * 4 >= self.rows
    }

    /// A call with so many rows took so long, of this deadline.
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

/// How long the calls take that a batch needs.
#[derive(Debug)]
pub struct BatchTime {
    began: Option<Duration>,
    limit: Duration,
}

impl BatchTime {
    /// Begins; of a single call only its own deadline counts, and no clock is asked.
    pub(crate) fn start(deadline: Duration, several: bool) -> Self {
        Self { began: several.then(thread_time), limit: deadline * BATCH_DEADLINES }
    }

    /// Whether there is no time for one more.
    pub fn is_spent(&self) -> bool {
        self.began.is_some_and(|began| thread_time().saturating_sub(began) >= self.limit)
    }

    /// How long they may take before no further one begins.
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
