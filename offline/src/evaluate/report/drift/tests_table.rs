//! All features with all tests.

use maud::{Markup, html};
use qualm_drift::{Test, TestResult};

use super::super::html::{Cell, name, section, table};
use crate::drift::Outcome;
use crate::drift::words::{is_infinite, p_value, statistic};
use crate::evaluate::format::{number, percent};

/// How many features are listed.
const MAX_LISTED: usize = 200;

const HEADS: [&str; 8] =
    ["Feature", "Drift in windows", "Votes, all rows", "KS", "PSI", "Wasserstein", "Jensen–Shannon", "Chi-square"];

/// All features with all tests.
pub(super) fn section_html(outcome: &Outcome) -> Markup {
    let Outcome { report, table: rows_of, .. } = outcome;
    let columns = || report.features.iter().chain([&report.score]);
    let missing = columns().any(|column| column.reference.missing > 0.0 || column.live.missing > 0.0);
    let heads: Vec<&str> = HEADS.into_iter().chain(missing.then_some("Missing")).collect();
    let score = row(outcome, html! { "score" }, report.features.len(), missing);
    let ranked = outcome.ranked();
    let features = ranked.iter().take(MAX_LISTED).map(|&at| row(outcome, name(&rows_of.names[at]), at, missing));
    section("All tests", meaning(outcome), table("tests", &heads, std::iter::once(score).chain(features)))
}

fn meaning(outcome: &Outcome) -> String {
    let rules = &outcome.rules;
    let (consensus, sustained) = (rules.consensus, rules.sustained);
    let features = outcome.report.features.len();
    let listed = if features > MAX_LISTED { format!(" The first {MAX_LISTED} of {features}.") } else { String::new() };
    format!(
        "Statistics of five tests, of all rows together. A test votes (red) where its statistic is above its level and, if it \
         has a p-value (adjusted for the number of features), that is below {}. A level is the larger of a fixed one and \
         {} times what nine in ten windows of the training rows had, or its square for PSI. {consensus} votes make drift; in \
         windows, at {sustained} ends in a row.{listed}",
        number(rules.significance, 2),
        number(rules.factor, 2)
    )
}

fn row(outcome: &Outcome, of: Markup, column: usize, with_missing: bool) -> Vec<Cell> {
    let report = outcome.column(column);
    let mut cells: Vec<Cell> = vec![of.into(), drift(outcome, column), format!("{} of 5", report.votes).into()];
    cells.extend(report.tests.iter().map(test));
    let missing = &report.missing;
    let shares = || format!("{} → {}", percent(missing.reference), percent(missing.live)).into();
    cells.extend(with_missing.then(shares));
    cells
}

/// When a column drifted, and how strongly.
fn drift(outcome: &Outcome, column: usize) -> Cell {
    let windows = outcome.in_windows(column);
    let drifts = match windows.sustained {
        Some(sustained) => html! { span.missing { (outcome.when(&sustained)) } },
        None if together(outcome, column) => html! { span.missing { "all rows together" } },
        None => html! { "no" },
    };
    let votes = windows.most_votes.map(|votes| format!("up to {votes} of 5 votes"));
    let small = votes.into_iter().chain(windows.besides.iter().map(|what| (*what).to_owned())).collect::<Vec<_>>();
    html! {
        (drifts)
        @if !small.is_empty() { small { (small.join("; ")) } }
    }
    .into()
}

/// Whether a feature or the score drifts, of all rows together.
fn together(outcome: &Outcome, column: usize) -> bool {
    let report = &outcome.report;
    let score = column == report.features.len() && report.errors_drift();
    outcome.column(column).drifted || score
}

fn test(test: &TestResult) -> Cell {
    let class = test.votes.then_some("bad");
    let constant = test.test == Test::Wasserstein && is_infinite(test.statistic);
    let found = if constant { "was constant".to_owned() } else { statistic(test.statistic, 3) };
    html! {
        span class=[class] { (found) }
        small {
            "level " (statistic(test.level, 3))
            @if let Some(value) = test.p_value { ", " (p_value(value)) }
        }
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(test: Test, statistic: f64, p_value: Option<f64>) -> String {
        let result = TestResult { test, statistic, p_value, level: 0.35, votes: true };
        let cells = std::iter::once(vec![Cell::from("f"), super::test(&result)]);
        table("", &["", ""], cells).into_string()
    }

    #[test]
    fn cells_have_neither_noise_nor_infinity() {
        let constant = text(Test::Wasserstein, 1e9, None);
        assert!(constant.contains(">was constant<") && constant.contains("level 0.35<"), "{constant}");
        let ks = text(Test::KolmogorovSmirnov, 4.2e-5, Some(0.0));
        assert!(ks.contains(">&lt; 0.001<") && ks.contains("level 0.35, p &lt; 1e-6<"), "{ks}");
    }
}
