//! Which incidents are reported: not every score above 1 is an alarm.
//!
//! The rules apply after the score and never change it. Those about the value and the expected one (`direction`,
//! `min_deviation`, `expected_range`) decide which scores above 1 count, and so begin an incident; `sustained` and `cooldown`
//! decide which of its rows reports it. `incident` applies them.

use std::fmt;

/// Which scores above 1 begin an incident, and when it is reported. By default each does, and at once.
///
/// A value outside `expected_range` is judged by its score. To always make it an anomaly would need a score that the detector
/// did not give, or an anomaly with an ordinary score; and a fixed limit needs no detector: an alert rule can use the metric
/// itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suppression {
    /// The side of the expected value on which a value must be.
    pub direction: Direction,
    /// The least distance from the expected value, in the value's own unit.
    pub min_deviation: f64,
    /// The range of values, both ends included, in which no score counts. For rows of one value.
    pub expected_range: Option<[f64; 2]>,
    /// How many of the last `of` scored rows of the series must be in an incident, this one included.
    pub sustained: u32,
    /// At most [`MAX_SUSTAINED_ROWS`].
    pub of: u32,
    /// Nanoseconds after a report in which no other incident of the series is reported.
    pub cooldown: i64,
}

/// The side of the expected value on which a value is an anomaly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both sides.
    #[default]
    Both,
    /// Greater values.
    Above,
    /// Smaller values.
    Below,
}

/// The most rows of a `sustained` rule.
pub const MAX_SUSTAINED_ROWS: u32 = 64;

/// A rule with an invalid value: which, and what is valid.
#[derive(Debug, Clone, PartialEq)]
pub enum Invalid {
    /// `min_deviation` is negative or not finite.
    MinDeviation(f64),
    /// `expected_range` is not in order.
    ExpectedRange([f64; 2]),
    /// A text is not like `3 of 5`.
    Sustained(String),
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MinDeviation(least) => write!(f, "`min_deviation` is {least}; it must be 0 or more"),
            Self::ExpectedRange([least, most]) => write!(
                f,
                "`expected_range` is [{least:?}, {most:?}]; it must be like [0.0, 80.0], the lower value first (-inf and \
                 inf are possible)"
            ),
            Self::Sustained(text) => write!(
                f,
                "`{text}` must be like \"3 of 5\": so many of a series' last rows, at most {MAX_SUSTAINED_ROWS}"
            ),
        }
    }
}

impl std::error::Error for Invalid {}

impl Default for Suppression {
    fn default() -> Self {
        Self { direction: Direction::Both, min_deviation: 0.0, expected_range: None, sustained: 1, of: 1, cooldown: 0 }
    }
}

impl Suppression {
    /// Whether the rule needs the signed distance from the expected value: the detector's contribution, for rows of one value.
    #[must_use]
    pub fn needs_deviation(&self) -> bool {
        self.direction != Direction::Both || self.min_deviation > 0.0
    }

    /// Whether the rule needs the history of a series, besides the phase of its incident.
    pub(crate) fn needs_history(&self) -> bool {
        self.of > 1 || self.cooldown > 0
    }

    /// Checks the values.
    ///
    /// # Errors
    ///
    /// Which value is invalid, and what is valid.
    pub fn check(&self) -> Result<(), Invalid> {
        if !(self.min_deviation >= 0.0 && self.min_deviation.is_finite()) {
            return Err(Invalid::MinDeviation(self.min_deviation));
        }
        match self.expected_range {
            Some(range @ [least, most]) if least.is_nan() || most.is_nan() || least > most => {
                Err(Invalid::ExpectedRange(range))
            }
            _ => Ok(()),
        }
    }

    /// Whether a value with a score above 1 counts. Without a `deviation` it is on the right side and far enough.
    pub(crate) fn counts(&self, value: Option<f64>, deviation: Option<f64>) -> bool {
        let Self { direction, min_deviation, expected_range, .. } = *self;
        let expected = value.zip(expected_range).is_some_and(|(value, [least, most])| (least..=most).contains(&value));
        let far = deviation.is_none_or(|deviation| {
            let side = match direction {
                Direction::Both => true,
                Direction::Above => deviation > 0.0,
                Direction::Below => deviation < 0.0,
            };
            side && deviation.abs() >= min_deviation
        });
        far && !expected
    }

    /// Reads `3 of 5`.
    ///
    /// # Errors
    ///
    /// What is valid.
    pub fn parse_sustained(text: &str) -> Result<(u32, u32), Invalid> {
        let parts: Vec<&str> = text.split_whitespace().collect();
        let numbers = match parts[..] {
            [sustained, "of", of] => sustained.parse().ok().zip(of.parse().ok()),
            _ => None,
        };
        numbers
            .filter(|&(sustained, of)| 1 <= sustained && sustained <= of && of <= MAX_SUSTAINED_ROWS)
            .ok_or_else(|| Invalid::Sustained(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_on_the_side_and_from_the_distance_that_are_asked_for() {
        let rule = |direction, min_deviation| Suppression { direction, min_deviation, ..Suppression::default() };
        for (rule, counted) in [
            (rule(Direction::Both, 0.0), [true, true, true, true, true]),
            (rule(Direction::Above, 0.0), [false, false, false, true, true]),
            (rule(Direction::Below, 0.0), [true, true, false, false, false]),
            (rule(Direction::Both, 5.0), [true, false, false, false, true]),
            (rule(Direction::Below, 5.0), [true, false, false, false, false]),
        ] {
            assert_eq!(rule.needs_deviation(), rule != Suppression::default());
            let found = [-5.0, -1.0, 0.0, 1.0, 5.0].map(|deviation| rule.counts(None, Some(deviation)));
            assert_eq!(found, counted, "{rule:?}");
            assert!(rule.counts(None, None), "nobody knows: it counts");
        }
    }

    #[test]
    fn what_is_expected_does_not_count() {
        let counts = |range, value| {
            let rule = Suppression { expected_range: Some(range), ..Suppression::default() };
            rule.counts(value, None)
        };
        let values = [-1.0, 0.0, 40.0, 80.0, 80.5];
        assert_eq!(values.map(|value| counts([0.0, 80.0], Some(value))), [true, false, false, false, true]);
        assert_eq!(
            values.map(|value| counts([f64::NEG_INFINITY, 40.0], Some(value))),
            [false, false, false, true, true]
        );
        assert!(counts([0.0, 80.0], None), "a vector is in no range");
    }

    #[test]
    fn what_cannot_be_is_named() {
        let default = Suppression::default();
        for (rule, what) in [
            (Suppression { min_deviation: -1.0, ..default }, "`min_deviation` is -1; it must be 0 or more"),
            (Suppression { min_deviation: f64::NAN, ..default }, "`min_deviation` is NaN"),
            (
                Suppression { expected_range: Some([2.0, 1.0]), ..default },
                "`expected_range` is [2.0, 1.0]; it must be like",
            ),
            (Suppression { expected_range: Some([f64::NAN, 1.0]), ..default }, "[0.0, 80.0]"),
        ] {
            assert!(rule.check().unwrap_err().to_string().contains(what), "{rule:?}");
        }
        let open = Suppression { expected_range: Some([f64::NEG_INFINITY, 1.0]), min_deviation: 2.0, ..default };
        assert_eq!((open.check(), default.check()), (Ok(()), Ok(())));
    }

    #[test]
    fn what_lasts_is_read() {
        assert_eq!(Suppression::parse_sustained("3 of 5"), Ok((3, 5)));
        for wrong in ["", "3", "3/5", "0 of 5", "6 of 5", "3 of 65", "three of five", "3 of 5 of 7"] {
            assert!(Suppression::parse_sustained(wrong).unwrap_err().to_string().contains("3 of 5"), "{wrong}");
        }
    }
}
