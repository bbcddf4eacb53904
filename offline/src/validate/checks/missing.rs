//! Checks the share of missing values.

use super::super::options::Limits;
use super::super::profile::Profile;
use super::super::report::{Check, Finding, Verdict};
use super::percent;

pub(super) fn check(columns: &[Profile], limits: &Limits, findings: &mut Vec<Finding>) {
    for column in columns.iter().filter(|column| column.missing > 0) {
        let verdict = if column.missing_share > limits.max_missing {
            Verdict::Bad
        } else if column.missing_share > limits.max_missing / 4.0 {
            Verdict::Warning
        } else {
            continue;
        };
        let what = format!(
            "{} of its values are missing ({}); the longest run is {}",
            percent(column.missing_share),
            column.missing,
            column.longest_missing
        );
        let advice = "collect what is missing, leave the column out, or tolerate it with --max-missing";
        findings.push(
            Finding::new(Check::Missing, verdict, "missing", what, advice).of(column).times(column.missing, None),
        );
    }
}
