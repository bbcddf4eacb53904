//! Feedback as an HTML page with plots of hits, misses and false alarms.

mod panels;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::html::{Cell, caption, card, cards, document, footer, name, notes, paragraph, section, table};
use super::strips::{Strips, legend};
use crate::evaluate::feedback::terminal::{delay_text, extent, reason, usual};
use crate::evaluate::feedback::{Feedback, Incident, Series, SeriesFeedback, Span};
use crate::evaluate::format::{NONE, count, number, percent, seconds, thousands};
use crate::history::timestamp;

/// How many incidents the table lists.
const MAX_INCIDENTS: usize = 50;
/// How many series are drawn, and listed. A drawing takes some 60 kB, with bands 100.
const MAX_SERIES: usize = 60;

/// The contents of a page.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// The feedback.
    pub feedback: &'a Feedback,
    /// Its series.
    pub series: &'a [Series],
    /// The provenance: names and values.
    pub provenance: &'a [(String, String)],
}

impl Page<'_> {
    /// Renders the page.
    #[must_use]
    pub fn html(&self) -> String {
        let body = html! {
            p.under { (self.subtitle()) }
            (notes(&self.feedback.notes))
            (self.headline())
            (self.incidents())
            (panels::section_html(self))
            (self.table_of_series())
            (self.over_time())
            (footer(self.provenance))
        };
        document("Hit, missed, false alarms – qualm", "What was hit, what was missed, and why", &body)
    }

    fn subtitle(&self) -> String {
        let times =
            || self.series.iter().flat_map(|series| [series.table.times.first(), series.table.times.last()]).flatten();
        let when = times().min().zip(times().max()).map_or_else(String::new, |(from, to)| {
            let [from, to] = [from, to].map(|time| clock(timestamp(*time)));
            format!(", from {from} to {to} (UTC)")
        });
        let rows = self.series.iter().map(|series| series.table.len() as u64).sum();
        let of = count(self.series.len() as u64, "series", "series");
        format!("{} of {of}{when}", count(rows, "value", "values"))
    }

    fn headline(&self) -> Markup {
        let Feedback { incidents, hit, missed, delay, false_alarms, false_alarm_share, false_alarm_rate, .. } =
            self.feedback;
        let delay = delay.map_or_else(|| NONE.to_owned(), |delay| seconds(delay.seconds));
        let per_day = self.feedback.false_alarms_per_day;
        let per_day = per_day.map_or_else(String::new, |alarms| format!(", {} a day", number(alarms, 2)));
        let rate = false_alarm_rate.map_or_else(String::new, |rate| format!("; {} configured", percent(Some(rate))));
        cards(&[
            card(format!("{hit} of {}", incidents.len()), format!("incidents hit, {missed} missed")),
            card(delay, "from an incident's beginning until it was hit (median)"),
            card(thousands(*false_alarms as u64), format!("false alarms{per_day}")),
            card(percent(*false_alarm_share), format!("of unlabelled values begin an alarm{rate}")),
        ])
    }

    fn incidents(&self) -> Markup {
        let Feedback { incidents, .. } = self.feedback;
        if incidents.is_empty() {
            return section("Incidents", "", paragraph("No row is labelled, so each alarm is a false one."));
        }
        let several = self.series.len() > 1;
        let mut heads = vec!["From, to (UTC)", "Hit?"];
        heads.extend(several.then_some("In"));
        heads.extend(["Highest score", "Values"]);
        let row = |incident: &Incident| {
            let event = self.feedback.event(incident);
            let hit = match event.hit {
                None => html! { span.bad { "missed" } },
                Some(delay) => html! { span.good { "hit" } small { (delay_text(delay)) } },
            };
            let goes_on = if event.goes_on { ", still going on" } else { "" };
            let when = html! { (clock(incident.from)) small { (clock(incident.to)) (goes_on) } };
            let others = match (incident.series, incident.hit) {
                (1, _) => None,
                (all, 0) => Some(format!("nearest of {all} series")),
                (all, 1) => Some(format!("alone of {all} series")),
                (all, hit) => Some(format!("first of {hit} hit of {all} series")),
            };
            let usual = usual(&event.span).map(|usual| format!("usual before: {usual}"));
            let mut cells: Vec<Cell> = vec![when.into(), hit.into()];
            cells.extend(several.then(|| html! { (name(&incident.nearest)) (small(others)) }.into()));
            cells.push(score(&event.span).into());
            cells.push(html! { (name(&extent(&event.span))) (small(usual)) }.into());
            cells
        };
        let table = table("stacked", &heads, incidents.iter().take(MAX_INCIDENTS).map(row));
        let joined = if several {
            " What is labelled at one time, in whichever series, is one incident; it is hit if it is in any."
        } else {
            ""
        };
        let meaning = format!("An incident is a run of labelled rows. It is hit if any row in it alarms.{joined}");
        section("Incidents", meaning, html! { (table) (omitted(incidents.len(), MAX_INCIDENTS)) })
    }

    fn table_of_series(&self) -> Markup {
        let reported: Vec<&SeriesFeedback> = self.feedback.series.iter().filter(|found| !found.is_quiet()).collect();
        if self.series.len() < 2 || reported.is_empty() {
            return Markup::default();
        }
        let heads = ["Series", "Events hit", "Median delay", "False alarms", "A day", "Of unlabelled values"];
        let row = |found: &&SeriesFeedback| {
            let rate = found.false_alarm_rate.map(|rate| format!("{} configured", percent(Some(rate))));
            let hit = match found.events.len() {
                0 => NONE.to_owned(),
                events => format!("{} of {events}", found.hit()),
            };
            vec![
                name(&found.name).into(),
                hit.into(),
                found.delay.map_or_else(|| NONE.to_owned(), |delay| seconds(delay.seconds)).into(),
                found.false_alarms.len().into(),
                found.false_alarms_per_day.map_or_else(|| NONE.to_owned(), |alarms| number(alarms, 2)).into(),
                html! { (percent(found.false_alarm_share)) (small(rate)) }.into(),
            ]
        };
        let quiet = self.series.len() - reported.len();
        let content = html! {
            (table("stacked", &heads, reported.iter().take(MAX_SERIES).map(row)))
            (omitted(reported.len(), MAX_SERIES))
            @if quiet > 0 {
                @let quiet = count(quiet as u64, "series", "series");
                (caption(format!("and {quiet} with neither events nor false alarms")))
            }
        };
        section("Series", "", content)
    }

    /// Each series in full.
    fn over_time(&self) -> Markup {
        let reported: Vec<_> =
            self.feedback.series.iter().zip(self.series).filter(|(found, _)| !found.is_quiet()).collect();
        if reported.is_empty() {
            return Markup::default();
        }
        let drawing = |(found, series): &(&SeriesFeedback, &Series)| {
            let spans = found.events.iter().map(|event| &event.span).chain(&found.false_alarms);
            let column = spans.max_by(|one, other| one.score().total_cmp(&other.score())).map_or(0, |span| span.column);
            let feature = (series.table.features() > 1).then(|| series.table.names[column].as_str());
            let strips = Strips { series, found, places: 0..series.table.len(), column, usual: None };
            html! {
                div.panel {
                    h3 { (name_of(&found.name, feature)) }
                    (strips.html())
                }
            }
        };
        let meaning = "All rows. Values too close to distinguish are drawn from their least to their largest, so that no spike is lost.";
        let content = html! {
            (legend(self.series))
            @for one in reported.iter().take(MAX_SERIES) {
                (drawing(one))
            }
            (omitted(reported.len(), MAX_SERIES))
        };
        section("Over time", meaning, content)
    }
}

/// Formats a time in UTC.
fn clock(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A series' name and, if it has several, that of the feature.
fn name_of(series: &str, feature: Option<&str>) -> Markup {
    let name = feature.map_or_else(|| series.to_owned(), |feature| format!("{series}, {feature}"));
    super::html::name(&name)
}

fn score(span: &Span) -> Markup {
    html! {
        @if let Some(peak) = span.peak {
            (number(peak.score, 3)) (small(reason(span)))
        } @else {
            (NONE)
        }
    }
}

/// Small text below something, if any.
fn small(text: Option<impl maud::Render>) -> Markup {
    html! {
        @if let Some(text) = text {
            small { (text) }
        }
    }
}

fn omitted(all: usize, shown: usize) -> Markup {
    match all.saturating_sub(shown) {
        0 => Markup::default(),
        omitted => caption(format!("and {omitted} more")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use qualm_contract::{Band, Reason};

    use super::super::tests::{NASTY, assert_well_formed};
    use super::*;
    use crate::evaluate::feedback::testing::series;
    use crate::evaluate::labels::Labels;

    fn page(series: &[Series], labels: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l.csv");
        fs::write(&path, labels).unwrap();
        let feedback = Feedback::of(series, &Labels::read(&path).unwrap()).unwrap();
        Page { feedback: &feedback, series, provenance: &[("input".to_owned(), NASTY.to_owned())] }.html()
    }

    #[test]
    fn a_page_shows_misses_and_false_alarms_and_escapes_names() {
        let alarms: String =
            (0..2000).map(|row| if [20, 505, 1500, 1502].contains(&row) { '!' } else { '.' }).collect();
        let mut vectors = Series::new(NASTY.to_owned(), vec![NASTY.to_owned(), "y".to_owned()], None);
        for row in 0..2000 {
            vectors.add(row * 1_000_000_000, row as u64, &[row as f64, f64::NAN], f64::NAN, false, &[]);
        }
        let html = page(&[series("cpu", &alarms), vectors], "start,end\n500,520\n600,640\n");
        assert_well_formed(&html);
        assert!(!html.contains("<script") && !html.contains("NaN") && !html.contains("inf"), "{html}");
        assert!(!html.contains("http://") && !html.contains("https://"), "self-contained");
        for part in [
            "1 of 2</b>",
            "1 other false alarm is in this picture",
            "rect class=\"missed\"",
            "rect class=\"hit\"",
            "class=\"usual\"",
        ] {
            assert!(html.contains(part), "{part}");
        }
        assert_eq!(
            html.matches("class=\"panel\"").count(),
            1 + 2 + 2,
            "missed, two pictures of three false alarms, two series"
        );
    }

    #[test]
    fn a_page_shows_bands_and_reasons() {
        let alarms: String = (0..2000).map(|row| if [505, 1500, 1502].contains(&row) { '!' } else { '.' }).collect();
        let plain = series("cpu", &alarms);
        let mut banded = Series::new("cpu".to_owned(), vec!["cpu".to_owned()], None);
        for row in 0..2000 {
            let (value, alarm) = (plain.table.values[row], plain.alarms[row]);
            banded.add(plain.table.times[row], row as u64, &[value], plain.scores[row], alarm, &[]);
            let reason = match row {
                505 => Reason::LevelShift,
                1500 => Reason::Novel,
                1502 => Reason::Stuck,
                _ => Reason::None,
            };
            banded.add_details(reason, Band { expected: value, lower: value - 50.0, upper: value + 50.0 });
        }
        let labels = "start,end\n500,520\n";
        let html = page(std::slice::from_ref(&banded), labels);
        assert_well_formed(&html);
        assert_eq!(html.matches("<path class=\"band\"").count(), 2, "one false alarm, and the series in full");
        assert_eq!(html.matches("<path class=\"expected\"").count(), 2);
        assert!(html.contains("what would have been ordinary") && !html.contains("usual range before"));
        assert!(!html.contains("class=\"usual\""), "the band says more");
        for part in [", level shift</title>", "<small>level shift</small>", "(stuck).", ", novel, stuck</title>"] {
            assert!(html.contains(part), "{part}: {html}");
        }
        let without = page(std::slice::from_ref(&plain), labels);
        assert!(!without.contains("class=\"band\"") && without.contains("usual range before"));
        assert!(html.len() - without.len() < 90_000, "{} bytes, without bands {}", html.len(), without.len());
        let both = page(&[banded, plain], labels);
        assert!(both.contains("what would have been ordinary") && both.contains("usual range before"));
    }

    #[test]
    fn a_page_of_few_rows_is_well_formed_and_one_of_many_is_small() {
        for rows in ["", ".", "_", "!"] {
            let labels = if rows.is_empty() { "start,end\n" } else { "start,end\n0,1\n" };
            let html = page(&[series("a", rows)], labels);
            assert_well_formed(&html);
            assert!(!html.contains("NaN"), "{rows}: {html}");
        }
        assert_well_formed(&page(&[], "start,end\n1,2\n"));
        let alarms: String = (0..28_000).map(|row| if row % 7 == 0 { '!' } else { '.' }).collect();
        let many: Vec<Series> = (0..38).map(|at| series(&format!("s{at}"), &alarms)).collect();
        let html = page(&many, "start,end\n500,520\n");
        assert!(html.len() < 30 << 20, "{} bytes", html.len());
    }
}
