//! Drift: how far a feature's values have moved since training.

use qualm_bundle::manifest::Reference;
use serde::Serialize;

/// A feature's values compared with those in training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Drift {
    /// The mean in training.
    pub then: f64,
    /// The mean now; `None` without values.
    pub now: Option<f64>,
    /// By how many standard deviations of training the mean has moved. `None` if the feature was constant in training, and
    /// its mean is different now.
    pub shift: Option<f64>,
    /// The share of values outside of the range in training.
    pub outside: Option<f64>,
    /// The share of rows in which it was missing in training.
    pub missing_then: f64,
    /// The share of rows in which it is missing now.
    pub missing_now: Option<f64>,
}

impl Drift {
    pub(crate) fn of(reference: &Reference, values: impl Iterator<Item = f64>) -> Self {
        let (mut rows, mut known, mut sum, mut outside) = (0.0, 0.0, 0.0, 0.0);
        let ends = reference.quantiles.first().zip(reference.quantiles.last());
        for value in values {
            rows += 1.0;
            if !value.is_nan() {
                known += 1.0;
                sum += value;
                outside += f64::from(u8::from(ends.is_some_and(|(low, high)| value < *low || value > *high)));
            }
        }
        let now = (known > 0.0).then(|| sum / known);
        Self {
            then: reference.mean,
            now,
            shift: now.and_then(|now| shift(now - reference.mean, reference)),
            outside: ends.and_then(|_| (known > 0.0).then(|| outside / known)),
            missing_then: reference.missing,
            missing_now: (rows > 0.0).then(|| 1.0 - known / rows),
        }
    }
}

fn shift(by: f64, reference: &Reference) -> Option<f64> {
    // A deviation within rounding counts as none.
    let rounding = reference.mean.abs() * 1e-9;
    if reference.deviation > rounding {
        return Some(by / reference.deviation);
    }
    (by.abs() <= rounding).then_some(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_is_in_standard_deviations() {
        let reference = Reference { missing: 0.1, mean: 10.0, deviation: 2.0, quantiles: vec![5.0, 10.0, 15.0] };
        let drift = Drift::of(&reference, [14.0, 16.0, f64::NAN, 12.0].into_iter());
        assert_eq!((drift.now, drift.shift, drift.outside), (Some(14.0), Some(2.0), Some(1.0 / 3.0)));
        assert_eq!((drift.missing_then, drift.missing_now), (0.1, Some(0.25)));
        assert_eq!(Drift::of(&reference, [f64::NAN].into_iter()).shift, None);
    }

    #[test]
    fn a_constant_has_no_shift_unless_its_mean_is_the_same() {
        let reference = Reference { missing: 0.0, mean: 1.0, deviation: 0.0, quantiles: Vec::new() };
        assert_eq!(Drift::of(&reference, [1.0].into_iter()).shift, Some(0.0));
        let moved = Drift::of(&reference, [2.0].into_iter());
        assert_eq!((moved.shift, moved.outside), (None, None));
        let rounded = Reference { deviation: 1e-15, ..reference };
        assert_eq!(Drift::of(&rounded, [2.0].into_iter()).shift, None);
    }
}
