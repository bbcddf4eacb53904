//! Location and scale of a feature's values, robust against outliers.

use qualm_core::trained::prepare::quantile;

/// Location and scale of a feature's values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    /// The median; 0 without values.
    pub(crate) center: f64,
    /// The interquartile range over 1.349: for a normal distribution, the standard deviation. If that is 0, the standard
    /// deviation; 0 for a constant.
    pub(crate) width: f64,
    /// The standard deviation; 0 for a constant.
    pub(crate) deviation: f64,
}

impl Spread {
    /// Of a feature's values; NaN is missing.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        if sorted.is_empty() {
            return Self { center: 0.0, width: 0.0, deviation: 0.0 };
        }
        sorted.sort_unstable_by(f64::total_cmp);
        let count = sorted.len() as f64;
        let mean = sorted.iter().sum::<f64>() / count;
        let deviation = (sorted.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
        let quartiles = (quantile(&sorted, 0.75) - quantile(&sorted, 0.25)) / 1.349;
        // A deviation within rounding counts as none.
        let least = mean.abs() * 1e-9;
        let deviation = if deviation > least { deviation } else { 0.0 };
        let width = if quartiles > least { quartiles } else { deviation };
        Self { center: quantile(&sorted, 0.5), width, deviation }
    }

    /// Of each of `features` in rows of values.
    pub(crate) fn of_each(values: &[f64], features: usize) -> Vec<Self> {
        (0..features).map(|feature| Self::of(values.iter().skip(feature).step_by(features).copied())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_does_not_change_the_width() {
        let spread = Spread::of([1.0, 2.0, 3.0, 4.0, 1e9, f64::NAN].into_iter());
        assert_eq!((spread.center, spread.width), (3.0, 2.0 / 1.349));
    }

    #[test]
    fn only_a_constant_has_no_width() {
        assert!((Spread::of([0.0, 0.0, 0.0, 0.0, 10.0].into_iter()).width - 4.0).abs() < 1e-9);
        assert_eq!(Spread::of([0.1; 7].into_iter()).width.to_bits(), 0);
        assert_eq!(Spread::of(std::iter::empty()).width.to_bits(), 0);
    }
}
