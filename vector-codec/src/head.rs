//! Heads: a metric's name and tags in line protocol.

use crate::swar;

/// Whether a name needs no escapes in line protocol.
fn is_plain(name: &[u8]) -> bool {
    if name.last() == Some(&b'\\') {
        return false;
    }
    // Eight at a time, the last ones twice. Control characters that need no escape are also found, which only costs time.
    let special = |word| swar::which_below(word, b'!') | swar::which(word, b',') | swar::which(word, b'=');
    if let (Some(last), (words, _)) = (name.last_chunk(), name.as_chunks()) {
        return words.iter().fold(special(*last), |marks, &word| marks | special(word)) == 0;
    }
    if let (Some(&[a, b, c, d]), Some(&[e, f, g, h])) = (name.first_chunk(), name.last_chunk()) {
        return special([a, b, c, d, e, f, g, h]) == 0;
    }
    !name.iter().any(|&byte| matches!(byte, 0..=b' ' | b',' | b'='))
}

/// Appends a name with the backslashes that line protocol needs. What it cannot represent (control characters, and a
/// backslash at the end, which would escape what follows) becomes `_`.
pub(super) fn write_name(out: &mut Vec<u8>, name: &[u8]) {
    if is_plain(name) {
        return out.extend_from_slice(name);
    }
    for &byte in name {
        match byte {
            b',' | b'=' | b' ' => out.extend_from_slice(&[b'\\', byte]),
            b'\t'..=b'\r' => out.push(b'_'),
            _ => out.push(byte),
        }
    }
    if name.last() == Some(&b'\\') {
        out.pop();
        out.push(b'_');
    }
}

/// Whether a metric or a tag with this name is part of a verdict or an anomaly rate.
pub(super) fn is_verdict(name: &[u8]) -> bool {
    matches!(name, b"anomaly_score" | b"is_anomaly" | b"anomaly_contribution" | b"anomaly_reason")
        || matches!(name, b"anomaly_expected" | b"anomaly_lower" | b"anomaly_upper")
        || matches!(name, b"anomaly_rate" | b"anomaly_rate_anomalous" | b"anomaly_rate_series")
}

#[cfg(test)]
mod tests {
    use super::*;
    use qualm_pipeline::line;

    #[test]
    fn names_come_back_as_they_were() {
        for (name, back) in [
            ("cpu", "cpu"),
            ("my disk", "my disk"),
            ("a,b=c d", "a,b=c d"),
            (r"c:\windows", r"c:\windows"),
            (r"back\,slash", r"back\,slash"),
            (r"end\", "end_"),
            ("new\nline", "new_line"),
            ("é \u{1f4a9}", "é \u{1f4a9}"),
        ] {
            let mut head = Vec::new();
            write_name(&mut head, name.as_bytes());
            head.push(b',');
            write_name(&mut head, name.as_bytes());
            head.push(b'=');
            write_name(&mut head, name.as_bytes());
            let parts: Vec<_> = line::head_parts(&head).collect();
            assert_eq!(parts.len(), 2, "{name}");
            let (key, value) = line::tag(parts[1]).unwrap();
            for part in [parts[0], key, value] {
                assert_eq!(line::unescape(part).as_ref(), back.as_bytes(), "{name}");
            }
        }
    }
}
