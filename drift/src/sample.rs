//! A uniform sample of the rows of a block, and quantiles of samples.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};

/// How many rows a block's sample has.
pub(crate) const SAMPLE: usize = 64;

/// Which rows of a block go where in its sample: algorithm L, which draws numbers for the rows that it takes alone (Li 1994,
/// "Reservoir-sampling algorithms of time complexity O(n(1+log(N/n)))", ACM TOMS 20(4)). The numbers follow from the seed.
#[derive(Debug, Clone)]
pub(crate) struct Sampler {
    random: Xoshiro256PlusPlus,
    rows: u64,
    /// The row that is taken next, the first being 0.
    next: u64,
    /// The largest of as many uniform numbers as the sample has rows, were each row given one.
    largest: f64,
}

impl Sampler {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Xoshiro256PlusPlus::seed_from_u64(seed), rows: 0, next: 0, largest: 1.0 }
    }

    /// Begins another sample.
    pub(crate) fn restart(&mut self) {
        (self.rows, self.next, self.largest) = (0, 0, 1.0);
    }

    /// Where this row goes; `None` if it is not taken, as most are not.
    #[inline]
    pub(crate) fn place(&mut self) -> Option<usize> {
        let row = self.rows;
        self.rows = row.saturating_add(1);
        (row == self.next).then(|| self.take(row))
    }

    /// How many rows to skip where one in `stride` is wanted on average: any number up to twice as many, by chance.
    #[inline]
    pub(crate) fn skip(&mut self, stride: u64) -> u64 {
        self.random.next_u64() % (2 * stride - 1)
    }

    #[cold]
    fn take(&mut self, row: u64) -> usize {
        let place = if row < SAMPLE as u64 { row as usize } else { self.random.next_u64() as usize % SAMPLE };
        self.next = row + 1;
        if row + 1 >= SAMPLE as u64 {
            self.largest *= libm::exp(libm::log(self.unit()) / SAMPLE as f64);
            let skipped = libm::log(self.unit()) / libm::log1p(-self.largest);
            self.next = self.next.saturating_add(skipped as u64);
        }
        place
    }

    /// Above 0, and 1 at most.
    fn unit(&mut self) -> f64 {
        ((self.random.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}

/// The value that a share of these, which are sorted, are not above, to the nearest rank; `None` without values.
pub(crate) fn nearest_rank(sorted: &[f64], share: f64) -> Option<f64> {
    sorted.get((sorted.len().saturating_sub(1) as f64 * share).round() as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_as_likely() {
        let (rows, runs) = (500_u64, 2000_u64);
        let (mut sampler, mut early, mut first) = (Sampler::new(1), 0.0, 0.0);
        for _ in 0..runs {
            sampler.restart();
            let mut sample = [u64::MAX; SAMPLE];
            for row in 0..rows {
                if let Some(place) = sampler.place() {
                    sample[place] = row;
                }
            }
            assert!(sample.iter().all(|row| *row < rows));
            early += sample.iter().filter(|row| **row < rows / 2).count() as f64;
            first += sample.iter().filter(|row| **row < 50).count() as f64;
        }
        let taken = (runs * SAMPLE as u64) as f64;
        assert!((early / taken - 0.5).abs() < 0.01 && (first / taken - 0.1).abs() < 0.006, "{early} {first} {taken}");
    }

    #[test]
    fn quantiles_are_values() {
        assert_eq!((nearest_rank(&[], 0.5), nearest_rank(&[7.0], 0.9)), (None, Some(7.0)));
        assert_eq!((nearest_rank(&[1.0, 2.0, 9.0], 0.5), nearest_rank(&[1.0, 2.0, 9.0], 1.0)), (Some(2.0), Some(9.0)));
    }
}
