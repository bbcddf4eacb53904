//! Since when rows look like the newest.

use std::sync::Arc;

use crate::clock::nanoseconds;
use crate::error::Error;
use crate::live::Live;
use crate::options::{Levels, Options};
use crate::reference::{Distribution, Ordinary, Reference};
use crate::report::State;
use crate::window::{BLOCK_ROWS, BLOCKS};

/// The first of the rows that, up to the last, look like those of the newest window: a model that is trained again learns from
/// these. It is 0 where all do.
///
/// `times` are in nanoseconds and ascend; `values` has row after row, as in [`Reference::new`]. Windows are compared with the newest
/// as live ones are with training, from there on back in time, by the same tests and levels; what is ordinary of these metrics
/// is as in `reference`, which must have passed [`Reference::check`] if it comes from elsewhere. Only half as much is ordinary as
/// of live rows: a reference of rows that drifted takes their drift for ordinary, and those of its successors would have more and
/// more of it.
///
/// # Errors
///
/// [`Error::Shape`] where the lengths do not fit together.
pub fn newest_regime(reference: &Reference, times: &[i64], values: &[f64], options: &Options) -> Result<usize, Error> {
    let (rows, features) = (times.len(), reference.features.len());
    if rows.checked_mul(features) != Some(values.len()) {
        return Err(Error::Shape { times: rows, values: values.len(), scores: rows, features });
    }
    let window = nanoseconds(options.window);
    let Some(last) = times.last() else { return Ok(0) };
    let enough = rows.saturating_sub(BLOCKS * BLOCK_ROWS as usize);
    let newest = times.partition_point(|time| *time <= last.saturating_sub(window)).min(enough);
    let newest_rows = &values[newest * features..];
    let column = |at: usize| newest_rows.iter().skip(at).step_by(features).copied();
    let compared = Reference {
        features: (reference.features.iter().enumerate())
            .map(|(at, feature)| Distribution { ordinary: feature.ordinary, ..Distribution::new(column(at)) })
            .collect(),
        // Scores are of several models.
        score: Distribution::new([].into_iter()),
        alarm_rate: 0.0,
        ordinary: Ordinary::default(),
    };
    // One window does not say which levels there are.
    let levels = Levels { beyond: 1.0, ..options.levels };
    let options = Options { factor: options.factor / 2.0, levels, ..options.clone() };
    let sustained = options.sustained.max(1);
    let mut live = Live::new(Arc::new(compared), options);
    for row in (0..rows).rev() {
        let values = &values[row * features..][..features];
        if live.observe(times[row].saturating_neg(), values, f64::NAN) && live.report().state == State::Drifting {
            // The first vote was so many blocks before. Half of the window that had it may be of the regime before.
            let blocks = sustained - 1 + BLOCKS / 2;
            let newer = (window / BLOCKS as i64).saturating_mul(blocks as i64);
            let first = times.partition_point(|time| *time < times[row].saturating_add(newer));
            return Ok(first.min(newest));
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MINUTE: i64 = 60_000_000_000;
    const DAY: usize = 1440;

    /// A row a minute for so many days, with two features: noise around a mean of that minute, and 7.
    fn first(days: usize, mean: impl Fn(usize) -> f64) -> usize {
        let noise = |row: usize| (row * 7919 % 1009) as f64 / 1009.0 * 12_f64.sqrt(); // of deviation 1
        let times: Vec<i64> = (0..days * DAY).map(|row| row as i64 * MINUTE).collect();
        let values: Vec<f64> = (0..days * DAY).flat_map(|row| [mean(row) + noise(row), 7.0]).collect();
        let ordinary = 5 * DAY;
        let scores = vec![0.1; ordinary];
        let window = Options::default().window;
        let reference = Reference::new(&times[..ordinary], &values[..2 * ordinary], 2, &scores, window).unwrap();
        newest_regime(&reference, &times, &values, &Options::default()).unwrap()
    }

    #[test]
    fn where_nothing_changes_all_rows_are_of_it() {
        assert_eq!(first(20, |_| 0.0), 0);
        let night = |row: usize| f64::from(u8::from(row % DAY < DAY / 3)) * 5.0;
        assert_eq!(first(20, night), 0);
        let weekend = |row: usize| f64::from(u8::from(row / DAY % 5 > 2));
        assert_eq!(first(20, weekend), 0, "the reference has seen such");
    }

    #[test]
    fn a_step_begins_another() {
        let shift = 10 * DAY + 77;
        let first = first(20, |row| f64::from(u8::from(row >= shift)) * 3.0);
        assert!((shift..shift + DAY / 2).contains(&first), "{}", first as f64 / DAY as f64);
    }

    #[test]
    fn of_slow_drift_some_days_are_of_it() {
        let first = first(28, |row| (row as f64 - 5.0 * DAY as f64).max(0.0) / (7.0 * DAY as f64));
        assert!((23 * DAY..26 * DAY).contains(&first), "{}", first as f64 / DAY as f64);
    }

    #[test]
    fn a_window_is_of_it_and_lengths_must_fit() {
        assert_eq!(first(7, |row| if row < 6 * DAY { 0.0 } else { 9.0 }), 6 * DAY, "a window at least");
        let reference = Reference::new(&[], &[], 1, &[], Duration::from_secs(1)).unwrap();
        assert_eq!(newest_regime(&reference, &[], &[], &Options::default()), Ok(0));
        assert_eq!(newest_regime(&reference, &[1, 2], &[1.0, f64::NAN], &Options::default()), Ok(0));
        assert!(newest_regime(&reference, &[1], &[], &Options::default()).is_err());
    }
}
