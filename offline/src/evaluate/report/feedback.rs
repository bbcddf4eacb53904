//! Feedback as one HTML page: what was hit, missed, and a false alarm, drawn so that a person can see why.

use std::ops::Range;

use super::html::{card, document, escape, footer, notes, section, table};
use super::strips::{KEY, Strips};
use crate::evaluate::feedback::screen::{after, values};
use crate::evaluate::feedback::{Event, Feedback, Incident, Series, SeriesFeedback, Span};
use crate::evaluate::words::{NONE, count, number, percent, seconds};

/// Stretches that are looked at closely, of those missed and of false alarms together.
const PANELS: usize = 20;
/// Of these, so many at least are kept for either.
const EITHER: usize = 8;
/// Incidents in the table.
const INCIDENTS: usize = 50;
/// Series that are drawn in full, and in the table. A drawing takes some 60 kB.
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
            self.closer(),
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
            let [from, to] = [from, to].map(|time| crate::evaluate::evaluation::timestamp(*time));
            format!(", from {from} to {to}")
        });
        let rows = self.series.iter().map(|series| series.table.len() as u64).sum();
        let of = count(self.series.len() as u64, "series", "series");
        format!("<p class=\"under\">{} of {of}{when}</p>\n", count(rows, "value", "values"))
    }

    fn headline(&self) -> String {
        let Feedback { incidents, hit, missed, delay, false_alarms, false_alarms_per_day, false_alarm_share, .. } =
            self.feedback;
        let rate = self.feedback.false_alarm_rate;
        let rate = rate.map_or_else(String::new, |rate| format!("; {} is configured", percent(Some(rate))));
        let cards = [
            card(&format!("{hit} of {}", incidents.len()), "incidents hit"),
            card(&missed.to_string(), "missed"),
            card(
                &delay.map_or_else(|| NONE.to_owned(), |delay| seconds(delay.seconds)),
                "until an incident was hit (median)",
            ),
            card(&false_alarms.to_string(), "false alarms"),
            card(
                &false_alarms_per_day.map_or_else(|| NONE.to_owned(), |alarms| number(alarms, 2)),
                "false alarms a day",
            ),
            card(&percent(*false_alarm_share), &format!("of unlabelled values alarm{rate}")),
        ];
        format!("<section>\n<div class=\"cards\">\n{}</div>\n</section>\n", cards.concat())
    }

    fn incidents(&self) -> String {
        let Feedback { incidents, .. } = self.feedback;
        if incidents.is_empty() {
            return section("Incidents", "", "<p>No row is labelled, so each alarm is a false one.</p>\n");
        }
        let several = self.series.len() > 1;
        let mut heads = vec!["From, to", "Hit?"];
        heads.extend(several.then_some("In"));
        heads.extend(["Highest score", "Its values, and the usual ones before"]);
        let row = |incident: &Incident| {
            let event = self.feedback.event(incident);
            let hit = event.hit.map_or_else(
                || "<span class=\"bad\">missed</span>".to_owned(),
                |delay| format!("<span class=\"good\">hit</span><small>{}</small>", after(delay)),
            );
            let goes_on = if event.goes_on { ", still going on" } else { "" };
            let mut cells = vec![format!("{}<small>{}{goes_on}</small>", incident.from, incident.to), hit];
            let others = match (incident.series, incident.hit) {
                (1, _) => String::new(),
                (all, 0) => format!("<small>nearest of {all} series</small>"),
                (all, hit) => format!("<small>first of {hit} hit of {all} series</small>"),
            };
            cells.extend(several.then(|| format!("<span class=\"name\">{}</span>{others}", escape(&incident.nearest))));
            cells.extend([score(&event.span), escape(&values(&event.span))]);
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

    /// The worst of what went wrong, each with what was there before.
    fn closer(&self) -> String {
        let missed = self.feedback.worst_missed();
        let alarms = self.feedback.worst_false_alarms();
        if missed.is_empty() && alarms.is_empty() {
            return section("A closer look", "", "<p>Nothing was missed, and nothing alarmed without reason.</p>\n");
        }
        let room = PANELS - alarms.len().min(EITHER);
        let panels_of_missed: Vec<String> =
            missed.iter().take(room).map(|(incident, event)| self.missed(incident, event)).collect();
        let mut shown: Vec<(usize, Range<usize>)> = missed
            .iter()
            .take(room)
            .map(|(incident, event)| (incident.at.0, self.around(incident.at.0, &event.span)))
            .collect();
        let mut panels_of_alarms = Vec::new();
        let mut seen = 0;
        for (series, span) in &alarms {
            // What stands in the picture of another needs none of its own.
            if shown.iter().any(|(of, places)| of == series && places.contains(&span.places.start)) {
                seen += 1;
            } else if panels_of_missed.len() + panels_of_alarms.len() < PANELS {
                panels_of_alarms.push(self.false_alarm(*series, span));
                shown.push((*series, self.around(*series, span)));
                seen += 1;
            }
        }
        let left = [
            ("missed incident", "missed incidents", missed.len() - panels_of_missed.len()),
            ("false alarm", "false alarms", alarms.len() - seen),
        ];
        let left: Vec<String> = left
            .into_iter()
            .filter(|(.., left)| *left > 0)
            .map(|(one, many, left)| count(left as u64, one, many))
            .collect();
        let left = if left.is_empty() {
            String::new()
        } else {
            format!("<p class=\"key\">and {} more</p>\n", left.join(" and "))
        };
        let meaning = "What went wrong, most severe first: missed incidents, the longest first, then false alarms, the highest score \
                       first, each once with all that lies near it. A score of 1 is the threshold (dashed); above it each step is \
                       ten times the last. The band is where the middle 90 % of the values before lie.";
        section(
            "A closer look",
            meaning,
            &[KEY, &panels_of_missed.concat(), &panels_of_alarms.concat(), &left].concat(),
        )
    }

    fn missed(&self, incident: &Incident, event: &Event) -> String {
        let series = incident.at.0;
        let others = match incident.series {
            1 => String::new(),
            all => format!(" All {all} series that are labelled then missed it; this one came nearest."),
        };
        let goes_on = if event.goes_on { " It was still going on at the end." } else { "" };
        let why = format!("{}{others}{goes_on}", why_missed(&event.span));
        self.panel(series, &event.span, "<span class=\"missing\">missed</span>", &why)
    }

    fn false_alarm(&self, series: usize, span: &Span) -> String {
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
        let alarm = "<span class=\"bad\">false alarm</span>";
        self.panel(series, span, alarm, &format!("{}{others}", why_alarmed(span)))
    }

    fn panel(&self, series: usize, span: &Span, what: &str, why: &str) -> String {
        let found = &self.feedback.series[series];
        let feature = span.feature.as_ref().map_or_else(String::new, |feature| format!(", {}", escape(feature)));
        let rows = count(span.rows as u64, "row", "rows");
        let strips = Strips {
            series: &self.series[series],
            found,
            places: self.around(series, span),
            column: span.column,
            usual: span.usual,
        };
        let until = if span.rows > 1 { format!(" – {}", span.to) } else { String::new() };
        format!(
            "<div class=\"panel\">\n<h3>{what} <span class=\"name\">{}{feature}</span></h3>\n\
             <p class=\"meaning\">{}{until} ({rows}). {}</p>\n{}</div>\n",
            escape(&found.name),
            span.from,
            why,
            strips.html()
        )
    }

    /// The rows around a stretch that are shown with it: those that tell what is usual, and a third as many behind it.
    fn around(&self, series: usize, span: &Span) -> Range<usize> {
        let before = span.before();
        let behind = (before.len() / 3).max(span.rows / 2).max(30);
        before.start..(span.places.end + behind).min(self.series[series].table.len())
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
        section("Over time", meaning, &[KEY, &drawings, &more(told.len(), SERIES)].concat())
    }
}

/// Why an event was missed, as far as values and scores tell.
fn why_missed(span: &Span) -> String {
    let Some(peak) = span.peak else {
        return "No row of it has a score: the series was too new, or its detector failed.".to_owned();
    };
    let value = peak.value.map_or_else(String::new, |value| format!(", when the value was {}", number(value, 4)));
    let score = format!("Its highest score is {} at {}{value}.", number(peak.score, 3), peak.time);
    let told = match (span.values, span.usual) {
        (Some([least, most]), Some([low, high])) if low <= least && most <= high => {
            " All its values lie where those before it did: what is unusual must be their shape, or another metric."
        }
        _ => "",
    };
    let suppressed =
        if peak.score > 1.0 { " It is above the threshold, but `sustained` or `cooldown` kept it quiet." } else { "" };
    format!("{score} Values: {}.{told}{suppressed}", escape(&values(span)))
}

fn why_alarmed(span: &Span) -> String {
    let score = span.peak.map_or_else(String::new, |peak| {
        let value =
            peak.value.map_or_else(|| "a missing value".to_owned(), |value| format!("a value of {}", number(value, 4)));
        format!("Score {} at {value}.", number(peak.score, 3))
    });
    let usual = span.usual.map_or_else(String::new, |_| format!(" Values: {}.", escape(&values(span))));
    score + &usual
}

fn score(span: &Span) -> String {
    span.peak.map_or_else(|| NONE.to_owned(), |peak| number(peak.score, 3))
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
