//! The sections with labels: incident by incident, row by row, and at every threshold.

use maud::{Markup, html};

use super::Page;
use super::html::{section, table};
use super::plot::{Plot, line, path, stroke, unit_ticks};
use crate::evaluate::evaluation::Labelled;
use crate::evaluate::events::Events;
use crate::evaluate::format::{NONE, count, figure, number, percent, seconds, thousands};
use crate::evaluate::metrics::share;

/// Points of a curve that are drawn, about: closer ones cannot be distinguished.
const MAX_POINTS: f64 = 500.0;

/// Incidents, confusion matrix, and curves over all thresholds.
pub(super) fn sections(page: &Page<'_>) -> Markup {
    let Some(labelled) = &page.evaluation.labelled else { return Markup::default() };
    let Labelled { events, figures, best, .. } = labelled;
    let verdict = if labelled.anomalous == 0 {
        "No row is labelled as an incident, so nothing can be found; each alarm is a false one.".to_owned()
    } else {
        in_words(events)
    };
    let unscored = if labelled.unscored > 0 {
        let rows = count(labelled.unscored, "labelled row has", "labelled rows have");
        format!(" {rows} no score, and count as not found.")
    } else {
        String::new()
    };
    let best = best.map_or_else(String::new, |best| {
        format!(
            " Who knew the labels could set the threshold to {} for an F1 of {}; that is a bound, not a promise.",
            number(best.threshold, 3),
            figure(Some(best.f1))
        )
    });
    let rows = format!(
        "Each row counts for what it was called when it passed; that one row of an incident was found does not make its \
         other rows found. Precision {}, recall {}, F1 {}.{unscored}{best}",
        figure(figures.precision),
        figure(figures.recall),
        figure(figures.f1)
    );
    let curves = "What a lower or a higher threshold would find, and at what price. The dot is the threshold of this model, \
                  the dotted line is what scores that know nothing would do.";
    let pair = html! {
        div.pair {
            (precision_recall(labelled))
            (roc(labelled))
        }
    };
    html! {
        (section("Incidents", verdict, table_of_events(events)))
        (section("Row by row", rows, confusion(labelled)))
        (section("At every threshold", curves, pair))
    }
}

fn in_words(events: &Events) -> String {
    let tolerance = if events.tolerance > 0 {
        format!(" An alarm may be {} early or late.", count(events.tolerance as u64, "row", "rows"))
    } else {
        String::new()
    };
    format!(
        "An incident is a run of labelled rows; it is found if any row in it alarms. An alarm is right if it touches an \
         incident.{tolerance}"
    )
}

fn table_of_events(events: &Events) -> Markup {
    let delay = events.delay.map_or_else(
        || NONE.to_owned(),
        |delay| {
            format!(
                "{}, {} {}",
                seconds(delay.seconds),
                number(delay.rows, 3),
                if delay.rows.to_bits() == 1.0_f64.to_bits() { "row" } else { "rows" }
            )
        },
    );
    let found = html! { (percent(events.recall)) " " small { (events.found) " of " (events.events) } };
    let right = html! { (percent(events.precision)) " " small { (events.right) " of " (events.alarms) } };
    let rows = [
        vec!["Incidents found".into(), found.into()],
        vec!["Alarms that were right".into(), right.into()],
        vec!["Both in one (F1)".into(), figure(events.f1).into()],
        vec!["From an incident's start to its first alarm, median".into(), delay.into()],
    ];
    table("short", &["", ""], rows.into_iter())
}

fn confusion(labelled: &Labelled) -> Markup {
    let it = labelled.confusion;
    let cell = |rows: u64, class: &str, what: &str| html! { b class=(class) { (thousands(rows)) } (what) }.into();
    let rows = [
        vec!["labelled".into(), cell(it.true_positives, "good", "found"), cell(it.false_negatives, "bad", "not found")],
        vec![
            "ordinary".into(),
            cell(it.false_positives, "bad", "false alarms"),
            cell(it.true_negatives, "good", "left alone"),
        ],
    ];
    table("confusion", &["rows that are", "called anomalous", "called ordinary"], rows.into_iter())
}

fn precision_recall(labelled: &Labelled) -> Markup {
    // Between two thresholds the curve is a step at the later precision, as in the sum of AUC-PR.
    let mut steps = Vec::new();
    let mut before = 0.0;
    for (recall, precision) in sparse(labelled.ranking.precision_recall()) {
        steps.extend([Some((before, precision)), Some((recall, precision))]);
        before = recall;
    }
    let confusion = labelled.confusion;
    let chance = share(labelled.anomalous, confusion.true_negatives + confusion.false_positives + labelled.anomalous);
    let here = labelled.figures.recall.zip(labelled.figures.precision);
    let plot = Plot {
        title: "Precision and recall at every threshold".to_owned(),
        class: "square",
        drawing: html! {
            @if let Some(chance) = chance {
                (line("chance", 0.0, chance, 1.0, chance))
            }
            (stroke("ordinary", &path(steps.into_iter())))
            (dot(here))
        },
        across: unit_ticks(),
        up: unit_ticks(),
        across_name: "recall: share of labelled rows found",
        up_name: "precision: share of alarming rows that are labelled",
    };
    html! {
        div {
            h3 { "Precision and recall: AUC-PR " (figure(labelled.figures.auc_pr)) }
            (plot.html())
        }
    }
}

fn roc(labelled: &Labelled) -> Markup {
    let points = sparse(labelled.ranking.roc()).into_iter().map(Some);
    let confusion = labelled.confusion;
    let false_alarms = share(confusion.false_positives, confusion.false_positives + confusion.true_negatives);
    let plot = Plot {
        title: "Rows found and false alarms at every threshold".to_owned(),
        class: "square",
        drawing: html! {
            (line("chance", 0.0, 0.0, 1.0, 1.0))
            (stroke("ordinary", &path(points)))
            (dot(false_alarms.zip(labelled.figures.recall)))
        },
        across: unit_ticks(),
        up: unit_ticks(),
        across_name: "share of ordinary rows that alarm",
        up_name: "share of labelled rows found",
    };
    html! {
        div {
            h3 { "Found and false: ROC-AUC " (figure(labelled.figures.roc_auc)) }
            (plot.html())
        }
    }
}

fn dot(at: Option<(f64, f64)>) -> Markup {
    at.map_or_else(Markup::default, |at| stroke("here", &path([Some(at)].into_iter())))
}

/// Drops points of a curve that would be drawn onto another.
fn sparse(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let mut out: Vec<(f64, f64)> = Vec::new();
    let last = points.len().saturating_sub(1);
    for (at, point) in points.into_iter().enumerate() {
        let far = |last: &(f64, f64)| (point.0 - last.0).abs().max((point.1 - last.1).abs()) > 1.0 / MAX_POINTS;
        if at == last || out.last().is_none_or(far) {
            out.push(point);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_keeps_its_ends_and_no_more_points_than_can_be_seen() {
        let curve: Vec<(f64, f64)> = (0..=100_000).map(|at| (f64::from(at) / 1e5, f64::from(at) / 1e5)).collect();
        let drawn = sparse(curve.clone());
        assert!(drawn.len() <= 502 && drawn.first() == curve.first() && drawn.last() == curve.last());
        assert!(sparse(Vec::new()).is_empty());
    }
}
