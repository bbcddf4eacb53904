//! Checks for implausible values.

use super::super::profile::{Profile, Share};
use super::super::report::{Check, Finding, Verdict};
use super::{in_line, short, times};
use crate::history::cell::MAX_VALUE;

/// Negative values below this share, and farther than this many spreads from the median, are marks for missing values.
const MAX_MARK_SHARE: f64 = 0.01;
const MIN_MARK_SPREADS: f64 = 6.0;

pub(super) fn check(column: &Profile, findings: &mut Vec<Finding>) {
    let mut found = |verdict, kind, share: &Share, what: &str, advice| {
        if share.count > 0 {
            let first = share.first_value.map_or_else(String::new, |value| format!(" `{}`", short(value)));
            let what = format!("{what}, {}; first{first}{}", times(share.count), in_line(share.first_line));
            let finding = Finding::new(Check::Ranges, verdict, kind, what, advice);
            findings.push(finding.of(column).times(share.count, share.first_line));
        }
    };
    if let Some([from, to]) = column.expected {
        let what = format!("outside {}..{}", short(from), short(to));
        found(Verdict::Bad, "unexpected", &column.unexpected, &what, "remove these values, or widen --expect");
    }
    let infinite = Share { count: column.infinite, first_line: column.infinite_line, first_value: None };
    found(Verdict::Warning, "infinite", &infinite, "infinite", "they count as missing; leave them empty");
    let overflows = column.max.max(-column.min) > MAX_VALUE;
    let (verdict, what) = if overflows {
        (Verdict::Bad, "larger than 1e15, and one too large to learn from")
    } else {
        (Verdict::Warning, "larger than 1e15")
    };
    let advice = "no measurement is: is it a time, or a mark for what is missing?";
    found(verdict, "huge", &column.huge, what, advice);
    let percentage = column.is_percentage() && column.resets.is_none();
    if percentage {
        found(Verdict::Warning, "percentage", &column.above_100, "a percentage above 100", "is that possible there?");
        found(Verdict::Warning, "percentage", &column.negative, "a percentage below 0", "is that possible there?");
    } else if has_missing_marks(column) {
        let advice = "is it a mark for what is missing? Then leave it empty";
        found(Verdict::Warning, "negative", &column.negative, "negative, where hardly any other is", advice);
    }
}

/// Whether the negative values of a column are marks for missing values.
fn has_missing_marks(column: &Profile) -> bool {
    let share = column.negative.count as f64 / column.values.max(1) as f64;
    share < MAX_MARK_SHARE
        && column.median - column.least_negative > MIN_MARK_SPREADS * column.spread
        && column.median >= 0.0
}
