//! Scores rows with a detector whose state of their series is reset.

use std::collections::BTreeMap;

use qualm_contract::{Batch, Detector, Error, Wanted};

use super::metrics::is_alarm;
use crate::table::Table;

/// Values in a batch, about: this bounds the memory of contributions.
const MAX_BATCH_VALUES: usize = 1 << 20;
/// Rows in a batch: few enough to keep a progress bar moving.
const MAX_BATCH_ROWS: usize = 4096;
/// How many features are named as the causes of a row's score.
pub const CAUSES: usize = 5;

/// The scores of rows and, for those that alarm, the causes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scored {
    /// The score of each row; NaN is not scored.
    pub scores: Vec<f64>,
    /// For each row that alarms, the features with the largest absolute contributions, and these.
    pub causes: BTreeMap<usize, Vec<(usize, f64)>>,
    /// By feature: its share of the absolute contributions, averaged over the rows that alarm. Empty if none does.
    pub shares: Vec<f64>,
}

/// Scores the rows of `table` with other `values`. Calls `scored` with the number of rows of each batch.
///
/// # Errors
///
/// If the detector has other features than the table.
pub fn score(
    detector: &mut dyn Detector,
    table: &Table,
    values: &[f64],
    scored: &dyn Fn(usize),
) -> Result<Vec<f64>, Error> {
    let mut out = Vec::with_capacity(table.len());
    let rows = Batch { values, ..table.batch(0..table.len()) };
    in_batches(detector, table.features(), rows, false, |_, verdicts| {
        scored(verdicts.scores.len());
        out.extend(verdicts.scores);
    })?;
    Ok(out)
}

/// Scores rows of `features` values.
///
/// # Errors
///
/// If the detector has other features.
pub fn batch(detector: &mut dyn Detector, features: usize, rows: Batch<'_>) -> Result<Vec<f64>, Error> {
    let mut out = Vec::with_capacity(rows.series.len());
    in_batches(detector, features, rows, false, |_, verdicts| out.extend(verdicts.scores))?;
    Ok(out)
}

/// Scores the rows of `table`, with the causes of alarms.
///
/// # Errors
///
/// As [`score`].
pub fn explain(detector: &mut dyn Detector, table: &Table, scored: &dyn Fn(usize)) -> Result<Scored, Error> {
    let features = table.features();
    let mut out = Scored { scores: Vec::with_capacity(table.len()), ..Scored::default() };
    let (mut sums, mut alarms) = (vec![0.0; features], 0_u64);
    in_batches(detector, features, table.batch(0..table.len()), true, |start, verdicts| {
        let rows = verdicts.scores.iter().zip(verdicts.contributions.chunks_exact(features.max(1)));
        for (at, (_, contributions)) in rows.enumerate().filter(|(_, (score, _))| is_alarm(**score)) {
            let size: f64 = contributions.iter().map(|contribution| contribution.abs()).sum();
            if size > 0.0 && size.is_finite() {
                sums.iter_mut().zip(contributions).for_each(|(sum, one)| *sum += one.abs() / size);
                alarms += 1;
            }
            out.causes.insert(start + at, largest(contributions, CAUSES));
        }
        scored(verdicts.scores.len());
        out.scores.extend(verdicts.scores);
    })?;
    if alarms > 0 {
        out.shares = sums.into_iter().map(|sum| sum / alarms as f64).collect();
    }
    Ok(out)
}

/// The features with the largest absolute contributions, and these; without those that are 0.
#[must_use]
pub fn largest(contributions: &[f64], most: usize) -> Vec<(usize, f64)> {
    let mut out: Vec<(usize, f64)> = contributions.iter().copied().enumerate().filter(|(_, one)| *one != 0.0).collect();
    out.sort_by(|(_, one), (_, other)| other.abs().total_cmp(&one.abs()));
    out.truncate(most);
    out
}

fn in_batches(
    detector: &mut dyn Detector,
    features: usize,
    rows: Batch<'_>,
    explain: bool,
    mut take: impl FnMut(usize, qualm_contract::Verdicts),
) -> Result<(), Error> {
    let Batch { series, times, values } = rows;
    let all: Vec<u32> = (0..series.iter().max().map_or(0, |most| most + 1)).collect();
    detector.forget_series(&all)?;
    let most = (MAX_BATCH_VALUES / features.max(1)).clamp(1, MAX_BATCH_ROWS);
    for start in (0..series.len()).step_by(most) {
        let range = start..(start + most).min(series.len());
        let values = &values[range.start * features..range.end * features];
        let batch = Batch { series: &series[range.clone()], times: &times[range], values };
        take(start, detector.verdicts_of(batch, Wanted { contributions: explain, bands: false })?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{servers, zscore};
    use super::*;

    #[test]
    fn rows_are_scored_from_a_fresh_start_and_alarms_explained() {
        let mut table = servers(2, 4000, 3, 1); // two batches
        table.values[5000 * 3 + 1] += 100.0;
        let mut detector = qualm_core::open(&zscore(&table)).unwrap();
        let reported = std::cell::Cell::new(0);
        let scored = explain(&mut *detector, &table, &|rows| reported.set(reported.get() + rows)).unwrap();
        assert_eq!((scored.scores.len(), reported.get()), (8000, 8000));
        assert!(scored.scores[5000] > 1.0 && scored.causes[&5000][0].0 == 1, "{:?}", scored.causes);
        assert!((scored.shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert_eq!(score(&mut *detector, &table, &table.values, &|_| {}).unwrap(), scored.scores);
        let narrow = servers(1, 10, 2, 1);
        score(&mut *detector, &narrow, &narrow.values, &|_| {}).unwrap_err();
    }

    #[test]
    fn the_largest_contributions_come_first_whatever_their_sign() {
        assert_eq!(largest(&[1.0, 0.0, -3.0, 2.0], 2), [(2, -3.0), (3, 2.0)]);
        assert!(largest(&[0.0], 2).is_empty());
    }
}
