//! Event-based figures: labelled events matched with alarms.
//!
//! An event is a run of labelled rows of one series, an alarm a run of rows of one series above the threshold. An event is
//! found if any of its rows alarms; an alarm is right if it touches an event. A table interleaves series, so runs are of
//! places within a series. A single endless alarm would find every event and be right: read these figures together with those
//! of rows ([`metrics`](super::metrics)).

use std::ops::Range;

use qualm_core::trained::prepare::quantile;
use serde::Serialize;

use super::metrics::{is_alarm, share};

/// The rows of each series, in the order of their times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequences(Vec<Vec<usize>>);

/// Consecutive rows of one series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run<'a> {
    /// Their series.
    pub series: u32,
    /// Their places in the table.
    pub rows: &'a [usize],
    /// Their places among the rows of the series.
    places: Range<usize>,
}

impl Sequences {
    /// Groups the rows of a table by series.
    #[must_use]
    pub fn new(series: &[u32]) -> Self {
        let mut rows = vec![Vec::new(); series.iter().max().map_or(0, |most| *most as usize + 1)];
        for (row, series) in series.iter().enumerate() {
            rows[*series as usize].push(row);
        }
        Self(rows)
    }

    /// The rows of each series.
    pub fn rows(&self) -> impl Iterator<Item = &[usize]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// The runs of rows for which `holds`, series by series.
    pub fn runs<'a>(&'a self, holds: impl Fn(usize) -> bool + 'a) -> impl Iterator<Item = Run<'a>> + 'a {
        self.0.iter().enumerate().flat_map(move |(series, rows)| {
            let held: Vec<bool> = rows.iter().map(|row| holds(*row)).collect();
            let mut out = Vec::new();
            let mut place = 0;
            for same in held.chunk_by(|one, other| one == other) {
                let places = place..place + same.len();
                place = places.end;
                if same[0] {
                    out.push(Run { series: series as u32, rows: &rows[places.clone()], places });
                }
            }
            out
        })
    }
}

impl Run<'_> {
    /// Whether `other` overlaps this one, extended by `tolerance` rows at both ends.
    fn touches(&self, other: &Self, tolerance: usize) -> bool {
        self.series == other.series
            && other.places.start < self.places.end + tolerance
            && self.places.start < other.places.end + tolerance
    }
}

/// The figures of events and alarms.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Events {
    /// Runs of labelled rows.
    pub events: u64,
    /// Those among them that were found.
    pub found: u64,
    /// Runs of rows above the threshold.
    pub alarms: u64,
    /// Those among them that touch an event.
    pub right: u64,
    /// The share of events that were found.
    pub recall: Option<f64>,
    /// The share of alarms that are right.
    pub precision: Option<f64>,
    /// The harmonic mean of both.
    pub f1: Option<f64>,
    /// The delay of the events that were found: from an event's first row to its first alarm.
    pub delay: Option<Delay>,
    /// This many rows before and after an event count as part of it.
    pub tolerance: usize,
}

/// The delay of a found event, or the median of several. It is 0 if an alarm had begun before the event.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Delay {
    /// In rows of the series.
    pub rows: f64,
    /// In time.
    pub seconds: f64,
}

impl Events {
    /// Compares alarms with labels.
    #[must_use]
    pub fn of(sequences: &Sequences, times: &[i64], scores: &[f64], labels: &[bool], tolerance: usize) -> Self {
        let matches = Matches::of(sequences, times, |row| is_alarm(scores[row]), labels, tolerance);
        let right = matches.alarms.iter().filter(|(_, right)| *right).count();
        let delay = median_delay(matches.events.iter().filter_map(|(_, delay)| *delay));
        let found = matches.events.iter().filter(|(_, delay)| delay.is_some()).count();
        let (events, found, alarms, right) =
            (matches.events.len() as u64, found as u64, matches.alarms.len() as u64, right as u64);
        let (recall, precision) = (share(found, events), share(right, alarms));
        let f1 = match (recall, precision) {
            (Some(recall), Some(precision)) if recall + precision > 0.0 => {
                Some(2.0 * recall * precision / (recall + precision))
            }
            (Some(_), _) => Some(0.0),
            (None, _) => None,
        };
        Self { events, found, alarms, right, recall, precision, f1, delay, tolerance }
    }
}

/// Each event and alarm with its match.
#[derive(Debug, Clone, PartialEq)]
pub struct Matches<'a> {
    /// Each event and, if it was found, its delay.
    pub events: Vec<(Run<'a>, Option<Delay>)>,
    /// Each alarm, and whether it touches an event.
    pub alarms: Vec<(Run<'a>, bool)>,
}

impl<'a> Matches<'a> {
    /// Matches runs of alarming rows with runs of labelled rows.
    pub fn of(
        sequences: &'a Sequences,
        times: &[i64],
        is_alarm: impl Fn(usize) -> bool + 'a,
        labels: &'a [bool],
        tolerance: usize,
    ) -> Self {
        let events: Vec<Run<'_>> = sequences.runs(|row| labels[row]).collect();
        let alarms: Vec<Run<'_>> = sequences.runs(is_alarm).collect();
        let delay = |event: &Run<'_>| {
            let first = touching(&alarms, event, tolerance).next()?;
            // If the alarm began before the event, the delay ends at the event's first row.
            let place = first.places.start.max(event.places.start);
            let row = first.rows[(place - first.places.start).min(first.rows.len() - 1)];
            Some(Delay {
                rows: (place - event.places.start) as f64,
                seconds: (times[row] - times[event.rows[0]]).max(0) as f64 / 1e9,
            })
        };
        let delays: Vec<_> = events.iter().map(delay).collect();
        let rights: Vec<_> = alarms.iter().map(|alarm| touching(&events, alarm, tolerance).next().is_some()).collect();
        Self { events: events.into_iter().zip(delays).collect(), alarms: alarms.into_iter().zip(rights).collect() }
    }
}

/// The median of delays; `None` without any.
pub(crate) fn median_delay(delays: impl Iterator<Item = Delay>) -> Option<Delay> {
    let (mut rows, mut seconds): (Vec<f64>, Vec<f64>) = delays.map(|delay| (delay.rows, delay.seconds)).unzip();
    (!rows.is_empty()).then(|| Delay { rows: median(&mut rows), seconds: median(&mut seconds) })
}

/// Those of the sorted `runs` that touch `other`.
fn touching<'a, 'b>(runs: &'b [Run<'a>], other: &'b Run<'a>, tolerance: usize) -> impl Iterator<Item = &'b Run<'a>> {
    let before = |run: &Run<'_>| (run.series, run.places.end + tolerance) <= (other.series, other.places.start);
    let first = runs.partition_point(before);
    runs[first..].iter().take_while(move |run| run.touches(other, tolerance))
}

fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    quantile(numbers, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row a second: `!` alarms.
    fn scores(text: &str) -> Vec<f64> {
        text.bytes().map(|byte| if byte == b'!' { 2.0 } else { 0.5 }).collect()
    }

    /// `#` is labelled.
    fn labels(text: &str) -> Vec<bool> {
        text.bytes().map(|byte| byte == b'#').collect()
    }

    fn events(series: &[u32], alarms: &str, labelled: &str, tolerance: usize) -> Events {
        let times: Vec<i64> = (0..series.len() as i64).map(|row| row * 1_000_000_000).collect();
        Events::of(&Sequences::new(series), &times, &scores(alarms), &labels(labelled), tolerance)
    }

    fn of_one(alarms: &str, labelled: &str, tolerance: usize) -> (u64, u64, u64, u64, Option<f64>) {
        let found = events(&vec![0; alarms.len()], alarms, labelled, tolerance);
        (found.events, found.found, found.alarms, found.right, found.delay.map(|delay| delay.rows))
    }

    #[test]
    fn events_are_found_with_a_delay_or_missed() {
        assert_eq!(of_one("..!!...!.....!", "..##.####.###.", 0), (3, 2, 3, 2, Some(1.0)));
        assert_eq!(of_one("......", "..##..", 0), (1, 0, 0, 0, None));
        assert_eq!(of_one("!!!!!!", "..##.#", 0), (2, 2, 1, 1, Some(0.0)), "one alarm, that never ends");
        assert_eq!(of_one("!..!..", "......", 0), (0, 0, 2, 0, None));
    }

    #[test]
    fn tolerance_extends_events() {
        assert_eq!(of_one(".!....", "..##..", 0).1, 0);
        assert_eq!(of_one(".!....", "..##..", 1), (1, 1, 1, 1, Some(0.0)), "before it: not late");
        assert_eq!(of_one("....!.", "..##..", 1), (1, 1, 1, 1, Some(2.0)));
        assert_eq!(of_one(".....!", "..##..", 1).1, 0);
    }

    #[test]
    fn shares_and_delays_are_computed() {
        let found = events(&[0; 10], "..!!.!....", ".###....##", 0);
        assert_eq!((found.recall, found.precision, found.f1), (Some(0.5), Some(0.5), Some(0.5)));
        assert_eq!(found.delay, Some(Delay { rows: 1.0, seconds: 1.0 }));
        let none = events(&[0; 3], "...", "###", 0);
        assert_eq!((none.recall, none.precision, none.f1), (Some(0.0), None, Some(0.0)));
    }

    #[test]
    fn series_do_not_mix() {
        // Rows of two series in turn: an event of the one, an alarm of the other at the same time.
        let found = events(&[0, 1, 0, 1, 0, 1], ".!.!..", "#.#...", 0);
        assert_eq!((found.events, found.found, found.alarms, found.right), (1, 0, 1, 0));
        let found = events(&[0, 1, 0, 1, 0, 1], "....!!", "..#.#.", 0);
        assert_eq!((found.events, found.found, found.alarms, found.right), (1, 1, 2, 1));
        assert_eq!(found.delay, Some(Delay { rows: 1.0, seconds: 2.0 }), "a row of its series, two of the table");
    }

    #[test]
    fn the_binary_search_equals_a_linear_one() {
        let mut random = super::super::random::Random::new(7);
        for tolerance in 0..3 {
            let series: Vec<u32> = (0..300).map(|_| random.below(3) as u32).collect();
            let of_rows = Sequences::new(&series);
            let (ones, others): (Vec<bool>, Vec<bool>) =
                (0..300).map(|_| (random.unit() < 0.3, random.unit() < 0.2)).unzip();
            let ones: Vec<Run<'_>> = of_rows.runs(|row| ones[row]).collect();
            for other in of_rows.runs(|row| others[row]) {
                let all: Vec<&Run<'_>> = ones.iter().filter(|run| run.touches(&other, tolerance)).collect();
                assert_eq!(touching(&ones, &other, tolerance).collect::<Vec<_>>(), all);
            }
        }
    }
}
