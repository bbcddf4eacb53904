//! Conversion of a metric's value to a feature.

/// How a value is converted to a feature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Transform {
    /// Not at all.
    #[default]
    None,
    /// The growth per second since the last value, for counters. A smaller value than the last one is a reset to 0.
    Rate,
    /// The difference from the last value.
    Delta,
    /// ln(1 + x), and −ln(1 − x) for negative values: for metrics that span orders of magnitude.
    Log1p,
}

impl Transform {
    /// Whether the value is not converted.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// Whether the last value is needed.
    #[must_use]
    pub fn needs_last(self) -> bool {
        matches!(self, Self::Rate | Self::Delta)
    }

    /// The feature; NaN if there is none yet. `last` is the value before (NaN for none) and its time, in nanoseconds.
    #[must_use]
    pub fn apply(self, value: f64, time: i64, (last, then): (f64, i64)) -> f64 {
        match self {
            Self::None => value,
            Self::Log1p => libm::copysign(libm::log1p(value.abs()), value),
            Self::Delta => value - last,
            Self::Rate if time <= then => f64::NAN,
            Self::Rate => {
                let grown = if value < last { value } else { value - last };
                // Comparison with NaN is false: without a last value there is no rate.
                grown / (time.saturating_sub(then) as f64 / 1e9)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_transform_is_what_it_says() {
        const SECOND: i64 = 1_000_000_000;
        let none = (f64::NAN, 0);
        let apply = |transform: Transform, value, last| transform.apply(value, 10 * SECOND, last);
        assert_eq!(apply(Transform::None, 5.0, none).to_bits(), 5.0_f64.to_bits());
        assert_eq!(apply(Transform::Delta, 5.0, (7.0, 0)).to_bits(), (-2.0_f64).to_bits());
        assert_eq!(apply(Transform::Rate, 50.0, (30.0, 0)).to_bits(), 2.0_f64.to_bits());
        assert_eq!(apply(Transform::Rate, 20.0, (3e9, 0)).to_bits(), 2.0_f64.to_bits(), "a reset to 0");
        assert!((apply(Transform::Log1p, -(1_f64.exp() - 1.0), none) + 1.0).abs() < 1e-15);
        assert!(apply(Transform::Rate, 5.0, none).is_nan() && apply(Transform::Delta, 5.0, none).is_nan());
        assert!(apply(Transform::Rate, 5.0, (1.0, 10 * SECOND)).is_nan(), "no time has passed");
    }
}
