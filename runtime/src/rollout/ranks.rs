//! Rank correlation of the scores of two models, in bounded memory.

/// Bins of a score. Each is about a quarter of an octave wide; they span 2⁻⁸ to 2⁸.
const BINS: usize = 64;

/// Exponent and the first two bits of the mantissa of 2⁻⁸, where the bins begin.
const FIRST: u64 = (1023 - 8) << 2;

/// How often each pair of bins occurred.
#[derive(Debug)]
pub(super) struct Ranks {
    pairs: Vec<u64>,
}

impl Default for Ranks {
    fn default() -> Self {
        Self { pairs: vec![0; BINS * BINS] }
    }
}

impl Ranks {
    /// Adds the scores of a row, neither of which is negative or NaN.
    pub(super) fn add(&mut self, first: f64, second: f64) {
        self.pairs[bin(first) * BINS + bin(second)] += 1;
    }

    /// Spearman's rank correlation. Scores of the same bin are ties. `None` without rows, or if all scores of one model are of
    /// the same bin.
    pub(super) fn correlation(&self) -> Option<f64> {
        let rows = self.pairs.chunks_exact(BINS);
        let first: Vec<u64> = rows.clone().map(|row| row.iter().sum()).collect();
        let second: Vec<u64> = (0..BINS).map(|bin| rows.clone().map(|row| row[bin]).sum()).collect();
        let all = first.iter().sum::<u64>() as f64;
        let (first_ranks, second_ranks) = (ranks(&first, all), ranks(&second, all));
        let variance = |counts: &[u64], ranks: &[f64]| -> f64 {
            counts.iter().zip(ranks).map(|(&count, rank)| count as f64 * rank * rank).sum()
        };
        let both = variance(&first, &first_ranks) * variance(&second, &second_ranks);
        let products = rows.zip(&first_ranks).map(|(row, rank)| {
            row.iter().zip(&second_ranks).map(|(&count, other)| count as f64 * other).sum::<f64>() * rank
        });
        (both > 0.0).then(|| products.sum::<f64>() / both.sqrt())
    }
}

fn bin(score: f64) -> usize {
    (score.to_bits() >> 50).saturating_sub(FIRST).min(BINS as u64 - 1) as usize
}

/// The mean rank of each bin, as a share of all rows, with a mean of 0.
fn ranks(counts: &[u64], all: f64) -> Vec<f64> {
    let mut before = 0.0;
    let rank = |&count: &u64| {
        let rank = (before + count as f64 / 2.0) / all - 0.5;
        before += count as f64;
        rank
    };
    counts.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn correlation(pairs: impl IntoIterator<Item = (f64, f64)>) -> Option<f64> {
        let mut ranks = Ranks::default();
        pairs.into_iter().for_each(|(first, second)| ranks.add(first, second));
        ranks.correlation()
    }

    #[test]
    fn bins_follow_the_order_of_scores() {
        let scores = [0.0, 1e-300, 0.004, 0.01, 0.3, 0.5, 0.99, 1.0, 1.3, 2.0, 100.0, 1e300, f64::MAX];
        let bins = scores.map(bin);
        assert!(bins.is_sorted() && bins[0] == 0 && bins[12] == BINS - 1, "{bins:?}");
        assert!(bin(0.3) < bin(0.5) && bin(0.5) < bin(0.99) && bin(0.99) < bin(1.0), "{bins:?}");
    }

    #[test]
    fn it_is_the_order_that_counts_and_not_the_unit() {
        let scores = || (1..1000).map(|at| f64::from(at % 97) / 50.0);
        assert!((correlation(scores().map(|score| (score, score))).unwrap() - 1.0).abs() < 1e-12);
        let squares = correlation(scores().map(|score| (score, score * score))).unwrap();
        assert!(squares > 0.99, "{squares}");
        let opposite = correlation(scores().map(|score| (score, 2.0 - score))).unwrap();
        assert!(opposite < -0.95, "{opposite}");
        let unrelated = correlation((0..10_000).map(|at| (f64::from(at % 97) / 50.0, f64::from(at % 89) / 50.0)));
        assert!(unrelated.unwrap().abs() < 0.05, "{unrelated:?}");
    }

    #[test]
    fn it_equals_the_definition_on_scores_without_ties() {
        // Each score is in a bin of its own: ranks are 1 to 5, and ρ = 1 − 6 Σ d² / (n (n² − 1)).
        let pairs = [(0.1, 0.4), (0.2, 0.1), (0.4, 0.2), (0.8, 1.6), (1.6, 0.8)];
        let expected = 1.0 - 6.0 * (4.0 + 1.0 + 1.0 + 1.0 + 1.0) / (5.0 * 24.0);
        assert!((correlation(pairs).unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn what_does_not_vary_has_no_correlation() {
        assert_eq!(correlation([]), None);
        assert_eq!(correlation([(0.5, 0.1), (0.5, 0.9)]), None);
    }
}
