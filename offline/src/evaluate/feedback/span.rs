//! Consecutive rows of a series: an event, or an alarm.

use std::ops::Range;

use jiff::Timestamp;
use qualm_core::trained::prepare::quantile;
use serde::Serialize;

use super::Series;
use crate::history::timestamp;

/// How many rows before a span give the usual range, at least; before a longer span, as many as it has.
const MIN_CONTEXT_ROWS: usize = 300;
/// With fewer values before a span, there is no usual range.
const MIN_CONTEXT_VALUES: usize = 10;
/// The share of values below, and above, the usual range.
const USUAL_TAIL: f64 = 0.05;

/// Consecutive rows of a series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Span {
    /// The time of its first row.
    pub from: Timestamp,
    /// The time of its last row.
    pub to: Timestamp,
    /// How many rows it has.
    pub rows: usize,
    /// The row with the highest score, if any has one.
    pub peak: Option<Peak>,
    /// The reason of the alarm, if there was one and the detector reports it; of several, that with the highest score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Of a series of vectors, the feature that explains most; `values` and `usual` are its.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
    /// The least and the largest value in it.
    pub values: Option<[f64; 2]>,
    /// The least and the largest of the middle 90 % of the values before it.
    pub usual: Option<[f64; 2]>,
    /// The rows in the series, and the index of the feature.
    #[serde(skip)]
    pub(crate) places: Range<usize>,
    #[serde(skip)]
    pub(crate) column: usize,
}

/// The row with the highest score.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Peak {
    /// Its time.
    pub time: Timestamp,
    /// Its score.
    pub score: f64,
    /// Its value; of a vector, that of the feature that explains most.
    pub value: Option<f64>,
}

impl Span {
    pub(super) fn of(series: &Series, places: Range<usize>) -> Self {
        let Series { table, scores, causes, reasons, .. } = series;
        let highest = |of: &dyn Fn(&usize) -> bool| {
            let scored = places.clone().filter(|row| !scores[*row].is_nan() && of(row));
            scored.max_by(|&a, &b| scores[a].total_cmp(&scores[b]).then(b.cmp(&a))) // the first of equals
        };
        let peak = highest(&|_| true);
        let reason = highest(&|row| reasons.contains_key(row)).and_then(|row| reasons[&row].name());
        let cause = peak.and_then(|peak| causes.get(&peak).copied());
        let column = cause.unwrap_or_else(|| furthest(series, &places));
        let value = |row: usize| Some(table.values[row * table.features() + column]).filter(|value| value.is_finite());
        Self {
            from: timestamp(table.times[places.start]),
            to: timestamp(table.times[places.end - 1]),
            rows: places.len(),
            peak: peak.map(|row| Peak { time: timestamp(table.times[row]), score: scores[row], value: value(row) }),
            reason,
            feature: (table.features() > 1).then(|| table.names[column].clone()),
            values: ends(&sorted(series, places.clone(), column), 0.0),
            usual: usual(series, &places, column),
            places,
            column,
        }
    }

    /// The rows before it that give the usual range.
    pub(crate) fn before(&self) -> Range<usize> {
        before(&self.places)
    }

    pub(crate) fn score(&self) -> f64 {
        self.peak.map_or(f64::NEG_INFINITY, |peak| peak.score)
    }
}

fn before(places: &Range<usize>) -> Range<usize> {
    places.start.saturating_sub(MIN_CONTEXT_ROWS.max(places.len()))..places.start
}

fn usual(series: &Series, places: &Range<usize>, column: usize) -> Option<[f64; 2]> {
    let values = sorted(series, before(places), column);
    if values.len() < MIN_CONTEXT_VALUES { None } else { ends(&values, USUAL_TAIL) }
}

/// The feature whose values are furthest from the usual range, in widths of it.
fn furthest(series: &Series, places: &Range<usize>) -> usize {
    let distance = |column: usize| {
        let values = ends(&sorted(series, places.clone(), column), 0.0);
        values.zip(usual(series, places, column)).map_or(0.0, |([least, most], [low, high])| {
            let width = (high - low).max(1e-9 * high.abs().max(low.abs())).max(f64::MIN_POSITIVE);
            (most - high).max(low - least) / width
        })
    };
    let features = series.table.features();
    if features < 2 {
        return 0;
    }
    (0..features).max_by(|&a, &b| distance(a).total_cmp(&distance(b)).then(b.cmp(&a))).unwrap_or(0)
}

fn sorted(series: &Series, places: Range<usize>, column: usize) -> Vec<f64> {
    let features = series.table.features();
    let values = places.map(|row| series.table.values[row * features + column]);
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

fn ends(sorted: &[f64], tail: f64) -> Option<[f64; 2]> {
    (!sorted.is_empty()).then(|| [quantile(sorted, tail), quantile(sorted, 1.0 - tail)])
}

#[cfg(test)]
mod tests {
    use qualm_contract::Reason;

    use super::*;

    /// Two features: one counts to 100 repeatedly, the other is constant but for one row.
    fn series() -> Series {
        let mut series = Series::new("a".to_owned(), vec!["up".to_owned(), "flat".to_owned()], None);
        for row in 0..500_i64 {
            let flat = if row == 450 { 9.0 } else { 5.0 };
            let score = if row == 450 { 3.0 } else { 0.5 };
            series.add(row * 1_000_000_000, row as u64, &[(row % 101) as f64, flat], score, score > 1.0, &[]);
        }
        series
    }

    #[test]
    fn a_span_names_the_unusual_feature() {
        let span = Span::of(&series(), 449..452);
        assert_eq!((span.rows, span.feature.as_deref(), span.values), (3, Some("flat"), Some([5.0, 9.0])));
        assert_eq!((span.usual, span.before()), (Some([5.0, 5.0]), 149..449));
        let peak = span.peak.unwrap();
        assert_eq!((peak.time, peak.value), (timestamp(450_000_000_000), Some(9.0)));
        let mut explained = series();
        explained.causes.insert(450, 0);
        assert_eq!(Span::of(&explained, 450..451).feature.as_deref(), Some("up"), "the detector knows best");
    }

    #[test]
    fn a_span_has_the_reason_with_the_highest_score() {
        let mut series = series();
        series.reasons.extend([(449, Reason::LevelShift), (451, Reason::Stuck)]);
        assert_eq!(Span::of(&series, 449..452).reason, Some("level_shift"), "450 has a higher score and none");
        series.scores[451] = 0.7;
        assert_eq!(Span::of(&series, 449..452).reason, Some("stuck"));
        assert_eq!(Span::of(&series, 450..451).reason, None);
    }

    #[test]
    fn a_new_series_has_no_usual_range() {
        let mut series = series();
        series.scores[3] = f64::NAN;
        let span = Span::of(&series, 3..4);
        assert_eq!((span.usual, span.peak, span.values), (None, None, Some([3.0, 3.0])));
    }
}
