//! Path lengths: the shorter the path that isolates a row, the more anomalous the row.

/// The average path length of an unsuccessful search in a binary search tree of `n` rows, which replaces the subtree
/// that was not grown below a leaf of `n` rows (Liu, Ting & Zhou, "Isolation forest", ICDM 2008, equation 1), with the
/// harmonic number as ln(n−1) + γ for n > 2, as scikit-learn has it.
pub(crate) fn average(n: u32) -> f64 {
    const EULER_GAMMA: f64 = 0.577_215_664_901_532_9;
    match n {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => {
            let n = f64::from(n);
            2.0 * (libm::log(n - 1.0) + EULER_GAMMA) - 2.0 * (n - 1.0) / n
        }
    }
}

/// The anomaly score of a mean path length, in (0, 1]: 2^(−mean/c), where c is the average for a tree's sample (the
/// paper's equation 2). A tree of one row has no paths; its score is ½, as in scikit-learn.
pub(crate) fn score(mean: f64, average: f64) -> f64 {
    if average > 0.0 { libm::exp2(-mean / average) } else { 0.5 }
}

/// The depth at which trees of this many rows stop: ⌈log₂ n⌉, the average depth of a tree that isolates them all.
pub(crate) fn limit(rows: u32) -> u32 {
    rows.max(2).next_power_of_two().trailing_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_averages_are_scikit_learns() {
        // sklearn.ensemble._iforest._average_path_length([0, 1, 2, 3, 256])
        let expected = [0.0, 0.0, 1.0, 1.207_392_357_589_623, 10.244_770_920_119_917];
        for (n, expected) in [0, 1, 2, 3, 256].into_iter().zip(expected) {
            assert!((average(n) - expected).abs() < 1e-12, "{n}: {}", average(n));
        }
    }

    #[test]
    fn the_limit_is_the_logarithm_rounded_up() {
        assert_eq!([1, 2, 3, 4, 5, 255, 256, 257].map(limit), [1, 1, 2, 2, 3, 8, 8, 9]);
    }
}
