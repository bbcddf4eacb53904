//! Drift as an HTML page: distributions of reference and live, and how they changed over time.

use maud::{Markup, html};
use qualm_drift::{Compare, Distribution, FeatureReport, State};
use qualm_system::untrusted::visible;

use super::html::{Cell, caption, card, cards, document, footer, name, notes, paragraph, section, table};
use super::plot::{Plot, Tick, line, path, rectangle, stroke};
use super::series::Axis;
use crate::drift::{ColumnMoment, Moment, Outcome, verdict};
use crate::evaluate::format::{NONE, count, known, number, percent, short};
use crate::history::timestamp;

/// How many features are drawn, and how many listed.
const MAX_DRAWN: usize = 12;
const MAX_LISTED: usize = 200;

/// Bars of a distribution.
const BARS: usize = 30;

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
            (self.over_time())
            (self.distributions())
            (self.all_tests())
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
            .map_or_else(String::new, |(from, to)| format!(", from {} to {}", timestamp(*from), timestamp(*to)));
        format!("{}{when}", count(table.len() as u64, "row", "rows"))
    }

    fn headline(self) -> Markup {
        let report = &self.0.report;
        let drifted = (0..report.features.len()).filter(|feature| self.0.feature_drifts(*feature)).count();
        let began = self
            .0
            .began()
            .map_or_else(|| NONE.to_owned(), |time| timestamp(time).strftime("%Y-%m-%d %H:%M").to_string());
        let change =
            |of: &Compare, show: &dyn Fn(Option<f64>) -> String| format!("{} → {}", show(of.reference), show(of.live));
        html! {
            p { b { (verdict(self.0)) "." } }
            (cards(&[
                card(format!("{drifted} of {}", report.features.len()), "features drifted"),
                card(change(&report.error_median, &known), "median score, then and now"),
                card(change(&report.alarm_rate, &percent), "rows that alarm, then and now"),
                card(began, "when it would have been reported live"),
            ]))
        }
    }

    /// How many features vote for drift, window after window.
    fn over_time(self) -> Markup {
        let Outcome { timeline, reference, table, consensus, .. } = self.0;
        let window = qualm_bundle::duration::friendly(reference.window);
        if timeline.len() < 2 {
            return section(
                "Over time",
                "",
                paragraph(&format!("The rows last for less than two windows of {window}.")),
            );
        }
        let times: Vec<i64> = timeline.iter().map(|moment| moment.time).collect();
        let axis = Axis::of(&times);
        let features = table.features();
        let most =
            timeline.iter().map(|moment| voted(&moment.columns[..features], *consensus)).max().unwrap_or(0).max(4)
                as f64;
        let points = timeline
            .iter()
            .enumerate()
            .map(|(at, moment)| Some((axis.at(at), voted(&moment.columns[..features], *consensus) as f64 / most)));
        let drawing = html! {
            @for (from, until) in spans(timeline) {
                (rectangle("missed", [axis.at(from), 0.0], [axis.at(until), 1.0], &Markup::default()))
            }
            (stroke("ordinary", &path(points)))
        };
        let tick = |share: f64| Tick { at: share, text: number((most * share).round(), 3) };
        let plot = Plot {
            title: "Features that vote for drift, over time".to_owned(),
            class: "low",
            drawing,
            across: axis.ticks(),
            up: [0.0, 0.5, 1.0].map(tick).to_vec(),
            up_name: "features that vote for drift",
            ..Plot::default()
        };
        let content = html! {
            (plot.html())
            (caption(html! { i.score {} "features that vote for drift" i.missed {} "drift is sustained, and reported" }))
        };
        let meaning = format!(
            "Had the rows come in live: the newest {window} compared with training, eight times in each window."
        );
        section("Over time", meaning, content)
    }

    /// The distributions of the features that moved most.
    fn distributions(self) -> Markup {
        let Outcome { report, table, reference, scores, timeline, .. } = self.0;
        let score_last = |page: Self| {
            let live: Vec<f64> = scores.iter().copied().filter(|score| !score.is_nan()).collect();
            page.panel("score", &report.score, &reference.reference.score, &live, table.features())
        };
        let panels = self.0.ranked().into_iter().take(MAX_DRAWN).map(|at| {
            let live: Vec<f64> = table.column(at).filter(|value| value.is_finite()).collect();
            self.panel(&table.names[at], &report.features[at], &reference.reference.features[at], &live, at)
        });
        let content = html! {
            (caption(html! { i.muted {} "training" i.score {} "now" i.usual {} "training: mean ± deviation" }))
            div.panels {
                (score_last(self))
                @for panel in panels { (panel) }
            }
        };
        let of = if table.features() > MAX_DRAWN {
            format!(" The {MAX_DRAWN} features that moved most, of {}.", table.features())
        } else {
            String::new()
        };
        let below = if timeline.len() > 1 { " Below each, its mean window after window." } else { "" };
        section("Then and now", format!("How often which values occurred in training and now.{below}{of}"), content)
    }

    fn panel(self, of: &str, report: &FeatureReport, then: &Distribution, live: &[f64], column: usize) -> Markup {
        let last = column == self.0.report.features.len();
        let drifts = if last { self.0.score_drifts() } else { self.0.feature_drifts(column) };
        let votes = format!("{} of 5 tests vote for drift", report.votes);
        let missing = report.missing.drifted.then(|| format!(", missing in {} of rows", percent(report.missing.live)));
        html! {
            div.panel {
                h3 { (name(of)) }
                p.meaning {
                    @if drifts { span.missing { "drift" } ": " }
                    (votes) (missing.unwrap_or_default()) "; mean " (known(report.reference.mean)) " → " (known(report.live.mean))
                    ", deviation " (known(report.reference.deviation)) " → " (known(report.live.deviation))
                }
                (distribution(of, then, live))
                (self.means(of, report, column))
            }
        }
    }

    /// A column's mean, window after window.
    fn means(self, of: &str, report: &FeatureReport, column: usize) -> Markup {
        let timeline = &self.0.timeline;
        let (Some(mean), Some(deviation)) = (report.reference.mean, report.reference.deviation) else {
            return Markup::default();
        };
        if timeline.len() < 2 {
            return Markup::default();
        }
        let times: Vec<i64> = timeline.iter().map(|moment| moment.time).collect();
        let axis = Axis::of(&times);
        let means = || timeline.iter().map(|moment| moment.columns[column].mean);
        let (low, high) = means()
            .flatten()
            .chain([mean - deviation, mean + deviation])
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let room = if high > low { (high - low) * 0.05 } else { 1.0 };
        let at = |value: f64| (value - low + room) / (high - low + 2.0 * room);
        let points = means().enumerate().map(|(row, mean)| mean.map(|mean| (axis.at(row), at(mean))));
        let drawing = html! {
            (rectangle("usual", [0.0, at(mean - deviation)], [1.0, at(mean + deviation)], &Markup::default()))
            (line("threshold", 0.0, at(mean), 1.0, at(mean)))
            (stroke("ordinary", &path(points)))
        };
        let tick = |value: f64| Tick { at: at(value), text: short_number(value) };
        Plot {
            title: format!("mean of {}, window after window", visible(of)),
            class: "scores",
            drawing,
            across: axis.ticks(),
            up: [low, high].map(tick).to_vec(),
            up_name: "mean",
            ..Plot::default()
        }
        .html()
    }

    /// All features with all tests.
    fn all_tests(self) -> Markup {
        let Outcome { report, table: rows_of, consensus, .. } = self.0;
        let heads = ["Feature", "Votes", "KS", "PSI", "Wasserstein", "Jensen–Shannon", "Chi-square", "Missing"];
        let test_cells = |of: &FeatureReport| {
            of.tests
                .iter()
                .map(|test| {
                    let class = test.votes.then_some("bad");
                    let p_value = test.p_value.map(|p_value| format!("p {}", number(p_value, 2)));
                    Cell::from(html! {
                        span class=[class] { (number(test.statistic, 3)) }
                        small { "level " (number(test.level, 2)) @if let Some(p_value) = p_value { ", " (p_value) } }
                    })
                })
                .collect::<Vec<_>>()
        };
        let row = |of: Markup, report: &FeatureReport| {
            let mut cells: Vec<Cell> = vec![of.into(), format!("{} of 5", report.votes).into()];
            cells.extend(test_cells(report));
            let missing = &report.missing;
            cells.push(format!("{} → {}", percent(missing.reference), percent(missing.live)).into());
            cells
        };
        let ranked = self.0.ranked();
        let features = ranked.iter().take(MAX_LISTED).map(|&at| row(name(&rows_of.names[at]), &report.features[at]));
        let rows = std::iter::once(row(html! { "score" }, &report.score)).chain(features);
        let meaning = format!(
            "Statistics of five tests. A test votes (red) where its statistic is above its level and, if it has a p-value \
             (adjusted for the number of features), that is below 0.01. A level is the larger of a fixed one and three times \
             what nine in ten windows of the training rows had. {consensus} votes make drift."
        );
        section("All tests", meaning, table("stacked", &heads, rows))
    }
}

/// The spans of moments with sustained drift, each from the moment before the first.
fn spans(timeline: &[Moment]) -> Vec<(usize, usize)> {
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for (at, _) in timeline.iter().enumerate().skip(1).filter(|(_, moment)| moment.state == State::Drifting) {
        match spans.last_mut() {
            Some((_, until)) if *until == at - 1 => *until = at,
            _ => spans.push((at - 1, at)),
        }
    }
    spans
}

/// How many features vote for drift.
fn voted(features: &[ColumnMoment], consensus: usize) -> usize {
    features.iter().filter(|feature| feature.votes >= consensus).count()
}

/// Two histograms over the same bars: how much of the rows each bar has.
fn distribution(of: &str, then: &Distribution, live: &[f64]) -> Markup {
    let mut sorted = live.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let quantile = |of: &[f64], share: f64| of.get(((of.len().max(1) - 1) as f64 * share).round() as usize).copied();
    // Without the outermost, which would leave a single bar for the rest.
    let ends = [&then.quantiles, &sorted].map(|of| quantile(of, 0.005).zip(quantile(of, 0.995)));
    let Some((low, high)) = ends.into_iter().flatten().reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    else {
        return paragraph("There are no values.");
    };
    let width = if high > low { (high - low) / BARS as f64 } else { 1.0 };
    let low = if high > low { low } else { low - width * BARS as f64 / 2.0 };
    let shares = |values: &[f64]| {
        let mut shares = [0.0; BARS];
        for value in values {
            let bar = ((value - low) / width).floor().clamp(0.0, (BARS - 1) as f64) as usize;
            shares[bar] += 1.0 / values.len() as f64;
        }
        shares
    };
    let (before, now) = (shares(&then.quantiles), shares(&sorted));
    let most = before.iter().chain(&now).copied().fold(0.0, f64::max).max(1e-9);
    let bars = |class: &'static str, shares: &[f64; BARS], (from, to): (f64, f64)| {
        let bar = |at: usize, share: f64| {
            let [left, right] = [from, to].map(|within| (at as f64 + within) / BARS as f64);
            rectangle(class, [left, 0.0], [right, share / most], &Markup::default())
        };
        html! {
            @for (at, share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
                (bar(at, *share))
            }
        }
    };
    let drawing = html! {
        (bars("then", &before, (0.02, 0.98)))
        (bars("ordinary", &now, (0.25, 0.75)))
    };
    let tick = |share: f64| Tick { at: share, text: short_number(low + width * BARS as f64 * share) };
    Plot {
        title: format!("values of {}, in training and now", visible(of)),
        class: "low",
        drawing,
        across: [0.0, 0.5, 1.0].map(tick).to_vec(),
        up: vec![Tick { at: 1.0, text: percent(Some(most)) }],
        up_name: "share of rows",
        ..Plot::default()
    }
    .html()
}

fn short_number(value: f64) -> String {
    if value.abs() >= 1e4 { short(value) } else { number(value, 3) }
}
