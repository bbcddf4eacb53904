//! Subtraction of recent means: changes show whatever the level is.
//!
//! Each series has an exponentially weighted mean of each feature. A value's change is its difference from the mean before
//! it: a first-order high-pass. Means are in the metrics' own units, so that a new model with another scaling can
//! use them.

use super::prepare::Preparation;
use crate::math::{max, min};

/// The longest span of a mean, in rows.
pub(super) const MAX_SPAN: f64 = 1e6;

/// The largest value: differences of values within are finite.
const MAX_FINITE_DIFFERENCE: f64 = f64::MAX / 4.0;

/// A mean that is as near to a value, in spreads, is set to it. Otherwise it would decay to denormal numbers, with which
/// arithmetic is many times slower.
const ARRIVED_TOLERANCE: f64 = 1e-9;

/// The gain of means, and the limits of values.
#[derive(Debug)]
pub(super) struct Baseline {
    span: f64,
    /// The weight of a new value.
    weight: f64,
    /// The largest distance of a value from its center, in spreads.
    clip: f64,
    features: Vec<Feature>,
}

#[derive(Debug)]
struct Feature {
    spread: f64,
    /// The limits of a value: the clip in the metric's own units.
    low: f64,
    high: f64,
}

impl Baseline {
    /// Means over some `span` rows: each weighs 2/(span + 1), as much as in a plain mean of so many.
    pub(super) fn new(span: f64, preparation: &Preparation) -> Self {
        let clip = preparation.clip();
        let feature = |(&center, &spread): (&f64, &f64)| Feature {
            spread,
            low: (center - clip * spread).clamp(-MAX_FINITE_DIFFERENCE, MAX_FINITE_DIFFERENCE),
            high: (center + clip * spread).clamp(-MAX_FINITE_DIFFERENCE, MAX_FINITE_DIFFERENCE),
        };
        let features = preparation.center().iter().zip(preparation.spread()).map(feature).collect();
        Self { span, weight: 2.0 / (span + 1.0), clip, features }
    }

    pub(super) fn span(&self) -> f64 {
        self.span
    }

    /// Appends a row's changes, in spreads, to `changes`, and updates its series' means. `row` is in the metrics' own
    /// units. A mean is NaN before the first value, which is no change. A missing value is none either, and leaves the mean.
    pub(super) fn subtract(&self, row: &[f64], means: &mut [f64], changes: &mut Vec<f64>) {
        changes.extend(row.iter().zip(means).zip(&self.features).map(|((&value, mean), feature)| {
            let Feature { spread, low, high } = *feature;
            // A mean of another model may exceed these limits.
            let before = max(min(*mean, high), low);
            if value.is_nan() {
                return 0.0;
            }
            let value = max(min(value, high), low);
            let before = if mean.is_nan() { value } else { before };
            let change = value - before;
            if change.abs() <= ARRIVED_TOLERANCE * spread {
                *mean = value;
                return 0.0;
            }
            *mean = before + self.weight * change;
            max(min(change / spread, self.clip), -self.clip)
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rows;
    use super::super::prepare::Scaling;
    use super::*;

    /// Center 5, spread 5, values count from -5 to 15.
    fn baseline(span: f64) -> Baseline {
        let preparation = Preparation::fit(Rows::new(&[0.0, 10.0], 1), Scaling::Standard, Some(2.0)).unwrap();
        Baseline::new(span, &preparation)
    }

    fn changes(baseline: &Baseline, mean: &mut f64, values: &[f64]) -> Vec<f64> {
        let mut changes = Vec::new();
        for value in values {
            baseline.subtract(&[*value], std::slice::from_mut(mean), &mut changes);
        }
        changes
    }

    #[test]
    fn a_change_stands_out_and_fades() {
        let mut mean = f64::NAN;
        let found = changes(&baseline(3.0), &mut mean, &[5.0, 5.0, 15.0, 15.0, 15.0]);
        assert_eq!(found, [0.0, 0.0, 2.0, 1.0, 0.5]);
        assert_eq!(mean.to_bits(), 13.75_f64.to_bits(), "in the metric's own units");
    }

    #[test]
    fn a_mean_arrives() {
        let (baseline, mut mean) = (baseline(9.0), 10.0);
        let found = changes(&baseline, &mut mean, &[0.0; 200]);
        assert_eq!((mean.to_bits(), found[199].to_bits()), (0, 0));
        assert!(found.iter().all(|change| *change == 0.0 || change.is_normal()));
    }

    #[test]
    fn what_is_missing_changes_nothing() {
        let baseline = baseline(3.0);
        let mut mean = f64::NAN;
        assert_eq!(
            changes(&baseline, &mut mean, &[f64::NAN, f64::NAN, 10.0, f64::NAN, 15.0]),
            [0.0, 0.0, 0.0, 0.0, 1.0]
        );
    }

    #[test]
    fn nothing_however_large_is_carried_along() {
        for start in [f64::MAX, -f64::MAX, f64::NAN] {
            let mut mean = start;
            let found = changes(&baseline(9.0), &mut mean, &[f64::MAX, f64::NEG_INFINITY, f64::INFINITY, 5.0]);
            assert!(found.iter().all(|change| change.abs() <= 4.0), "{found:?}");
            assert!((-5.0..=15.0).contains(&mean));
        }
        let limit = [f64::MAX, -f64::MAX];
        let preparation = Preparation::from_parts(limit.to_vec(), limit.to_vec(), vec![f64::MAX, 1e-300]).unwrap();
        let baseline = Baseline::new(9.0, &preparation);
        let (mut means, mut found) = ([0.0, -0.0], Vec::new());
        for value in [f64::MAX, -f64::MAX, f64::INFINITY, 0.0] {
            baseline.subtract(&[value, -value], &mut means, &mut found);
        }
        assert!(found.iter().chain(&means).all(|number| number.is_finite()), "{found:?}, {means:?}");
    }
}
