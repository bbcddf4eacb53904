//! The times of each series: regularity, gaps, order and duplicates.

use rayon::prelude::*;
use serde::{Serialize, Serializer};

use super::data::{Data, NO_TIME, Series};
use crate::history::timestamp;

/// A step that is longer than this many usual ones is a gap.
const GAP_STEPS: f64 = 2.5;

/// A step is regular if it differs from the usual one by less than this share.
const JITTER: f64 = 0.1;

/// Figures of a series' times.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct SeriesTiming {
    pub(super) measurement: String,
    pub(super) series: String,
    #[serde(skip)]
    pub(super) group: usize,
    pub(super) rows: u64,
    #[serde(serialize_with = "time")]
    pub(super) first: Option<i64>,
    #[serde(serialize_with = "time")]
    pub(super) last: Option<i64>,
    /// The usual time from one row to the next.
    pub(super) step_seconds: Option<f64>,
    /// The share of regular steps.
    pub(super) regular_share: Option<f64>,
    pub(super) gaps: u64,
    pub(super) longest_gap_seconds: f64,
    /// The time before the longest gap.
    #[serde(serialize_with = "time")]
    pub(super) longest_gap_after: Option<i64>,
    /// The share of the time that is in gaps.
    pub(super) gap_share: f64,
    /// Rows that are earlier than the row above.
    pub(super) out_of_order: u64,
    pub(super) out_of_order_line: Option<u64>,
    /// Rows with the time of another row.
    pub(super) repeated: u64,
    pub(super) repeated_line: Option<u64>,
    /// Those of them that equal the other row.
    pub(super) identical: u64,
    pub(super) identical_line: Option<u64>,
}

#[expect(clippy::ref_option, reason = "serde passes a field by reference")]
fn time<S: Serializer>(time: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(timestamp).serialize(serializer)
}

/// The times of every series.
pub(super) fn all(data: &Data) -> Vec<SeriesTiming> {
    let timings = data.series.par_iter().map(|series| {
        let measurement = data.groups[series.group].name.clone();
        SeriesTiming { measurement, series: series.name.clone(), group: series.group, ..read(series) }
    });
    timings.collect()
}

fn read(series: &Series) -> SeriesTiming {
    let mut timing = SeriesTiming { rows: series.rows() as u64, ..SeriesTiming::default() };
    let mut rows: Vec<u32> = (0..series.rows() as u32).filter(|row| series.times[*row as usize] != NO_TIME).collect();
    let time = |row: &u32| series.times[*row as usize];
    for pair in rows.windows(2).filter(|pair| time(&pair[1]) < time(&pair[0])) {
        timing.out_of_order += 1;
        timing.out_of_order_line.get_or_insert(series.line(pair[1] as usize));
    }
    let hash = |row: &u32| series.hashes[*row as usize];
    if !rows.is_sorted_by(|one, next| time(one) < time(next)) {
        rows.sort_by_key(|row| (time(row), hash(row))); // stable: of equal rows the first comes first
    }
    for pair in rows.windows(2).filter(|pair| time(&pair[1]) == time(&pair[0])) {
        let line = series.line(pair[1] as usize);
        timing.repeated += 1;
        timing.repeated_line.get_or_insert(line);
        if hash(&pair[1]) == hash(&pair[0]) {
            timing.identical += 1;
            timing.identical_line.get_or_insert(line);
        }
    }
    timing.first = rows.first().map(time);
    timing.last = rows.last().map(time);
    steps(&mut timing, rows.iter().map(time));
    timing
}

/// Evaluates the steps between sorted times.
fn steps(timing: &mut SeriesTiming, times: impl Iterator<Item = i64> + Clone) {
    let pairs = times.clone().zip(times.skip(1)).filter(|(one, next)| next > one);
    // The difference of two times may overflow 64 bits, and a single time has more digits than a double.
    let step = |(one, next): (i64, i64)| (i128::from(next) - i128::from(one)) as f64;
    let mut lengths: Vec<f64> = pairs.clone().map(step).collect();
    if lengths.is_empty() {
        return;
    }
    let half = lengths.len() / 2;
    let usual = *lengths.select_nth_unstable_by(half, f64::total_cmp).1;
    let regular = lengths.iter().filter(|length| (*length - usual).abs() <= JITTER * usual).count();
    timing.step_seconds = Some(usual / 1e9);
    timing.regular_share = Some(regular as f64 / lengths.len() as f64);
    let all: f64 = lengths.iter().sum();
    let mut lost = 0.0;
    for pair in pairs {
        let length = step(pair);
        if length > GAP_STEPS * usual {
            timing.gaps += 1;
            lost += length - usual;
            if length / 1e9 > timing.longest_gap_seconds {
                timing.longest_gap_seconds = length / 1e9;
                timing.longest_gap_after = Some(pair.0);
            }
        }
    }
    timing.gap_share = lost / all;
}

#[cfg(test)]
mod tests {
    use super::super::data::SeriesColumns;
    use super::*;

    fn timing_of(seconds: &[i64]) -> SeriesTiming {
        let rows = seconds.len();
        read(&Series {
            name: String::new(),
            group: 0,
            times: seconds.iter().map(|second| if *second < 0 { NO_TIME } else { second * 1_000_000_000 }).collect(),
            lines: (1..=rows as u32).collect(),
            hashes: seconds.iter().map(|second| *second as u64).collect(),
            columns: SeriesColumns::default(),
        })
    }

    #[test]
    fn gaps_are_longer_than_the_usual_step() {
        let timing = timing_of(&[0, 10, 20, -1, 30, 100, 110, 120, 141, 150]);
        assert_eq!((timing.gaps, timing.longest_gap_seconds), (1, 70.0));
        assert_eq!((timing.longest_gap_after, timing.step_seconds), (Some(30_000_000_000), Some(10.0)));
        assert_eq!(timing.regular_share, Some(6.0 / 8.0));
        assert!((timing.gap_share - 60.0 / 150.0).abs() < 1e-9);
    }

    #[test]
    fn repeated_and_misplaced_rows_are_found() {
        let timing = timing_of(&[0, 10, 10, 30, 20, 40]);
        assert_eq!((timing.repeated, timing.repeated_line, timing.identical), (1, Some(3), 1));
        assert_eq!((timing.out_of_order, timing.out_of_order_line), (1, Some(5)));
        for odd in [&[][..], &[5], &[-1, -1], &[5, 5, 5]] {
            assert_eq!(timing_of(odd).gaps, 0);
        }
    }
}
