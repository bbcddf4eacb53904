//! JSON, read in one pass over the bytes: no tree, no copies, no recursion that input could drive.

use crate::swar;
use crate::text::hex;

/// How deep values may lie in one another where they are skipped: as deep as Vector's own parser goes.
const MAX_NESTING: u32 = 127;

/// Reads JSON from the front. Every method returns `None` where the bytes are no JSON; nothing is read after that.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    /// How far it has read.
    pub(super) at: usize,
    /// Whether a `null` was skipped.
    pub(super) nulls: bool,
}

/// A string as it stands between its quotes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) start: u32,
    pub(super) end: u32,
    /// Whether there are backslashes in it.
    pub(super) escaped: bool,
}

impl Text {
    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }
}

impl<'a> Scanner<'a> {
    /// Begins at `at`; positions are counted from the beginning of `bytes`.
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, nulls: false }
    }

    /// What a string says, escapes and all.
    pub(super) fn raw(&self, text: Text) -> &'a [u8] {
        text.of(self.bytes)
    }

    /// The next byte that is no space, not yet read.
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.bytes.get(self.at)? {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    /// Whether nothing but spaces is left.
    pub(super) fn is_done(&mut self) -> bool {
        self.peek().is_none()
    }

    fn take(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    fn take_word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    /// A string.
    pub(super) fn string(&mut self) -> Option<Text> {
        self.take(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain(&self.bytes[self.at..]);
            match *self.bytes.get(self.at)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += match *self.bytes.get(self.at + 1)? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                        b'u' => {
                            hex(self.bytes.get(self.at + 2..self.at + 6)?)?;
                            6
                        }
                        _ => return None,
                    };
                }
                _ => return None, // a control character
            }
        }
        let text = Text { start: start as u32, end: self.at as u32, escaped };
        self.at += 1;
        Some(text)
    }

    /// A number; what is too large for a double is infinite.
    fn number(&mut self) -> Option<f64> {
        let start = self.at;
        self.at += usize::from(self.bytes.get(start) == Some(&b'-'));
        let first = self.at;
        let integer = self.digits()?;
        if integer > 1 && self.bytes[first] == b'0' {
            return None;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.bytes.get(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        fast_float2::parse(&self.bytes[start..self.at]).ok()
    }

    /// At least one digit, and how many there are.
    fn digits(&mut self) -> Option<usize> {
        let count = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(count)
    }

    /// A number, or one of the strings that Vector writes for those that JSON does not know; NaN for anything else.
    pub(super) fn float(&mut self) -> Option<f64> {
        match self.peek()? {
            b'0'..=b'9' | b'-' => self.number(),
            b'"' => {
                let text = self.string()?;
                Some(match self.raw(text) {
                    b"inf" => f64::INFINITY,
                    b"-inf" => f64::NEG_INFINITY,
                    _ => f64::NAN,
                })
            }
            _ => self.skip().map(|()| f64::NAN),
        }
    }

    /// The members of an object: `each` gets the key and reads the value.
    pub(super) fn members(&mut self, mut each: impl FnMut(&mut Self, Text) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            return self.take(b'}');
        }
        loop {
            self.peek()?;
            let key = self.string()?;
            self.take(b':')?;
            each(self, key)?;
            if self.peek()? == b'}' {
                return self.take(b'}');
            }
            self.take(b',')?;
        }
    }

    /// The same where there may be something other than an object, which is skipped.
    pub(super) fn any_members(&mut self, each: impl FnMut(&mut Self, Text) -> Option<()>) -> Option<()> {
        if self.peek()? == b'{' { self.members(each) } else { self.skip() }
    }

    /// The values of an array, each of which `each` reads; anything else is skipped.
    pub(super) fn items(&mut self, mut each: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        if self.peek()? != b'[' {
            return self.skip();
        }
        self.at += 1;
        if self.peek()? == b']' {
            return self.take(b']');
        }
        loop {
            self.peek()?;
            each(self)?;
            if self.peek()? == b']' {
                return self.take(b']');
            }
            self.take(b',')?;
        }
    }

    /// Any value, of which nothing is wanted.
    pub(super) fn skip(&mut self) -> Option<()> {
        // What each level is, an object (1) or an array (0), the innermost in the lowest bit.
        let (mut levels, mut depth) = (0_u128, 0);
        loop {
            match self.peek()? {
                open @ (b'{' | b'[') => {
                    self.at += 1;
                    let close = if open == b'{' { b'}' } else { b']' };
                    if self.peek()? == close {
                        self.at += 1;
                    } else {
                        depth += 1;
                        if depth > MAX_NESTING {
                            return None;
                        }
                        levels = levels << 1 | u128::from(open == b'{');
                        if open == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                }
                b'"' => self.string().map(|_| ())?,
                b't' => self.take_word(b"true")?,
                b'f' => self.take_word(b"false")?,
                b'n' => {
                    self.take_word(b"null")?;
                    self.nulls = true;
                }
                _ => self.number().map(|_| ())?,
            }
            // Behind a value: the next one, or the end of what it lies in.
            loop {
                if depth == 0 {
                    return Some(());
                }
                let object = levels & 1 == 1;
                match self.peek()? {
                    b',' => {
                        self.at += 1;
                        if object {
                            self.key()?;
                        }
                        break;
                    }
                    close if close == if object { b'}' } else { b']' } => {
                        self.at += 1;
                        levels >>= 1;
                        depth -= 1;
                    }
                    _ => return None,
                }
            }
        }
    }

    fn key(&mut self) -> Option<()> {
        self.peek()?;
        self.string()?;
        self.take(b':')
    }
}

/// How many bytes at the start of `bytes` are neither a quote nor a backslash nor a control character.
fn plain(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&word) = bytes[at..].first_chunk() {
        let stops = swar::which_below(word, b' ') | swar::which(word, b'"') | swar::which(word, b'\\');
        if stops != 0 {
            return at + swar::first(stops);
        }
        at += 8;
    }
    let rest = bytes[at..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    rest.map_or(bytes.len(), |rest| at + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skips(text: &str) -> bool {
        let mut scanner = Scanner::new(text.as_bytes(), 0);
        scanner.skip().is_some() && scanner.is_done()
    }

    #[test]
    fn what_is_json_is_skipped_and_nothing_else() {
        for text in [
            "{}",
            "[]",
            " [ ] ",
            "0",
            "-0.5e+3",
            "1e400",
            "\"\"",
            "true",
            "false",
            "null",
            r#"{"a":[1,{"b":{}},[]],"c":"}"}"#,
            r#""\u00e9\"\\\/\b""#,
            "[[[[]]]]",
            r#"{"a" : 1 , "b" : [ 1 , 2 ] }"#,
        ] {
            assert!(skips(text), "{text}");
            assert!(serde_json::from_str::<serde_json::Value>(text).is_ok() || text == "1e400", "{text}");
        }
        for text in [
            "",
            "{",
            "}",
            "[1,]",
            "{,}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            "{1:2}",
            "[1 2]",
            "01",
            "1.",
            ".5",
            "+1",
            "-",
            "1e",
            "tru",
            "nul",
            "'a'",
            "\"a",
            "\"\n\"",
            r#""\x""#,
            r#""\u12""#,
            "[}",
            "{]",
            r#"{"a":1]"#,
            "1 1",
            "NaN",
            "inf",
        ] {
            assert!(!skips(text), "{text}");
            assert!(serde_json::from_str::<serde_json::Value>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_too_deep_is_refused() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(skips(&deep(127)) && !skips(&deep(129)) && !skips(&"[".repeat(1 << 20)));
        let objects = |depth: usize| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
        assert!(skips(&objects(127)) && !skips(&objects(128)));
    }
}
