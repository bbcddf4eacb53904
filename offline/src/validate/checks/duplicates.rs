//! Checks for duplicate rows and the order of time.

use super::super::data::Data;
use super::super::report::{Check, Finding, Verdict};
use super::super::timing::SeriesTiming;
use super::{in_line, times};

/// The share of repeated rows above which they are bad.
const MAX_REPEATED_SHARE: f64 = 0.01;

pub(super) fn check(data: &Data, timings: &[SeriesTiming], findings: &mut Vec<Finding>) {
    for timing in timings {
        let verdict = if timing.repeated as f64 > MAX_REPEATED_SHARE * timing.rows as f64 {
            Verdict::Bad
        } else {
            Verdict::Warning
        };
        let mut found = |verdict, kind, count: u64, line, what: &str, advice| {
            if count > 0 {
                let what = format!("{what}, {}; first{}", times(count), in_line(line));
                findings.push(
                    Finding::new(Check::Duplicates, verdict, kind, what, advice).of_series(timing).times(count, line),
                );
            }
        };
        let (identical, line) = (timing.identical, timing.identical_line);
        found(verdict, "identical", identical, line, "the same row again", "remove the copies");
        let other = timing.repeated - identical;
        let advice = "one row a time and series; what differs between them needs to be a tag";
        found(verdict, "repeated", other, timing.repeated_line, "another row of the same time", advice);
        let (count, line) = (timing.out_of_order, timing.out_of_order_line);
        found(Verdict::Bad, "order", count, line, "a time before that of the row above", "sort the rows by time");
    }
    let within: u64 = timings.iter().map(|timing| timing.out_of_order).sum();
    if within == 0 && data.out_of_order.count > 0 {
        let line = data.out_of_order.line();
        let what = format!("series are not in order of time with one another; first{}", in_line(line));
        let advice = "sort the rows by time: live metrics come in that order";
        let finding = Finding::new(Check::Duplicates, Verdict::Warning, "order", what, advice);
        findings.push(finding.times(data.out_of_order.count, line));
    }
}
