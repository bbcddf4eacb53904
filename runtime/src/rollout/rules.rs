//! Whether a candidate may take over, and whether a model that took over may stay.

use std::time::Duration;

use super::comparison::Comparison;
use crate::config;

/// The share of rows that a good model may report where the present one reports fewer: that of `streaming`, and of `qualm
/// train`, by default.
const USUAL_RATE: f64 = 1e-4;

/// How many standard deviations more alarms than expected are no finding, and how many alarms are none at all: of few rows
/// little is known.
const DEVIATIONS: f64 = 3.0;
const FEW_ALARMS: f64 = 3.0;

/// The share of rows that may be within incidents where the present model has fewer; and how many may be whatever the share:
/// an incident of a trained model lasts for no more.
const USUAL_SHARE: f64 = 0.01;
const ONE_INCIDENT: f64 = 500.0;

/// What is out of bounds.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum Beyond {
    /// It failed on batches that the other model scored.
    #[error("it failed on {failures} batches that the other model scored; bounds allow {most}")]
    Failures {
        /// How many.
        failures: u64,
        /// How many may.
        most: u64,
    },
    /// It reports more than it may.
    #[error("it began {alarms} incidents in {rows} rows, and the other model {other}; bounds allow {most}")]
    Alarms {
        /// Its incidents.
        alarms: u64,
        /// In so many rows.
        rows: u64,
        /// Those of the other model, there.
        other: u64,
        /// How many may.
        most: u64,
    },
    /// Its incidents last too long.
    #[error(
        "{anomalous} of {rows} rows were within its incidents, and {other} within the other model's; bounds allow {most}"
    )]
    Lasting {
        /// Rows within its incidents.
        anomalous: u64,
        /// Of so many.
        rows: u64,
        /// Rows within those of the other model.
        other: u64,
        /// How many may be.
        most: u64,
    },
    /// Its scores have another order.
    #[error("the rank correlation of scores is {}; bounds ask for {least} at least", shown(*.found))]
    Correlation {
        /// What it is.
        found: Option<f64>,
        /// What it must be.
        least: f64,
    },
}

fn shown(correlation: Option<f64>) -> String {
    correlation.map_or_else(|| "unknown, for scores do not vary".to_owned(), |found| format!("{found:.3}"))
}

/// What is to be done about a candidate, or a model that took over.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Due {
    /// The candidate takes over.
    Promotion,
    /// The candidate is given up.
    Rejection(Beyond),
    /// The model that took over gives way to the one before.
    Rollback(Beyond),
    /// The model that took over stays.
    Acceptance,
}

/// What is to be done about a candidate that has been in shadow for so long.
pub(crate) fn of_candidate(comparison: &Comparison, plan: &config::Rollout, time: Duration) -> Option<Due> {
    let config::Rollout { promote_after, bounds, .. } = plan;
    if let Err(beyond) = check_failures(comparison.other.failures, bounds) {
        return Some(Due::Rejection(beyond));
    }
    let due = promote_after.is_some_and(|after| time >= after) && comparison.rows >= bounds.rows;
    due.then(|| check_candidate(comparison, bounds).map_or_else(Due::Rejection, |()| Due::Promotion))
}

/// Whether a candidate is within all bounds.
///
/// # Errors
///
/// The first that it is not within.
pub(crate) fn check_candidate(comparison: &Comparison, bounds: &config::Bounds) -> Result<(), Beyond> {
    let Comparison { rows, present, other, .. } = comparison;
    check_failures(other.failures, bounds)?;
    check_alarms(other.alarms, *rows, present.alarms as f64, bounds)?;
    check_lasting(other.anomalous, *rows, present.anomalous, bounds)?;
    let Some(least) = bounds.correlation else { return Ok(()) };
    let found = comparison.correlation();
    if found.is_some_and(|found| found >= least) { Ok(()) } else { Err(Beyond::Correlation { found, least }) }
}

/// What is to be done about a model that took over so long ago. `rate` is that of the model before, in shadow, for rows that
/// it does not score.
pub(crate) fn of_promoted(comparison: &Comparison, plan: &config::Rollout, rate: f64, time: Duration) -> Option<Due> {
    let Comparison { rows, alone, alarms_alone, present, other, .. } = comparison;
    let within = check_failures(present.failures, &plan.bounds).and_then(|()| {
        let expected = other.alarms as f64 + rate * *alone as f64;
        check_alarms(present.alarms + alarms_alone, rows + alone, expected, &plan.bounds)?;
        check_lasting(present.anomalous, *rows, other.anomalous, &plan.bounds)
    });
    match within {
        Err(beyond) => Some(Due::Rollback(beyond)),
        Ok(()) => (time >= plan.watch_for).then_some(Due::Acceptance),
    }
}

fn check_failures(failures: u64, bounds: &config::Bounds) -> Result<(), Beyond> {
    let most = bounds.failures;
    if failures > most { Err(Beyond::Failures { failures, most }) } else { Ok(()) }
}

/// Checks a number of alarms against those of another model on the same rows.
fn check_alarms(alarms: u64, rows: u64, other: f64, bounds: &config::Bounds) -> Result<(), Beyond> {
    let expected = bounds.alarms * other.max(USUAL_RATE * rows as f64);
    let most = (expected + DEVIATIONS * expected.sqrt() + FEW_ALARMS) as u64;
    if alarms > most { Err(Beyond::Alarms { alarms, rows, other: other.round() as u64, most }) } else { Ok(()) }
}

/// Checks how many rows were within incidents: one that never ends begins once.
fn check_lasting(anomalous: u64, rows: u64, other: u64, bounds: &config::Bounds) -> Result<(), Beyond> {
    let most = (bounds.alarms * (other as f64).max(USUAL_SHARE * rows as f64) + ONE_INCIDENT) as u64;
    if anomalous > most { Err(Beyond::Lasting { anomalous, rows, other, most }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::comparison::Side;

    const HOUR: Duration = Duration::from_hours(1);

    fn plan() -> config::Rollout {
        config::Rollout { promote_after: Some(HOUR), watch_for: HOUR, ..config::Rollout::default() }
    }

    fn comparison(rows: u64, present: u64, other: u64) -> Comparison {
        let side = |alarms| Side { alarms, ..Side::default() };
        let mut comparison = Comparison::default();
        (comparison.rows, comparison.present, comparison.other) = (rows, side(present), side(other));
        comparison
    }

    #[test]
    fn a_good_candidate_takes_over_once_time_and_rows_are_enough() {
        let good = comparison(100_000, 12, 14);
        assert_eq!(of_candidate(&good, &plan(), HOUR / 2), None);
        assert_eq!(of_candidate(&good, &plan(), HOUR), Some(Due::Promotion));
        assert_eq!(of_candidate(&comparison(999, 0, 0), &plan(), HOUR * 100), None, "999 rows are too few");
        let by_command = config::Rollout { promote_after: None, ..plan() };
        assert_eq!(of_candidate(&good, &by_command, HOUR * 1000), None, "only a command promotes it");
    }

    #[test]
    fn alarms_are_compared_with_the_other_models_and_with_what_is_usual() {
        let check = |rows, present, other| check_candidate(&comparison(rows, present, other), &plan().bounds);
        assert_eq!(check(1000, 0, 4), Ok(()), "of few rows little is known");
        assert!(check(1000, 0, 5).is_err());
        assert_eq!(check(1_000_000, 0, 300), Ok(()), "three times the usual rate");
        let beyond = check(1_000_000, 0, 400).unwrap_err();
        assert_eq!(
            beyond.to_string(),
            "it began 400 incidents in 1000000 rows, and the other model 0; bounds allow 354"
        );
        assert_eq!(check(1_000_000, 1000, 3000), Ok(()), "where there is much to report");
        assert!(check(1_000_000, 1000, 3200).is_err());
    }

    #[test]
    fn an_incident_that_never_ends_is_too_much() {
        let mut endless = comparison(10_000, 0, 1);
        endless.other.anomalous = 800;
        assert_eq!(check_candidate(&endless, &plan().bounds), Ok(()));
        endless.other.anomalous = 801;
        assert!(matches!(check_candidate(&endless, &plan().bounds), Err(Beyond::Lasting { most: 800, .. })));
        endless.present.anomalous = 1000;
        assert_eq!(check_candidate(&endless, &plan().bounds), Ok(()), "it is a bad time for both");
        let mut promoted = comparison(10_000, 1, 0);
        promoted.present.anomalous = 801;
        assert!(matches!(of_promoted(&promoted, &plan(), 0.0, HOUR / 2), Some(Due::Rollback(Beyond::Lasting { .. }))));
    }

    #[test]
    fn a_candidate_that_fails_is_given_up_at_once() {
        let mut failed = comparison(10, 0, 0);
        failed.other.failures = 1;
        let Some(Due::Rejection(beyond)) = of_candidate(&failed, &plan(), Duration::ZERO) else { panic!("{failed:?}") };
        assert_eq!(beyond, Beyond::Failures { failures: 1, most: 0 });
        failed.other.failures = 0;
        failed.present.failures = 9;
        assert_eq!(of_candidate(&failed, &plan(), Duration::ZERO), None, "that the other fails is no fault of it");
    }

    #[test]
    fn a_candidate_out_of_bounds_is_given_up_when_its_time_comes() {
        let noisy = comparison(1_000_000, 0, 1000);
        assert_eq!(of_candidate(&noisy, &plan(), HOUR / 2), None);
        assert!(matches!(of_candidate(&noisy, &plan(), HOUR), Some(Due::Rejection(Beyond::Alarms { .. }))));
    }

    #[test]
    fn the_order_of_scores_counts_where_it_is_configured() {
        let mut plan = plan();
        plan.bounds.rows = 1;
        plan.bounds.correlation = Some(0.5);
        let silent = comparison(1000, 0, 0);
        assert!(matches!(
            of_candidate(&silent, &plan, HOUR),
            Some(Due::Rejection(Beyond::Correlation { found: None, .. }))
        ));
        let mut alike = Comparison::default();
        alike.add_rows(&[0; 4], &[0.1, 0.2, 0.4, 0.8], &[0.2, 0.3, 0.5, 0.6]);
        assert_eq!(of_candidate(&alike, &plan, HOUR), Some(Due::Promotion));
    }

    #[test]
    fn a_model_that_took_over_is_watched_from_its_first_row() {
        let of = |comparison: &Comparison, rate| of_promoted(comparison, &plan(), rate, HOUR / 2);
        assert_eq!(of(&comparison(100, 3, 0), 0.0), None);
        assert!(matches!(of(&comparison(100, 4, 0), 0.0), Some(Due::Rollback(Beyond::Alarms { .. }))));
        assert_eq!(of(&comparison(100, 10, 10), 0.0), None, "the model before would have reported as much");
        let mut alone = Comparison::default();
        (alone.alone, alone.alarms_alone) = (1000, 10);
        assert!(of(&alone, 0.0).is_some());
        assert_eq!(of(&alone, 0.01), None, "which it did in shadow");
        let mut failed = comparison(100, 0, 0);
        failed.present.failures = 1;
        assert!(matches!(of(&failed, 0.0), Some(Due::Rollback(Beyond::Failures { .. }))));
    }

    #[test]
    fn a_model_that_took_over_stays_after_its_watch() {
        assert_eq!(of_promoted(&comparison(100, 0, 0), &plan(), 0.0, HOUR), Some(Due::Acceptance));
        assert!(matches!(of_promoted(&comparison(100, 90, 0), &plan(), 0.0, HOUR), Some(Due::Rollback(_))));
    }
}
