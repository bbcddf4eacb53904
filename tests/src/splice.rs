//! The check of "bytes in = bytes out": finds spliced verdicts, and any other change.

/// One verdict that was spliced into a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Splice {
    /// The offset in the *input* of the byte before which it was spliced.
    pub at: usize,
    /// The value of `anomaly_score`.
    pub score: f64,
    /// The value of `is_anomaly`.
    pub is_anomaly: bool,
    /// The value of `anomaly_cause`, escapes and all.
    pub cause: Option<Vec<u8>>,
    /// The value of `anomaly_reason`.
    pub reason: Option<String>,
}

/// Compares input and output. Returns the verdicts if these are the only difference.
///
/// It does not parse line protocol on purpose: a mistake of the parser under test must not be repeated in its test.
///
/// # Errors
///
/// The place where input and output differ otherwise, with both there.
pub fn unsplice(input: &[u8], output: &[u8]) -> Result<Vec<Splice>, String> {
    let mut splices = Vec::new();
    let (mut i, mut o) = (0, 0);
    while i < input.len() || o < output.len() {
        if i < input.len() && o < output.len() && input[i] == output[o] {
            i += 1;
            o += 1;
        } else if let Some((splice, length)) = verdict(&output[o..], i) {
            splices.push(splice);
            o += length;
        } else {
            return Err(format!(
                "after {i} bytes of input, it goes on with\n  {}\nbut the output, after {o} bytes, with\n  {}",
                excerpt(input, i),
                excerpt(output, o)
            ));
        }
    }
    Ok(splices)
}

/// Parses `,anomaly_score=<float>,is_anomaly=<0|1>i[,anomaly_cause="…"[,anomaly_reason="…"]]`, and returns its length too.
fn verdict(bytes: &[u8], at: usize) -> Option<(Splice, usize)> {
    let rest = bytes.strip_prefix(b",anomaly_score=")?;
    let comma = rest.iter().position(|&b| b == b',')?;
    let score = std::str::from_utf8(&rest[..comma]).ok()?.parse().ok()?;
    let rest = rest[comma..].strip_prefix(b",is_anomaly=")?;
    let (is_anomaly, mut rest) = match rest {
        [b'0', b'i', rest @ ..] => (false, rest),
        [b'1', b'i', rest @ ..] => (true, rest),
        _ => return None,
    };
    let mut cause = None;
    if let Some(text) = rest.strip_prefix(b",anomaly_cause=\"") {
        let end = end_of_string(text)?;
        cause = Some(text[..end].to_vec());
        rest = &text[end + 1..];
    }
    let mut reason = None;
    if let Some(text) = rest.strip_prefix(b",anomaly_reason=\"") {
        let end = end_of_string(text)?;
        reason = Some(std::str::from_utf8(&text[..end]).ok()?.to_owned());
        rest = &text[end + 1..];
    }
    Some((Splice { at, score, is_anomaly, cause, reason }, bytes.len() - rest.len()))
}

/// The offset of the first quote that no backslash escapes.
fn end_of_string(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    text.iter().position(|&byte| {
        let end = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        end
    })
}

fn excerpt(bytes: &[u8], around: usize) -> String {
    let (from, to) = (around.saturating_sub(60), (around + 60).min(bytes.len()));
    format!("…{} ⟂ {}…", bytes[from..around].escape_ascii(), bytes[around..to].escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verdict_is_found_with_its_offset() {
        let input = b"cpu a=1 5\nmem b=2\nmem b=2";
        let output = b"cpu a=1,anomaly_score=0.5,is_anomaly=0i 5\nmem b=2\n\
            mem b=2,anomaly_score=3,is_anomaly=1i,anomaly_cause=\"b \\\"c\\\"\",anomaly_reason=\"novel\"";
        let quiet = Splice { at: 7, score: 0.5, is_anomaly: false, cause: None, reason: None };
        let (cause, reason) = (Some(b"b \\\"c\\\"".to_vec()), Some("novel".to_owned()));
        let loud = Splice { at: 25, score: 3.0, is_anomaly: true, cause, reason };
        assert_eq!(unsplice(input, output), Ok(vec![quiet, loud]));
    }

    #[test]
    fn a_line_scored_upstream_is_no_splice() {
        let scored = b"cpu a=1,anomaly_score=0.5,is_anomaly=0i 5\n";
        assert_eq!(unsplice(scored, scored), Ok(vec![]));
    }

    #[test]
    fn lost_added_and_changed_bytes_are_errors() {
        for output in ["cpu a=1 5", "cpu a=1 5\n\n", "cpu a=2 5\n", "cpu a=1,anomaly_score=x,is_anomaly=0i 5\n", ""] {
            assert!(unsplice(b"cpu a=1 5\n", output.as_bytes()).is_err(), "{output:?}");
        }
    }
}
