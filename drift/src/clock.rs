//! Time as rows tell it, which need not be in order.

use std::time::Duration;

use crate::window::BLOCKS;

/// A duration in nanoseconds; the longest there is stands for longer ones.
pub(crate) fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// How much time has passed in a block, by the times of its rows in nanoseconds.
///
/// Time passes where a row is newer than all before it. A row that is older belongs to the present. One that is newer or older
/// by more than the window comes from a clock that was set, or after a gap: time goes on from there, and none has passed.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    /// How long a block lasts.
    block: i64,
    window: i64,
    newest: Option<i64>,
    elapsed: i64,
    /// Since the first row.
    total: i64,
}

impl Clock {
    pub(crate) fn new(window: Duration) -> Self {
        let window = nanoseconds(window).max(BLOCKS as i64);
        Self { block: window / BLOCKS as i64, window, newest: None, elapsed: 0, total: 0 }
    }

    /// Takes a row's time. Whether the block has lasted as long as it should, so that this row is of the next.
    #[inline]
    pub(crate) fn observe(&mut self, time: i64) -> bool {
        let step = time.saturating_sub(*self.newest.get_or_insert(time));
        if step > 0 || step < -self.window {
            self.newest = Some(time);
            if (0..=self.window).contains(&step) {
                self.elapsed = self.elapsed.saturating_add(step);
                self.total = self.total.saturating_add(step);
            }
        }
        self.elapsed >= self.block
    }

    /// Begins another block, which began when the last should have ended.
    pub(crate) fn next_block(&mut self) {
        self.elapsed %= self.block;
    }

    /// How much time has passed since the first row, in nanoseconds.
    pub(crate) fn total(&self) -> i64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        Clock::new(Duration::from_nanos(800))
    }

    #[test]
    fn time_passes_with_the_newest_row() {
        let mut clock = clock();
        assert!([1000, 1050, 1040, 1099, 1000, 1099].into_iter().all(|time| !clock.observe(time)));
        assert!(clock.observe(1130));
        clock.next_block();
        assert!(!clock.observe(1199) && clock.observe(1200));
        assert_eq!(clock.total(), 200);
    }

    #[test]
    fn a_clock_that_is_set_passes_no_time() {
        let mut clock = clock();
        for time in [0, i64::MAX, 0, i64::MIN, i64::MAX, 5, 1 << 40, 6, -5000, -5000] {
            assert!(!clock.observe(time), "{time}");
        }
        assert_eq!(clock.total(), 0);
        assert!(clock.observe(-4900));
    }

    #[test]
    fn any_window_has_blocks() {
        assert!(!Clock::new(Duration::ZERO).observe(7));
        assert!(!Clock::new(Duration::MAX).observe(i64::MAX));
    }
}
