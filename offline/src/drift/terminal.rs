//! A comparison as text for a terminal.

use qualm_drift::{Compare, Report, State};
use qualm_system::untrusted::visible;

use super::Outcome;
use crate::evaluate::format::{count, known, number, percent};
use crate::evaluate::terminal::columns;
use crate::history::timestamp;

/// How many features are listed.
const MAX_LISTED: usize = 12;

pub(super) fn text(outcome: &Outcome) -> String {
    let Outcome { title, report, table, notes, .. } = outcome;
    let when = table.times.first().zip(table.times.last());
    let when = when.map_or_else(String::new, |(from, to)| format!(", {} to {}", timestamp(*from), timestamp(*to)));
    let notes: String = notes.iter().map(|note| format!("note: {note}\n")).collect();
    let rows = count(table.len() as u64, "row", "rows");
    format!(
        "{title}: {rows}{when}\n{notes}\n{}\n{}{}{}",
        verdict(outcome),
        features(outcome),
        score(report),
        began(outcome)
    )
}

/// What was found, in a sentence.
pub(crate) fn verdict(outcome: &Outcome) -> String {
    let all = outcome.report.features.len();
    let features = count(all as u64, "feature", "features");
    if outcome.report.state == State::Learning {
        return "Drift is unknown: there is no row to compare".to_owned();
    }
    if !outcome.drifts() {
        return format!("No drift: none of {features} is off by more than windows of the training rows were");
    }
    let mut what = Vec::new();
    let drifted = (0..all).filter(|feature| outcome.feature_drifts(*feature)).count();
    if drifted > 0 {
        what.push(format!("{drifted} of {features}"));
    }
    if outcome.score_drifts() {
        what.push("the score".to_owned());
    }
    if outcome.alarms_drift() {
        what.push("the rate of alarms".to_owned());
    }
    format!("Drift of {}: the model no longer sees what it was trained on", what.join(", "))
}

fn features(outcome: &Outcome) -> String {
    let heads =
        ["feature", "votes", "mean then → now", "deviation then → now", "KS", "PSI", "Wasserstein", "JS", "chi²"];
    let ranked = outcome.ranked();
    let rows = ranked.iter().take(MAX_LISTED).map(|&at| {
        let report = &outcome.report.features[at];
        let (then, now) = (report.reference, report.live);
        let mark = if outcome.feature_drifts(at) { "drift" } else { "" };
        let mut cells = vec![visible(&outcome.table.names[at]), format!("{} of 5", report.votes)];
        cells.push(format!("{} → {}", known(then.mean), known(now.mean)));
        cells.push(format!("{} → {}", known(then.deviation), known(now.deviation)));
        cells.extend(report.tests.iter().map(|test| {
            let mark = if test.votes { "*" } else { "" };
            format!("{}{mark}", number(test.statistic, 2))
        }));
        let missing = &report.missing;
        cells.push(if missing.drifted { format!("missing {}", percent(missing.live)) } else { mark.to_owned() });
        cells
    });
    let table = columns(std::iter::once(heads.map(str::to_owned).to_vec()).chain(rows));
    let more = ranked.len().saturating_sub(MAX_LISTED);
    let more = if more > 0 { format!("  … and {more} more\n") } else { String::new() };
    format!("{table}{more}  * votes for drift: above its level, and significant where it has a p-value\n")
}

fn score(report: &Report) -> String {
    let row = |name: &str, of: &Compare, show: &dyn Fn(Option<f64>) -> String| {
        let mark = if of.drifted { "drift" } else { "" };
        vec![name.to_owned(), format!("{} → {}", show(of.reference), show(of.live)), mark.to_owned()]
    };
    let rows = [
        row("score, median", &report.error_median, &known),
        row("score, 95 %", &report.error_p95, &known),
        row("rows that alarm", &report.alarm_rate, &percent),
    ];
    format!("\n{}", columns(rows.into_iter()))
}

fn began(outcome: &Outcome) -> String {
    let window = qualm_bundle::duration::friendly(outcome.reference.window);
    match (outcome.timeline.is_empty(), outcome.began()) {
        (true, _) => format!("\nthe rows last for less than a window ({window}): live, nothing would be said yet\n"),
        (false, Some(time)) => {
            format!("\nlive, drift would have been reported first at {} (window {window})\n", timestamp(time))
        }
        (false, None) => {
            format!("\nlive, no drift would have been sustained for long enough to be reported (window {window})\n")
        }
    }
}
