//! Drift as an HTML page: distributions of reference and live, and how they changed over time.

mod distribution;
mod means;
mod over_time;
mod tests_table;

use maud::{Markup, html};
use qualm_drift::{Compare, Distribution};
use qualm_system::untrusted::visible;

use super::html::{Untrusted, caption, card, cards, document, footer, name, notes, section};
use crate::drift::words::{deviation, listed, mean};
use crate::drift::{Moment, Outcome, verdict};
use crate::evaluate::format::{count, known, percent, thousands};
use crate::history::timestamp;

/// How many features are drawn: as many as drift, but at least and at most these.
const LEAST_DRAWN: usize = 12;
const MAX_DRAWN: usize = 40;

/// The contents of a page.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a>(pub &'a Outcome);

impl Page<'_> {
    /// Renders the page.
    #[must_use]
    pub fn html(&self) -> String {
        let Outcome { title, notes: caveats, provenance, .. } = self.0;
        let body = html! {
            p.under { (self.subtitle()) }
            (notes(caveats))
            (self.headline())
            (over_time::section_html(self.0))
            (self.distributions())
            (tests_table::section_html(self.0))
            (footer(provenance))
        };
        document(&format!("{title} – qualm drift"), &format!("Does {title} still see what it was trained on?"), &body)
    }

    fn subtitle(self) -> String {
        let table = &self.0.table;
        let when = table
            .times
            .first()
            .zip(table.times.last())
            .map_or_else(String::new, |(from, to)| format!(", from {} to {} UTC", minute(*from), minute(*to)));
        format!("{}{when}", count(table.len() as u64, "row", "rows"))
    }

    fn headline(self) -> Markup {
        let report = &self.0.report;
        let drifted = self.0.drifted().features.len();
        html! {
            p { b { (verdict(self.0).join(" ")) } }
            (cards(&[
                card(format!("{drifted} of {}", report.features.len()), "features drifted"),
                card(change(&report.error_median, &known), "median score, in training and now"),
                card(change(&report.alarm_rate, &percent), self.alarms()),
                self.reported(),
            ]))
        }
    }

    /// How many rows alarmed, in training and now.
    fn alarms(self) -> String {
        let Outcome { report, reference, scores, .. } = self.0;
        let rate = report.alarm_rate.reference.unwrap_or(0.0);
        let scored = scores.iter().filter(|score| !score.is_nan()).count();
        let now = of_rows(scores.iter().filter(|score| **score > 1.0).count(), scored);
        // The distribution of the score is that of rows without alarms.
        let scored_then = reference.reference.score.known() / (1.0 - rate);
        if !scored_then.is_finite() {
            return format!("rows that alarm, in training and now ({now})");
        }
        let then = of_rows((scored_then * rate).round() as usize, scored_then.round() as usize);
        format!("rows that alarm, in training and now: {then}\u{a0}→ {now}")
    }

    /// When drift would have been reported, and of what.
    fn reported(self) -> Markup {
        let Some((began, of)) = self.0.began().zip(self.0.began_of()) else {
            return card("not reported", "live, no drift would have been reported");
        };
        let of = listed(&of.named(&self.0.table.names), "");
        card(minute(began), html! { "reported live, UTC (" (Untrusted(&of)) ")" })
    }

    /// The distributions of the features that moved most.
    fn distributions(self) -> Markup {
        let Outcome { report, table, reference, scores, timeline, .. } = self.0;
        let drifted = self.0.drifted().features.len();
        let drawn = drifted.clamp(LEAST_DRAWN, MAX_DRAWN).min(table.features());
        let panels = self.0.ranked().into_iter().take(drawn).map(|at| {
            let live: Vec<f64> = table.column(at).filter(|value| value.is_finite()).collect();
            self.panel(&table.names[at], &reference.reference.features[at], &live, at)
        });
        let unreported: Vec<f64> = scores.iter().copied().filter(|score| *score <= 1.0).collect();
        let content = html! {
            (caption(html! {
                i.then {} "training" i.score {} "now" i.usual {} "training: 5 % to 95 % of values"
                i.dashed {} "training: mean"
            }))
            div.panels.compared {
                (self.panel("score", &reference.reference.score, &unreported, report.features.len()))
                @for panel in panels { (panel) }
            }
        };
        let below = if timeline.len() > 1 { " Below each, the mean of each window." } else { "" };
        let meaning = format!(
            "How often values occurred, in training and now. An end of an axis with ≤ or ≥ has a bar that holds all \
             values beyond it, too. The scores are those of rows that do not alarm.{below} {}",
            which(drawn, drifted, table.features())
        );
        section("Then and now", meaning, content)
    }

    fn panel(self, of: &str, then: &Distribution, live: &[f64], column: usize) -> Markup {
        let report = self.0.column(column);
        let drifts =
            if column == self.0.report.features.len() { self.0.score_drifts() } else { self.0.feature_drifts(column) };
        html! {
            div.panel {
                h3 { (name(of)) }
                p.meaning {
                    @if drifts { span.missing { "drift" } } @else { "no drift" }
                    (self.0.strength(column)) ". Mean " (mean(&report.reference)) " → " (mean(&report.live))
                    ", deviation " (deviation(&report.reference)) " → " (deviation(&report.live))
                }
                (distribution::plot(&format!("values of {}, in training and now", visible(of)), then, live))
                (means::plot(&format!("mean of {}, window after window", visible(of)), then, &self.0.timeline, column))
            }
        }
    }
}

/// Which features are drawn, and in which order.
fn which(drawn: usize, drifted: usize, all: usize) -> String {
    let order = "those with the most votes first, then those whose largest statistic exceeds its level most";
    match drawn {
        _ if drawn == all => format!("All features: those that drift come first; {order}."),
        _ if drifted > drawn => format!("{drawn} of the {drifted} features that drift: {order}."),
        _ if drifted == drawn => format!("All {drifted} features that drift, of {all}: {order}."),
        _ => format!("{drawn} of {all} features: those that drift come first; {order}."),
    }
}

/// A number in training and now; only before the second there may be a line break.
fn change(of: &Compare, show: &dyn Fn(Option<f64>) -> String) -> String {
    let [then, now] = [of.reference, of.live].map(|number| show(number).replace(' ', "\u{a0}"));
    format!("{then}\u{a0}→ {now}")
}

/// How many of how many rows, without a line break.
fn of_rows(some: usize, rows: usize) -> String {
    format!("{} of {}", thousands(some as u64), count(rows as u64, "row", "rows")).replace(' ', "\u{a0}")
}

fn minute(time: i64) -> String {
    timestamp(time).strftime("%Y-%m-%d %H:%M").to_string()
}

/// The times of moments, for an axis.
fn times(timeline: &[Moment]) -> Vec<i64> {
    timeline.iter().map(|moment| moment.time).collect()
}

/// From where to where an axis reaches: around a single value, as far as a tenth of it; from 0 to 1 around 0.
fn axis_around(low: f64, high: f64) -> (f64, f64) {
    if !is_single(low, high) {
        return (low, high);
    }
    let value = f64::midpoint(low, high);
    if value == 0.0 { (0.0, 1.0) } else { (value - value.abs() / 10.0, value + value.abs() / 10.0) }
}

/// Whether two numbers differ by rounding alone.
fn is_single(low: f64, high: f64) -> bool {
    high - low <= low.abs().max(high.abs()) * 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_has_an_axis_around_it() {
        assert_eq!((axis_around(0.0, 0.0), axis_around(5.0, 5.0)), ((0.0, 1.0), (4.5, 5.5)));
        assert_eq!(axis_around(-5.0, -5.0), (-5.5, -4.5));
        let (low, high) = axis_around(0.3, 0.1 + 0.2);
        assert!((low - 0.27).abs() < 1e-9 && (high - 0.33).abs() < 1e-9);
        assert_eq!(axis_around(0.0, 1e-12), (0.0, 1e-12));
    }

    #[test]
    fn a_line_breaks_between_values_only() {
        let compare = Compare { reference: Some(0.000_042_2), live: Some(0.000_295), ..Compare::default() };
        assert_eq!(change(&compare, &percent), "0.00422\u{a0}%\u{a0}→ 0.0295\u{a0}%");
        assert_eq!(of_rows(1, 23_702), "1\u{a0}of\u{a0}23\u{202f}702\u{a0}rows");
    }

    #[test]
    fn what_is_drawn_is_said() {
        assert!(which(12, 3, 38).starts_with("12 of 38 features: those that drift"));
        assert!(which(22, 22, 38).starts_with("All 22 features that drift, of 38"));
        assert!(which(40, 55, 90).starts_with("40 of the 55 features that drift"));
        assert!(which(3, 1, 3).starts_with("All features"));
    }
}
