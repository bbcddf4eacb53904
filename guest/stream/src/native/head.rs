//! Heads: a metric's name and tags, as line protocol writes them.

/// Appends a name with the backslashes that line protocol needs. What it cannot hold (control characters, and a backslash
/// at the end, which would escape what follows) becomes `_`.
pub(super) fn put_name(out: &mut Vec<u8>, name: &[u8]) {
    let (special, last) = (|byte: u8| matches!(byte, b',' | b'=' | b' ' | b'\t'..=b'\r'), name.last());
    if last != Some(&b'\\') && !name.iter().fold(false, |any, &byte| any | special(byte)) {
        return out.extend_from_slice(name);
    }
    for &byte in name {
        match byte {
            b',' | b'=' | b' ' => out.extend_from_slice(&[b'\\', byte]),
            b'\t'..=b'\r' => out.push(b'_'),
            _ => out.push(byte),
        }
    }
    if last == Some(&b'\\') {
        out.pop();
        out.push(b'_');
    }
}

/// Whether a metric or a tag of this name is a verdict.
pub(super) fn is_verdict(name: &[u8]) -> bool {
    matches!(name, b"anomaly_score" | b"is_anomaly" | b"anomaly_contribution")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line;

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
            put_name(&mut head, name.as_bytes());
            head.push(b',');
            put_name(&mut head, name.as_bytes());
            head.push(b'=');
            put_name(&mut head, name.as_bytes());
            let parts: Vec<_> = line::head_parts(&head).collect();
            assert_eq!(parts.len(), 2, "{name}");
            let (key, value) = line::tag(parts[1]).unwrap();
            for part in [parts[0], key, value] {
                assert_eq!(line::unescape(part).as_ref(), back.as_bytes(), "{name}");
            }
        }
    }
}
