//! Globs as Telegraf writes them: `*`, `?`, `[abc]`, `[a-z]`, `[!a]`, `{one,two}`, and `\` as an escape. `*`
//! matches any characters, and so does `**`; `?` and a class match one character, not one byte.
//!
//! Telegraf's own filters compile to the same language (`github.com/gobwas/glob` without separators), so a pattern can
//! be copied from `namepass` or `fieldinclude`. A class is one range or a list of characters, as in Telegraf: `[a-c0-9]` is
//! refused, and `[abc-z]` has five characters, one of them `-`. A brace that is not closed ends with the pattern.
//!
//! `tests/recorded/globs.tsv` holds what that library answers (`tests/telegraf/globs` writes it). Where the library answers
//! something other than what its documentation says, as with `é?` and `éa`, this does what is documented. The `globset` crate
//! does not: of its 2,573 lines 543 come out otherwise, as `?` is a byte there, and classes and braces have other rules.

use std::mem;
use std::str::Chars;

/// A malformed pattern, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadGlob {
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl std::fmt::Display for BadGlob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the pattern `{}` {}", self.pattern, self.reason)
    }
}

impl std::error::Error for BadGlob {}

/// A set of patterns, any of which may match. An empty set matches nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Globs(Vec<Vec<Token>>);

/// A step of a pattern. A literal character has a step for each byte.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Byte(u8),
    One,
    Any,
    Class { ranges: Vec<(char, char)>, negated: bool },
}

/// The most patterns to which the braces of one may expand: `{a,b}{c,d}` expands to four.
const MAX_ALTERNATIVES: usize = 1024;

impl Globs {
    /// Reads the patterns.
    ///
    /// # Errors
    ///
    /// The first pattern that is malformed, or that expands to too many.
    pub fn new<I: IntoIterator<Item: AsRef<str>>>(patterns: I) -> Result<Self, BadGlob> {
        let mut globs = Vec::new();
        for pattern in patterns {
            let pattern = pattern.as_ref();
            let bad = |reason| BadGlob { pattern: pattern.to_owned(), reason };
            globs.extend(expand(pattern).map_err(bad)?);
        }
        Ok(Self(globs))
    }

    /// Whether one of the patterns matches the whole of `name`.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        self.0.iter().any(|glob| matches(glob, name))
    }

    /// Whether there are no patterns.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The pattern that matches this name and no other.
#[must_use]
pub fn escape(name: &str) -> String {
    name.chars().flat_map(|c| "\\*?[]{},".contains(c).then_some('\\').into_iter().chain([c])).collect()
}

/// The state of an open brace.
struct Outer {
    /// The expanded patterns before the brace.
    before: Vec<Vec<Token>>,
    /// The expanded alternatives that are complete.
    alternatives: Vec<Vec<Token>>,
}

/// The patterns without braces to which `pattern` expands.
fn expand(pattern: &str) -> Result<Vec<Vec<Token>>, &'static str> {
    let mut chars = pattern.chars();
    let mut outer: Vec<Outer> = Vec::new();
    let mut plain = vec![Vec::new()];
    while let Some(char) = chars.next() {
        match (char, outer.last_mut()) {
            ('{', _) => {
                let before = mem::replace(&mut plain, vec![Vec::new()]);
                outer.push(Outer { before, alternatives: Vec::new() });
            }
            (',', Some(open)) => open.alternatives.extend(mem::replace(&mut plain, vec![Vec::new()])),
            ('}', Some(_)) => plain = close(&mut outer, plain)?,
            ('*', _) => append(&mut plain, &[Token::Any]),
            ('?', _) => append(&mut plain, &[Token::One]),
            ('[', _) => append(&mut plain, &[class(&mut chars)?]),
            // At the end of the pattern it is ignored.
            ('\\', _) => chars.next().into_iter().for_each(|char| append(&mut plain, &bytes(char))),
            (char, _) => append(&mut plain, &bytes(char)),
        }
    }
    while !outer.is_empty() {
        plain = close(&mut outer, plain)?;
    }
    Ok(plain)
}

/// Closes the innermost brace: each pattern before it, followed by each alternative, of which `last` are the last.
fn close(outer: &mut Vec<Outer>, last: Vec<Vec<Token>>) -> Result<Vec<Vec<Token>>, &'static str> {
    let Some(Outer { before, mut alternatives }) = outer.pop() else { return Ok(last) };
    alternatives.extend(last);
    if before.len() * alternatives.len() > MAX_ALTERNATIVES {
        return Err("stands for more than 1024 plain patterns; split it");
    }
    Ok(before.iter().flat_map(|start| alternatives.iter().map(|end| [start.as_slice(), end].concat())).collect())
}

fn append(plain: &mut [Vec<Token>], tokens: &[Token]) {
    for pattern in plain {
        pattern.extend_from_slice(tokens);
    }
}

fn bytes(char: char) -> Vec<Token> {
    char.encode_utf8(&mut [0; 4]).bytes().map(Token::Byte).collect()
}

/// A class, after its `[`: one range, in which nothing is escaped, or a list of characters.
fn class(chars: &mut Chars<'_>) -> Result<Token, &'static str> {
    const UNCLOSED: &str = "has a `[` without its `]`";
    let negated = chars.as_str().starts_with('!');
    if negated {
        chars.next();
    }
    let mut ahead = chars.clone();
    let ranges = if let (Some(low), Some('-')) = (ahead.next(), ahead.next()) {
        let high = ahead.next().ok_or(UNCLOSED)?;
        *chars = ahead;
        match chars.next() {
            Some(']') if low <= high => vec![(low, high)],
            Some(']') => return Err("has a range that ends before it starts"),
            Some(_) => return Err("has a class of a range and more; write `{[a-z],[0-9]}` for `[a-z0-9]`"),
            None => return Err(UNCLOSED),
        }
    } else {
        let mut members = Vec::new();
        loop {
            match chars.next().ok_or(UNCLOSED)? {
                ']' => break,
                '\\' => members.push(chars.next().ok_or(UNCLOSED)?),
                member => members.push(member),
            }
        }
        members.into_iter().map(|member| (member, member)).collect()
    };
    if ranges.is_empty() { Err("has a class of no characters") } else { Ok(Token::Class { ranges, negated }) }
}

/// Greedy, and backtracks to the last `*` only: linear in the name for each `*`, never exponential.
fn matches(glob: &[Token], name: &[u8]) -> bool {
    let (mut at, mut step) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match glob.get(step) {
            Some(Token::Any) => {
                retry = Some((at, step + 1));
                step += 1;
                continue;
            }
            Some(token) => {
                if let Some(length) = taken(token, &name[at..]) {
                    at += length;
                    step += 1;
                    continue;
                }
            }
            None if at == name.len() => return true,
            None => {}
        }
        match retry {
            Some((from, next)) if from < name.len() => {
                let (_, length) = first(&name[from..]);
                (at, step) = (from + length, next);
                retry = Some((at, next));
            }
            _ => return false,
        }
    }
}

/// How many bytes of `rest` a step matches, if it does.
fn taken(token: &Token, rest: &[u8]) -> Option<usize> {
    if rest.is_empty() {
        return None;
    }
    match token {
        Token::Byte(own) => (*own == rest[0]).then_some(1),
        Token::One | Token::Any => Some(first(rest).1),
        Token::Class { ranges, negated } => {
            let (char, length) = first(rest);
            let is_member = ranges.iter().any(|&(low, high)| (low..=high).contains(&char));
            (is_member != *negated).then_some(length)
        }
    }
}

/// The first character of `rest`, which is not empty, and its length. An invalid byte counts as one character.
fn first(rest: &[u8]) -> (char, usize) {
    let start = &rest[..rest.len().min(4)];
    match start.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next()) {
        Some(char) => (char, char.len_utf8()),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::*;

    fn glob(pattern: &str, name: &str) -> bool {
        Globs::new([pattern]).unwrap().matches(name.as_bytes())
    }

    #[test]
    fn an_escaped_name_matches_itself_alone() {
        for name in ["a*b", "?", "[x]", "{a,b}", "\\", "/var/lib, x", "é"] {
            let globs = Globs::new([escape(name)]).unwrap();
            assert!(globs.matches(name.as_bytes()) && !globs.matches(b"axb") && !globs.matches(b"a"), "{name}");
        }
    }

    #[test]
    fn patterns_match_as_telegrafs_do() {
        for (pattern, yes, no) in [
            ("cpu", "cpu", "cpu0"),
            ("cpu*", "cpu", "acpu"),
            ("*", "", "-"),
            ("*_idle", "usage_idle", "usage_idle_"),
            ("a*b*c", "a__b_b__c", "a__b__"),
            ("c?u", "cpu", "cu"),
            ("cpu[0-3]", "cpu2", "cpu4"),
            ("cpu[!0-3]", "cpu4", "cpu2"),
            ("{cpu,mem}", "mem", "disk"),
            ("usage_{user,sys*}", "usage_system", "usage_idle"),
            ("{a,b{c,d}}e", "bde", "be"),
            (r"a\*b", "a*b", "axb"),
            ("a/b*", "a/b/c", "b"),
            ("[-a]", "-", "b"),
            ("caf?", "café", "caf"),
            ("cpu{,-[0-9]", "cpu-2", "cpu-"),
            ("a**b", "axxb", "ax"),
        ] {
            assert!(glob(pattern, yes), "{pattern} must match {yes}");
            assert!(pattern == "*" || !glob(pattern, no), "{pattern} must not match {no}");
        }
        assert!(!Globs::default().matches(b""));
    }

    #[test]
    fn the_library_of_telegraf_answers_the_same() {
        let plain = |text: &str| {
            let mut bytes = text.bytes();
            let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
            iter::from_fn(|| match bytes.next()? {
                b'%' => Some(digit(bytes.next()?) * 16 + digit(bytes.next()?)),
                byte => Some(byte),
            })
            .collect::<Vec<u8>>()
        };
        let (mut refused, mut otherwise) = (0, 0);
        for line in include_str!("../tests/recorded/globs.tsv").lines() {
            let columns: Vec<&str> = line.split('\t').collect();
            let globs = Globs::new([columns[0]]);
            if columns[2] == "refused" {
                assert!(globs.is_err(), "{line}");
                refused += 1;
                continue;
            }
            // The last column is what is documented, where the library does not answer that.
            otherwise += usize::from(columns.len() > 3);
            let answer = globs.unwrap().matches(&plain(columns[1])).to_string();
            assert_eq!(answer, *columns.last().unwrap(), "{line}");
        }
        assert!(refused > 100 && otherwise < 300, "{refused} refused, {otherwise} otherwise");
    }

    #[test]
    fn malformed_patterns_say_what_is_wrong() {
        for pattern in ["[abc", "[a-", "[a-c", "[a-c0-9]", "[c-a]", "[]", "{a,[b}"] {
            assert_eq!(Globs::new([pattern]).unwrap_err().pattern, pattern);
        }
        let many = "{a,b}".repeat(11);
        assert!(Globs::new([many]).unwrap_err().reason.contains("1024"));
    }

    #[test]
    fn a_hostile_pattern_is_not_exponential() {
        let pattern = "a*".repeat(60) + "b";
        assert!(!glob(&pattern, &"a".repeat(4000)));
    }
}
