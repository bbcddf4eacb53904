//! P-values of many tests at once.

/// The p-values as Benjamini and Hochberg adjust them: where those below a level are called significant, the expected share
/// of false ones among them is at most that level (1995, "Controlling the false discovery rate", J. R. Stat. Soc. B 57(1)).
/// That of rank k, of n, becomes the least of `p · n / k` at its rank and above. Equal to
/// `scipy.stats.false_discovery_control`. P-values are between 0 and 1, not NaN.
#[must_use]
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_unstable_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut least = 1.0_f64;
    for (rank, at) in order.into_iter().enumerate().rev() {
        least = least.min(p_values[at] * (p_values.len() as f64 / (rank + 1) as f64));
        adjusted[at] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_p_value_stays() {
        assert_eq!(benjamini_hochberg(&[0.03]), [0.03]);
        assert!(benjamini_hochberg(&[]).is_empty());
    }
}
