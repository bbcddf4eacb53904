//! Repair of what Vector's encoder for `native_json` writes and its decoder refuses: with one such event it refuses the whole body.

use std::borrow::Cow;

use memchr::{memchr, memmem, memrchr};

use crate::json::Scanner;

/// A body that Vector's decoder accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repaired<'a> {
    /// The body; borrowed if it needed no repair.
    pub body: Cow<'a, [u8]>,
    /// Metrics that were discarded, because one of their numbers is not finite, which JSON cannot represent.
    pub discarded: u64,
    /// Metrics whose tags were repaired: a tag without a value, `"t":null`, became `"t":[null]`.
    pub repaired: u64,
}

/// Repairs a body of `native_json`. Only metrics with a `null` are parsed. A body of `native` needs no repair.
#[must_use]
pub fn repair(body: &[u8]) -> Repaired<'_> {
    let mut repaired = Repaired { body: Cow::Borrowed(body), discarded: 0, repaired: 0 };
    if body.first() == Some(&0) {
        return repaired;
    }
    let mut out = Vec::new();
    let (mut copied, mut from) = (0, 0);
    let mut null_tags = Vec::new();
    while let Some(found) = memmem::find(&body[from..], b":null") {
        let found = from + found;
        let start = memrchr(b'\n', &body[from..found]).map_or(from, |newline| from + newline + 1);
        from = memchr(b'\n', &body[found..]).map_or(body.len(), |newline| found + newline + 1);
        null_tags.clear();
        let Some(complete) = inspect_line(&body[..from], start, &mut null_tags) else { continue };
        if !complete {
            repaired.discarded += 1;
            out.extend_from_slice(&body[copied..start]);
            copied = from;
        } else if !null_tags.is_empty() {
            repaired.repaired += 1;
            for &null in &null_tags {
                out.extend_from_slice(&body[copied..null]);
                out.extend_from_slice(b"[null]");
                copied = null + b"null".len();
            }
        }
    }
    if copied > 0 {
        out.extend_from_slice(&body[copied..]);
        repaired.body = Cow::Owned(out);
    }
    repaired
}

/// Inspects the line that begins at `start`: returns whether all numbers of its metric are finite, and appends the offsets of
/// tags that are `null`. `None` if it is no metric.
fn inspect_line(bytes: &[u8], start: usize, null_tags: &mut Vec<usize>) -> Option<bool> {
    let mut scanner = Scanner::new(bytes, start);
    let mut complete = None;
    scanner.members(|scanner, key| {
        if scanner.raw(key) != b"metric" {
            return None;
        }
        complete = Some(true);
        scanner.members(|scanner, key| match scanner.raw(key) {
            b"tags" => scanner.any_members(|scanner, _| {
                if scanner.peek()? == b'n' {
                    null_tags.push(scanner.at);
                }
                scanner.skip()
            }),
            // A null here means that the part is missing.
            b"name" | b"namespace" | b"timestamp" | b"interval_ms" | b"kind" => scanner.skip(),
            _ => {
                scanner.nulls = false;
                scanner.skip()?;
                complete = complete.map(|complete| complete && !scanner.nulls);
                Some(())
            }
        })
    })?;
    complete
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(body: &str) -> (String, u64, u64) {
        let Repaired { body, discarded, repaired } = repair(body.as_bytes());
        (String::from_utf8(body.into_owned()).unwrap(), discarded, repaired)
    }

    #[test]
    fn a_bare_tag_becomes_a_list() {
        let metric = |t: &str| {
            format!(
                r#"{{"metric":{{"name":"m","tags":{{"a":"x","t":{t}}},"kind":"absolute","gauge":{{"value":1.0}}}}}}"#
            )
        };
        let body = format!("{}\n{}\n{}\n", metric("\"y\""), metric("null"), metric(r#"[null,"z"]"#));
        let expected = format!("{}\n{}\n{}\n", metric("\"y\""), metric("[null]"), metric(r#"[null,"z"]"#));
        assert_eq!(mended(&body), (expected, 0, 1));
        let both = r#"{"metric":{"name":"m","tags":{"a":null,"b":null,"c":"d:null"}}}"#;
        let expected = r#"{"metric":{"name":"m","tags":{"a":[null],"b":[null],"c":"d:null"}}}"#;
        assert_eq!(mended(both), (expected.to_owned(), 0, 1));
    }

    #[test]
    fn a_metric_that_lost_its_number_is_left_out() {
        let nan = r#"{"metric":{"name":"m","kind":"absolute","gauge":{"value":null}}}"#;
        let sample =
            r#"{"metric":{"name":"m","tags":{"t":null},"distribution":{"samples":[{"value":null,"rate":1}]}}}"#;
        let fine = r#"{"metric":{"name":"m","timestamp":null,"tags":null,"kind":"absolute","gauge":{"value":1}}}"#;
        assert_eq!(mended(&format!("{nan}\n{fine}\n{sample}")), (format!("{fine}\n"), 2, 0));
        assert_eq!(mended(&format!("{fine}\n{nan}\n{fine}")), (format!("{fine}\n{fine}"), 1, 0));
        assert_eq!(mended(nan), (String::new(), 1, 0));
    }

    #[test]
    fn everything_else_is_left_alone() {
        for body in [
            "",
            "\n\n",
            r#"{"log":{"a":null,"metric":{"gauge":{"value":null}}}}"#,
            r#"{"trace":{"a":null}}"#,
            r#"{"metric":{"name":"x:null","tags":{"t":":null"},"gauge":{"value":1}}}"#,
            r#"{"metric":{"name":"m","tags":{"t":null},"gauge":{"value":1}}"#,
            r#"{"metric":null}"#,
            r#"[{"metric":{"gauge":{"value":null}}}]"#,
            "{:null",
        ] {
            let repaired = repair(body.as_bytes());
            assert!(matches!(repaired.body, Cow::Borrowed(_)), "{body}");
            assert_eq!(mended(body), (body.to_owned(), 0, 0));
        }
        let frame = b"\0\0\0\x10:null:null:null";
        assert_eq!(repair(frame).body, &frame[..]);
    }
}
