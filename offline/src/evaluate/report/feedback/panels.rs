//! Panels of missed incidents and false alarms, with the rows around each.

use std::ops::Range;

use maud::{Markup, html};

use super::{Page, clock, name_of};
use crate::evaluate::feedback::terminal::reason;
use crate::evaluate::feedback::{Event, Incident, Span};
use crate::evaluate::format::{count, number};
use crate::evaluate::report::html::{caption, paragraph, section};
use crate::evaluate::report::strips::{Strips, legend};

/// Panels of missed incidents and false alarms together.
const MAX_PANELS: usize = 20;
/// How many panels are reserved for each of the two.
const MIN_PANELS_EACH: usize = 8;

const MEANING: &str = "What went wrong, most severe first: missed incidents, the longest first, then false alarms, the \
    highest score first, each once with all that lies near it. A score of 1 is the threshold (dashed); above it each step \
    is ten times the last. Behind the values stands what was usual: where the middle 90 % of those before lie or, with ";

/// The worst missed incidents and false alarms.
pub(super) fn section_html(page: &Page<'_>) -> Markup {
    let missed = page.feedback.worst_missed();
    let alarms = page.feedback.worst_false_alarms();
    if missed.is_empty() && alarms.is_empty() {
        return section("A closer look", "", paragraph("Nothing was missed, and nothing alarmed without reason."));
    }
    let mut panels = Vec::new();
    let mut shown: Vec<(usize, Range<usize>)> = Vec::new();
    for (incident, event) in missed.iter().take(MAX_PANELS - alarms.len().min(MIN_PANELS_EACH)) {
        panels.push(page.missed(incident, event));
        shown.push((incident.at.0, page.around(incident.at.0, &event.span)));
    }
    let omitted_missed = missed.len() - panels.len();
    let mut omitted_alarms = 0;
    for (series, span) in &alarms {
        // A false alarm in another's panel gets none of its own.
        if shown.iter().any(|(of, places)| of == series && places.contains(&span.places.start)) {
            continue;
        }
        if panels.len() < MAX_PANELS {
            panels.push(page.false_alarm(*series, span));
            shown.push((*series, page.around(*series, span)));
        } else {
            omitted_alarms += 1;
        }
    }
    let omitted =
        [("missed incident", "missed incidents", omitted_missed), ("false alarm", "false alarms", omitted_alarms)];
    let omitted = omitted.into_iter().filter(|(.., omitted)| *omitted > 0);
    let omitted: Vec<String> = omitted.map(|(one, many, omitted)| count(omitted as u64, one, many)).collect();
    let meaning = html! { (MEANING) code { "band = true" } ", what the detector would have called ordinary." };
    let content = html! {
        (legend(page.series))
        div.panels {
            @for panel in &panels {
                (panel)
            }
        }
        @if !omitted.is_empty() {
            (caption(format!("and {} more", omitted.join(" and "))))
        }
    };
    section("A closer look", meaning, content)
}

impl Page<'_> {
    fn missed(&self, incident: &Incident, event: &Event) -> Markup {
        let series = incident.at.0;
        let others = match incident.series {
            1 => String::new(),
            all => format!(" All {all} series that are labelled then missed it; this one came nearest."),
        };
        let goes_on = if event.goes_on { " It was still going on at the end." } else { "" };
        let why = format!("{}{others}{goes_on}", why_missed(&event.span));
        self.panel(series, &event.span, &html! { span.missing { "missed" } }, &why)
    }

    fn false_alarm(&self, series: usize, span: &Span) -> Markup {
        let near = self.around(series, span);
        let others = self.feedback.series[series].false_alarms.iter();
        let others = others.filter(|other| other.places != span.places && near.contains(&other.places.start)).count();
        let others = match others {
            0 => String::new(),
            _ => format!(
                " {} in this picture as well.",
                count(others as u64, "other false alarm is", "other false alarms are")
            ),
        };
        let alarm = html! { span.bad { "false alarm" } };
        self.panel(series, span, &alarm, &format!("{}{others}", why_alarmed(span)))
    }

    fn panel(&self, series: usize, span: &Span, what: &Markup, why: &str) -> Markup {
        let found = &self.feedback.series[series];
        let rows = count(span.rows as u64, "row", "rows");
        let strips = Strips {
            series: &self.series[series],
            found,
            places: self.around(series, span),
            column: span.column,
            usual: span.usual,
        };
        let until = if span.rows > 1 { format!(" – {}", clock(span.to)) } else { String::new() };
        html! {
            div.panel {
                h3 { (what) " " (name_of(&found.name, span.feature.as_deref())) }
                p.meaning { (clock(span.from)) (until) ", " (rows) ". " (why) }
                (strips.html())
            }
        }
    }

    /// The rows that are shown with a span: those that give the usual range, and a third as many after it.
    fn around(&self, series: usize, span: &Span) -> Range<usize> {
        let before = span.before();
        let behind = (before.len() / 3).max(span.rows / 2).max(30);
        before.start..(span.places.end + behind).min(self.series[series].table.len())
    }
}

/// Why an event was missed, as far as values and scores show.
fn why_missed(span: &Span) -> String {
    let Some(peak) = span.peak else {
        return "No row of it has a score: the series was too new, or its detector failed.".to_owned();
    };
    let value = peak.value.map_or_else(String::new, |value| format!(", at a value of {}", number(value, 4)));
    let score = format!("Its highest score is {} ({}{value}).", number(peak.score, 3), clock(peak.time));
    let inside = match (span.values, span.usual) {
        (Some([least, most]), Some([low, high])) if low <= least && most <= high => {
            " So none is unusual by itself: it is their shape that is, or another metric."
        }
        _ => "",
    };
    let suppressed = if peak.score > 1.0 {
        " That is above the threshold, but the rules for what is reported (`direction`, `sustained` and the like) kept it quiet."
    } else {
        ""
    };
    format!("{score}{suppressed}{}{inside}", where_values_lie(span))
}

fn why_alarmed(span: &Span) -> String {
    let score = span.peak.map_or_else(String::new, |peak| {
        let value =
            peak.value.map_or_else(|| "a missing value".to_owned(), |value| format!("a value of {}", number(value, 4)));
        let why = reason(span).map_or_else(String::new, |why| format!(" ({why})"));
        format!("A score of {} at {value}{why}.", number(peak.score, 3))
    });
    score + &where_values_lie(span)
}

fn where_values_lie(span: &Span) -> String {
    let Some([least, most]) = span.values else { return " It has no value.".to_owned() };
    let values = if span.rows > 1 { format!(" Its values lie {}", between(least, most)) } else { String::new() };
    match (values.is_empty(), span.usual) {
        (true, None) => String::new(),
        (false, None) => format!("{values}."),
        (true, Some([low, high])) => format!(" Before it, 90 % lay {}.", between(low, high)),
        (false, Some([low, high])) => format!("{values}; before it, 90 % lay {}.", between(low, high)),
    }
}

/// A range of values as text.
fn between(low: f64, high: f64) -> String {
    let [low, high] = [low, high].map(|end| number(end, 4));
    if low == high { format!("at {low}") } else { format!("from {low} to {high}") }
}
