//! The verdict as it stands in the line: `,anomaly_score=0.31,is_anomaly=0i`, and the cause where it is an anomaly.

use crate::line::unescape;

/// The largest score that is written; what is further out is as far out.
const MOST: f64 = 1e6;

/// Digits behind the point, as a power of ten: a ten-thousandth of the way to the threshold is more than a person or a
/// plot can tell apart, and each digit costs storage in every row.
const STEPS: u64 = 10_000;

/// Whether a score means an anomaly.
#[must_use]
pub fn is_anomaly(score: f64) -> bool {
    score > 1.0
}

/// Appends the fields that say `score`, with `cause`, the key (as it stands in the line) of the field that has it.
pub fn write(out: &mut Vec<u8>, score: f64, cause: &[u8]) {
    out.extend_from_slice(b",anomaly_score=");
    write_score(out, score);
    if is_anomaly(score) {
        out.extend_from_slice(b",is_anomaly=1i,anomaly_cause=\"");
        for &byte in unescape(cause).as_ref() {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'"');
    } else {
        out.extend_from_slice(b",is_anomaly=0i");
    }
}

/// Rounded up, so that what is above 1 still is, and what is not still is not.
fn write_score(out: &mut Vec<u8>, score: f64) {
    let steps = (score.clamp(0.0, MOST) * STEPS as f64).ceil() as u64;
    write_digits(out, steps / STEPS, 1);
    let mut fraction = steps % STEPS;
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

    fn written(score: f64, cause: &[u8]) -> String {
        let mut out = Vec::new();
        write(&mut out, score, cause);
        String::from_utf8(out).unwrap()
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
    fn the_cause_is_escaped_as_a_string() {
        assert!(written(2.0, br#"a\ b\,c"d\e"#).ends_with(r#"anomaly_cause="a b,c\"d\\e""#));
    }
}
