//! Which anomalies are worth telling: not every score above 1 is an alarm.
//!
//! The rules come after the score and never change it. Those about the value and what was expected of it
//! (`direction`, `min_deviation`, `expected_range`) say whether a row counts as anomalous at all; `sustained` looks at how
//! many of the last rows did; `cooldown` at whether the incident was told before.

/// When a score above 1 makes an anomaly. By default, always.
///
/// A value outside `expected_range` is left to its score. To make it an anomaly whatever its score would need a score that
/// the detector did not give, or an anomaly whose score is ordinary; and a fixed limit needs no detector: whatever
/// alerts on `anomaly_score > 1` can alert on the metric itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suppression {
    /// On which side of what was expected a value must be.
    pub direction: Direction,
    /// How far from what was expected it must be at least, in its own unit.
    pub min_deviation: f64,
    /// From which value to which, both included, none is an anomaly. Of rows of one value alone.
    pub expected_range: Option<[f64; 2]>,
    /// How many of the last `of` rows of the series must be anomalous, this one included.
    pub sustained: u32,
    /// At most [`MOST_SUSTAINED`].
    pub of: u32,
    /// Nanoseconds after an anomaly in which the series has no other: one alarm an incident.
    pub cooldown: i64,
}

/// On which side of what was expected a value is an anomaly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// On either.
    #[default]
    Both,
    /// Where it is greater.
    Above,
    /// Where it is less.
    Below,
}

/// An incident begins with a score above 1 and goes on while its scores stay above this: `streaming` tells only the
/// beginning with a score above 1.
pub const GOES_ON: f64 = 0.5;

/// How many rows `sustained` may look back on.
pub const MOST_SUSTAINED: u32 = 64;

/// The rule by default: every score above 1.
const EVERY: Suppression = Suppression {
    direction: Direction::Both,
    min_deviation: 0.0,
    expected_range: None,
    sustained: 1,
    of: 1,
    cooldown: 0,
};

impl Default for Suppression {
    fn default() -> Self {
        EVERY
    }
}

impl Suppression {
    /// Whether it must be known how far a value is from what was expected, and to which side: the detector's contribution,
    /// where rows have one value.
    #[must_use]
    pub fn needs_deviation(&self) -> bool {
        self.direction != Direction::Both || self.min_deviation > 0.0
    }

    /// Whether the values in it can be.
    ///
    /// # Errors
    ///
    /// Which one cannot, and what would be right.
    pub fn check(&self) -> Result<(), String> {
        if !(self.min_deviation >= 0.0 && self.min_deviation.is_finite()) {
            return Err(format!("`min_deviation` is {}; it must be 0 or more", self.min_deviation));
        }
        match self.expected_range {
            Some([least, most]) if least.is_nan() || most.is_nan() || least > most => Err(format!(
                "`expected_range` is [{least:?}, {most:?}]; it must be like [0.0, 80.0], the lower value first (-inf and \
                 inf are possible)"
            )),
            _ => Ok(()),
        }
    }

    /// Whether a value that has a score above 1 counts. Where the detector says nothing of what it expected, it does.
    fn counts(&self, value: Option<f64>, deviation: Option<f64>) -> bool {
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
    /// Says what would be right.
    pub fn parse_sustained(text: &str) -> Result<(u32, u32), String> {
        let parts: Vec<&str> = text.split_whitespace().collect();
        let numbers = match parts[..] {
            [sustained, "of", of] => sustained.parse().ok().zip(of.parse().ok()),
            _ => None,
        };
        numbers.filter(|&(sustained, of)| 1 <= sustained && sustained <= of && of <= MOST_SUSTAINED).ok_or_else(|| {
            format!("`{text}` must be like \"3 of 5\": so many of a series' last rows, at most {MOST_SUSTAINED}")
        })
    }
}

/// Applies it to each series of a detector. What is remembered is lost at a restart: an alarm may then come once more.
#[derive(Debug, Default)]
pub(crate) struct Suppressor {
    rule: Suppression,
    /// Whether somebody wants to know of incidents that go on.
    follows: bool,
    /// By series; empty where nothing needs a past.
    past: Vec<Past>,
}

/// A row, as the rule sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) series: u32,
    pub(crate) time: i64,
    pub(crate) score: f64,
    /// Its value, where it has one alone.
    pub(crate) value: Option<f64>,
    /// How far that is from what was expected, with its sign; none where the detector does not say.
    pub(crate) deviation: Option<f64>,
}

/// What the rule makes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// No anomaly.
    Ordinary,
    /// A row of an incident that was told already, or must not be told so soon.
    Known,
    /// An anomaly that is worth telling.
    Anomaly,
}

#[derive(Debug, Clone, Copy)]
struct Past {
    /// Whether each of the last rows was one of an incident, the last one in the lowest bit.
    anomalous: u64,
    /// When an anomaly of the series was last told.
    told: Option<i64>,
    /// Whether the incident at hand has had its turn to be told.
    known: bool,
}

const NOTHING: Past = Past { anomalous: 0, told: None, known: false };

impl Suppressor {
    /// Tells rows of incidents that go on from ordinary ones, from now on.
    pub(crate) fn follow(&mut self) {
        self.follows = true;
    }

    pub(crate) fn rule(&self) -> Suppression {
        self.rule
    }

    /// The same for another rule, as though nothing had been told yet.
    pub(crate) fn set_rule(&mut self, rule: Suppression) {
        *self = Self { rule, follows: self.follows, past: Vec::new() };
    }

    /// What a series' next row is.
    pub(crate) fn judge(&mut self, row: Row) -> Finding {
        let Self { rule, follows, past } = self;
        let Row { series, time, score, value, deviation } = row;
        let anomalous = score > 1.0 && rule.counts(value, deviation);
        if !*follows && (rule.of, rule.cooldown) == (EVERY.of, EVERY.cooldown) {
            return if anomalous { Finding::Anomaly } else { Finding::Ordinary };
        }
        let number = series as usize;
        if past.len() <= number {
            past.resize(number + 1, NOTHING);
        }
        let past = &mut past[number];
        let lingers = score > GOES_ON && score <= 1.0;
        let goes_on = anomalous || (past.anomalous & 1 == 1 && lingers);
        past.anomalous = past.anomalous << 1 | u64::from(goes_on);
        past.known &= goes_on;
        let window = past.anomalous << (u64::BITS - rule.of);
        if !goes_on || window.count_ones() < rule.sustained {
            return Finding::Ordinary;
        }
        let tell = anomalous || !past.known;
        past.known = true;
        // One that was told, and this row is not after it by the cooldown. (A clock that was put back ends it.)
        let cooling = past.told.is_some_and(|told| (0..rule.cooldown).contains(&time.saturating_sub(told)));
        if !tell || cooling {
            return Finding::Known;
        }
        past.told = Some(time);
        Finding::Anomaly
    }

    pub(crate) fn forget(&mut self, series: &[u32]) {
        for &number in series {
            if let Some(past) = self.past.get_mut(number as usize) {
                *past = NOTHING;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of which nothing is known but its score.
    fn row(series: u32, time: i64, score: f64) -> Row {
        Row { series, time, score, value: None, deviation: None }
    }

    fn of(rule: Suppression) -> Suppressor {
        Suppressor { rule, ..Suppressor::default() }
    }

    fn found(rule: Suppression, scores: &[f64]) -> Vec<Finding> {
        let mut suppressor = of(rule);
        let found = scores.iter().zip(0..).map(|(&score, time)| {
            assert_eq!(suppressor.judge(row(7, time, 0.5)), Finding::Ordinary);
            suppressor.judge(row(3, time, score))
        });
        found.collect()
    }

    fn told(rule: Suppression, scores: &[f64]) -> Vec<bool> {
        found(rule, scores).into_iter().map(|finding| finding == Finding::Anomaly).collect()
    }

    #[test]
    fn by_default_what_is_above_one_is_an_anomaly() {
        assert_eq!(told(Suppression::default(), &[0.0, 1.0, 1.1, f64::NAN]), [false, false, true, false]);
    }

    #[test]
    fn an_anomaly_must_last() {
        let rule = Suppression { sustained: 2, of: 3, ..Suppression::default() };
        let scores = [2.0, 0.0, 2.0, 0.0, 0.0, 2.0, 2.0, f64::NAN, 0.5];
        assert_eq!(told(rule, &scores), [false, false, true, false, false, false, true, false, false]);
        let longest = Suppression { sustained: 64, of: 64, ..Suppression::default() };
        assert_eq!(told(longest, &[2.0; 65]).iter().filter(|told| **told).count(), 2);
    }

    #[test]
    fn an_incident_goes_on_while_its_scores_stay_high() {
        use Finding::{Anomaly, Known, Ordinary};
        let rule = Suppression { sustained: 3, of: 5, ..Suppression::default() };
        let scores = [0.8, 2.0, 0.7, 0.6, 0.8, 0.2, 0.8, 3.0];
        let told = [Ordinary, Ordinary, Ordinary, Anomaly, Known, Ordinary, Ordinary, Anomaly];
        assert_eq!(found(rule, &scores), told);
        let mut suppressor = Suppressor::default();
        assert_eq!([2.0, 0.8].map(|score| suppressor.judge(row(0, 1, score))), [Anomaly, Ordinary]);
        suppressor.follow();
        assert_eq!(
            [2.0, 0.8, 0.5, 0.8].map(|score| suppressor.judge(row(0, 1, score))),
            [Anomaly, Known, Ordinary, Ordinary]
        );
    }

    #[test]
    fn an_incident_has_one_alarm_and_goes_on() {
        use Finding::{Anomaly, Known, Ordinary};
        let rule = Suppression { cooldown: 3, ..Suppression::default() };
        assert_eq!(found(rule, &[2.0, 2.0, 0.5, 2.0, 2.0]), [Anomaly, Known, Ordinary, Anomaly, Known]);
        let mut suppressor = of(rule);
        for (time, why) in [(100, "the first"), (50, "a clock that was put back"), (51, "another series' past")] {
            assert_eq!(suppressor.judge(row(0, time, 2.0)), Anomaly, "{why}");
            suppressor.forget(if time == 50 { &[0] } else { &[] });
        }
    }

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
            let judge = |deviation| of(rule).judge(Row { deviation, ..row(0, 0, 2.0) });
            let found = [-5.0, -1.0, 0.0, 1.0, 5.0].map(|deviation| judge(Some(deviation)) == Finding::Anomaly);
            assert_eq!(found, counted, "{rule:?}");
            assert_eq!(judge(None), Finding::Anomaly, "nobody knows: it is told");
        }
    }

    #[test]
    fn what_is_expected_is_no_anomaly_whatever_its_score() {
        let judge = |range, value| {
            let rule = Suppression { expected_range: Some(range), ..Suppression::default() };
            of(rule).judge(Row { value, ..row(0, 0, 9.0) }) == Finding::Anomaly
        };
        let values = [-1.0, 0.0, 40.0, 80.0, 80.5];
        assert_eq!(values.map(|value| judge([0.0, 80.0], Some(value))), [true, false, false, false, true]);
        assert_eq!(
            values.map(|value| judge([f64::NEG_INFINITY, 40.0], Some(value))),
            [false, false, false, true, true]
        );
        assert!(judge([0.0, 80.0], None), "a vector is in no range");
        let outside = Suppression { expected_range: Some([0.0, 80.0]), ..Suppression::default() };
        let unalarming = Row { value: Some(1e9), ..row(0, 0, 0.5) };
        assert_eq!(of(outside).judge(unalarming), Finding::Ordinary, "outside, the score decides");
    }

    #[test]
    fn what_does_not_count_does_not_last_either() {
        let rule = Suppression { direction: Direction::Above, sustained: 2, of: 2, ..Suppression::default() };
        let mut suppressor = of(rule);
        let deviations = [-1.0, 1.0, 1.0, -1.0, 1.0];
        let mut told = |deviation| suppressor.judge(Row { deviation: Some(deviation), ..row(0, 0, 2.0) });
        assert_eq!(deviations.map(|one| told(one) == Finding::Anomaly), [false, false, true, false, false]);
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
            assert!(rule.check().unwrap_err().contains(what), "{rule:?}");
        }
        let open = Suppression { expected_range: Some([f64::NEG_INFINITY, 1.0]), min_deviation: 2.0, ..default };
        assert_eq!((open.check(), default.check()), (Ok(()), Ok(())));
    }

    #[test]
    fn what_lasts_is_read() {
        assert_eq!(Suppression::parse_sustained("3 of 5"), Ok((3, 5)));
        for wrong in ["", "3", "3/5", "0 of 5", "6 of 5", "3 of 65", "three of five", "3 of 5 of 7"] {
            assert!(Suppression::parse_sustained(wrong).unwrap_err().contains("3 of 5"), "{wrong}");
        }
    }
}
