//! Checks whether the data can be trained on: enough rows at regular times, and columns that vary without drift.

use std::collections::BTreeMap;

use super::super::options::Limits;
use super::super::profile::Profile;
use super::super::report::{Check, Finding, Verdict};
use super::super::terminal::seconds;
use super::super::timing::SeriesTiming;
use super::{percent, short, times};
use crate::history::timestamp;

/// A change of this many spreads from the first third to the last is a drift.
const MIN_DRIFT_SPREADS: f64 = 3.0;

/// Gaps are reported above this share of the time, or if one is longer than this many steps.
const MAX_GAP_SHARE: f64 = 0.01;
const LONG_GAP_STEPS: f64 = 100.0;

/// The least share of regular steps.
const MIN_REGULAR_SHARE: f64 = 0.5;

/// With fewer rows, steps are not checked.
const MIN_ROWS_FOR_STEPS: u64 = 10;

pub(super) fn column(column: &Profile, findings: &mut Vec<Finding>) {
    let mut found = |kind, what: String, advice| {
        findings.push(Finding::new(Check::Statistics, Verdict::Warning, kind, what, advice).of(column));
    };
    if column.is_constant() {
        let what = format!("it is always {}", short(column.median));
        found("constant", what, "leave it out: there is nothing to learn");
    } else if let Some(resets) = column.resets {
        let anew = if resets == 0 { String::new() } else { format!(", and began anew {}", times(resets)) };
        let what = format!("it only grows{anew}: it is a counter");
        found("counter", what, "take its rate: `transform = \"rate\"` in the specification");
    } else if column.is_nearly_constant() {
        let what = format!("it is {} in {} of its rows", short(column.median), percent(column.same_share));
        found("nearly_constant", what, "leave it out, unless the rare values are the point");
    } else if let Some(drift) = column.drift.filter(|drift| drift.abs() > MIN_DRIFT_SPREADS) {
        let way = if drift > 0.0 { "up" } else { "down" };
        let what = format!("from the first third to the last it went {way} by {:.1} spreads", drift.abs());
        let advice = "train on later history, or take `transform = \"delta\"`: what it learns will not last";
        found("drift", what, advice);
    }
}

pub(super) fn timings(timings: &[SeriesTiming], limits: &Limits, findings: &mut Vec<Finding>) {
    let mut rows: BTreeMap<usize, (u64, &SeriesTiming)> = BTreeMap::new();
    for timing in timings {
        rows.entry(timing.group).or_insert((0, timing)).0 += timing.rows;
        series(timing, findings);
    }
    for (rows, timing) in rows.into_values().filter(|(rows, _)| (1..limits.min_rows).contains(rows)) {
        let what = format!("{rows} rows are too few; training takes {} at least", limits.min_rows);
        let finding = Finding::new(Check::Statistics, Verdict::Bad, "rows", what, "collect more (--min-rows)");
        findings.push(Finding { series: None, ..finding.of_series(timing) }.times(rows, None));
    }
}

fn series(timing: &SeriesTiming, findings: &mut Vec<Finding>) {
    let (Some(step), Some(regular)) = (timing.step_seconds, timing.regular_share) else { return };
    let mut found = |kind, count, what: String, advice| {
        let finding = Finding::new(Check::Statistics, Verdict::Warning, kind, what, advice);
        findings.push(finding.of_series(timing).times(count, None));
    };
    if timing.gap_share > MAX_GAP_SHARE || timing.longest_gap_seconds > LONG_GAP_STEPS * step {
        let from = timing.longest_gap_after.map_or_else(String::new, |time| timestamp(time).to_string());
        let what = format!(
            "gaps, {}; the longest is {} from {from}; {} of the time in all",
            times(timing.gaps),
            seconds(timing.longest_gap_seconds),
            percent(timing.gap_share)
        );
        found("gaps", timing.gaps, what, "train on a stretch without gaps, or collect what is missing");
    }
    if regular < MIN_REGULAR_SHARE && timing.rows >= MIN_ROWS_FOR_STEPS {
        let what = format!("only {} of the steps are about {}", percent(regular), seconds(step));
        found("irregular", timing.rows, what, "align the rows: `interval` in the specification");
    }
}
