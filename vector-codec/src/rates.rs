//! Rates of counters, per second: totals by the difference from the last one, separate increments by their sum over intervals of
//! ten seconds.

use hashbrown::HashTable;

use qualm_pipeline::snapshot::SeriesSnapshot;

/// The interval over which increments of a series are summed, in nanoseconds: the usual flush interval of sources that send one
/// event per increment (statsd, `log_to_metric`), and short enough for an alarm.
pub(super) const INTERVAL: i64 = 10_000_000_000;

/// The most series of a generation. The two generations take some 16 MB.
const GENERATION: usize = 1 << 18;

/// How late an increment may be, in nanoseconds, and still count in the current interval. An earlier one means that a clock was
/// set back.
const MAX_LATENESS: i64 = 3_600_000_000_000;

/// Bytes of a counter in saved state.
const SAVED_BYTES: usize = 16;

/// The state of all counters. It is bounded by two generations: when the young one is full, the old one is dropped, and the young
/// one becomes the old one.
#[derive(Debug, Default)]
pub(super) struct Rates {
    young: HashTable<CounterState>,
    old: HashTable<CounterState>,
}

/// The state of a counter.
#[derive(Debug, Clone, Copy)]
struct CounterState {
    identity: u64,
    /// The beginning of the current interval, or the time of the last total.
    start: i64,
    /// The sum of the interval, or the last total.
    sum: f64,
}

impl Rates {
    /// Adds an increment. If it is the first after an interval, returns the rate in that interval, and its end.
    pub(super) fn add_increment(&mut self, identity: u64, time: i64, value: f64) -> Option<(f64, i64)> {
        let start = time.saturating_sub(time.rem_euclid(INTERVAL));
        self.counter_state(identity, start, 0.0).add(start, value)
    }

    /// Sets a total, and returns its growth per second since the last one. A smaller total than the last one is a reset to 0.
    pub(super) fn growth_rate(&mut self, identity: u64, time: i64, total: f64) -> Option<f64> {
        self.counter_state(identity, time, f64::NAN).grow(time, total)
    }

    /// Saves the counters for a restart: for each its time and its sum.
    pub(super) fn save_snapshot(&self, now: i64) -> SeriesSnapshot {
        let mut snapshot = SeriesSnapshot::default();
        // The oldest first, as they are restored.
        for &CounterState { identity, start, sum } in self.old.iter().chain(&self.young) {
            let both = u128::from(start as u64) << 64 | u128::from(sum.to_bits());
            snapshot.add(identity, now.saturating_sub(start), &both.to_le_bytes());
        }
        snapshot
    }

    /// Restores saved counters that have no state yet.
    pub(super) fn restore_snapshot(&mut self, snapshot: &SeriesSnapshot) {
        for (identity, bytes) in snapshot.each::<SAVED_BYTES>() {
            let both = u128::from_le_bytes(*bytes);
            self.counter_state(identity, (both >> 64) as i64, f64::from_bits(both as u64));
        }
    }

    /// The state of a counter; a new one has `sum` at `start`.
    fn counter_state(&mut self, identity: u64, start: i64, sum: f64) -> &mut CounterState {
        let Self { young, old } = self;
        if young.find(identity, |counter_state| counter_state.identity == identity).is_none() {
            let known = old.find_entry(identity, |counter_state| counter_state.identity == identity).ok();
            let counter_state = known.map_or(CounterState { identity, start, sum }, |entry| entry.remove().0);
            if young.len() >= GENERATION {
                std::mem::swap(young, old);
                young.clear();
            }
            young.insert_unique(identity, counter_state, |counter_state| counter_state.identity);
        }
        let known = young.find_mut(identity, |counter_state| counter_state.identity == identity);
        known.expect("it is there by now")
    }
}

impl CounterState {
    fn grow(&mut self, time: i64, total: f64) -> Option<f64> {
        if time <= self.start && time >= self.start.saturating_sub(MAX_LATENESS) && !self.sum.is_nan() {
            return None; // late, or at the same time
        }
        let last = std::mem::replace(self, Self { start: time, sum: total, ..*self });
        let seconds = time.saturating_sub(last.start) as f64 / 1e9;
        let grown = if total < last.sum { total } else { total - last.sum };
        // NaN: there was no last total.
        (seconds > 0.0 && grown.is_finite()).then_some(grown / seconds)
    }

    fn add(&mut self, start: i64, value: f64) -> Option<(f64, i64)> {
        if start <= self.start && start >= self.start.saturating_sub(MAX_LATENESS) {
            self.sum += value;
            return None;
        }
        let last = std::mem::replace(self, Self { start, sum: value, ..*self });
        let rate = last.sum / (INTERVAL as f64 / 1e9);
        (start > last.start).then_some((rate, last.start.saturating_add(INTERVAL)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn increments_are_emitted_with_the_first_of_the_next_interval() {
        let mut rates = Rates::default();
        let mut add = |second: i64, value| rates.add_increment(7, second * SECOND, value);
        assert_eq!(add(101, 5.0), None);
        assert_eq!(add(109, 15.0), None);
        assert_eq!(add(110, 1.0), Some((2.0, 110 * SECOND)));
        assert_eq!(add(108, 1.0), None, "a late one counts in the interval at hand");
        assert_eq!(add(155, 40.0), Some((0.2, 120 * SECOND)));
        assert_eq!(add(5_000, 1.0), Some((4.0, 160 * SECOND)));
        assert_eq!(add(1_000, 3.0), None, "the clock was put back: what was added up is of no use");
        assert_eq!(add(1_010, 0.0), Some((0.3, 1_010 * SECOND)));
    }

    #[test]
    fn totals_become_rates() {
        let mut rates = Rates::default();
        let mut grow = |second: i64, total| rates.growth_rate(7, second * SECOND, total);
        assert_eq!(grow(100, 1000.0), None, "the first");
        assert_eq!(grow(110, 1050.0), Some(5.0));
        assert_eq!(grow(110, 1060.0), None, "no time has passed");
        assert_eq!(grow(105, 1020.0), None, "late");
        assert_eq!(grow(120, 1050.0), Some(0.0));
        assert_eq!(grow(130, 20.0), Some(2.0), "it began anew");
        assert_eq!(grow(-9_000, 20.0), None, "the clock was put back");
        assert_eq!(grow(-8_990, 30.0), Some(1.0));
    }

    #[test]
    fn series_do_not_mix_and_the_longest_unseen_are_dropped() {
        let mut rates = Rates::default();
        let most = GENERATION as u64;
        for identity in 0..3 * most {
            assert_eq!(rates.add_increment(identity, 0, 1.0), None);
            rates.add_increment(u64::MAX, 0, 1.0);
        }
        assert!(rates.young.len() + rates.old.len() <= 2 * GENERATION);
        assert_eq!(rates.add_increment(0, 10 * SECOND, 1.0), None, "dropped");
        assert_eq!(rates.add_increment(3 * most - 1, 10 * SECOND, 1.0), Some((0.1, 10 * SECOND)));
        assert_eq!(rates.add_increment(u64::MAX, 10 * SECOND, 1.0), Some((3.0 * most as f64 / 10.0, 10 * SECOND)));
    }

    #[test]
    fn what_is_kept_goes_on() {
        let mut rates = Rates::default();
        rates.growth_rate(7, 100 * SECOND, 1000.0);
        rates.add_increment(8, 101 * SECOND, 30.0);
        rates.growth_rate(9, -1, f64::NAN);
        let snapshot = rates.save_snapshot(105 * SECOND);
        assert_eq!(snapshot.ages.iter().max(), Some(&105));
        let mut later = Rates::default();
        later.growth_rate(8, 0, 0.0);
        later.restore_snapshot(&snapshot);
        assert_eq!(later.growth_rate(7, 110 * SECOND, 1050.0), Some(5.0));
        assert_eq!(later.growth_rate(9, SECOND, 3.0), None);
        assert_eq!(later.growth_rate(8, 10 * SECOND, 10.0), Some(1.0), "what is known already counts");
        let cut = SeriesSnapshot { state: snapshot.state[1..].to_vec(), ..snapshot };
        Rates::default().restore_snapshot(&cut);
    }

    #[test]
    fn no_time_overflows() {
        let mut rates = Rates::default();
        for time in [i64::MIN, i64::MAX, 0, i64::MAX, i64::MIN] {
            let found = [rates.add_increment(1, time, 1.0).map(|(rate, _)| rate), rates.growth_rate(2, time, 1.0)];
            assert!(found.iter().flatten().all(|rate| rate.is_finite() && *rate >= 0.0), "{time}: {found:?}");
        }
        let snapshot = rates.save_snapshot(i64::MIN);
        assert_eq!(snapshot.identities.len(), snapshot.ages.len());
    }
}
