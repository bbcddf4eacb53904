//! Expected bands, drawn behind the values.

use std::ops::{Range, RangeInclusive};

use maud::{Markup, html};
use qualm_contract::Band;

use super::plot::{path, stroke};
use super::series::{Axis, columns, joined, runs};
use crate::evaluate::feedback::Series;

/// The bands of some rows of a series, by column of a drawing.
pub(super) struct Bands {
    /// From the least lower end in a column to the greatest upper end, so that no ordinary value is drawn outside.
    ends: Vec<Option<RangeInclusive<f64>>>,
    /// The middle of the expected values in a column.
    expected: Vec<Option<RangeInclusive<f64>>>,
}

impl Bands {
    pub(super) fn of(axis: &Axis<'_>, series: &Series, places: &Range<usize>) -> Self {
        let drawn = |number: fn(Band) -> f64| {
            columns(axis, &places.clone().map(|row| number(series.band(row))).collect::<Vec<_>>())
        };
        let lower = drawn(|band| open(band, band.lower, f64::NEG_INFINITY));
        let upper = drawn(|band| open(band, band.upper, f64::INFINITY));
        let ends = lower.into_iter().zip(upper).map(|(lower, upper)| Some(*lower?.start()..=*upper?.end())).collect();
        let middle = |column: RangeInclusive<f64>| {
            let middle = column.start() / 2.0 + column.end() / 2.0;
            middle..=middle
        };
        let expected = drawn(|band| band.expected).into_iter().map(|column| column.map(middle)).collect();
        Self { ends, expected }
    }

    /// Whether no band is known.
    pub(super) fn is_empty(&self) -> bool {
        self.ends.iter().chain(&self.expected).all(Option::is_none)
    }

    /// The numbers that the drawing must have room for: the middle ones of its ends. After an incident a band may be a hundred
    /// times as wide for a while, and values drawn to its scale would be a straight line.
    pub(super) fn typical(&self) -> impl Iterator<Item = f64> {
        let middle = |end: fn(&RangeInclusive<f64>) -> &f64| {
            let mut all: Vec<f64> =
                self.ends.iter().flatten().map(end).copied().filter(|end| end.is_finite()).collect();
            all.sort_unstable_by(f64::total_cmp);
            all.get(all.len() / 2).copied()
        };
        [middle(RangeInclusive::start), middle(RangeInclusive::end)].into_iter().flatten()
    }

    /// The band as an area, and the expected values as a line; `up` maps a value to a height.
    pub(super) fn svg(&self, up: impl Fn(f64) -> f64) -> Markup {
        let Self { ends, expected } = self;
        let area = |run: Vec<(f64, &RangeInclusive<f64>)>| {
            let there = run.iter().map(|(right, ends)| Some((*right, up(*ends.start()))));
            let back = run.iter().rev().map(|(right, ends)| Some((*right, up(*ends.end()))));
            path(there.chain(back)) + "Z"
        };
        let areas: String = runs(ends).into_iter().map(area).collect();
        let line = path(joined(expected).map(|point| point.map(|(right, value)| (right, up(value)))));
        html! {
            @for (class, path) in [("band", areas), ("expected", line)] {
                @if !path.is_empty() {
                    (stroke(class, &path))
                }
            }
        }
    }
}

/// An end of a band; an unknown one is beyond all values.
fn open(band: Band, end: f64, beyond: f64) -> f64 {
    if band.is_known() && end.is_nan() { beyond } else { end }
}

#[cfg(test)]
mod tests {
    use qualm_contract::Reason;

    use super::*;
    use crate::evaluate::feedback::testing::series;

    fn svg(bands: &[(usize, Band)], rows: usize) -> String {
        let plain = series("a", &".".repeat(rows));
        let mut series = Series::new("a".to_owned(), vec!["a".to_owned()], None);
        for row in 0..rows {
            series.add(plain.table.times[row], row as u64, &[row as f64], 0.1, false, &[]);
            let band = bands.iter().find(|(at, _)| *at == row).map_or(Band::UNKNOWN, |(_, band)| *band);
            series.add_details(Reason::None, band);
        }
        let bands = Bands::of(&Axis::of(&series.table.times), &series, &(0..rows));
        bands.svg(|value| value / 1000.0).into_string()
    }

    #[test]
    fn an_area_stands_where_bands_are_known_and_a_line_where_a_value_was_expected() {
        let band = |row: usize| (row, Band { expected: row as f64, lower: 0.0, upper: 1000.0 });
        let known: Vec<_> = (0..400).chain(600..1000).map(band).collect();
        let drawn = svg(&known, 1000);
        assert_eq!((drawn.matches('Z').count(), drawn.matches('M').count()), (2, 4), "a gap parts both: {drawn}");
        assert!(drawn.starts_with("<path class=\"band\" d=\"M0.0 1000.0h0L1.0 1000.0L"), "{drawn}");
        assert!(drawn.contains("L0.0 0.0Z") && drawn.contains("class=\"expected\" d=\"M0.0 1000.0h0"), "{drawn}");
        assert_eq!(svg(&[], 1000), "");
    }

    #[test]
    fn an_unknown_end_is_at_the_edge() {
        let drawn = svg(&[(2, Band { upper: 500.0, ..Band::UNKNOWN }), (3, Band { upper: 500.0, ..Band::UNKNOWN })], 4);
        assert_eq!(drawn, "<path class=\"band\" d=\"M666.7 1000.0h0L1000.0 1000.0L1000.0 500.0L666.7 500.0Z\"></path>");
    }

    #[test]
    fn a_column_shows_its_widest_band() {
        let bands: Vec<_> = (0..4000)
            .map(|row| (row, Band { expected: 100.0, lower: (row % 4) as f64 - 5.0, upper: 4000.0 + row as f64 }))
            .collect();
        let drawn = svg(&bands, 4000);
        assert!(drawn.matches('L').count() < 3000, "{}", drawn.matches('L').count());
        assert!(!drawn.contains("NaN"));
    }
}
