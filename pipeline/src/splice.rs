//! Verdicts in line protocol: `,anomaly_score=0.31,is_anomaly=0i`, for an anomaly also the cause and the reason, and the band if
//! wanted.

use std::io::Write as _;

use qualm_contract::Band;

use crate::band::{named_limits, write_number};
use crate::format::{EntityRate, EventVerdict, VectorVerdict};
use crate::line::unescape;

/// The largest score that is written; larger ones are clipped.
const MAX_SCORE: f64 = 1e6;

/// Steps of a score between 0 and 1: four digits are more than a plot shows, and each digit costs storage in every row.
const SCORE_STEPS: u64 = 10_000;

/// The most contributions of an anomaly that are written.
const MAX_CONTRIBUTIONS: usize = 3;

/// Appends the fields that make up the verdict.
pub fn write_verdict(out: &mut Vec<u8>, verdict: &EventVerdict<'_>) {
    out.extend_from_slice(b",anomaly_score=");
    write_score(out, verdict.score);
    match verdict.cause {
        Some(cause) => {
            out.extend_from_slice(b",is_anomaly=1i,anomaly_cause=");
            write_string(out, &unescape(cause));
        }
        None => out.extend_from_slice(b",is_anomaly=0i"),
    }
    if let Some(reason) = verdict.reason {
        out.extend_from_slice(b",anomaly_reason=");
        write_string(out, reason.as_bytes());
    }
    write_band(out, "", verdict.band);
}

/// Appends the known numbers of a band, each as a field whose key is its name without the prefix `beginning`.
fn write_band(out: &mut Vec<u8>, beginning: &str, band: Band) {
    for (name, value) in named_limits(band) {
        out.push(b',');
        out.extend_from_slice(name.strip_prefix(beginning).unwrap_or(name).as_bytes());
        out.push(b'=');
        write_number(out, value);
    }
}

/// Appends the event with the verdict of a vector, whose features are called `names`.
pub fn write_vector_verdict<'a>(
    out: &mut Vec<u8>,
    verdict: &VectorVerdict<'_>,
    names: &(impl Iterator<Item = &'a str> + Clone),
) {
    let ended = open_event(out, verdict.tags, verdict.detector);
    out.extend_from_slice(b"score=");
    write_score(out, verdict.score);
    out.extend_from_slice(if verdict.anomaly { b",is_anomaly=1i" } else { b",is_anomaly=0i" });
    for (place, (name, share)) in largest_contributions(verdict.contributions, names).enumerate() {
        if place == 0 {
            out.extend_from_slice(b",cause=");
            write_string(out, name.as_bytes());
        }
        out.extend_from_slice(b",contribution_");
        write_name(out, name);
        // Writing to memory does not fail.
        let _infallible = write!(out, "={share:.4}");
    }
    if let Some(reason) = verdict.reason {
        out.extend_from_slice(b",reason=");
        write_string(out, reason.as_bytes());
    }
    write_band(out, "anomaly_", verdict.band); // the measurement is called `anomaly`
    close_event(out, verdict.time, ended);
}

/// Appends the event with an anomaly rate.
pub fn write_anomaly_rate(out: &mut Vec<u8>, rate: &EntityRate<'_>) {
    let ended = open_event(out, rate.tags, rate.detector);
    out.extend_from_slice(b"anomaly_rate=");
    write_score(out, rate.share()); // rounded up: 0 only if no series was anomalous
    let _infallible = write!(out, ",anomalous={}i,series={}i", rate.anomalous, rate.series);
    close_event(out, rate.time, ended);
}

/// Begins an event about an entity, up to its first field. It is on a new line, even after an event without a line end.
/// Returns whether that had one.
fn open_event(out: &mut Vec<u8>, tags: &[u8], detector: &[u8]) -> bool {
    let ended = out.last().is_none_or(|&byte| byte == b'\n');
    if !ended {
        out.push(b'\n');
    }
    out.extend_from_slice(b"anomaly");
    out.extend_from_slice(tags);
    out.extend_from_slice(b",detector=");
    out.extend_from_slice(detector);
    out.push(b' ');
    ended
}

/// Ends it, with a line end if the event before had one.
fn close_event(out: &mut Vec<u8>, time: i64, ended: bool) {
    // Writing to memory does not fail.
    let _infallible = write!(out, " {time}");
    if ended {
        out.push(b'\n');
    }
}

/// The features that contributed most, the largest first, and how much. Of several equal ones only the first is included.
pub fn largest_contributions<'a>(
    contributions: &[f64],
    names: &(impl Iterator<Item = &'a str> + Clone),
) -> impl Iterator<Item = (&'a str, f64)> {
    let mut below = f64::INFINITY;
    std::iter::from_fn(move || {
        let rest = contributions.iter().zip(names.clone()).filter(|(share, _)| share.abs() < below);
        let (share, name) = rest.reduce(|a, b| if b.0.abs() > a.0.abs() { b } else { a })?;
        below = share.abs();
        (below > 0.0).then(|| (name, share.clamp(-MAX_SCORE, MAX_SCORE)))
    })
    .take(MAX_CONTRIBUTIONS)
}

/// Appends a string field's value.
fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Appends a name as a tag's value or a field's key, with the backslashes that line protocol needs.
pub fn write_name(out: &mut Vec<u8>, name: &str) {
    for byte in name.bytes() {
        match byte {
            b',' | b'=' | b' ' => out.extend_from_slice(&[b'\\', byte]),
            // A backslash would escape what follows.
            b'\t'..=b'\r' | b'\\' => out.push(b'_'),
            _ => out.push(byte),
        }
    }
    if name.is_empty() {
        out.push(b'_');
    }
}

/// A score as it is written: rounded up, so that it stays above 1 or not.
#[must_use]
pub fn round_score(score: f64) -> f64 {
    score_steps(score) as f64 / SCORE_STEPS as f64
}

fn score_steps(score: f64) -> u64 {
    (score.clamp(0.0, MAX_SCORE) * SCORE_STEPS as f64).ceil() as u64
}

/// Appends a score, [`round_score`].
pub fn write_score(out: &mut Vec<u8>, score: f64) {
    let score_steps = score_steps(score);
    write_digits(out, score_steps / SCORE_STEPS, 1);
    let mut fraction = score_steps % SCORE_STEPS;
    if fraction > 0 {
        out.push(b'.');
        let mut digits = 4;
        while fraction.is_multiple_of(10) {
            fraction /= 10;
            digits -= 1;
        }
        write_digits(out, fraction, digits);
    }
}

/// Appends `number` with at least `width` digits, at most ten.
fn write_digits(out: &mut Vec<u8>, mut number: u64, width: usize) {
    let mut digits = [b'0'; 10];
    let mut first = digits.len();
    while number > 0 || digits.len() - first < width {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&digits[first..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(verdict: &EventVerdict<'_>) -> String {
        let mut out = Vec::new();
        write_verdict(&mut out, verdict);
        String::from_utf8(out).unwrap()
    }

    fn written(score: f64, cause: &[u8]) -> String {
        let cause = (score > 1.0).then_some(cause);
        verdict(&EventVerdict { score, cause, reason: None, band: Band::UNKNOWN, head: b"m" })
    }

    #[test]
    fn scores_are_short_and_keep_their_side_of_the_threshold() {
        for (score, text) in [
            (0.0, "0"),
            (0.31, "0.31"),
            (0.305, "0.305"),
            (0.000_01, "0.0001"),
            (1.0, "1"),
            (0.999_999, "1"),
            (0.5, "0.5"),
            (0.01, "0.01"),
            (-0.0, "0"),
        ] {
            assert_eq!(written(score, b"v"), format!(",anomaly_score={text},is_anomaly=0i"));
        }
        for (score, text) in [(1.000_000_1, "1.0001"), (12.5, "12.5"), (f64::MAX, "1000000"), (1e6, "1000000")] {
            assert_eq!(written(score, b"v"), format!(",anomaly_score={text},is_anomaly=1i,anomaly_cause=\"v\""));
        }
    }

    #[test]
    fn a_reason_and_a_band_follow_what_is_always_there() {
        let band = Band { expected: 42.0, lower: 35.5, upper: 48.5 };
        let anomaly = EventVerdict { score: 2.0, cause: Some(b"v"), reason: Some("level_shift"), band, head: b"m" };
        assert_eq!(
            verdict(&anomaly),
            ",anomaly_score=2,is_anomaly=1i,anomaly_cause=\"v\",anomaly_reason=\"level_shift\",\
             anomaly_expected=42,anomaly_lower=35.5,anomaly_upper=48.5"
        );
        let half = Band { lower: f64::NAN, ..band };
        assert_eq!(
            verdict(&EventVerdict { score: 0.25, cause: None, reason: None, band: half, head: b"m" }),
            ",anomaly_score=0.25,is_anomaly=0i,anomaly_expected=42,anomaly_upper=48.5"
        );
    }

    #[test]
    fn the_cause_is_escaped_as_a_string() {
        assert!(written(2.0, br#"a\ b\,c"d\e"#).ends_with(r#"anomaly_cause="a b,c\"d\\e""#));
    }
}
