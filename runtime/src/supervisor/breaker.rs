//! The circuit breaker: after several failures in short order a guest is not started again for a while.
//!
//! It is closed as long as batches are scored. [`FAILURES_TO_OPEN`] failures open it: nothing is tried until the backoff has passed.
//! From then on it is half open. The guest is started again; the first batch that it scores closes the breaker, and as many
//! failures as before open it again, for twice as long.
//!
//! It only counts, and compares times that its caller hands in.

use std::time::{Duration, Instant};

/// Failures that open it.
pub(super) const FAILURES_TO_OPEN: u32 = 3;

/// Batches that must be scored between two failures for the first not to count any more: a guest that fails every other
/// batch costs as much time as one that always fails.
const BATCHES_TO_RECOVER: u32 = 64;

/// For how long a guest is not started again: first, and doubling each time, at most.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The first time.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
    /// How long it must have worked for the next backoff to be the first one again.
    pub reset: Duration,
}

impl Default for Backoff {
    /// A second, and five minutes: a passing fault costs little, and one that lasts costs little either.
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_mins(5), reset: Duration::from_mins(5) }
    }
}

/// The circuit breaker of one model.
#[derive(Debug)]
pub(super) struct Breaker {
    backoff: Backoff,
    /// Failures that count towards opening it.
    failures: u32,
    /// Batches that were scored since the last failure.
    successes: u32,
    /// How often it opened since the backoff was last the first one.
    opened: u32,
    /// Where it is not closed: until when nothing is tried.
    open_until: Option<Instant>,
    /// When the first batch after the last failure was scored.
    works_since: Option<Instant>,
}

impl Breaker {
    /// A closed one.
    pub(super) fn new(backoff: Backoff) -> Self {
        Self { backoff, failures: 0, successes: 0, opened: 0, open_until: None, works_since: None }
    }

    /// An open one: what it is of did not even start.
    pub(super) fn open(backoff: Backoff, now: Instant) -> Self {
        Self { open_until: Some(now + backoff.first), ..Self::new(backoff) }
    }

    /// For how long it opens.
    pub(super) fn backoff(&self) -> Backoff {
        self.backoff
    }

    /// Whether it is open, or half open: nothing has been scored since it opened.
    pub(super) fn is_open(&self) -> bool {
        self.open_until.is_some()
    }

    /// Whether a guest may be started now.
    pub(super) fn allows(&self, now: Instant) -> bool {
        self.open_until.is_none_or(|until| until <= now)
    }

    /// A batch was scored. Whether that closed the breaker.
    pub(super) fn record_success(&mut self, now: Instant) -> bool {
        self.successes = self.successes.saturating_add(1);
        if self.successes == BATCHES_TO_RECOVER {
            self.failures = 0;
        }
        self.works_since.get_or_insert(now);
        self.open_until.take().is_some()
    }

    /// The guest failed. For how long that opened the breaker, if it did.
    pub(super) fn record_failure(&mut self, now: Instant) -> Option<Duration> {
        let worked = self.works_since.take().map(|since| now.saturating_duration_since(since));
        if worked.is_some_and(|worked| worked > self.backoff.reset) {
            self.opened = 0;
        }
        self.successes = 0;
        self.failures += 1;
        if self.failures < FAILURES_TO_OPEN {
            return None;
        }
        self.failures = 0;
        let Backoff { first, longest, .. } = self.backoff;
        let backoff = first.saturating_mul(1 << self.opened.min(20)).min(longest);
        self.opened += 1;
        self.open_until = Some(now + backoff);
        Some(backoff)
    }

    /// Begins anew, for another model.
    pub(super) fn reset(&mut self) {
        *self = Self::new(self.backoff);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff =
        Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(6), reset: Duration::from_mins(5) };

    /// A breaker with a clock of its own.
    struct Bench {
        breaker: Breaker,
        now: Instant,
    }

    impl Bench {
        fn new() -> Self {
            Self { breaker: Breaker::new(BACKOFF), now: Instant::now() }
        }

        fn pass(&mut self, time: Duration) {
            self.now += time;
        }

        fn succeed(&mut self, batches: u32) {
            (0..batches).for_each(|_| _ = self.breaker.record_success(self.now));
        }

        /// What the last of so many failures in a row leads to; none of those before may open it.
        fn fail(&mut self, failures: u32) -> Option<Duration> {
            for _ in 1..failures {
                assert_eq!(self.breaker.record_failure(self.now), None);
            }
            self.breaker.record_failure(self.now)
        }

        /// Opens it, and lets the backoff pass.
        fn open(&mut self) -> Duration {
            let backoff = self.fail(FAILURES_TO_OPEN).unwrap();
            self.pass(backoff);
            backoff
        }

        fn allows(&self) -> bool {
            self.breaker.allows(self.now)
        }
    }

    #[test]
    fn three_failures_open_it_until_the_backoff_has_passed() {
        let mut bench = Bench::new();
        assert!(bench.allows());
        assert_eq!(bench.fail(2), None);
        assert!(bench.allows(), "a guest that failed once or twice is started again at once");
        assert_eq!(bench.fail(1), Some(BACKOFF.first));
        assert!(!bench.allows());
        let last = Duration::from_nanos(1);
        bench.pass(BACKOFF.first.saturating_sub(last));
        assert!(!bench.allows());
        bench.pass(last);
        assert!(bench.allows());
    }

    #[test]
    fn a_batch_that_is_scored_closes_it_once() {
        let mut bench = Bench::new();
        assert!(!bench.breaker.record_success(bench.now), "it was closed");
        bench.open();
        assert!(bench.breaker.record_success(bench.now));
        assert!(!bench.breaker.record_success(bench.now));
    }

    #[test]
    fn failures_count_until_enough_batches_in_a_row_were_scored() {
        let mut bench = Bench::new();
        for _ in 0..2 {
            assert_eq!(bench.fail(1), None);
            bench.succeed(BATCHES_TO_RECOVER - 1);
        }
        assert_eq!(bench.fail(1), Some(BACKOFF.first), "63 good batches between failures are not enough");

        let mut bench = Bench::new();
        for _ in 0..20 {
            assert_eq!(bench.fail(2), None);
            bench.succeed(BATCHES_TO_RECOVER);
        }
        assert!(bench.allows());
    }

    #[test]
    fn the_backoff_doubles_up_to_the_longest() {
        let mut bench = Bench::new();
        let backoffs = [(); 30].map(|()| bench.open().as_secs());
        assert_eq!(backoffs[..5], [1, 2, 4, 6, 6]);
        assert!(backoffs[5..].iter().all(|&backoff| backoff == 6), "{backoffs:?}");
    }

    #[test]
    fn after_the_backoff_it_takes_three_failures_again() {
        let mut bench = Bench::new();
        bench.open();
        assert_eq!(bench.fail(2), None);
        assert!(bench.allows());
        assert_eq!(bench.fail(1), Some(BACKOFF.first * 2));
    }

    #[test]
    fn only_a_guest_that_worked_for_long_begins_with_the_first_backoff_again() {
        let mut bench = Bench::new();
        bench.open();
        bench.pass(BACKOFF.reset * 2);
        assert_eq!(bench.open(), BACKOFF.first * 2, "time in which it did not work does not count");
        bench.succeed(1);
        bench.pass(BACKOFF.reset);
        assert_eq!(bench.open(), BACKOFF.first * 4, "this is not longer than `reset`");
        bench.succeed(1);
        bench.pass(BACKOFF.reset + Duration::from_nanos(1));
        assert_eq!(bench.open(), BACKOFF.first);
    }

    #[test]
    fn a_new_model_has_a_fresh_one() {
        let mut bench = Bench::new();
        bench.open();
        bench.open();
        bench.succeed(1);
        assert_eq!(bench.fail(2), None);
        bench.breaker.reset();
        assert_eq!(bench.fail(2), None, "failures of the model before do not count");
        assert_eq!(bench.fail(1), Some(BACKOFF.first), "nor does how often it opened");
        bench.breaker.reset();
        assert!(bench.allows() && !bench.breaker.is_open());
    }

    #[test]
    fn it_is_open_until_a_batch_is_scored() {
        let mut bench = Bench::new();
        for _ in 0..2 {
            assert!(!bench.breaker.is_open());
            assert_eq!(bench.fail(2), None);
            assert!(!bench.breaker.is_open(), "two failures do not open it");
            let backoff = bench.fail(1).unwrap();
            assert!(bench.breaker.is_open() && !bench.allows());
            bench.pass(backoff);
            assert!(bench.breaker.is_open() && bench.allows(), "half open");
            bench.fail(1);
            assert!(bench.breaker.is_open());
            bench.succeed(BATCHES_TO_RECOVER);
        }
    }

    #[test]
    fn what_did_not_start_waits_for_the_first_backoff() {
        let mut bench = Bench::new();
        bench.breaker = Breaker::open(BACKOFF, bench.now);
        assert!(!bench.allows());
        bench.pass(BACKOFF.first);
        assert!(bench.allows());
    }
}
