//! Whether there is anything to learn: enough rows, at regular times, of columns that move and do not run away.

use std::collections::BTreeMap;

use super::super::clock::Clock;
use super::super::options::Limits;
use super::super::profile::Profile;
use super::super::report::{Check, Finding, Verdict};
use super::super::table::seconds;
use super::{percent, short, times};
use crate::history::timestamp;

/// So many spreads from the first third to the last are a drift.
const DRIFT: f64 = 3.0;

/// So large a share of the time in gaps, or so many steps in one, are worth a word.
const GAPS: f64 = 0.01;
const LONG: f64 = 100.0;

/// Less regular steps than this share are none.
const REGULAR: f64 = 0.5;

/// How few rows say nothing about their steps.
const FEW: u64 = 10;

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
    } else if let Some(drift) = column.drift.filter(|drift| drift.abs() > DRIFT) {
        let way = if drift > 0.0 { "up" } else { "down" };
        let what = format!("from the first third to the last it went {way} by {:.1} spreads", drift.abs());
        let advice = "train on later history, or take `transform = \"delta\"`: what it learns will not last";
        found("drift", what, advice);
    }
}

pub(super) fn clocks(clocks: &[Clock], limits: &Limits, findings: &mut Vec<Finding>) {
    let mut rows: BTreeMap<usize, (u64, &Clock)> = BTreeMap::new();
    for clock in clocks {
        rows.entry(clock.group).or_insert((0, clock)).0 += clock.rows;
        series(clock, findings);
    }
    for (rows, clock) in rows.into_values().filter(|(rows, _)| (1..limits.min_rows).contains(rows)) {
        let what = format!("{rows} rows are too few; training takes {} at least", limits.min_rows);
        let finding = Finding::new(Check::Statistics, Verdict::Bad, "rows", what, "collect more (--min-rows)");
        findings.push(Finding { series: None, ..finding.of_series(clock) }.times(rows, None));
    }
}

fn series(clock: &Clock, findings: &mut Vec<Finding>) {
    let (Some(step), Some(regular)) = (clock.step_seconds, clock.regular_share) else { return };
    let mut found = |kind, count, what: String, advice| {
        let finding = Finding::new(Check::Statistics, Verdict::Warning, kind, what, advice);
        findings.push(finding.of_series(clock).times(count, None));
    };
    if clock.gap_share > GAPS || clock.longest_gap_seconds > LONG * step {
        let from = clock.longest_gap_after.map_or_else(String::new, |time| timestamp(time).to_string());
        let what = format!(
            "gaps, {}; the longest is {} from {from}; {} of the time in all",
            times(clock.gaps),
            seconds(clock.longest_gap_seconds),
            percent(clock.gap_share)
        );
        found("gaps", clock.gaps, what, "train on a stretch without gaps, or collect what is missing");
    }
    if regular < REGULAR && clock.rows >= FEW {
        let what = format!("only {} of the steps are about {}", percent(regular), seconds(step));
        found("irregular", clock.rows, what, "align the rows: `interval` in the specification");
    }
}
