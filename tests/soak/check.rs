//! Checks numbered lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use qualm_tests::unsplice;

/// The format of lines: writes the line of a number, with its newline, and reads lines of the output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) line: fn(u64) -> String,
    /// The number of a line.
    pub(crate) number: fn(&str) -> Option<u64>,
    /// Whether qualm added a line.
    pub(crate) is_ours: fn(&str) -> bool,
}

/// The counts of one path through qualm.
#[derive(Debug, Clone)]
pub(crate) struct Counts {
    pub(crate) way: &'static str,
    pub(crate) sent: u64,
    pub(crate) came: u64,
    pub(crate) lost: u64,
    pub(crate) reordered: u64,
    pub(crate) changed: u64,
    /// Repeated: over HTTP a body whose answer is lost must be sent again.
    pub(crate) again: u64,
    /// More than a second after they were sent, without the time that the reader itself was suspended.
    pub(crate) late: u64,
    pub(crate) verdicts: u64,
    /// Whether lines may be repeated.
    pub(crate) may_repeat: bool,
    /// Faults, by name.
    pub(crate) faults: BTreeMap<&'static str, u64>,
}

impl Counts {
    pub(crate) const TITLE: &str =
        "way            lines in   lines out  lost  reordered  changed     again      late    verdicts  faults";

    pub(crate) fn new(way: &'static str, may_repeat: bool) -> Self {
        Self {
            way,
            sent: 0,
            came: 0,
            lost: 0,
            reordered: 0,
            changed: 0,
            again: 0,
            late: 0,
            verdicts: 0,
            may_repeat,
            faults: BTreeMap::new(),
        }
    }

    /// Whether every line arrived unchanged and in order, and some got verdicts.
    pub(crate) fn are_well(&self) -> bool {
        let Self { sent, came, lost, reordered, changed, again, verdicts, may_repeat, .. } = self;
        let bad = lost + reordered + changed + if *may_repeat { 0 } else { *again };
        bad == 0 && came == sent && *sent > 0 && *verdicts > 0
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { way, sent, came, lost, reordered, changed, again, late, verdicts, faults, .. } = self;
        let faults: Vec<_> = faults.iter().map(|(name, count)| format!("{count} {name}")).collect();
        write!(
            f,
            "{way:11} {sent:11} {came:11} {lost:5} {reordered:10} {changed:8} {again:9} {late:9} {verdicts:11}  {}",
            faults.join(", ")
        )
    }
}

/// Checks each line of the output.
#[derive(Debug)]
pub(crate) struct Check {
    kind: Kind,
    next: u64,
    /// Lines that were skipped.
    missing: BTreeSet<u64>,
    pub(crate) counts: Counts,
}

impl Check {
    pub(crate) fn new(kind: Kind, counts: Counts) -> Self {
        Self { kind, next: 0, missing: BTreeSet::new(), counts }
    }

    /// Checks whole lines, and returns the number of the next one.
    pub(crate) fn take(&mut self, text: &[u8]) -> u64 {
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            self.take_line(line);
        }
        self.next
    }

    fn take_line(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        if (self.kind.is_ours)(&text) {
            self.counts.verdicts += 1;
            return;
        }
        if self.is(self.next, line) {
            self.next += 1;
            return;
        }
        match (self.kind.number)(&text) {
            Some(number) if number < self.next + 1_000_000 && self.is(number, line) => {
                if number >= self.next {
                    self.missing.extend(self.next..number);
                    self.next = number + 1;
                } else if self.missing.remove(&number) {
                    self.counts.reordered += 1;
                } else {
                    self.counts.again += 1;
                }
            }
            _ => {
                self.counts.changed += 1;
                eprintln!(
                    "{}: line {} came as {}",
                    self.counts.way,
                    self.next,
                    line[..line.len().min(300)].escape_ascii()
                );
            }
        }
    }

    /// Whether it is the line of this number, with or without a verdict.
    fn is(&mut self, number: u64, line: &[u8]) -> bool {
        let Ok(verdicts) = unsplice((self.kind.line)(number).as_bytes(), line) else { return false };
        self.counts.verdicts += verdicts.len() as u64;
        true
    }

    /// Ends the check: so many lines were sent.
    pub(crate) fn finish(mut self, sent: u64) -> Counts {
        self.missing.extend(self.next..sent);
        self.counts.sent = sent;
        self.counts.lost = self.missing.len() as u64;
        self.counts.came = sent - self.counts.lost;
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind {
        line: |n| format!("m v={n},n={n}i 5\n"),
        number: |line| line.split("n=").nth(1)?.split('i').next()?.parse().ok(),
        is_ours: |line| line.starts_with("anomaly,"),
    };

    /// The counts of these lines, of five that were sent.
    fn counts(lines: &[&str]) -> Counts {
        let mut check = Check::new(KIND, Counts::new("test", false));
        check.take(lines.concat().as_bytes());
        check.finish(5)
    }

    #[test]
    fn lost_repeated_changed_and_late_lines_are_counted() {
        let all: Vec<String> = (0..5).map(KIND.line).collect();
        let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|n| &*all[n]);
        let scored = "m v=1,n=1i,anomaly_score=0.5,is_anomaly=0i 5\n";
        let well = counts(&[a, scored, "anomaly,host=a score=1 5\n", c, d, e]);
        assert!(well.are_well(), "{well:?}");
        assert_eq!((well.came, well.verdicts), (5, 2));
        for (lines, [lost, reordered, changed, again]) in [
            (vec![a, scored, d, e], [1, 0, 0, 0]),
            (vec![a, scored, c], [2, 0, 0, 0]),
            (vec![a, c, scored, d, e], [0, 1, 0, 0]),
            (vec![a, scored, scored, c, d, e], [0, 0, 0, 1]),
            (vec![a, scored, "m v=7,n=2i 5\n", d, e], [1, 0, 1, 0]),
            (vec![a, scored, c, "rubbish\n", d, e], [0, 0, 1, 0]),
            (vec![], [5, 0, 0, 0]),
        ] {
            let counts = counts(&lines);
            let found = [counts.lost, counts.reordered, counts.changed, counts.again];
            assert_eq!(found, [lost, reordered, changed, again], "{lines:?}");
            assert!(!counts.are_well(), "{lines:?}");
        }
        assert!(!counts(&[a, b, c, d, e]).are_well(), "where nothing is scored, nothing is tried");
    }
}
