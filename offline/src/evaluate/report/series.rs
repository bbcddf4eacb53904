//! The scores over time.

use std::ops::RangeInclusive;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::plot::{Plot, Tick, line, path, rectangle};
use crate::history::timestamp;
use crate::table::Table;

/// Columns of the drawing: the scores in one are drawn as their least and largest.
const COLUMNS: usize = 1000;
/// The least width of a labelled span, so that it is visible.
pub(super) const MIN_WIDTH: f64 = 0.003;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;
/// Steps between ticks, in seconds.
const STEPS: [i64; 19] = [
    1,
    5,
    15,
    60,
    300,
    900,
    3600,
    10_800,
    21_600,
    43_200,
    86_400,
    172_800,
    604_800,
    1_209_600,
    2_592_000,
    7_776_000,
    31_536_000,
    157_680_000,
    630_720_000,
];
const MAX_TICKS: i64 = 8;

/// The scores over time, the threshold, and the labelled spans.
pub(super) fn plot(table: &Table, scores: &[f64], labels: Option<&[bool]>) -> Plot {
    let axis = Axis::of(&table.times);
    let columns = columns(&axis, scores);
    let top = columns.iter().flatten().map(|column| height(*column.end())).fold(1.5, f64::max) * 1.04;
    let points = joined(&columns).map(|point| point.map(|(right, score)| (right, height(score) / top)));
    let line_of_scores = path(points);
    let threshold = height(1.0) / top;
    // The same line twice: the part above the threshold has another colour.
    let (above, below) = ((1.0 - threshold) * 1000.0, threshold * 1000.0);
    let number = |number: f64| format!("{number:.1}");
    let drawing = html! {
        @if let Some(labels) = labels {
            (labelled(&axis, labels))
        }
        clipPath id="above" { rect x="-9" y="-9" width="1018" height=(number(above + 9.0)) {} }
        clipPath id="below" { rect x="-9" y=(number(above)) width="1018" height=(number(below + 9.0)) {} }
        path.ordinary clip-path="url(#below)" d=(line_of_scores) {}
        path.alarm clip-path="url(#above)" d=(line_of_scores) {}
        (line("threshold", 0.0, threshold, 1.0, threshold))
    };
    let up = ticks_up(top).map(|(score, text)| Tick { at: height(score) / top, text }).collect();
    Plot {
        title: "Scores over time".to_owned(),
        drawing,
        across: axis.ticks(),
        up,
        up_name: "score",
        across_name: "time (UTC)",
        ..Plot::default()
    }
}

/// The height of a score: linear up to the threshold, logarithmic above it.
pub(super) fn height(score: f64) -> f64 {
    if score > 1.0 { 1.0 + score.log10() } else { score }
}

pub(super) fn ticks_up(top: f64) -> impl Iterator<Item = (f64, String)> {
    // If there is room, ticks between the powers of ten as well.
    let fine = if top < 3.0 { &[0.5, 2.0, 5.0][..] } else { &[0.5][..] };
    let powers = (0..20).map(|power| 10_f64.powi(power));
    let all = std::iter::once(0.0).chain(fine.iter().copied()).chain(powers);
    all.filter(move |score| height(*score) <= top).map(|score| {
        let text = if score >= 1e5 { format!("10^{:.0}", score.log10()) } else { score.to_string() };
        (score, text)
    })
}

/// The horizontal position of rows: by time or, if all have the same time, by order.
pub(super) struct Axis<'a> {
    times: &'a [i64],
    first: i64,
    span: i64,
}

impl<'a> Axis<'a> {
    pub(super) fn of(times: &'a [i64]) -> Self {
        let first = times.iter().min().copied().unwrap_or(0);
        let span = times.iter().max().map_or(0, |last| last.saturating_sub(first));
        Self { times, first, span }
    }

    pub(super) fn at(&self, row: usize) -> f64 {
        if self.span > 0 {
            (self.times[row] - self.first) as f64 / self.span as f64
        } else {
            row as f64 / (self.times.len() - 1).max(1) as f64
        }
    }

    /// The median distance between rows, of those at different positions.
    fn spacing(&self) -> f64 {
        let distances = (1..self.times.len()).map(|row| self.at(row) - self.at(row - 1));
        let mut distances: Vec<f64> = distances.filter(|distance| *distance > 0.0).collect();
        distances.sort_unstable_by(f64::total_cmp);
        distances.get(distances.len() / 2).copied().unwrap_or(1.0)
    }

    pub(super) fn ticks(&self) -> Vec<Tick> {
        let Some(step) = STEPS.iter().map(|step| step * SECOND).find(|step| self.span / step <= MAX_TICKS) else {
            return Vec::new();
        };
        if self.span == 0 {
            return Vec::new();
        }
        let mut out = Vec::new();
        let mut time = self.first.div_euclid(step).saturating_add(1).saturating_mul(step);
        while time <= self.first + self.span {
            let at = (time - self.first) as f64 / self.span as f64;
            if (0.02..=0.98).contains(&at) {
                out.push(Tick { at, text: clock(timestamp(time), time.rem_euclid(DAY) == 0, step) });
            }
            time = time.saturating_add(step);
        }
        out
    }
}

fn clock(time: Timestamp, is_midnight: bool, step: i64) -> String {
    let format = match step / SECOND {
        2_592_000.. => "%b %Y",
        _ if is_midnight => "%b %-d",
        60.. => "%H:%M",
        _ => "%H:%M:%S",
    };
    time.to_zoned(TimeZone::UTC).strftime(format).to_string()
}

/// The least and largest score (or value) in each column; `None` if it is empty.
pub(super) fn columns(axis: &Axis<'_>, scores: &[f64]) -> Vec<Option<RangeInclusive<f64>>> {
    let mut out = vec![None; COLUMNS];
    for (row, score) in scores.iter().enumerate().filter(|(_, score)| !score.is_nan()) {
        let column: &mut Option<RangeInclusive<f64>> = &mut out[(axis.at(row) * (COLUMNS - 1) as f64) as usize];
        let (least, most) = column.take().map_or((*score, *score), RangeInclusive::into_inner);
        *column = Some(least.min(*score)..=most.max(*score));
    }
    out
}

/// The columns as points of a line, with gaps at unusually many empty columns.
pub(super) fn joined(columns: &[Option<RangeInclusive<f64>>]) -> impl Iterator<Item = Option<(f64, f64)>> {
    let mut out = Vec::new();
    for run in runs(columns) {
        if !out.is_empty() {
            out.push(None);
        }
        for (right, scores) in run {
            out.push(Some((right, *scores.start())));
            if scores.start() < scores.end() {
                out.push(Some((right, *scores.end())));
            }
        }
    }
    out.into_iter()
}

/// The filled columns, each with its horizontal position, split at unusually many empty columns.
pub(super) fn runs<T>(columns: &[Option<T>]) -> Vec<Vec<(f64, &T)>> {
    let filled = columns.iter().enumerate().filter_map(|(at, column)| Some((at, column.as_ref()?)));
    let filled: Vec<(usize, &T)> = filled.collect();
    let mut distances: Vec<usize> = filled.windows(2).map(|two| two[1].0 - two[0].0).collect();
    distances.sort_unstable();
    let far = distances.get(distances.len() / 2).map_or(1, |common| 4 * common + 1);
    let place = |&(at, column): &(usize, _)| (at as f64 / (columns.len() - 1) as f64, column);
    filled.chunk_by(|one, next| next.0 - one.0 <= far).map(|run| run.iter().map(place).collect()).collect()
}

/// The labelled spans; those that touch in the drawing are joined.
fn labelled(axis: &Axis<'_>, labels: &[bool]) -> Markup {
    let near = f64::max(1.5 * axis.spacing(), MIN_WIDTH);
    let mut spans: Vec<(f64, f64)> = Vec::new();
    for row in (0..labels.len()).filter(|row| labels[*row]) {
        let at = axis.at(row);
        match spans.last_mut().filter(|(_, end)| at - *end <= near) {
            Some((_, end)) => *end = end.max(at),
            None => spans.push((at, at)),
        }
    }
    html! {
        @for (start, end) in spans {
            (stretch("labelled", start, end, &Markup::default()))
        }
    }
}

/// A span of time, wide enough to be visible; `inside` is as for [`rectangle`].
pub(super) fn stretch(class: &str, start: f64, end: f64, inside: &Markup) -> Markup {
    let lacking = (MIN_WIDTH - (end - start)).max(0.0) / 2.0;
    rectangle(class, [start - lacking, 0.0], [end + lacking, 1.0], inside)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{START, servers};
    use super::*;

    fn texts(span: i64) -> Vec<String> {
        let table = Table { times: vec![START, START + span], series: vec![0, 0], ..Table::default() };
        Axis::of(&table.times).ticks().into_iter().map(|tick| tick.text).collect()
    }

    #[test]
    fn ticks_are_as_fine_as_the_range_needs() {
        assert_eq!(texts(20 * SECOND), ["00:00:05", "00:00:10", "00:00:15"]);
        let day = ["03:00", "06:00", "09:00", "12:00", "15:00", "18:00", "21:00"];
        assert_eq!(texts(DAY + SECOND), day, "what is at the very end has no room");
        assert_eq!(texts(6 * DAY), ["Jan 2", "Jan 3", "Jan 4", "Jan 5", "Jan 6"]);
        assert_eq!(texts(3000 * DAY)[0].split(' ').count(), 2, "a month and a year");
        assert!(texts(0).is_empty());
    }

    #[test]
    fn no_spike_is_lost_however_long_the_series() {
        let table = servers(1, 50_000, 1, 1);
        let mut scores = vec![0.5; 50_000];
        scores[31_234] = 70.0;
        scores[100] = f64::NAN;
        let columns = columns(&Axis::of(&table.times), &scores);
        assert_eq!(columns.iter().flatten().filter(|column| *column.end() > 1.0).count(), 1);
        assert_eq!(columns.iter().flatten().count(), COLUMNS);
    }

    #[test]
    fn a_gap_in_time_is_a_gap_in_the_line() {
        let times: Vec<i64> = (0..100).map(|row| if row < 50 { row } else { row + 100 }).collect();
        let table = Table { series: vec![0; 100], times, ..Table::default() };
        let columns = columns(&Axis::of(&table.times), &[0.5; 100]);
        assert_eq!(joined(&columns).filter(Option::is_none).count(), 1);
        let together = Table { series: vec![0; 3], times: vec![7; 3], ..Table::default() };
        assert_eq!(Axis::of(&together.times).at(1).to_bits(), 0.5_f64.to_bits());
    }

    #[test]
    fn a_score_is_drawn_above_the_threshold_if_it_is() {
        assert!(height(1.0) <= 1.0 && height(1.01) > 1.0 && height(100.0) > height(10.0));
        let ticks: Vec<String> = ticks_up(2.5).map(|(_, text)| text).collect();
        assert_eq!(ticks, ["0", "0.5", "2", "5", "1", "10"]);
    }

    #[test]
    fn labelled_rows_are_visible_spans() {
        let table = servers(1, 1000, 1, 1);
        let labels: Vec<bool> = (0..1000).map(|row| (100..200).contains(&row) || row == 500).collect();
        let drawn = labelled(&Axis::of(&table.times), &labels).into_string();
        assert_eq!(drawn.matches("<rect").count(), 2);
        assert!(drawn.contains("width=\"3.0\""), "{drawn}");
    }
}
