//! Figures of each column of each series.

use rayon::prelude::*;
use serde::Serialize;

use super::data::{ColumnValues, Data, Series};
use super::options::Limits;

/// The factors from a median and a mean absolute deviation to the standard deviation of a normal distribution.
const MEDIAN_TO_SIGMA: f64 = 1.482_602_218_505_602;
const MEAN_TO_SIGMA: f64 = 1.253_314_137_315_500_3;

/// A value farther from the median than this many spreads is an outlier.
const OUTLIER_SPREADS: f64 = 6.0;

/// A larger value is implausible.
const MAX_PLAUSIBLE: f64 = 1e15;

/// With fewer values, there is no drift.
const MIN_VALUES_FOR_DRIFT: usize = 60;

/// Figures of a column of one series.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Profile {
    pub(super) measurement: String,
    pub(super) column: String,
    pub(super) series: String,
    #[serde(skip)]
    pub(super) group: usize,
    pub(super) values: u64,
    pub(super) missing: u64,
    pub(super) missing_share: f64,
    pub(super) longest_missing: u64,
    pub(super) infinite: u64,
    #[serde(skip)]
    pub(super) infinite_line: Option<u64>,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) mean: f64,
    pub(super) median: f64,
    /// A robust standard deviation.
    pub(super) spread: f64,
    /// The share of the values that equal the median.
    pub(super) same_share: f64,
    pub(super) huge: Share,
    pub(super) negative: Share,
    /// The largest of the values below zero.
    #[serde(skip)]
    pub(super) least_negative: f64,
    pub(super) above_100: Share,
    pub(super) unexpected: Share,
    pub(super) expected: Option<[f64; 2]>,
    pub(super) outliers: u64,
    pub(super) outlier_share: f64,
    pub(super) farthest: Option<Outlier>,
    /// Resets, if it is a counter.
    pub(super) resets: Option<u64>,
    /// The change of the median from the first third to the last, in spreads within them.
    pub(super) drift: Option<f64>,
}

/// How many values have a property, and the first of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Share {
    pub(super) count: u64,
    pub(super) first_line: Option<u64>,
    pub(super) first_value: Option<f64>,
}

/// An outlier.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Outlier {
    pub(super) value: f64,
    pub(super) line: u64,
    /// Its distance from the median, in spreads.
    pub(super) spreads: f64,
}

impl Profile {
    /// Whether all values are equal.
    pub(super) fn is_constant(&self) -> bool {
        self.values > 0 && self.min >= self.max
    }

    /// Whether nearly all values are equal.
    pub(super) fn is_nearly_constant(&self) -> bool {
        self.same_share >= 0.99
    }

    /// Whether its name is that of a percentage.
    pub(super) fn is_percentage(&self) -> bool {
        let name = self.column.to_ascii_lowercase();
        name.contains("percent") || name.contains("pct") || name.starts_with("usage_")
    }
}

/// The figures of all columns with values.
pub(super) fn all(data: &Data, limits: &Limits) -> Vec<Profile> {
    let columns: Vec<_> = data
        .series
        .iter()
        .flat_map(|series| series.columns.iter().map(move |(column, numbers)| (series, column, numbers)))
        .collect();
    columns
        .into_par_iter()
        .map_init(Vec::new, |scratch, (series, column, numbers)| {
            let group = &data.groups[series.group];
            let expected = limits.expected(&group.columns[column]);
            let described = describe(series, numbers, expected, scratch);
            Profile { measurement: group.name.clone(), column: group.columns[column].clone(), ..described }
        })
        .collect()
}

fn describe(series: &Series, numbers: &ColumnValues, expected: Option<[f64; 2]>, scratch: &mut Vec<f64>) -> Profile {
    let values = &numbers.values;
    let count = values.len() as f64;
    let place = |found: Option<usize>, of: u64| Share {
        count: of,
        first_line: found.map(|value| series.line(numbers.row(value))),
        first_value: found.map(|value| values[value]),
    };
    let tally = |is: &dyn Fn(f64) -> bool| {
        let found = values.iter().filter(|value| is(**value)).count() as u64;
        place(if found > 0 { values.iter().position(|value| is(*value)) } else { None }, found)
    };
    let (missing, longest_missing) = numbers.missing(series.rows());
    let median = median(values, scratch);
    let spread = spread(values, median, scratch);
    let (outliers, farthest) = outliers(values, median, spread);
    let farthest = farthest.map(|value| Outlier {
        value: values[value],
        line: series.line(numbers.row(value)),
        spreads: (values[value] - median).abs() / spread,
    });
    let resets = resets(values);
    Profile {
        measurement: String::new(),
        column: String::new(),
        series: series.name.clone(),
        group: series.group,
        values: values.len() as u64,
        missing,
        missing_share: missing as f64 / (series.rows().max(1)) as f64,
        longest_missing,
        infinite: numbers.infinite.count,
        infinite_line: numbers.infinite.line(),
        min: values.iter().copied().fold(f64::INFINITY, f64::min),
        max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        mean: values.iter().sum::<f64>() / count,
        median,
        spread,
        same_share: values.iter().filter(|value| value.total_cmp(&median).is_eq()).count() as f64 / count,
        huge: tally(&|value| value.abs() > MAX_PLAUSIBLE),
        negative: tally(&|value| value < 0.0),
        least_negative: values.iter().copied().filter(|value| *value < 0.0).fold(f64::NEG_INFINITY, f64::max),
        above_100: tally(&|value| value > 100.0),
        unexpected: expected.map_or_else(Share::default, |[from, to]| tally(&|value| value < from || value > to)),
        expected,
        outliers,
        outlier_share: outliers as f64 / count,
        farthest,
        resets,
        drift: if resets.is_none() { drift(values, spread, scratch) } else { None },
    }
}

/// The median; the upper one of two. NaN without values.
pub(super) fn median(values: &[f64], scratch: &mut Vec<f64>) -> f64 {
    scratch.clear();
    scratch.extend_from_slice(values);
    middle(scratch)
}

fn middle(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let half = values.len() / 2;
    *values.select_nth_unstable_by(half, f64::total_cmp).1
}

/// The spread from the median absolute deviation or, if most values are equal and that is 0, from the mean one.
fn spread(values: &[f64], median: f64, scratch: &mut Vec<f64>) -> f64 {
    scratch.clear();
    scratch.extend(values.iter().map(|value| (value - median).abs()));
    let robust = middle(scratch) * MEDIAN_TO_SIGMA;
    if robust > 0.0 {
        return robust;
    }
    scratch.iter().sum::<f64>() / scratch.len() as f64 * MEAN_TO_SIGMA
}

/// The number of outliers, and the index of the farthest.
fn outliers(values: &[f64], median: f64, spread: f64) -> (u64, Option<usize>) {
    let (mut count, mut farthest, mut distance) = (0, None, OUTLIER_SPREADS * spread);
    for (at, value) in values.iter().enumerate() {
        let own = (value - median).abs();
        if own > OUTLIER_SPREADS * spread {
            count += 1;
            if own > distance {
                (farthest, distance) = (Some(at), own);
            }
        }
    }
    (count, farthest)
}

/// The resets of a counter; `None` if it is no counter. A counter only grows but for resets, which are large.
fn resets(values: &[f64]) -> Option<u64> {
    const MIN_STEPS: u64 = 20;
    let (mut up, mut down, mut small) = (0_u64, 0_u64, false);
    for step in values.windows(2) {
        if step[1] > step[0] {
            up += 1;
        } else if step[1] < step[0] {
            down += 1;
            small |= step[1] > step[0] / 2.0;
        }
    }
    let never_negative = values.iter().all(|value| *value >= 0.0);
    (never_negative && !small && up >= MIN_STEPS && up >= 20 * down).then_some(down)
}

/// The change of the median from the first third to the last, in the spread within them, which the drift does not widen.
fn drift(values: &[f64], spread_of_all: f64, scratch: &mut Vec<f64>) -> Option<f64> {
    if values.len() < MIN_VALUES_FOR_DRIFT {
        return None;
    }
    let third = values.len() / 3;
    let [first, last] = [&values[..third], &values[values.len() - third..]].map(|part| {
        let median = median(part, scratch);
        (median, spread(part, median, scratch))
    });
    let within = f64::midpoint(first.1, last.1);
    let unit = if within > 0.0 { within } else { spread_of_all };
    if unit > 0.0 { Some((last.0 - first.0) / unit) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread_of(values: &[f64]) -> f64 {
        let mut scratch = Vec::new();
        let median = median(values, &mut scratch);
        spread(values, median, &mut scratch)
    }

    #[test]
    fn spreads_are_robust_and_zero_only_for_constants() {
        let mut values: Vec<f64> = (0..1000).map(f64::from).collect();
        let spread = spread_of(&values);
        assert!((spread - 250.0 * MEDIAN_TO_SIGMA).abs() < 1.0, "{spread}");
        values[7] = 1e12;
        assert!((spread_of(&values) - spread).abs() < 1.0);
        assert_eq!(outliers(&values, 500.0, spread), (1, Some(7)));
        let mut mostly = vec![3.0; 1000];
        assert!(spread_of(&mostly) <= 0.0);
        mostly[0] = 4.0;
        assert!(spread_of(&mostly) > 0.0);
        assert!(median(&[], &mut Vec::new()).is_nan());
    }

    #[test]
    fn counters_grow_except_for_resets() {
        let count: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!(resets(&count), Some(0));
        let twice: Vec<f64> = (0..200).map(|at| f64::from(at % 100) * 3.0).collect();
        assert_eq!(resets(&twice), Some(1));
        let gauge: Vec<f64> = (0..100).map(|at| f64::from(at) + f64::from(at % 7) * 9.0).collect();
        assert_eq!(resets(&gauge), None);
        assert_eq!(resets(&[5.0; 100]), None);
        assert_eq!(resets(&[]), None);
    }

    #[test]
    fn drift_is_distinguished_from_noise() {
        let noise = |at: u32| f64::from(at * 7919 % 1000) / 1000.0;
        let level: Vec<f64> = (0..3000).map(noise).collect();
        let drift_of = |values: &[f64]| drift(values, spread_of(values), &mut Vec::new()).unwrap();
        assert!(drift_of(&level).abs() < 0.2);
        let shifted: Vec<f64> = (0..3000).map(|at| noise(at) + if at < 1500 { 0.0 } else { 5.0 }).collect();
        assert!(drift_of(&shifted) > 3.0);
        assert_eq!(drift(&level[..10], 1.0, &mut Vec::new()), None);
    }
}
