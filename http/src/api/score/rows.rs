//! Transforms of rows, as in a pipeline.

use std::time::Duration;

use qualm_pipeline::vector::Transform;

use crate::api::problem::Problem;

/// The time between two rows without times, in nanoseconds, if the model has no interval.
const STEP: i64 = 1_000_000_000;

/// Times for rows without times: one after another.
pub(super) fn default_times(rows: usize, interval: Duration) -> Vec<i64> {
    let step = i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX).max(1);
    let step = if interval.is_zero() { STEP } else { step };
    (0..rows as i64).map(|row| row.saturating_mul(step)).collect()
}

/// Transforms values in place.
///
/// # Errors
///
/// If a feature is a rate, and the request has no times.
pub(super) fn transform(
    values: &mut [f64],
    times: &[i64],
    has_times: bool,
    transforms: &[Transform],
    names: &[String],
) -> Result<(), Problem> {
    for (feature, &transform) in transforms.iter().enumerate().filter(|(_, transform)| **transform != Transform::None) {
        if transform == Transform::Rate && !has_times {
            let error = format!("it is missing: `{}` is a rate, which needs times", names[feature]);
            return Err(Problem::of_field("timestamps", error).hint("one for each row, in order"));
        }
        let mut last = (f64::NAN, 0);
        for (row, &time) in values.chunks_exact_mut(transforms.len()).zip(times) {
            let value = row[feature];
            if value.is_nan() {
                continue;
            }
            let transformed = transform.apply(value, time, last);
            last = if transform.needs_last() { (value, time) } else { last };
            row[feature] = if transformed.is_finite() { transformed } else { f64::NAN };
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_transformed_as_in_a_pipeline() {
        let names = ["a", "b", "c"].map(str::to_owned);
        let transforms = [Transform::None, Transform::Rate, Transform::Delta];
        let mut values = vec![1.0, 10.0, 5.0, 2.0, f64::NAN, 7.0, 3.0, 50.0, 4.0];
        let times = [0, 10, 20].map(|second| second * STEP);
        transform(&mut values, &times, true, &transforms, &names).unwrap();
        let text: Vec<_> = values.iter().map(f64::to_string).collect();
        assert_eq!(text.join(" "), "1 NaN NaN 2 NaN 2 3 2 -3");
        let problem = transform(&mut values, &times, false, &transforms, &names).unwrap_err();
        assert!(problem.error.contains("`b` is a rate"), "{problem}");
    }

    #[test]
    fn rows_without_times_follow_one_another() {
        assert_eq!(default_times(3, Duration::ZERO), [0, STEP, 2 * STEP]);
        assert_eq!(default_times(2, Duration::from_secs(10)), [0, 10 * STEP]);
    }
}
