//! Numbered events of Vector, so that a test can check which arrived, in which order, and how often.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use crate::fixtures::noise;

/// The number of hosts.
const HOSTS: u64 = 10;

/// The events of these numbers: gauges of some hosts, as Vector's codec `native_json` writes them. Their times are ten
/// seconds apart for each host, with the number in the nanoseconds.
#[must_use]
pub fn events(numbers: Range<u64>) -> String {
    let mut out = String::with_capacity((numbers.end - numbers.start) as usize * 180);
    for n in numbers {
        let seconds = n / HOSTS * 10;
        let (month, day) = (seconds / 86_400 / 28 + 1, seconds / 86_400 % 28 + 1);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        // A digit before and one after it, because trailing zeros are not written.
        let _infallible = writeln!(
            out,
            "{{\"metric\":{{\"name\":\"load\",\"namespace\":\"host\",\"tags\":{{\"host\":\"h{}\"}},\
             \"timestamp\":\"2026-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.1{n:07}1Z\",\
             \"kind\":\"absolute\",\"gauge\":{{\"value\":{:?}}}}}}}",
            n % HOSTS,
            noise(n)
        );
    }
    out
}

/// The number of an event, or of the verdict on it.
#[must_use]
pub fn number(line: &str) -> Option<u64> {
    line.split_once("\"timestamp\":\"")?.1.split_once('.')?.1.get(1..8)?.parse().ok()
}

/// Whether qualm added the event.
#[must_use]
pub fn is_verdict(line: &str) -> bool {
    [":\"anomaly_score\",", ":\"is_anomaly\","].iter().any(|name| line.contains(name))
}

/// The number of the last event that Vector has written to a file, verdicts aside.
#[must_use]
pub fn last(path: &Path) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    let from = file.metadata().ok()?.len().saturating_sub(64 << 10);
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    let whole = &text[..text.rfind('\n')?];
    whole.lines().rev().filter(|line| !is_verdict(line)).find_map(number)
}

/// Counts of the events that passed qualm.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Distinct events.
    pub events: u64,
    /// Repeated events.
    pub again: u64,
    /// Distinct events with a verdict: both gauges or both tags.
    pub verdicts: u64,
}

/// Compares events that passed qualm with those that the same Vector wrote without it, line by line.
///
/// # Panics
///
/// Where an event differs in a byte from what it is without qualm, or is out of order: an earlier event may follow only where
/// a whole range of events is repeated. Where there is something that is no event, or a verdict that is not of the event
/// before it.
#[must_use]
pub fn compare(through: &Path, without: &Path) -> Arrived {
    let without = std::fs::read_to_string(without).expect("the events without qualm");
    let without: Vec<&str> = without.lines().collect();
    let mut arrived = Arrived::default();
    let (mut before, mut verdicts) = (None, 0);
    for line in BufReader::new(File::open(through).expect("the events through qualm")).lines() {
        let line = line.expect("text");
        let n = number(&line).unwrap_or_else(|| panic!("this is no event of ours: {line}"));
        if is_verdict(&line) {
            assert_eq!(Some(n), before, "a verdict that is not of the event before it: {line}");
            verdicts += 1;
            continue;
        }
        if before.is_some_and(|before| before + 1 == arrived.events) {
            arrived.verdicts += verdicts / 2;
        }
        let (line, tagged) = untagged(&line);
        verdicts = if tagged { 2 } else { 0 };
        assert_eq!(Some(&*line), without.get(n as usize).copied(), "event {n}");
        let follows = before.map_or(0, |before| before + 1);
        assert!(n <= follows, "event {n} came behind {before:?}");
        (arrived.events, arrived.again) =
            if n == arrived.events { (n + 1, arrived.again) } else { (arrived.events, arrived.again + 1) };
        before = Some(n);
    }
    arrived.verdicts += if before.is_some_and(|before| before + 1 == arrived.events) { verdicts / 2 } else { 0 };
    arrived
}

/// The line without the verdict's tags, and whether it had both.
fn untagged(line: &str) -> (String, bool) {
    let (mut line, mut found) = (line.to_owned(), 0);
    for tag in ["\"anomaly_cause\":\"", "\"anomaly_reason\":\"", "\"anomaly_score\":\"", "\"is_anomaly\":\""] {
        let Some(from) = line.find(tag) else { continue };
        let value = from + tag.len();
        let end = value + line[value..].find('"').expect("a tag's value ends") + 1;
        line.replace_range(from..end + usize::from(line[end..].starts_with(',')), "");
        found += usize::from(!tag.contains("cause") && !tag.contains("reason"));
    }
    (line.replace(",}", "}"), found == 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_verdicts_recognized() {
        let all = events(0..1_000_000);
        assert!(all.lines().enumerate().all(|(n, line)| number(line) == Some(n as u64)));
        assert!(!all.lines().any(is_verdict));
    }

    #[test]
    fn tags_are_removed() {
        let line = "{\"tags\":{\"anomaly_score\":\"0.5\",\"host\":\"a\",\"is_anomaly\":\"0\"}}";
        assert_eq!(untagged(line), ("{\"tags\":{\"host\":\"a\"}}".to_owned(), true));
    }
}
