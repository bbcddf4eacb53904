//! How much counters grow a second: totals by how much they have grown since the last one, increments that come one by
//! one by what they add up to over intervals of ten seconds.

use hashbrown::HashTable;

use qualm_pipeline::snapshot::SeriesSnapshot;

/// How long the increments of a series are added up, in nanoseconds: what sources that send one event an increment
/// (statsd, `log_to_metric`) are mostly flushed by, and short enough for an alarm.
pub(super) const INTERVAL: i64 = 10_000_000_000;

/// How many series a generation holds: there are two, some 16 MB when full.
const GENERATION: usize = 1 << 18;

/// How far behind the interval at hand an increment may be and still count in it. One that is further behind means that
/// a clock was put back.
const MOST_LATE: i64 = 3_600_000_000_000;

/// Bytes of a counter that are kept over a restart.
const KEPT: usize = 16;

/// What is known of all counters.
///
/// Bounded in two generations: when the young one is full, the old one, unseen for longest, is dropped, and the young
/// one becomes the old.
#[derive(Debug, Default)]
pub(super) struct Rates {
    young: HashTable<Open>,
    old: HashTable<Open>,
}

/// What is known of a counter.
#[derive(Debug, Clone, Copy)]
struct Open {
    identity: u64,
    /// When the interval at hand began, or the last total was counted.
    start: i64,
    /// What has been added up in it, or that total.
    sum: f64,
}

impl Rates {
    /// Adds an increment. Where it is the first behind an interval, that one's increments a second, and its end.
    pub(super) fn add(&mut self, identity: u64, time: i64, value: f64) -> Option<(f64, i64)> {
        let start = time.saturating_sub(time.rem_euclid(INTERVAL));
        self.open(identity, start, 0.0).add(start, value)
    }

    /// Takes in a total, and says how much it has grown a second since the last one. A total that is smaller than the
    /// last has begun anew at 0.
    pub(super) fn grow(&mut self, identity: u64, time: i64, total: f64) -> Option<f64> {
        self.open(identity, time, f64::NAN).grow(time, total)
    }

    /// What is to be kept over a restart: for each counter when its interval began, or its last total was, and the sum.
    pub(super) fn keep(&self, now: i64) -> SeriesSnapshot {
        let mut snapshot = SeriesSnapshot::default();
        // Those unseen for longest first, as they are restored.
        for &Open { identity, start, sum } in self.old.iter().chain(&self.young) {
            let both = u128::from(start as u64) << 64 | u128::from(sum.to_bits());
            snapshot.add(identity, now.saturating_sub(start), &both.to_le_bytes());
        }
        snapshot
    }

    /// Goes on with what was kept, of counters of which nothing is known yet.
    pub(super) fn restore(&mut self, snapshot: &SeriesSnapshot) {
        for (identity, bytes) in snapshot.each::<KEPT>() {
            let both = u128::from_le_bytes(*bytes);
            self.open(identity, (both >> 64) as i64, f64::from_bits(both as u64));
        }
    }

    /// What is known of a counter; where that is nothing, `sum` at `start`.
    fn open(&mut self, identity: u64, start: i64, sum: f64) -> &mut Open {
        let Self { young, old } = self;
        if young.find(identity, |open| open.identity == identity).is_none() {
            let known = old.find_entry(identity, |open| open.identity == identity).ok();
            let open = known.map_or(Open { identity, start, sum }, |entry| entry.remove().0);
            if young.len() >= GENERATION {
                std::mem::swap(young, old);
                young.clear();
            }
            young.insert_unique(identity, open, |open| open.identity);
        }
        let known = young.find_mut(identity, |open| open.identity == identity);
        known.expect("it is there by now")
    }
}

impl Open {
    fn grow(&mut self, time: i64, total: f64) -> Option<f64> {
        if time <= self.start && time >= self.start.saturating_sub(MOST_LATE) && !self.sum.is_nan() {
            return None; // late, or of the same time
        }
        let last = std::mem::replace(self, Self { start: time, sum: total, ..*self });
        let seconds = time.saturating_sub(last.start) as f64 / 1e9;
        let grown = if total < last.sum { total } else { total - last.sum };
        // A NaN is no growth: there was no last total.
        (seconds > 0.0 && grown.is_finite()).then_some(grown / seconds)
    }

    fn add(&mut self, start: i64, value: f64) -> Option<(f64, i64)> {
        if start <= self.start && start >= self.start.saturating_sub(MOST_LATE) {
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
    fn increments_are_told_with_the_first_of_the_next_interval() {
        let mut rates = Rates::default();
        let mut add = |second: i64, value| rates.add(7, second * SECOND, value);
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
    fn totals_are_told_by_their_growth() {
        let mut rates = Rates::default();
        let mut grow = |second: i64, total| rates.grow(7, second * SECOND, total);
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
            assert_eq!(rates.add(identity, 0, 1.0), None);
            rates.add(u64::MAX, 0, 1.0);
        }
        assert!(rates.young.len() + rates.old.len() <= 2 * GENERATION);
        assert_eq!(rates.add(0, 10 * SECOND, 1.0), None, "dropped");
        assert_eq!(rates.add(3 * most - 1, 10 * SECOND, 1.0), Some((0.1, 10 * SECOND)));
        assert_eq!(rates.add(u64::MAX, 10 * SECOND, 1.0), Some((3.0 * most as f64 / 10.0, 10 * SECOND)));
    }

    #[test]
    fn what_is_kept_goes_on() {
        let mut rates = Rates::default();
        rates.grow(7, 100 * SECOND, 1000.0);
        rates.add(8, 101 * SECOND, 30.0);
        rates.grow(9, -1, f64::NAN);
        let snapshot = rates.keep(105 * SECOND);
        assert_eq!(snapshot.ages.iter().max(), Some(&105));
        let mut later = Rates::default();
        later.grow(8, 0, 0.0);
        later.restore(&snapshot);
        assert_eq!(later.grow(7, 110 * SECOND, 1050.0), Some(5.0));
        assert_eq!(later.grow(9, SECOND, 3.0), None);
        assert_eq!(later.grow(8, 10 * SECOND, 10.0), Some(1.0), "what is known already counts");
        let cut = SeriesSnapshot { state: snapshot.state[1..].to_vec(), ..snapshot };
        Rates::default().restore(&cut);
    }

    #[test]
    fn no_time_overflows() {
        let mut rates = Rates::default();
        for time in [i64::MIN, i64::MAX, 0, i64::MAX, i64::MIN] {
            let told = [rates.add(1, time, 1.0).map(|(rate, _)| rate), rates.grow(2, time, 1.0)];
            assert!(told.iter().flatten().all(|rate| rate.is_finite() && *rate >= 0.0), "{time}: {told:?}");
        }
        let snapshot = rates.keep(i64::MIN);
        assert_eq!(snapshot.identities.len(), snapshot.ages.len());
    }
}
