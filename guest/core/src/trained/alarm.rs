//! Which rows are reported: one for an incident, and at a rate that holds when metrics drift.
//!
//! The threshold is that of calibration times a factor of the series' own. A report raises the factor by [`STEP`], and each
//! row lowers it, so that both balance at a few times the configured rate: adaptive conformal inference (Gibbs & Candès,
//! Adaptive conformal inference under distribution shift, NeurIPS 2021), in logarithms. What was reported is reported again
//! only once it is [`WORSE`], or has been forgotten for long. An incident lasts while scores stay above [`CONTINUES`] of
//! the threshold, for [`MAX_ROWS`] at most.
//!
//! Scores are as of `streaming`: above 1 where a row is reported, between a half and 1 while the incident lasts, below a half
//! otherwise. Within each range they rise with the score in units of calibration, so that rows are ranked as without
//! alarms.

use qualm_contract::Error;

use super::state::Incident;
use crate::math::{max, min};
use crate::model::{Model, Writer};

/// By how much a report raises the logarithm of the factor.
const STEP: f64 = 0.4;

/// The factor is level at so many times the configured rate: of four reports, three may be of incidents.
const BALANCE: f64 = 4.0;

/// The logarithm of the largest factor; the least is 1, so that a series whose rows are all ordinary has no reports.
const LARGEST: f64 = 6.0;

/// By how much, as a logarithm, a score must exceed what was reported to be reported again.
const WORSE: f64 = 1.0;

/// Half-life of what was reported, in rows.
const REPORTED_ROWS: f64 = 1000.0;

/// What was reported and is below this is forgotten.
const MIN_REPORTED: f64 = 0.01;

/// The share of the threshold that continues an incident: nine tenths of what the threshold was before the report.
const CONTINUES: f64 = 0.6;

/// The most rows that an incident lasts after its last report.
const MAX_ROWS: f64 = 500.0;

/// The least score of a row of an incident that lasts, and the range above it.
const LASTING: (f64, f64) = (0.51, 0.44);

/// The largest rank that [`units`] tells from 1.
const MAX_RANK: f64 = 1.0 - 1e-9;

/// The least score of a row that is reported.
const REPORTED: f64 = 1.0 + f64::EPSILON;

/// The score in units of calibration that a row's score is of: 1 is the threshold of calibration. Of a row that is reported it is at
/// least as much.
#[must_use]
pub fn units(score: f64) -> f64 {
    let units = |rank: f64| rank / (1.0 - rank);
    if score > 1.0 {
        score
    } else if score > 0.5 {
        units(((score - LASTING.0) / LASTING.1).clamp(0.0, MAX_RANK))
    } else {
        units((2.0 * score).clamp(0.0, MAX_RANK))
    }
}

/// The rule, for a false-alarm rate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alarm {
    rate: f64,
    /// What the factor is multiplied by with each row, and with a report.
    fall: f64,
    rise: f64,
    largest: f64,
    worse: f64,
    forget: f64,
}

impl Alarm {
    /// For this share of ordinary rows.
    pub(super) fn new(rate: f64) -> Self {
        Self {
            rate,
            fall: libm::exp(-STEP * BALANCE * rate),
            rise: libm::exp(STEP),
            largest: libm::exp(LARGEST),
            worse: libm::exp(WORSE),
            forget: libm::exp2(-1.0 / REPORTED_ROWS),
        }
    }

    /// The score of a series' next row, of which `units` is the score by calibration alone: 1 is its threshold.
    pub(super) fn score(&self, units: f64, incident: &mut Incident<'_>) -> f64 {
        let units = max(units, 0.0);
        let before = if incident.factor.is_nan() { 1.0 } else { *incident.factor };
        let threshold = min(max(before * self.fall, 1.0), self.largest);
        let reported = if *incident.reported > MIN_REPORTED { *incident.reported * self.forget } else { 0.0 };
        if units > threshold && units > reported * self.worse {
            *incident.factor = min(threshold * self.rise, self.largest);
            (*incident.reported, *incident.rows) = (units, 0.0);
            return max(units / threshold, REPORTED);
        }
        (*incident.factor, *incident.reported) = (threshold, reported);
        // NaN without an incident.
        *incident.rows += 1.0;
        let rank = units / (1.0 + units);
        if *incident.rows <= MAX_ROWS && units > CONTINUES * threshold {
            return LASTING.0 + LASTING.1 * rank;
        }
        *incident.rows = f64::NAN;
        0.5 * rank
    }

    pub(super) fn write_model(&self, model: &mut Writer) {
        model.set("alarm_rate", self.rate);
    }

    /// Reads the rule; `None` where each row is scored by calibration alone.
    pub(super) fn read_model(model: &Model<'_>) -> Result<Option<Self>, Error> {
        if model.optional("alarm_rate").is_none() {
            return Ok(None);
        }
        let rate = model.finite("alarm_rate")?;
        if !(0.0..=0.5).contains(&rate) {
            return Err(Error::BadModel(format!("its `alarm_rate` of {rate} is not between 0 and 0.5")));
        }
        Ok(Some(Self::new(rate)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pca::tests::Random;

    /// Scores rows of one series, given in units of calibration.
    fn scores(alarm: Alarm, units: impl IntoIterator<Item = f64>) -> Vec<f64> {
        let (mut factor, mut reported, mut rows) = (f64::NAN, f64::NAN, f64::NAN);
        let score = |units| {
            let mut incident = Incident { factor: &mut factor, reported: &mut reported, rows: &mut rows };
            alarm.score(units, &mut incident)
        };
        units.into_iter().map(score).collect()
    }

    fn reports(scores: &[f64]) -> usize {
        scores.iter().filter(|score| **score > 1.0).count()
    }

    #[test]
    fn units_follow_from_scores() {
        let given = [0.0, 0.3, 0.99, 4.0, 3.9, 2.5, 0.1, 1.2];
        let scores = scores(Alarm::new(1e-4), given);
        let found: Vec<f64> = scores.iter().map(|score| units(*score)).collect();
        assert!(found.iter().zip(given).all(|(found, given)| (found - given).abs() < 1e-6), "{scores:?} {found:?}");
        assert!([f64::NAN, 2.0, 0.5, 0.505, 1.0, -1.0, 1e99].map(units)[1..].iter().all(|units| *units >= 0.0));
    }

    #[test]
    fn an_incident_is_reported_once_until_it_is_worse_and_lasts_a_bounded_time() {
        let constant = |level: f64, rows: usize| std::iter::repeat_n(level, rows);
        let units = constant(0.1, 10).chain(constant(3.0, 100)).chain(constant(9.0, 700)).chain(constant(0.1, 10));
        let scores = scores(Alarm::new(1e-4), units);
        assert!(scores[..10].iter().all(|score| *score < 0.1));
        assert!(scores[10] > 2.9 && scores[11..110].iter().all(|score| (0.5..1.0).contains(score)), "{scores:?}");
        assert!(scores[110] > 5.0 && scores[111..610].iter().all(|score| (0.5..1.0).contains(score)));
        assert!(scores[611..].iter().all(|score| *score < 0.5), "after 500 rows");
    }

    #[test]
    fn the_rate_holds_when_rows_become_three_times_as_strange() {
        let rate = 1e-3;
        let random = &mut Random(3);
        // Exponential, of which a share `rate` is above 1; then three times that.
        let mut row = |scale: f64| -scale * libm::log(1.0 - random.uniform()) / -libm::log(rate);
        let units: Vec<f64> = (0..400_000).map(|at| row(if at < 200_000 { 1.0 } else { 3.0 })).collect();
        let plain = units[200_000..].iter().filter(|units| **units > 1.0).count();
        let scores = scores(Alarm::new(rate), units);
        let share = |from: usize, to: usize| reports(&scores[from..to]) as f64 / (to - from) as f64;
        assert!(plain as f64 / 200_000.0 > 50.0 * rate, "by calibration alone it would not");
        for (from, to) in [(0, 200_000), (200_000, 400_000), (300_000, 400_000)] {
            assert!((0.3 * rate..=BALANCE * rate).contains(&share(from, to)), "{} from {from}", share(from, to) / rate);
        }
    }

    #[test]
    fn a_level_that_stays_is_not_reported_at_more_than_a_few_times_the_rate() {
        let scores = scores(Alarm::new(1e-4), std::iter::repeat_n(50.0, 100_000));
        assert_eq!(reports(&scores[..700]), 1);
        assert!(reports(&scores) < 60, "{}", reports(&scores));
    }

    #[test]
    fn rows_are_ranked_as_their_units_are() {
        let alarm = Alarm::new(1e-4);
        for pair in [0.0, 0.1, 0.3, 0.36].windows(2) {
            assert!(scores(alarm, [pair[0]])[0] < scores(alarm, [pair[1]])[0]);
        }
        let after = |units| scores(alarm, [30.0, units])[1];
        assert!(after(0.1) < after(0.5) && after(0.5) < 0.5 && 0.5 < after(2.0) && after(2.0) < after(9.0));
    }

    #[test]
    fn whatever_comes_scores_are_finite() {
        let extremes = [0.0, -1e99, 1e99, 1.0, f64::MIN_POSITIVE, 1e99];
        let scores = scores(Alarm::new(0.5), extremes.into_iter().cycle().take(5000));
        assert!(scores.iter().all(|score| score.is_finite() && *score >= 0.0));
    }
}
