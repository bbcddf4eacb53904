//! Figures of scores without labels.

use qualm_core::trained::prepare::quantile;
use serde::Serialize;

use super::events::{Run, Sequences};
use super::metrics::{is_alarm, share};

/// The quantiles in a summary.
pub const QUANTILES: [f64; 6] = [0.0, 0.5, 0.9, 0.99, 0.999, 1.0];

/// Bins of the histogram, without the last, which holds all larger scores.
const BINS: usize = 40;
/// The width of a bin: one ends at the threshold.
pub(crate) const BIN_WIDTH: f64 = 0.1;

const DAY: f64 = 86_400.0;

/// Figures of scores without labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// All rows.
    pub rows: u64,
    /// Rows without a score. They raise no alarm, and are in no quantile and no bin.
    pub unscored: u64,
    /// Rows above the threshold.
    pub alarming: u64,
    /// Their share of the rows with a score.
    pub alarm_rate: Option<f64>,
    /// Runs of rows above the threshold.
    pub alarms: u64,
    /// Alarms a day of the time that the rows cover, of all series together.
    pub alarms_per_day: Option<f64>,
    /// The longest alarm.
    pub longest: Option<Longest>,
    /// The quantiles of the scores: 0, 50, 90, 99, 99.9 and 100 %.
    pub quantiles: Option<[f64; 6]>,
    /// How many scores lie in 0 … 0.1, 0.1 … 0.2, and so on to 4 (each with its upper end), and how many beyond.
    pub histogram: Vec<u64>,
}

/// An alarm's length.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Longest {
    /// In rows of its series.
    pub rows: u64,
    /// From its first row to its last.
    pub seconds: f64,
}

impl Summary {
    /// Computes the figures.
    #[must_use]
    pub fn of(sequences: &Sequences, times: &[i64], scores: &[f64]) -> Self {
        let mut sorted: Vec<f64> = scores.iter().copied().filter(|score| !score.is_nan()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let alarming = (sorted.len() - sorted.partition_point(|score| !is_alarm(*score))) as u64;
        let runs: Vec<Run<'_>> = sequences.runs(|row| is_alarm(scores[row])).collect();
        let lasted = |run: &Run<'_>| Longest {
            rows: run.rows.len() as u64,
            seconds: run.rows.last().map_or(0.0, |last| (times[*last] - times[run.rows[0]]) as f64 / 1e9),
        };
        let (first, last) = (times.iter().min(), times.iter().max());
        let covered = first.zip(last).map_or(0.0, |(first, last)| (last - first) as f64 / 1e9);
        Self {
            rows: scores.len() as u64,
            unscored: (scores.len() - sorted.len()) as u64,
            alarming,
            alarm_rate: share(alarming, sorted.len() as u64),
            alarms: runs.len() as u64,
            alarms_per_day: (covered > 0.0).then(|| runs.len() as f64 * DAY / covered),
            longest: runs.iter().map(lasted).max_by_key(|longest| longest.rows),
            quantiles: (!sorted.is_empty()).then(|| QUANTILES.map(|share| quantile(&sorted, share))),
            histogram: histogram(sorted.iter().copied()),
        }
    }
}

/// The histogram of scores; see [`Summary::histogram`].
pub(crate) fn histogram(scores: impl Iterator<Item = f64>) -> Vec<u64> {
    let mut bins = vec![0; BINS + 1];
    for score in scores.filter(|score| !score.is_nan()) {
        // A score that exceeds a bin's end by rounding belongs to that bin; at the threshold the comparison is exact.
        let end =
            if is_alarm(score) { (score / BIN_WIDTH).ceil().max(11.0) } else { (score / BIN_WIDTH).ceil().min(10.0) };
        bins[(end.max(1.0) as usize - 1).min(BINS)] += 1;
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_computed() {
        let scores = [f64::NAN, 0.5, 2.0, 3.0, 0.5, 2.0, 0.0, 0.5];
        let times: Vec<i64> = (0..8).map(|row| row * 21_600_000_000_000).collect(); // every six hours
        let summary = Summary::of(&Sequences::new(&[0; 8]), &times, &scores);
        assert_eq!((summary.rows, summary.unscored, summary.alarming, summary.alarms), (8, 1, 3, 2));
        assert_eq!(summary.alarm_rate, Some(3.0 / 7.0));
        assert_eq!(summary.alarms_per_day, Some(2.0 * 4.0 / 7.0));
        assert_eq!(summary.longest, Some(Longest { rows: 2, seconds: 21_600.0 }));
        let quantiles = summary.quantiles.unwrap();
        assert_eq!([quantiles[0], quantiles[1], quantiles[5]].map(f64::to_bits), [0.0, 0.5, 3.0_f64].map(f64::to_bits));
        assert_eq!(summary.histogram.iter().sum::<u64>(), 7);
    }

    #[test]
    fn without_scores_there_are_no_figures() {
        let summary = Summary::of(&Sequences::new(&[]), &[], &[]);
        assert_eq!((summary.alarm_rate, summary.alarms_per_day, summary.longest), (None, None, None));
        let unscored = Summary::of(&Sequences::new(&[0]), &[0], &[f64::NAN]);
        assert_eq!((unscored.unscored, unscored.quantiles), (1, None));
    }

    #[test]
    fn a_bin_ends_at_the_threshold() {
        let bins = histogram([0.0, 0.1, 0.11, 1.0, 1.0 + 1e-15, 1.1, 4.0, 4.1, 1e300].into_iter());
        let filled: Vec<(usize, u64)> = bins.into_iter().enumerate().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0, 2), (1, 1), (9, 1), (10, 2), (39, 1), (40, 2)]);
    }
}
