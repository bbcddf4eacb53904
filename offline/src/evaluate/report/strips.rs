//! A series' values over time, its scores beneath, and shades for hits, misses and false alarms.

use std::ops::Range;

use jiff::Timestamp;
use maud::{Markup, html};

use super::bands::Bands;
use super::html::caption;
use super::plot::{Plot, Tick, line, path, rectangle, stroke};
use super::series::{Axis, MIN_WIDTH, columns, height, joined, stretch, ticks_up};
use crate::evaluate::feedback::terminal::reason;
use crate::evaluate::feedback::{Event, Series, SeriesFeedback, Span};
use crate::evaluate::format::{number, short};

/// The number of ticks of the values' axis, about.
const TICKS: f64 = 4.0;

/// The plots of some rows of a series.
pub(super) struct Strips<'a> {
    pub(super) series: &'a Series,
    pub(super) found: &'a SeriesFeedback,
    /// The rows.
    pub(super) places: Range<usize>,
    /// The feature.
    pub(super) column: usize,
    /// The usual range, shown if no band is known.
    pub(super) usual: Option<[f64; 2]>,
}

impl Strips<'_> {
    pub(super) fn html(&self) -> Markup {
        let axis = Axis::of(&self.series.table.times[self.places.clone()]);
        let shades = self.shades(&axis);
        html! {
            (self.values(&axis, &shades))
            (self.scores(&axis, &shades))
        }
    }

    fn values(&self, axis: &Axis<'_>, shades: &Markup) -> Markup {
        let Self { series, found, places, column, usual } = self;
        let features = series.table.features();
        let value = |row: usize| Some(series.table.values[row * features + column]).filter(|value| value.is_finite());
        let values: Vec<f64> = places.clone().map(|row| value(row).unwrap_or(f64::NAN)).collect();
        let columns = columns(axis, &values);
        let bands = Bands::of(axis, series, places);
        let usual = usual.filter(|_| bands.is_empty());
        let ends = columns.iter().flatten().flat_map(|column| [*column.start(), *column.end()]);
        let (low, high) = ends
            .chain(usual.into_iter().flatten())
            .chain(bands.typical())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), end| (low.min(end), high.max(end)));
        let scale = Scale::of(low, high);
        let points = joined(&columns).map(|point| point.map(|(right, value)| (right, scale.at(value))));
        let name = if features > 1 { &series.table.names[*column] } else { &found.name };
        Plot {
            title: format!("{name} over time"),
            class: "values",
            drawing: html! {
                @if let Some([low, high]) = usual {
                    (rectangle("usual", [0.0, scale.at(low) - 0.004], [1.0, scale.at(high) + 0.004], &Markup::default()))
                }
                (bands.svg(|value| scale.at(value)))
                (shades)
                (stroke("ordinary", &path(points)))
                (self.dots(axis, |row| value(row).map(|value| scale.at(value))))
            },
            up: scale.ticks(),
            up_name: "value",
            ..Plot::default()
        }
        .html()
    }

    fn scores(&self, axis: &Axis<'_>, shades: &Markup) -> Markup {
        let scores = &self.series.scores[self.places.clone()];
        let columns = columns(axis, scores);
        let top = columns.iter().flatten().map(|column| height(*column.end())).fold(1.5, f64::max) * 1.04;
        let points = joined(&columns).map(|point| point.map(|(right, score)| (right, height(score) / top)));
        let threshold = height(1.0) / top;
        let up = ticks_up(top).filter(|(score, _)| [0.0, 1.0].contains(score) || *score >= 10.0);
        let dots = self.dots(axis, |row| {
            Some(self.series.scores[row]).filter(|score| !score.is_nan()).map(|score| height(score) / top)
        });
        Plot {
            title: "score over time".to_owned(),
            class: "scores",
            drawing: html! {
                (shades)
                (stroke("score", &path(points)))
                (line("threshold", 0.0, threshold, 1.0, threshold))
                (dots)
            },
            across: axis.ticks(),
            up: up.map(|(score, text)| Tick { at: height(score) / top, text }).collect(),
            up_name: "score",
            across_name: "",
        }
        .html()
    }

    /// The spans of events and of false alarms. There may be thousands of the latter: those that touch in the drawing are
    /// joined.
    fn shades(&self, axis: &Axis<'_>) -> Markup {
        let Self { found, .. } = self;
        let mut shades: Vec<Shade> = Vec::new();
        for event in &found.events {
            let (class, what) = if event.hit.is_some() { ("hit", "hit") } else { ("missed", "missed") };
            shades.extend(self.shade(axis, &event.span, class, what));
        }
        let events = shades.len();
        for span in &found.false_alarms {
            let Some(shade) = self.shade(axis, span, "false", "false alarm") else { continue };
            match shades[events..].last_mut().filter(|last| shade.left - last.right < MIN_WIDTH) {
                Some(last) => last.join(shade),
                None => shades.push(shade),
            }
        }
        html! {
            @for shade in &shades {
                (shade.html())
            }
        }
    }

    fn shade(&self, axis: &Axis<'_>, span: &Span, class: &'static str, what: &'static str) -> Option<Shade> {
        let Range { start, end } = &self.places;
        let places = span.places.start.max(*start)..span.places.end.min(*end);
        if places.is_empty() {
            return None;
        }
        let [left, right] = [places.start, places.end - 1].map(|row| axis.at(row - start));
        let reasons = Vec::from_iter(reason(span));
        Some(Shade { class, what, left, right, from: span.from, to: span.to, score: span.score(), reasons })
    }

    /// A dot at the highest score of each false alarm and each missed event, and at the first alarm in each hit event; `up` maps
    /// a row to a height.
    fn dots(&self, axis: &Axis<'_>, up: impl Fn(usize) -> Option<f64>) -> Markup {
        let Self { series, found, .. } = self;
        let dots = |class: &str, rows: &mut dyn Iterator<Item = usize>| {
            let inside = rows.filter(|row| self.places.contains(row));
            let points = inside.filter_map(|row| Some((axis.at(row - self.places.start), up(row)?)));
            // Dots that would be drawn onto another are dropped: thousands slow down a browser.
            let mut points: Vec<_> = points.map(|(right, up)| ((right * 500.0) as u32, (up * 50.0) as u32)).collect();
            points.sort_unstable();
            points.dedup();
            let point = |(right, up): (u32, u32)| [Some((f64::from(right) / 500.0, f64::from(up) / 50.0)), None];
            stroke(class, &path(points.into_iter().flat_map(point)))
        };
        let highest = |span: &Span, of: &dyn Fn(usize) -> bool| {
            let rows = span.places.clone().filter(|row| of(*row) && !series.scores[*row].is_nan());
            rows.max_by(|a, b| series.scores[*a].total_cmp(&series.scores[*b]).then(b.cmp(a)))
        };
        let hit = |event: &Event| {
            let delay = event.hit?;
            Some((event.span.places.start + delay.rows as usize).min(event.span.places.end - 1))
        };
        let missed = found.events.iter().filter(|event| event.hit.is_none());
        let mut missed = missed.filter_map(|event| highest(&event.span, &|_| true));
        let false_alarms = found.false_alarms.iter();
        let mut false_alarms = false_alarms.filter_map(|span| highest(span, &|row| series.alarms[row]));
        html! {
            (dots("dot missed", &mut missed))
            (dots("dot hit", &mut found.events.iter().filter_map(hit)))
            (dots("dot false", &mut false_alarms))
        }
    }
}

/// A coloured span with a tooltip.
struct Shade {
    class: &'static str,
    what: &'static str,
    left: f64,
    right: f64,
    from: Timestamp,
    to: Timestamp,
    score: f64,
    reasons: Vec<String>,
}

impl Shade {
    fn join(&mut self, next: Self) {
        self.what = "false alarms";
        self.right = next.right;
        self.to = next.to;
        self.score = self.score.max(next.score);
        let new = next.reasons.into_iter().filter(|reason| !self.reasons.contains(reason));
        self.reasons.extend(new.collect::<Vec<_>>());
    }

    fn html(&self) -> Markup {
        let Self { class, what, left, right, from, to, score, reasons } = self;
        let score = if score.is_finite() { format!(", highest score {}", number(*score, 3)) } else { String::new() };
        let until = if from < to { format!(" – {to}") } else { String::new() };
        let why: String = reasons.iter().map(|reason| format!(", {reason}")).collect();
        let title = format!("{what}: {from}{until}{score}{why}");
        stretch(class, *left, *right, &html! { title { (title) } })
    }
}

/// The legend of drawings of these series.
pub(super) fn legend(series: &[Series]) -> Markup {
    caption(html! {
        i.score {} "value" i.muted {} "score"
        i.hit {} "labelled, hit (dot: by this row)"
        i.missed {} "labelled, missed (dot: its highest score)"
        i.alarm {} "false alarm"
        @if series.iter().any(Series::has_bands) {
            i.band {} "what would have been ordinary (line: what was expected)"
        }
        @if !series.iter().all(Series::has_bands) {
            i.usual {} "usual range before"
        }
    })
}

/// The vertical scale of values.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// With a margin above and below.
    fn of(low: f64, high: f64) -> Self {
        if low > high {
            return Self { low: 0.0, high: 1.0 };
        }
        // Halves, here and below: the difference of two doubles may overflow.
        let room = if low < high { (high / 2.0 - low / 2.0) * 0.12 } else { (low.abs() * 0.1).max(1.0) };
        Self { low: (low - room).max(f64::MIN), high: (high + room).min(f64::MAX) }
    }

    fn at(&self, value: f64) -> f64 {
        (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0)
    }

    /// Ticks at round numbers.
    fn ticks(&self) -> Vec<Tick> {
        let rough = (self.high / 2.0 - self.low / 2.0) / TICKS * 2.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].map(|step| step * power).into_iter().find(|step| *step >= rough).unwrap_or(rough);
        let first = (self.low / step).ceil();
        let ticks = (0..8).map(|at| (first + f64::from(at)) * step).take_while(|value| *value <= self.high);
        ticks.map(|value| Tick { at: self.at(value), text: short(value) }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers() {
        let ticks = |low, high| Scale::of(low, high).ticks().into_iter().map(|tick| tick.text).collect::<Vec<_>>();
        assert_eq!(ticks(3.0, 97.0), ["0", "50", "100"]);
        assert_eq!(ticks(-0.2, 0.2), ["-0.2", "0", "0.2"]);
        assert_eq!(ticks(1.0e6, 3.9e7), ["0", "20M", "40M"]);
        assert_eq!(ticks(5.0, 5.0), ["4", "4.5", "5", "5.5", "6"]);
        assert!(!ticks(-1e308, 1e308).is_empty() && ticks(f64::INFINITY, f64::NEG_INFINITY).len() > 1);
        assert!((Scale::of(0.0, 10.0).at(5.0) - 0.5).abs() < 1e-12);
    }
}
