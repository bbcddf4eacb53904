//! Feedback as text for a terminal.

use std::iter::once;

use qualm_system::untrusted::visible;

use super::{Event, Feedback, Incident, Span};
use crate::evaluate::events::Delay;
use crate::evaluate::format::{NONE, count, number, percent, seconds, thousands};
use crate::evaluate::terminal::columns;

/// Incidents and false alarms that are listed, of each kind.
const MAX_LISTED: usize = 10;
/// Series that are listed.
const MAX_SERIES: usize = 30;

impl Feedback {
    /// The feedback as text for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let notes: String = self.notes.iter().map(|note| format!("note: {note}\n")).collect();
        [self.headline(), notes, self.table(), self.hits(), self.misses(), self.alarms()].concat()
    }

    fn headline(&self) -> String {
        let Self { incidents, hit, delay, false_alarms, false_alarms_per_day, .. } = self;
        let median = if *hit > 1 { " by the median" } else { "" };
        let delay = delay.map_or_else(String::new, |delay| format!(", {}{median}", delay_text(delay)));
        let per_day = false_alarms_per_day.map_or_else(String::new, |alarms| format!(", {} a day", number(alarms, 2)));
        let rate =
            self.false_alarm_rate.map_or_else(String::new, |rate| format!(" ({} configured)", percent(Some(rate))));
        format!(
            "\n{hit} of {} hit{delay}\n{}{per_day}; an alarm begins at {} of unlabelled values{rate}\n",
            count(incidents.len() as u64, "incident", "incidents"),
            count(*false_alarms as u64, "false alarm", "false alarms"),
            percent(self.false_alarm_share)
        )
    }

    /// The table of series with events or false alarms; the others are counted.
    fn table(&self) -> String {
        let reported: Vec<_> = self.series.iter().filter(|series| !series.is_quiet()).collect();
        if self.series.len() < 2 || reported.is_empty() {
            return String::new();
        }
        let heads = ["", "events", "hit", "missed", "after", "false alarms", "a day", "of values", "configured"];
        let rows = reported.iter().take(MAX_SERIES).map(|series| {
            vec![
                visible(&series.name),
                series.events.len().to_string(),
                series.hit().to_string(),
                (series.events.len() - series.hit()).to_string(),
                series.delay.map_or_else(|| NONE.to_owned(), |delay| seconds(delay.seconds)),
                series.false_alarms.len().to_string(),
                series.false_alarms_per_day.map_or_else(|| NONE.to_owned(), |alarms| number(alarms, 2)),
                percent(series.false_alarm_share),
                percent(series.false_alarm_rate),
            ]
        });
        let rows = once(heads.map(str::to_owned).to_vec()).chain(rows);
        let quiet = self.series.len() - reported.len();
        let quiet = match quiet {
            0 => String::new(),
            _ => format!("  and {} with neither events nor false alarms\n", count(quiet as u64, "series", "series")),
        };
        format!("\nSeries\n{}{}{quiet}", columns(rows), omitted(reported.len(), MAX_SERIES))
    }

    fn hits(&self) -> String {
        let all: Vec<_> = self.incidents.iter().filter(|incident| incident.hit > 0).collect();
        let row = |incident: &&Incident| {
            let event = self.event(incident);
            let when = event.hit.map_or_else(String::new, delay_text);
            vec![incident.times(event), self.series_text(incident), when, score(&event.span), values(&event.span)]
        };
        list("Hit", all.len(), all.iter().map(row))
    }

    fn misses(&self) -> String {
        let all = self.worst_missed();
        let row = |(incident, event): &(&Incident, &Event)| {
            let when = event.span.peak.map_or_else(String::new, |peak| format!("at {}", peak.time));
            vec![incident.times(event), self.series_text(incident), score(&event.span), when, values(&event.span)]
        };
        list("Missed, the longest first", all.len(), all.iter().map(row))
    }

    fn alarms(&self) -> String {
        let all = self.worst_false_alarms();
        let row = |(series, span): &(usize, &Span)| {
            let name = if self.series.len() > 1 { visible(&self.series[*series].name) } else { String::new() };
            let rows = count(span.rows as u64, "row", "rows");
            vec![span.from.to_string(), name, score(span), rows, values(span)]
        };
        list("False alarms, the highest score first", all.len(), all.iter().map(row))
    }

    /// The series that represents an incident, and in how many series it is.
    fn series_text(&self, incident: &Incident) -> String {
        let Incident { series, hit, nearest, .. } = incident;
        match (self.series.len(), series, hit) {
            (0 | 1, ..) => String::new(),
            (_, 1, _) => visible(nearest),
            (_, all, 0) => format!("{} (of {all} series)", visible(nearest)),
            (_, all, 1) => format!("{} (alone of {all} series)", visible(nearest)),
            (_, all, hit) => format!("{} (first of {hit} of {all} series)", visible(nearest)),
        }
    }
}

impl Incident {
    fn times(&self, event: &Event) -> String {
        let goes_on = if event.goes_on { ", goes on" } else { "" };
        format!("{} – {}{goes_on}", self.from, self.to)
    }
}

/// The delay of a hit as text.
pub(crate) fn delay_text(delay: Delay) -> String {
    let rows = match delay.rows {
        0.0 => return "at once".to_owned(),
        1.0 => "1 row".to_owned(),
        rows => format!("{} rows", number(rows, 4)), // a median may lie between two
    };
    format!("after {} ({rows})", seconds(delay.seconds))
}

fn score(span: &Span) -> String {
    let why = reason(span).map_or_else(String::new, |why| format!(" ({why})"));
    span.peak.map_or_else(|| "no score yet".to_owned(), |peak| format!("score {}{why}", number(peak.score, 3)))
}

/// The values of a span, and the usual range.
fn values(span: &Span) -> String {
    let usual = usual(span).map_or_else(String::new, |usual| format!(", usual before: {usual}"));
    format!("{}{usual}", visible(&extent(span)))
}

/// The reason of a span's alarm as text.
pub(crate) fn reason(span: &Span) -> Option<String> {
    span.reason.map(|word| word.replace('_', " "))
}

/// The range of a span's values as text.
pub(crate) fn extent(span: &Span) -> String {
    let Some([least, most]) = span.values else { return "no value".to_owned() };
    let feature = span.feature.as_ref().map_or_else(String::new, |feature| format!("{feature} "));
    format!("{feature}{}", range(least, most))
}

/// The usual range before a span as text.
pub(crate) fn usual(span: &Span) -> Option<String> {
    span.usual.map(|[low, high]| range(low, high))
}

/// A range as text, or one number if both ends look the same.
fn range(low: f64, high: f64) -> String {
    let [low, high] = [low, high].map(|end| number(end, 4));
    if low == high { low } else { format!("{low} … {high}") }
}

/// A list with a title, of at most [`MAX_LISTED`] rows.
fn list(title: &str, all: usize, rows: impl Iterator<Item = Vec<String>>) -> String {
    if all == 0 {
        return String::new();
    }
    format!("\n{title}\n{}{}", columns(rows.take(MAX_LISTED)), omitted(all, MAX_LISTED))
}

fn omitted(all: usize, shown: usize) -> String {
    match all.saturating_sub(shown) {
        0 => String::new(),
        omitted => format!("  and {} more\n", thousands(omitted as u64)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::testing::series;
    use super::*;
    use crate::evaluate::labels::Labels;

    #[test]
    fn the_text_is_complete_and_has_no_control_characters() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l.csv");
        fs::write(&path, "start,end,series\n300,320,cpu\n350,360,cpu\n").unwrap();
        let alarms: String = (0..400).map(|row| if [20, 305, 390].contains(&row) { '!' } else { '.' }).collect();
        let all = [series("cpu", &alarms), series("m\u{1b}[31m", &"!.".repeat(200)), series("quiet", &".".repeat(400))];
        let labels = Labels::read(&path).unwrap();
        let text = Feedback::of(&all, &labels).unwrap().text();
        for part in [
            "\n1 of 2 incidents hit, after 5s (5 rows)\n202 false alarms, ",
            "of unlabelled values (0.01 % configured)",
            "and 1 series with neither events nor false alarms",
            "1970-01-01T00:05:00Z – 1970-01-01T00:05:19Z  cpu  after 5s (5 rows)  score 307  300 … 319, \
             usual before: 14.95 … 284.1",
            "Missed, the longest first\n  1970-01-01T00:05:50Z – 1970-01-01T00:05:59Z  cpu  score 0.5  at",
            "and 192 more",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains('\u{1b}') && !text.contains("NaN"), "{text}");
        let alone = Feedback::of(&all[..1], &labels).unwrap().text();
        assert!(!alone.contains("cpu") && !alone.contains("Series"), "one needs no name: {alone}");
    }
}
