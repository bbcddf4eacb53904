//! Whether a successor may take the incumbent's place: it does no worse on rows that it has not seen.

use std::ops::Range;

use qualm_contract::{Batch, Detector, Error};
use serde::Serialize;

use crate::evaluate::inject::{inject, objective};
use crate::evaluate::metrics::is_alarm;
use crate::evaluate::score;
use crate::table::Table;

/// How often the configured rate of alarms may be exceeded.
const MAX_ALARMS: f64 = 3.0;

/// The least share of the incumbent's AUC-PR that the successor must have.
const MIN_RANKING: f64 = 0.9;

/// The seed of the anomalies that are put in.
const SEED: u64 = 1;

/// How a model does on the rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// Rows with a score.
    pub scored: usize,
    /// Rows with a score above 1.
    pub alarms: usize,
    /// How well it separates anomalies that are put into the rows.
    pub injected_auc_pr: f64,
}

/// How both models do on the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Comparison {
    /// How many rows there are.
    pub rows: usize,
    /// The incumbent's figures.
    pub incumbent: Figures,
    /// The successor's.
    pub successor: Figures,
}

/// Why a successor does not pass.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Unfit {
    /// It reports too much.
    #[error(
        "it reports {alarms} of {rows} ordinary rows that it had not seen, where {most:.0} are the most (the model that runs: {incumbent})"
    )]
    Alarms {
        /// Rows that it reports.
        alarms: usize,
        /// All rows.
        rows: usize,
        /// The most that it may report.
        most: f64,
        /// Rows that the incumbent reports.
        incumbent: usize,
    },
    /// It finds less.
    #[error(
        "it separates anomalies that were put in with an AUC-PR of {successor:.3}, the model that runs with {incumbent:.3}"
    )]
    Ranking {
        /// The successor's AUC-PR.
        successor: f64,
        /// The incumbent's.
        incumbent: f64,
    },
    /// It scores fewer rows.
    #[error("it scores {successor} of {rows} rows, the model that runs {incumbent}")]
    Unscored {
        /// Rows that the successor scores.
        successor: usize,
        /// Rows that the incumbent scores.
        incumbent: usize,
        /// All rows.
        rows: usize,
    },
}

/// Scores the same rows with both, each from a fresh start, as they are and with anomalies put in.
///
/// # Errors
///
/// If a detector refuses the rows.
pub fn compare(
    incumbent: &mut dyn Detector,
    successor: &mut dyn Detector,
    table: &Table,
    rows: Range<usize>,
) -> Result<Comparison, Error> {
    let (values, labels) = inject(table, rows.clone(), SEED);
    let figures = |detector: &mut dyn Detector| -> Result<Figures, Error> {
        let scores = score::batch(detector, table.features(), table.batch(rows.clone()))?;
        let injected = Batch { values: &values, ..table.batch(rows.clone()) };
        Ok(Figures {
            scored: scores.iter().filter(|score| !score.is_nan()).count(),
            alarms: scores.iter().filter(|score| is_alarm(**score)).count(),
            injected_auc_pr: objective(&score::batch(detector, table.features(), injected)?, &labels),
        })
    };
    Ok(Comparison { rows: rows.len(), incumbent: figures(incumbent)?, successor: figures(successor)? })
}

impl Comparison {
    /// Whether the successor may take the incumbent's place, where a share `rate` of ordinary rows may be reported.
    ///
    /// # Errors
    ///
    /// In what respect it is worse.
    pub fn check(&self, rate: f64) -> Result<(), Unfit> {
        let Self { rows, incumbent, successor } = *self;
        // With three standard deviations of a Poisson count, so that chance does not refuse it.
        let expected = MAX_ALARMS * rate * rows as f64;
        let most = f64::max(expected + 3.0 * expected.sqrt() + 1.0, incumbent.alarms as f64);
        if successor.alarms as f64 > most {
            return Err(Unfit::Alarms { alarms: successor.alarms, rows, most, incumbent: incumbent.alarms });
        }
        if successor.injected_auc_pr < MIN_RANKING * incumbent.injected_auc_pr {
            let (successor, incumbent) = (successor.injected_auc_pr, incumbent.injected_auc_pr);
            return Err(Unfit::Ranking { successor, incumbent });
        }
        if (successor.scored as f64) < 0.99 * incumbent.scored as f64 {
            return Err(Unfit::Unscored { successor: successor.scored, incumbent: incumbent.scored, rows });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_must_do_no_worse() {
        let good = Figures { scored: 10_000, alarms: 2, injected_auc_pr: 0.5 };
        let check = |incumbent, successor| Comparison { rows: 10_000, incumbent, successor }.check(1e-4);
        assert_eq!(check(good, good), Ok(()));
        let drifted = Figures { alarms: 500, ..good };
        assert_eq!(check(drifted, Figures { alarms: 9, injected_auc_pr: 0.46, ..good }), Ok(()));
        assert!(matches!(check(good, Figures { alarms: 10, ..good }), Err(Unfit::Alarms { alarms: 10, .. })));
        assert_eq!(check(drifted, Figures { alarms: 400, ..good }), Ok(()), "fewer than before is better");
        assert!(matches!(check(good, Figures { injected_auc_pr: 0.44, ..good }), Err(Unfit::Ranking { .. })));
        assert!(matches!(check(good, Figures { scored: 9000, ..good }), Err(Unfit::Unscored { .. })));
        assert!(
            matches!(check(good, Figures { injected_auc_pr: f64::NAN, ..good }), Ok(())),
            "without anomalies to put in"
        );
    }
}
