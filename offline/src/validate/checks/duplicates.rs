//! Whether rows are there once, and in order of time.

use super::super::clock::Clock;
use super::super::data::Data;
use super::super::report::{Check, Finding, Verdict};
use super::{in_line, times};

/// So large a share of rows that were there before is more than an accident.
const MANY: f64 = 0.01;

pub(super) fn check(data: &Data, clocks: &[Clock], findings: &mut Vec<Finding>) {
    for clock in clocks {
        let verdict = if clock.repeated as f64 > MANY * clock.rows as f64 { Verdict::Bad } else { Verdict::Warning };
        let mut found = |verdict, kind, count: u64, line, what: &str, advice| {
            if count > 0 {
                let what = format!("{what}, {}; first{}", times(count), in_line(line));
                findings.push(
                    Finding::new(Check::Duplicates, verdict, kind, what, advice).of_series(clock).times(count, line),
                );
            }
        };
        let (identical, line) = (clock.identical, clock.identical_line);
        found(verdict, "identical", identical, line, "the same row again", "remove the copies");
        let other = clock.repeated - identical;
        let advice = "one row a time and series; what differs between them needs to be a tag";
        found(verdict, "repeated", other, clock.repeated_line, "another row of the same time", advice);
        let (count, line) = (clock.out_of_order, clock.out_of_order_line);
        found(Verdict::Bad, "order", count, line, "a time before that of the row above", "sort the rows by time");
    }
    let within: u64 = clocks.iter().map(|clock| clock.out_of_order).sum();
    if within == 0 && data.backwards.count > 0 {
        let line = data.backwards.line();
        let what = format!("series are not in order of time with one another; first{}", in_line(line));
        let advice = "sort the rows by time: live metrics come in that order";
        let finding = Finding::new(Check::Duplicates, Verdict::Warning, "order", what, advice);
        findings.push(finding.times(data.backwards.count, line));
    }
}
