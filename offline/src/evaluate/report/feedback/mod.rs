//! Feedback as one HTML page: what was hit, missed, and a false alarm, drawn so that a person can see why.

mod closer;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::html::{card, document, escape, footer, notes, section, table};
use super::strips::{Strips, key};
use crate::evaluate::evaluation::timestamp;
use crate::evaluate::feedback::screen::{extent, lateness, reason, usual};
use crate::evaluate::feedback::{Feedback, Incident, Series, SeriesFeedback, Span};
use crate::evaluate::words::{NONE, count, number, percent, seconds, thousands};

/// Incidents in the table.
const INCIDENTS: usize = 50;
/// Series that are drawn in full, and in the table. A drawing takes some 60 kB, with bands 100.
const SERIES: usize = 60;

/// What a page is of.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// The accounts.
    pub feedback: &'a Feedback,
    /// The series that they are of.
    pub series: &'a [Series],
    /// Where all this comes from: what, and its value.
    pub provenance: &'a [(String, String)],
}

impl Page<'_> {
    /// The page.
    #[must_use]
    pub fn html(&self) -> String {
        let body = [
            self.under(),
            notes(&self.feedback.notes),
            self.headline(),
            self.incidents(),
            closer::section_of(self),
            self.table_of_series(),
            self.over_time(),
            footer(self.provenance),
        ];
        document("Hit, missed, false alarms – qualm", "What was hit, what was missed, and why", &body.concat())
    }

    fn under(&self) -> String {
        let times =
            || self.series.iter().flat_map(|series| [series.table.times.first(), series.table.times.last()]).flatten();
        let when = times().min().zip(times().max()).map_or_else(String::new, |(from, to)| {
            let [from, to] = [from, to].map(|time| clock(timestamp(*time)));
            format!(", from {from} to {to} (UTC)")
        });
        let rows = self.series.iter().map(|series| series.table.len() as u64).sum();
        let of = count(self.series.len() as u64, "series", "series");
        format!("<p class=\"under\">{} of {of}{when}</p>\n", count(rows, "value", "values"))
    }

    fn headline(&self) -> String {
        let Feedback { incidents, hit, missed, delay, false_alarms, false_alarm_share, false_alarm_rate, .. } =
            self.feedback;
        let delay = delay.map_or_else(|| NONE.to_owned(), |delay| seconds(delay.seconds));
        let per_day = self.feedback.false_alarms_per_day;
        let per_day = per_day.map_or_else(String::new, |alarms| format!(", {} a day", number(alarms, 2)));
        let rate = false_alarm_rate.map_or_else(String::new, |rate| format!("; {} configured", percent(Some(rate))));
        let cards = [
            card(&format!("{hit} of {}", incidents.len()), &format!("incidents hit, {missed} missed")),
            card(&delay, "from an incident's beginning until it was hit (median)"),
            card(&thousands(*false_alarms as u64), &format!("false alarms{per_day}")),
            card(&percent(*false_alarm_share), &format!("of unlabelled values begin an alarm{rate}")),
        ];
        format!("<section>\n<div class=\"cards\">\n{}</div>\n</section>\n", cards.concat())
    }

    fn incidents(&self) -> String {
        let Feedback { incidents, .. } = self.feedback;
        if incidents.is_empty() {
            return section("Incidents", "", "<p>No row is labelled, so each alarm is a false one.</p>\n");
        }
        let several = self.series.len() > 1;
        let mut heads = vec!["From, to (UTC)", "Hit?"];
        heads.extend(several.then_some("In"));
        heads.extend(["Highest score", "Values"]);
        let row = |incident: &Incident| {
            let event = self.feedback.event(incident);
            let hit = event.hit.map_or_else(
                || "<span class=\"bad\">missed</span>".to_owned(),
                |delay| format!("<span class=\"good\">hit</span><small>{}</small>", lateness(delay)),
            );
            let goes_on = if event.goes_on { ", still going on" } else { "" };
            let mut cells =
                vec![format!("{}<small>{}{goes_on}</small>", clock(incident.from), clock(incident.to)), hit];
            let others = match (incident.series, incident.hit) {
                (1, _) => String::new(),
                (all, 0) => format!("<small>nearest of {all} series</small>"),
                (all, 1) => format!("<small>alone of {all} series</small>"),
                (all, hit) => format!("<small>first of {hit} hit of {all} series</small>"),
            };
            cells.extend(several.then(|| format!("<span class=\"name\">{}</span>{others}", escape(&incident.nearest))));
            let usual =
                usual(&event.span).map_or_else(String::new, |usual| format!("<small>usual before: {usual}</small>"));
            cells.extend([
                score(&event.span),
                format!("<span class=\"name\">{}</span>{usual}", escape(&extent(&event.span))),
            ]);
            cells
        };
        let more = more(incidents.len(), INCIDENTS);
        let table = table("stacked", &heads, incidents.iter().take(INCIDENTS).map(row));
        let joined = if several {
            " What is labelled at one time, in whichever series, is one incident; it is hit if it is in any."
        } else {
            ""
        };
        let meaning = format!("An incident is a run of labelled rows. It is hit if any row in it alarms.{joined}");
        section("Incidents", &meaning, &(table + &more))
    }

    fn table_of_series(&self) -> String {
        let told: Vec<&SeriesFeedback> = self.feedback.series.iter().filter(|found| !found.is_quiet()).collect();
        if self.series.len() < 2 || told.is_empty() {
            return String::new();
        }
        let heads = ["Series", "Events hit", "Median delay", "False alarms", "A day", "Of unlabelled values"];
        let row = |found: &&SeriesFeedback| {
            let rate = found
                .false_alarm_rate
                .map_or_else(String::new, |rate| format!("<small>{} configured</small>", percent(Some(rate))));
            vec![
                format!("<span class=\"name\">{}</span>", escape(&found.name)),
                if found.events.is_empty() {
                    NONE.to_owned()
                } else {
                    format!("{} of {}", found.hit(), found.events.len())
                },
                found.delay.map_or_else(|| NONE.to_owned(), |delay| seconds(delay.seconds)),
                found.false_alarms.len().to_string(),
                found.false_alarms_per_day.map_or_else(|| NONE.to_owned(), |alarms| number(alarms, 2)),
                format!("{}{rate}", percent(found.false_alarm_share)),
            ]
        };
        let quiet = match self.series.len() - told.len() {
            0 => String::new(),
            quiet => format!(
                "<p class=\"key\">and {} with neither events nor false alarms</p>\n",
                count(quiet as u64, "series", "series")
            ),
        };
        let table = table("stacked", &heads, told.iter().take(SERIES).map(row));
        section("Series", "", &[table, more(told.len(), SERIES), quiet].concat())
    }

    /// Each series in full.
    fn over_time(&self) -> String {
        let told: Vec<_> =
            self.feedback.series.iter().zip(self.series).filter(|(found, _)| !found.is_quiet()).collect();
        if told.is_empty() {
            return String::new();
        }
        let drawing = |(found, series): &(&SeriesFeedback, &Series)| {
            let spans = found.events.iter().map(|event| &event.span).chain(&found.false_alarms);
            let column = spans.max_by(|one, other| one.score().total_cmp(&other.score())).map_or(0, |span| span.column);
            let feature = if series.table.features() > 1 {
                format!(", {}", escape(&series.table.names[column]))
            } else {
                String::new()
            };
            let strips = Strips { series, found, places: 0..series.table.len(), column, usual: None };
            format!(
                "<div class=\"panel\">\n<h3 class=\"name\">{}{feature}</h3>\n{}</div>\n",
                escape(&found.name),
                strips.html()
            )
        };
        let drawings: String = told.iter().take(SERIES).map(drawing).collect();
        let meaning = "All rows. What lies too close to be told apart is drawn from its least to its largest, so that no spike is lost.";
        section("Over time", meaning, &[key(self.series), drawings, more(told.len(), SERIES)].concat())
    }
}

/// A time in UTC, for people.
fn clock(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn score(span: &Span) -> String {
    let why = reason(span).map_or_else(String::new, |why| format!("<small>{why}</small>"));
    span.peak.map_or_else(|| NONE.to_owned(), |peak| number(peak.score, 3) + &why)
}

fn more(all: usize, shown: usize) -> String {
    match all.saturating_sub(shown) {
        0 => String::new(),
        more => format!("<p class=\"key\">and {more} more</p>\n"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use qualm_contract::{Band, Reason};

    use super::super::tests::{NASTY, check};
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
    fn a_page_shows_what_went_wrong_and_trusts_no_name() {
        let alarms: String =
            (0..2000).map(|row| if [20, 505, 1500, 1502].contains(&row) { '!' } else { '.' }).collect();
        let mut vectors = Series::new(NASTY.to_owned(), vec![NASTY.to_owned(), "y".to_owned()], None);
        for row in 0..2000 {
            vectors.add(row * 1_000_000_000, row as u64, &[row as f64, f64::NAN], f64::NAN, false, &[]);
        }
        let html = page(&[series("cpu", &alarms), vectors], "start,end\n500,520\n600,640\n");
        check(&html).unwrap();
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
    fn a_page_shades_what_would_have_been_ordinary_and_tells_reasons() {
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
        check(&html).unwrap();
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
    fn a_page_of_little_is_well_formed_and_one_of_much_is_small() {
        for rows in ["", ".", "_", "!"] {
            let labels = if rows.is_empty() { "start,end\n" } else { "start,end\n0,1\n" };
            let html = page(&[series("a", rows)], labels);
            check(&html).unwrap();
            assert!(!html.contains("NaN"), "{rows}: {html}");
        }
        check(&page(&[], "start,end\n1,2\n")).unwrap();
        let alarms: String = (0..28_000).map(|row| if row % 7 == 0 { '!' } else { '.' }).collect();
        let many: Vec<Series> = (0..38).map(|at| series(&format!("s{at}"), &alarms)).collect();
        let html = page(&many, "start,end\n500,520\n");
        assert!(html.len() < 30 << 20, "{} bytes", html.len());
    }
}
