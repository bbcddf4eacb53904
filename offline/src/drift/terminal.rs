//! A comparison as text for a terminal.

use qualm_bundle::duration::friendly;
use qualm_drift::{Compare, Report};
use qualm_system::untrusted::visible;

use super::words::{deviation, listed, mean, statistic};
use super::{Outcome, verdict};
use crate::evaluate::format::{count, known, percent};
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
        "{title}: {rows}{when}\n{notes}\n{}\n\n{}{}{}",
        verdict(outcome).join("\n"),
        features(outcome),
        score(report),
        live(outcome)
    )
}

fn features(outcome: &Outcome) -> String {
    let heads = [
        "feature",
        "votes",
        "mean then → now",
        "deviation then → now",
        "KS",
        "PSI",
        "Wasserstein",
        "JS",
        "chi²",
        "drift in windows",
    ];
    let ranked = outcome.ranked();
    let rows = ranked.iter().take(MAX_LISTED).map(|&at| feature(outcome, at));
    let table = columns(std::iter::once(heads.map(str::to_owned).to_vec()).chain(rows));
    let more = ranked.len().saturating_sub(MAX_LISTED);
    let more = if more > 0 { format!("  … and {more} more\n") } else { String::new() };
    format!(
        "{table}{more}  votes and tests are of all rows together\n  \
         * votes for drift: above its level, and significant where it has a p-value\n"
    )
}

fn feature(outcome: &Outcome, at: usize) -> Vec<String> {
    let report = &outcome.report.features[at];
    let (then, now) = (&report.reference, &report.live);
    let mut cells = vec![visible(&outcome.table.names[at]), format!("{} of 5", report.votes)];
    cells.push(format!("{} → {}", mean(then), mean(now)));
    cells.push(format!("{} → {}", deviation(then), deviation(now)));
    cells.extend(report.tests.iter().map(|test| {
        let mark = if test.votes { "*" } else { "" };
        format!("{}{mark}", statistic(test.statistic, 2))
    }));
    cells.push(if outcome.feature_drifts(at) { drift(outcome, at) } else { String::new() });
    cells
}

/// When a feature drifted, and how strongly.
fn drift(outcome: &Outcome, at: usize) -> String {
    let missing = &outcome.report.features[at].missing;
    let missing =
        if missing.drifted { format!(", missing in {} of all rows", percent(missing.live)) } else { String::new() };
    let windows = outcome.in_windows(at);
    let Some(sustained) = windows.sustained else { return format!("only all rows together{missing}") };
    let besides: String = windows.besides.iter().map(|what| format!(", {what}")).collect();
    let votes = windows.most_votes.unwrap_or(0);
    format!("{}: up to {votes} of 5 votes{besides}{missing}", outcome.when(&sustained))
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

/// What would have been said live, and when.
fn live(outcome: &Outcome) -> String {
    let window = friendly(outcome.reference.window);
    let Some((began, of)) = outcome.began().zip(outcome.began_of()) else {
        return if outcome.timeline.is_empty() {
            format!("\nthe rows last for less than a window ({window}): live, nothing would be said yet\n")
        } else {
            format!("\nlive, no drift would have been sustained for long enough to be reported (window {window})\n")
        };
    };
    let of = visible(&listed(&of.named(&outcome.table.names), ""));
    let scores = outcome.in_windows(outcome.report.features.len()).sustained;
    let others: String = [("the scores", scores), ("the alarm rate", outcome.alarms_in_windows())]
        .into_iter()
        .filter_map(|(what, sustained)| Some(format!("{what} drifted {}\n", outcome.when(&sustained?))))
        .collect();
    format!("\nlive, drift would have been reported first at {} ({of}; window {window})\n{others}", timestamp(began))
}
