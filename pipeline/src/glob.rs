//! Globs as Telegraf writes them: `*`, `?`, `[abc]`, `[a-z]`, `[!a]`, `{one,two}`. `*` crosses every character.
//!
//! Telegraf's own filters compile to the same language (`github.com/gobwas/glob` without separators), so a pattern can
//! be copied from `namepass` or `fieldinclude`.

/// A pattern that could not be read, and why.
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

/// Any of some patterns. No pattern at all matches nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Globs(Vec<Vec<Token>>);

/// A pattern's steps: each but `Any` takes one byte.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Byte(u8),
    One,
    Any,
    Class { ranges: Vec<(u8, u8)>, negated: bool },
}

/// How many plain patterns the braces of one may stand for: `{a,b}{c,d}` are four.
const MOST_ALTERNATIVES: usize = 1024;

impl Globs {
    /// Reads the patterns.
    ///
    /// # Errors
    ///
    /// Names the first pattern that is malformed: an open bracket or brace, or one that stands for too many.
    pub fn new<I: IntoIterator<Item: AsRef<str>>>(patterns: I) -> Result<Self, BadGlob> {
        let mut globs = Vec::new();
        for pattern in patterns {
            let pattern = pattern.as_ref();
            let bad = |reason| BadGlob { pattern: pattern.to_owned(), reason };
            for alternative in expand(pattern.as_bytes()).map_err(bad)? {
                globs.push(tokens(&alternative).map_err(bad)?);
            }
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

/// The patterns without braces that `pattern` stands for.
fn expand(pattern: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let mut done = Vec::new();
    let mut open = vec![pattern.to_vec()];
    while let Some(pattern) = open.pop() {
        let Some((before, inside, after)) = first_braces(&pattern)? else {
            done.push(pattern);
            continue;
        };
        for alternative in inside {
            open.push([before, alternative, after].concat());
        }
        if open.len() + done.len() > MOST_ALTERNATIVES {
            return Err("stands for more than 1024 plain patterns; split it");
        }
    }
    Ok(done)
}

/// What stands before, inside (between its own commas) and after the first braces.
type Braces<'a> = (&'a [u8], Vec<&'a [u8]>, &'a [u8]);

fn first_braces(pattern: &[u8]) -> Result<Option<Braces<'_>>, &'static str> {
    let mut open = None;
    let mut depth = 0;
    let mut cuts = Vec::new();
    let mut bytes = pattern.iter().copied().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'{' => {
                open.get_or_insert(at);
                depth += 1;
            }
            b',' if depth == 1 => cuts.push(at),
            b'}' if depth == 1 => {
                let open = open.unwrap_or(at);
                let edges = [&[open], cuts.as_slice(), &[at]].concat();
                let inside = edges.windows(2).map(|edge| &pattern[edge[0] + 1..edge[1]]).collect();
                return Ok(Some((&pattern[..open], inside, &pattern[at + 1..])));
            }
            b'}' if depth > 1 => depth -= 1,
            _ => {}
        }
    }
    if depth > 0 { Err("has a `{` without its `}`") } else { Ok(None) }
}

fn tokens(pattern: &[u8]) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut bytes = pattern.iter().copied();
    while let Some(byte) = bytes.next() {
        let token = match byte {
            b'*' if tokens.last() == Some(&Token::Any) => continue,
            b'*' => Token::Any,
            b'?' => Token::One,
            b'[' => class(&mut bytes)?,
            b'\\' => Token::Byte(bytes.next().ok_or("ends in a backslash that escapes nothing")?),
            _ => Token::Byte(byte),
        };
        tokens.push(token);
    }
    Ok(tokens)
}

/// A class, behind its `[`.
fn class(bytes: &mut impl Iterator<Item = u8>) -> Result<Token, &'static str> {
    let mut members = Vec::new();
    loop {
        match bytes.next().ok_or("has a `[` without its `]`")? {
            b']' if !members.is_empty() => break,
            byte => members.push(byte),
        }
    }
    let negated = members[0] == b'!' && members.len() > 1;
    let mut members = &members[usize::from(negated)..];
    let mut ranges = Vec::new();
    while let Some((&low, rest)) = members.split_first() {
        if let [b'-', high, rest @ ..] = rest {
            ranges.push((low, *high));
            members = rest;
        } else {
            ranges.push((low, low));
            members = rest;
        }
    }
    Ok(Token::Class { ranges, negated })
}

/// Greedy with one point of return: the last `*`. Linear in the name for each `*`, never exponential.
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
            Some(token) if at < name.len() && takes(token, name[at]) => {
                at += 1;
                step += 1;
                continue;
            }
            None if at == name.len() => return true,
            _ => {}
        }
        match retry {
            Some((from, next)) if from < name.len() => {
                (at, step) = (from + 1, next);
                retry = Some((at, next));
            }
            _ => return false,
        }
    }
}

fn takes(token: &Token, byte: u8) -> bool {
    match token {
        Token::Byte(own) => *own == byte,
        Token::One | Token::Any => true,
        Token::Class { ranges, negated } => ranges.iter().any(|&(low, high)| (low..=high).contains(&byte)) != *negated,
    }
}

#[cfg(test)]
mod tests {
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
            ("[a-]", "-", "b"),
            ("a**b", "axxb", "ax"),
        ] {
            assert!(glob(pattern, yes), "{pattern} must match {yes}");
            assert!(pattern == "*" || !glob(pattern, no), "{pattern} must not match {no}");
        }
        assert!(!Globs::default().matches(b""));
    }

    #[test]
    fn malformed_patterns_say_what_is_wrong() {
        for pattern in ["[abc", "{a,b", "a\\"] {
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
