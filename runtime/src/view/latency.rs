//! How long batches took: a histogram since the start, and one of the last minute.

use std::time::Duration;

/// Buckets: the first up to a microsecond, each next one up to twice as much, the last for all above 8.4 s.
pub const BUCKETS: usize = 25;

/// The last minute is kept in as many parts, of ten seconds each.
const PARTS: usize = 6;

/// Milliseconds in a part.
const PART: i64 = 10_000;

/// How long batches took.
#[derive(Debug, Clone, Default)]
pub struct Latency {
    /// Since the start.
    pub all: Histogram,
    parts: [Histogram; PARTS],
    /// Which part of time, counted from 1970, was last added to.
    last: i64,
}

/// How many durations fell into which bucket.
#[derive(Debug, Clone, Copy, Default)]
pub struct Histogram {
    /// For each bucket.
    pub counts: [u64; BUCKETS],
    /// How many in all.
    pub count: u64,
    /// Their sum, in seconds.
    pub sum: f64,
    /// The longest, in seconds.
    pub max: f64,
}

impl Latency {
    /// Adds a duration, at `now` (milliseconds since 1970).
    pub fn add(&mut self, took: Duration, now: i64) {
        self.pass(now);
        self.all.add(took);
        self.parts[self.last.rem_euclid(PARTS as i64) as usize].add(took);
    }

    /// The last minute's durations.
    pub fn last_minute(&mut self, now: i64) -> Histogram {
        self.pass(now);
        self.parts.iter().fold(Histogram::default(), Histogram::plus)
    }

    /// Forgets what is more than a minute ago.
    fn pass(&mut self, now: i64) {
        let part = now.div_euclid(PART);
        let stale = part.abs_diff(self.last).min(PARTS as u64) as i64;
        for at in 0..stale {
            self.parts[(part - at).rem_euclid(PARTS as i64) as usize] = Histogram::default();
        }
        self.last = part;
    }
}

impl Histogram {
    fn add(&mut self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let microseconds = nanoseconds.div_ceil(1_000).max(1);
        let bucket = microseconds.next_power_of_two().ilog2() as usize;
        self.counts[bucket.min(BUCKETS - 1)] += 1;
        self.count += 1;
        self.sum += took.as_secs_f64();
        self.max = self.max.max(took.as_secs_f64());
    }

    /// Both together.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.counts.iter_mut().zip(other.counts).for_each(|(a, b)| *a += b);
        self.count += other.count;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
        self
    }

    /// A bucket's upper bound in seconds; infinite for the last.
    #[must_use]
    pub fn bound(bucket: usize) -> f64 {
        if bucket + 1 < BUCKETS { (1_u64 << bucket) as f64 / 1e6 } else { f64::INFINITY }
    }

    /// The duration, in seconds, that this share of them does not exceed, interpolated within its bucket, which
    /// is at most twice as much. None where there are none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let mut left = share * self.count as f64;
        let filled = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        for (bucket, &count) in filled {
            let count = count as f64;
            if left <= count {
                let (low, high) = (if bucket == 0 { 0.0 } else { Self::bound(bucket - 1) }, Self::bound(bucket));
                return Some((low + (high.min(self.max) - low) * left / count).min(self.max));
            }
            left -= count;
        }
        (self.count > 0).then_some(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_fall_where_they_belong() {
        let mut histogram = Histogram::default();
        for (nanoseconds, bucket) in
            [(0, 0), (1_000, 0), (1_001, 1), (2_000, 1), (2_001, 2), (1_000_000, 10), (u64::MAX, BUCKETS - 1)]
        {
            let before = histogram.counts[bucket];
            histogram.add(Duration::from_nanos(nanoseconds));
            assert_eq!(histogram.counts[bucket], before + 1, "{nanoseconds} ns");
            assert!(nanoseconds as f64 / 1e9 <= Histogram::bound(bucket));
            assert!(bucket == 0 || nanoseconds as f64 / 1e9 > Histogram::bound(bucket - 1));
        }
    }

    #[test]
    fn quantiles_are_within_a_bucket_of_the_truth() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        (1..=1000).for_each(|ms| histogram.add(Duration::from_millis(ms)));
        for (share, truth) in [(0.5, 0.5), (0.99, 0.99), (1.0, 1.0)] {
            let estimate = histogram.quantile(share).unwrap();
            assert!(estimate / truth < 1.1 && truth / estimate < 1.1, "{share}: {estimate}");
        }
    }

    #[test]
    fn a_minute_later_it_is_forgotten() {
        let mut latency = Latency::default();
        latency.add(Duration::from_millis(1), 1_000_000);
        latency.add(Duration::from_millis(1), 1_030_000);
        assert_eq!(latency.last_minute(1_040_000).count, 2);
        assert_eq!(latency.last_minute(1_065_000).count, 1);
        assert_eq!(latency.last_minute(9_000_000).count, 0);
        assert_eq!(latency.all.count, 2);
    }
}
