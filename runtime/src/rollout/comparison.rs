//! Two models on the same rows: who scored them, who called them anomalies, and what that cost.

use std::time::Duration;

use qualm_pipeline::INCIDENT_END_SCORE;

use super::ranks::Ranks;

/// Bits of a series in [`Comparison::lasting`]: an incident of the present model lasts, or one of the other.
const PRESENT: u8 = 1;
const OTHER: u8 = 2;

/// What one of the models did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Side {
    /// Incidents that began on rows that both scored.
    pub(crate) alarms: u64,
    /// Those of these rows that were within an incident.
    pub(crate) anomalous: u64,
    /// Failures on batches that the other model did not fail on.
    pub(crate) failures: u64,
    /// The processor time that its batches took.
    pub(crate) time: Duration,
}

/// The present model and another one, on the same rows.
///
/// An alarm is the beginning of an incident, by score alone: a row above 1, after the series' last incident ended. Rules that
/// suppress incidents are not applied, to neither of the models.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// Rows that both scored.
    pub(crate) rows: u64,
    /// Rows that only the present model scored, and the incidents that began there.
    pub(crate) alone: u64,
    /// See `alone`.
    pub(crate) alarms_alone: u64,
    /// The model that metrics get their scores from.
    pub(crate) present: Side,
    /// The model whose scores nobody sees.
    pub(crate) other: Side,
    /// Rows with a score above 1 of either, and of both.
    either: u64,
    both: u64,
    ranks: Ranks,
    /// By series, whose incidents last.
    lasting: Vec<u8>,
}

impl Comparison {
    /// Takes in the rows of a batch. NaN is no score.
    pub(crate) fn add_rows(&mut self, series: &[u32], present: &[f64], other: &[f64]) {
        let Some(last) = series.iter().max() else { return };
        if self.lasting.len() <= *last as usize {
            self.lasting.resize(*last as usize + 1, 0);
        }
        for ((&series, &present), &other) in series.iter().zip(present).zip(other) {
            let lasting = &mut self.lasting[series as usize];
            let present_began = begins(lasting, PRESENT, present);
            let other_began = begins(lasting, OTHER, other);
            let lasting = *lasting;
            match (present.is_nan(), other.is_nan()) {
                (false, false) => {
                    self.rows += 1;
                    self.present.alarms += u64::from(present_began);
                    self.other.alarms += u64::from(other_began);
                    self.present.anomalous += u64::from(lasting & PRESENT != 0);
                    self.other.anomalous += u64::from(lasting & OTHER != 0);
                    self.either += u64::from(present > 1.0 || other > 1.0);
                    self.both += u64::from(present > 1.0 && other > 1.0);
                    self.ranks.add(present, other);
                }
                (false, true) => {
                    self.alone += 1;
                    self.alarms_alone += u64::from(present_began);
                }
                (true, _) => {}
            }
        }
    }

    /// Takes in what a batch cost, and how often each failed. What both failed on says nothing about either.
    pub(crate) fn add_batch(&mut self, (present, other): (Duration, Duration), failures: (u64, u64)) {
        self.present.time += present;
        self.other.time += other;
        self.present.failures += failures.0.saturating_sub(failures.1);
        self.other.failures += failures.1.saturating_sub(failures.0);
    }

    /// A comparison that begins when the two models change places: incidents last on.
    pub(crate) fn exchanged(self) -> Self {
        let exchange = |lasting: u8| ((lasting & PRESENT) << 1) | ((lasting & OTHER) >> 1);
        Self { lasting: self.lasting.into_iter().map(exchange).collect(), ..Self::default() }
    }

    /// These series' numbers come to mean others.
    pub(crate) fn forget_series(&mut self, series: &[u32]) {
        for &series in series {
            if let Some(lasting) = self.lasting.get_mut(series as usize) {
                *lasting = 0;
            }
        }
    }

    /// Of the rows that either called anomalies, the share that both did; `None` without any.
    pub(crate) fn agreement(&self) -> Option<f64> {
        (self.either > 0).then(|| self.both as f64 / self.either as f64)
    }

    /// Spearman's rank correlation of scores; `None` where scores do not vary.
    pub(crate) fn correlation(&self) -> Option<f64> {
        self.ranks.correlation()
    }

    /// The other model's processor time, in terms of the present one's.
    pub(crate) fn cost(&self) -> Option<f64> {
        let present = self.present.time.as_secs_f64();
        (present > 0.0).then(|| self.other.time.as_secs_f64() / present)
    }

    /// The share of its rows on which incidents of the present model began.
    pub(crate) fn present_rate(&self) -> f64 {
        (self.present.alarms + self.alarms_alone) as f64 / (self.rows + self.alone).max(1) as f64
    }
}

/// Whether an incident begins with this score.
fn begins(lasting: &mut u8, whose: u8, score: f64) -> bool {
    let lasted = *lasting & whose != 0;
    if score > 1.0 {
        *lasting |= whose;
    } else if score <= INCIDENT_END_SCORE {
        *lasting &= !whose;
    }
    score > 1.0 && !lasted
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f64 = f64::NAN;

    #[test]
    fn an_incident_is_one_alarm_however_long_it_lasts() {
        let mut comparison = Comparison::default();
        comparison.add_rows(&[3; 6], &[0.1, 2.0, 3.0, 0.7, 1.5, 0.2], &[0.1, 2.0, 0.4, 1.2, 0.1, 0.1]);
        assert_eq!((comparison.rows, comparison.present.alarms, comparison.other.alarms), (6, 1, 2));
        assert_eq!((comparison.present.anomalous, comparison.other.anomalous), (4, 2));
        comparison.add_rows(&[3, 9], &[1.5, 1.5], &[0.1, 0.1]);
        assert_eq!(comparison.present.alarms, 3, "each series has its own");
        comparison.forget_series(&[3, 1000]);
        comparison.add_rows(&[3, 9], &[1.5, 1.5], &[0.1, 0.1]);
        assert_eq!(comparison.present.alarms, 4, "a new series has no incident");
    }

    #[test]
    fn incidents_last_when_models_change_places() {
        let mut comparison = Comparison::default();
        comparison.add_rows(&[0, 1], &[2.0, 0.1], &[0.1, 2.0]);
        let mut comparison = comparison.exchanged();
        comparison.add_rows(&[0, 1], &[0.1, 0.9], &[0.9, 0.1]);
        assert_eq!((comparison.rows, comparison.present.alarms, comparison.other.alarms), (2, 0, 0));
        assert_eq!((comparison.present.anomalous, comparison.other.anomalous), (1, 1));
    }

    #[test]
    fn only_rows_that_both_scored_are_compared() {
        let mut comparison = Comparison::default();
        comparison.add_rows(&[0, 1, 2, 3], &[2.0, NAN, 2.0, 0.5], &[2.0, 2.0, NAN, NAN]);
        assert_eq!((comparison.rows, comparison.alone, comparison.alarms_alone), (1, 2, 1));
        assert_eq!((comparison.present.alarms, comparison.other.alarms), (1, 1));
        assert!((comparison.present_rate() - 2.0 / 3.0).abs() < 1e-12);
        comparison.add_rows(&[], &[], &[]);
    }

    #[test]
    fn agreement_is_about_anomalies() {
        let mut comparison = Comparison::default();
        comparison.add_rows(&[0; 3], &[0.1, 0.2, 0.3], &[0.1, 0.2, 0.3]);
        assert_eq!(comparison.agreement(), None, "a million ordinary rows say nothing");
        comparison.add_rows(&[0; 4], &[1.5, 1.5, 0.2, 3.0], &[1.2, 0.2, 1.1, 1.1]);
        assert_eq!(comparison.agreement(), Some(0.5));
        assert!(comparison.correlation().is_some_and(|ranks| ranks > 0.0));
    }

    #[test]
    fn a_failure_that_both_share_is_held_against_neither() {
        let mut comparison = Comparison::default();
        assert_eq!(comparison.cost(), None);
        let times = (Duration::from_millis(2), Duration::from_millis(3));
        for failures in [(0, 0), (1, 1), (0, 1), (1, 0), (0, 2)] {
            comparison.add_batch(times, failures);
        }
        assert_eq!((comparison.present.failures, comparison.other.failures), (1, 3));
        assert!((comparison.cost().unwrap() - 1.5).abs() < 1e-9);
    }
}
