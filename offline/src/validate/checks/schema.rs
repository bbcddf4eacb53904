//! Checks header, columns and rows.

use std::collections::HashSet;

use super::super::data::{Data, Tally};
use super::super::profile::Profile;
use super::super::report::{Check, Finding, Verdict};
use super::{in_line, times};

pub(super) fn check(data: &Data, columns: &[Profile], findings: &mut Vec<Finding>) {
    let faults = &data.faults;
    let bad = |kind, what: String, advice| Finding::new(Check::Schema, Verdict::Bad, kind, what, advice);
    if let Some(what) = &faults.header {
        findings.push(
            bad("header", what.to_string(), "the first line names the columns: time,cpu,mem,...").times(1, Some(1)),
        );
    }
    if let Some((line, what)) = &faults.broken_off {
        let what = format!("reading ends in line {line}: {what}");
        findings.push(bad("unreadable", what, "repair that line; nothing behind it was read").times(1, Some(*line)));
    }
    for name in &faults.twice {
        let what = "two columns are called so".to_owned();
        findings.push(bad("twice", what, "rename one").of_column(&data.groups[0].name, name));
    }
    let mut tally = |tally: &Tally, kind, what: &str, advice| {
        if tally.count > 0 {
            let place = in_line(tally.line());
            let example = if tally.what().is_empty() { String::new() } else { format!(" `{}`", tally.what()) };
            let what = format!("{what}, {}; first{example}{place}", times(tally.count));
            findings.push(bad(kind, what, advice).times(tally.count, tally.line()));
        }
    };
    tally(
        &faults.time,
        "time",
        "a time that is none",
        "write 2024-01-31T12:00:00Z, 2024-01-31 12:00:00, or seconds since 1970",
    );
    tally(&faults.untimed, "untimed", "no time", "every row needs the time it was measured");
    tally(&faults.ragged, "ragged", "not as many cells as the header", "every row must have the columns of the header");
    tally(&faults.malformed, "malformed", "a line that cannot be read", "repair or remove these lines");
    if faults.scored.count > 0 {
        let what = format!("lines that qualm has scored, {}; they are not read", times(faults.scored.count));
        let advice = "give it the metrics as they were before, without anomaly_score";
        let finding = Finding::new(Check::Schema, Verdict::Warning, "scored", what, advice);
        findings.push(finding.times(faults.scored.count, faults.scored.line()));
    }
    let filled: HashSet<(usize, &str)> = columns
        .iter()
        .filter(|column| column.values > 0)
        .map(|column| (column.group, column.column.as_str()))
        .collect();
    for (at, group) in data.groups.iter().enumerate() {
        for (name, texts) in group.columns.iter().zip(&group.texts) {
            let is_filled = filled.contains(&(at, name.as_str()));
            if let Some(finding) = column(texts, is_filled) {
                findings.push(finding.of_column(&group.name, name));
            }
        }
    }
    if data.rows() == 0 && faults.broken_off.is_none() {
        findings.push(bad("empty", "there is nothing in it".to_owned(), "is it the right file?"));
    }
}

/// Checks one column.
fn column(texts: &Tally, is_filled: bool) -> Option<Finding> {
    let place = format!("first `{}`{}", texts.what(), in_line(texts.line()));
    let (verdict, kind, what, advice) = match (texts.count, is_filled) {
        (0, true) => return None,
        (0, false) => (Verdict::Warning, "empty", "it is never filled".to_owned(), "leave it out"),
        (count, true) => (
            Verdict::Bad,
            "text",
            format!("text where numbers are, {}; {place}", times(count)),
            "leave it empty where it is missing",
        ),
        (_, false) => (
            Verdict::Bad,
            "text",
            format!("it has texts and no numbers; {place}"),
            "leave it out; what tells hosts apart is a tag in .lp and .jsonl",
        ),
    };
    Some(Finding::new(Check::Schema, verdict, kind, what, advice).times(texts.count.max(1), texts.line()))
}
