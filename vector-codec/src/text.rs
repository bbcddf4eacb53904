//! Decoding and encoding of JSON strings.

/// Four hexadecimal digits.
pub(super) fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |sum, &digit| Some(sum << 4 | char::from(digit).to_digit(16)?))
}

/// Appends the decoded string, without quotes; a lone surrogate becomes U+FFFD.
pub(super) fn unescape(out: &mut Vec<u8>, mut text: &[u8]) {
    while let Some(at) = memchr::memchr(b'\\', text) {
        out.extend_from_slice(&text[..at]);
        let mut length = 2;
        match text.get(at + 1) {
            Some(b'b') => out.push(0x08),
            Some(b'f') => out.push(0x0c),
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(b'u') => {
                let unit = |at: usize| text.get(at..at + 6)?.strip_prefix(b"\\u").and_then(hex);
                let first = unit(at).unwrap_or(0xfffd);
                length = 6;
                let mut code = first;
                if let (0xd800..=0xdbff, Some(second @ 0xdc00..=0xdfff)) = (first, unit(at + 6)) {
                    code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                    length = 12;
                }
                let code = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(code.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Some(&byte) => out.push(byte),
            None => {}
        }
        text = text.get(at + length..).unwrap_or_default();
    }
    out.extend_from_slice(text);
}

/// Appends a string with its quotes.
pub(super) fn write_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                let digit = |half: u8| b"0123456789abcdef"[usize::from(half)];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_say_what_they_say() {
        for text in [
            "",
            "plain",
            "é𝄞",
            "a\"b\\c/d\u{8}\u{c}\n\r\t\u{1}",
            "exactly8",
            "longer than eight bytes \" and on",
            "1234567\"",
        ] {
            let mut written = Vec::new();
            write_string(&mut written, text.as_bytes());
            assert_eq!(serde_json::from_slice::<String>(&written).unwrap(), text);
            let read = crate::json::Scanner::new(&written, 0).string().unwrap();
            let mut decoded = Vec::new();
            unescape(&mut decoded, read.of(&written));
            assert_eq!(String::from_utf8(decoded).unwrap(), text);
        }
        let mut decoded = Vec::new();
        unescape(&mut decoded, br"\u00e9\ud834\udd1e\ud834x\udd1e\/\b\f");
        assert_eq!(String::from_utf8(decoded).unwrap(), "é𝄞\u{fffd}x\u{fffd}/\u{8}\u{c}");
    }
}
