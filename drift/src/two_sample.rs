//! Two samples compared, value by value: Kolmogorov and Smirnov's statistic with its p-value, Wasserstein's distance.
//!
//! Samples are sorted in ascending order and have no NaN.

use std::f64::consts::PI;

/// The largest product of both sizes for which the p-value is exact.
pub const EXACT_CELLS: usize = 1_000_000;

/// How far two samples are apart; all 0 where one is empty.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Distances {
    /// Kolmogorov and Smirnov's statistic: the largest difference between the empirical distribution functions, between 0 and 1,
    /// as `scipy.stats.ks_2samp` has it.
    pub ks: f64,
    /// The first Wasserstein distance, in the unit of the values: the area between the empirical distribution functions, as
    /// `scipy.stats.wasserstein_distance` has it. It is infinite where the samples lie farther apart than a double can say.
    pub wasserstein: f64,
}

/// Both distances between two samples.
#[must_use]
pub fn distances(a: &[f64], b: &[f64]) -> Distances {
    let (mut largest, mut area) = (0, 0.0);
    walk(a, b, |difference, width| {
        largest = difference.max(largest);
        if difference > 0 {
            area += difference as f64 * width;
        }
    });
    if largest == 0 {
        return Distances::default();
    }
    let pairs = a.len() as f64 * b.len() as f64;
    Distances { ks: largest as f64 / pairs, wasserstein: area / pairs }
}

/// For each distinct value of both samples: by how much the distribution functions differ there, times the product of both
/// sizes, and how far off the next value is. At the last value they do not differ.
fn walk(a: &[f64], b: &[f64], mut visit: impl FnMut(u64, f64)) {
    let (mut below_a, mut below_b) = (0, 0);
    while let (Some(&next_a), Some(&next_b)) = (a.get(below_a), b.get(below_b)) {
        let value = next_a.min(next_b);
        below_a += a[below_a..].iter().take_while(|other| **other <= value).count();
        below_b += b[below_b..].iter().take_while(|other| **other <= value).count();
        if value.is_nan() {
            return;
        }
        let next = match (a.get(below_a), b.get(below_b)) {
            (Some(next_a), Some(next_b)) => next_a.min(*next_b),
            (Some(next), None) | (None, Some(next)) => *next,
            (None, None) => value,
        };
        visit(difference(a, b, below_a, below_b), next - value);
    }
    // One sample has ended: its function is 1 from here on.
    for at in below_a..a.len().saturating_sub(1) {
        visit(difference(a, b, at + 1, b.len()), a[at + 1] - a[at]);
    }
    for at in below_b..b.len().saturating_sub(1) {
        visit(difference(a, b, a.len(), at + 1), b[at + 1] - b[at]);
    }
}

fn difference(a: &[f64], b: &[f64], below_a: usize, below_b: usize) -> u64 {
    (below_a as u64 * b.len() as u64).abs_diff(below_b as u64 * a.len() as u64)
}

/// How likely two samples of these sizes from one continuous distribution differ as much: [`ks_exact`] up to
/// [`EXACT_CELLS`], beyond it [`ks_asymptotic`].
#[must_use]
pub fn ks_p_value(statistic: f64, n: usize, m: usize) -> f64 {
    if n.saturating_mul(m) <= EXACT_CELLS { ks_exact(statistic, n, m) } else { ks_asymptotic(statistic, n, m) }
}

/// The exact two-sided p-value, that of `scipy.stats.ks_2samp(method="exact")`; small ones are as precise as large ones.
///
/// Each order of the values of both samples is a path from (0, 0) to (n, m), and all are equally likely. `p(i, j)` is the
/// share of paths to (i, j) that were somewhere where the distribution functions differ by the statistic at least: 1 where
/// they do at (i, j), else `i/(i+j) p(i−1, j) + j/(i+j) p(i, j−1)`. Nothing is subtracted. (Viehmann 2021, "Numerically more
/// stable computation of the p-values for the two-sample Kolmogorov–Smirnov test", arXiv:2102.08037.) It takes time in
/// proportion to `n · m` times the statistic. Without values it is 1.
#[must_use]
pub fn ks_exact(statistic: f64, n: usize, m: usize) -> f64 {
    if n == 0 || m == 0 {
        return 1.0;
    }
    let divisor = greatest_common_divisor(n, m);
    // The functions differ by |i · down − j · across| / (n · down), which is a whole number over the least common multiple.
    let (across, down) = (n / divisor, m / divisor);
    let limit = (statistic * n as f64 * down as f64).round() as usize;
    if limit == 0 {
        return 1.0;
    }
    // Of the row before, then of this row. What lies outside is 1; cells on the right of the band have not been touched.
    let mut row = vec![1.0; m + 1];
    for i in 0..=n {
        let at = i * down;
        // Inside is where `at − limit < j · across < at + limit`.
        let first = if at >= limit { (at - limit) / across + 1 } else { 0 };
        let end = (at + limit).div_ceil(across).min(m + 1);
        let mut left = f64::from(u8::from(first > 0));
        for (j, cell) in row.iter_mut().enumerate().take(end).skip(first) {
            let above = if i == 0 { 0.0 } else { i as f64 * *cell };
            let share = if i + j == 0 { 0.0 } else { (above + j as f64 * left) / (i + j) as f64 };
            (*cell, left) = (share, share);
        }
    }
    row[m].min(1.0)
}

/// The p-value for large samples: `scipy.special.kolmogorov(sqrt(n * m / (n + m)) * statistic)`. Without values it is 1.
#[must_use]
pub fn ks_asymptotic(statistic: f64, n: usize, m: usize) -> f64 {
    let (n, m) = (n as f64, m as f64);
    kolmogorov((n * m / (n + m).max(1.0)).sqrt() * statistic)
}

/// The survival function of Kolmogorov's distribution, by whichever of its two series converges faster (Marsaglia, Tsang &
/// Wang 2003, "Evaluating Kolmogorov's distribution", J. Stat. Softw. 8(18), section 1).
fn kolmogorov(x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    if x < 0.8 {
        let exponent = -PI * PI / (8.0 * x * x);
        let sum: f64 = [1.0, 3.0, 5.0, 7.0].iter().map(|odd| libm::exp(exponent * odd * odd)).sum();
        return 1.0 - (2.0 * PI).sqrt() / x * sum;
    }
    let term = |k: f64| libm::exp(-2.0 * k * k * x * x);
    2.0 * (term(1.0) - (term(2.0) - (term(3.0) - (term(4.0) - (term(5.0) - term(6.0))))))
}

fn greatest_common_divisor(mut a: usize, mut b: usize) -> usize {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_samples_do_not_differ() {
        assert_eq!((distances(&[], &[1.0]), distances(&[1.0], &[])), (Distances::default(), Distances::default()));
        assert_eq!((ks_exact(0.5, 0, 3), ks_asymptotic(0.0, 0, 0), ks_p_value(0.0, 5, 5)), (1.0, 1.0, 1.0));
    }

    #[test]
    fn samples_apart_have_only_one_order() {
        let (a, b) = ([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]);
        assert_eq!(distances(&a, &b), Distances { ks: 1.0, wasserstein: 3.0 });
        // Two of the twenty orders.
        assert!((ks_exact(1.0, 3, 3) - 0.1).abs() < 1e-15);
    }

    #[test]
    fn values_too_far_apart_are_infinitely_far() {
        assert_eq!(distances(&[-f64::MAX], &[f64::MAX]).wasserstein, f64::INFINITY);
        assert_eq!(distances(&[-f64::MAX, f64::MAX], &[-f64::MAX, f64::MAX]), Distances::default());
    }

    #[test]
    fn the_exact_p_value_nears_the_asymptotic_one() {
        for statistic in [0.05, 0.08, 0.1] {
            let (exact, asymptotic) = (ks_exact(statistic, 900, 1000), ks_asymptotic(statistic, 900, 1000));
            assert!((exact / asymptotic - 1.0).abs() < 0.1, "{exact} {asymptotic}");
        }
    }
}
