//! The detector's scores of a set.

use qualm_contract::{Batch, Detector, Wanted};
use qualm_core::streaming::{Parameters, Streaming, Tuning};

use crate::Failure;
use crate::data::{Series, Set};
use crate::events::{ALARM, Figures, Judged};

/// The row from which on a series is no longer new.
const SETTLED: usize = 500;
/// Rows at once.
const BATCH: usize = 1000;

/// The scores of a set.
#[derive(Default)]
pub(crate) struct Scores {
    /// Of each series' rows the largest score; -∞ where nothing is scored.
    pub(crate) rows: Vec<Vec<f64>>,
    /// And their mean score, over the metrics that have one.
    pub(crate) means: Vec<Vec<f64>>,
    /// Values outside of events, of settled series: how many are scored, and how many of them are in alarm.
    ordinary: usize,
    alarms: usize,
}

impl Scores {
    /// Scores each metric of each series alone, from its first row on.
    pub(crate) fn of(set: &Set, tuning: Tuning) -> Result<Self, Failure> {
        let mut scores = Self::default();
        for series in &set.series {
            let mut rows = vec![f64::NEG_INFINITY; series.labels.len()];
            let mut sums = vec![(0.0, 0.0); series.labels.len()];
            for column in &series.columns {
                let found = column_of(series, column, tuning)?;
                scores.count(series, &found);
                for ((row, (sum, count)), score) in rows.iter_mut().zip(&mut sums).zip(found) {
                    *row = row.max(score); // which no NaN is
                    if !score.is_nan() {
                        (*sum, *count) = (*sum + score, *count + 1.0);
                    }
                }
            }
            scores.rows.push(rows);
            scores.means.push(sums.into_iter().map(|(sum, count)| sum / count).collect());
        }
        Ok(scores)
    }

    fn count(&mut self, series: &Series, scores: &[f64]) {
        for (score, ordinary) in scores.iter().zip(&series.truth.ordinary).skip(SETTLED) {
            if *ordinary && !score.is_nan() {
                self.ordinary += 1;
                self.alarms += usize::from(*score >= ALARM);
            }
        }
    }

    /// What the set that was scored comes to.
    pub(crate) fn figures(&self, set: &Set) -> Figures {
        let judged = set.series.iter().zip(&self.rows).map(|(of, scores)| Judged { truth: &of.truth, scores });
        Figures::of(&judged.collect::<Vec<_>>())
    }

    /// The share of values in alarm outside of events.
    pub(crate) fn alarm_rate(&self) -> f64 {
        self.alarms as f64 / self.ordinary as f64
    }
}

fn column_of(series: &Series, column: &[f64], tuning: Tuning) -> Result<Vec<f64>, Failure> {
    let mut detector = Streaming::with_tuning(Parameters::default(), tuning);
    let mut scores = Vec::with_capacity(column.len());
    for (times, values) in series.times.chunks(BATCH).zip(column.chunks(BATCH)) {
        let batch = Batch { series: &[0; BATCH][..times.len()], times, values };
        scores.extend(detector.verdicts_of(batch, Wanted::SCORES)?.scores);
    }
    Ok(scores)
}
