//! Rewrites lines from a database to what a pipeline will receive live.
//!
//! A database may have qualm's verdicts among the fields, and tags that live metrics do not have, or lack some. Measurement,
//! tags and field identify a series, so they must be the same.

use std::collections::HashMap;

use qualm_pipeline::Grammar;
use qualm_pipeline::line::{self, Refusal, is_verdict, read_body};

use super::feed::Source;
use super::{NAME_SPECIALS, Row, put_escaped};

/// How many rewritten heads are cached.
const MAX_HEADS: usize = 1 << 16;

/// The measurement of qualm's own output: verdicts on vectors, anomaly rates.
const OWN_MEASUREMENT: &[u8] = b"anomaly";

/// Which tags are removed and added; verdicts are always removed.
#[derive(Debug, Clone, Default)]
pub struct TagChanges {
    without: Vec<String>,
    tags: Vec<(String, Vec<Piece>)>,
}

/// A part of a tag's value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The value of another tag.
    Tag(String),
}

/// Why a tag cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTag {
    /// There is no key, no value, or no `=` between them.
    #[error("`{0}` must be KEY=VALUE, as in host=web1")]
    Pair(String),
    /// A brace is not closed.
    #[error("`{value}`: the `{{` before `{behind}` has no `}}`")]
    Brace {
        /// The tag's value.
        value: String,
        /// The text after the brace.
        behind: String,
    },
}

impl TagChanges {
    /// Removes the tags `without`, and adds `tags`: `KEY=VALUE`, where `{OTHER}` in the value stands for the value of another
    /// tag, which may be a removed one. An existing tag is replaced.
    ///
    /// # Errors
    ///
    /// Which tag is malformed.
    pub fn new(without: &[String], tags: &[String]) -> Result<Self, BadTag> {
        let tags = tags.iter().map(|tag| {
            let (key, value) = tag
                .split_once('=')
                .filter(|(key, value)| !key.is_empty() && !value.is_empty() && !value.ends_with('\\'))
                .ok_or_else(|| BadTag::Pair(tag.clone()))?;
            Ok((key.to_owned(), pieces(value)?))
        });
        Ok(Self { without: without.to_vec(), tags: tags.collect::<Result<_, BadTag>>()? })
    }

    /// Removes one more tag.
    #[must_use]
    pub fn without(mut self, tag: &str) -> Self {
        self.without.push(tag.to_owned());
        self
    }

    fn is_empty(&self) -> bool {
        self.without.is_empty() && self.tags.is_empty()
    }

    /// The rewritten head.
    fn apply(&self, head: &[u8]) -> Vec<u8> {
        let mut parts = line::head_parts(head);
        let mut out = parts.next().unwrap_or_default().to_vec();
        let there: Vec<(&[u8], &[u8])> = parts.filter_map(line::tag).collect();
        let is = |key: &[u8], name: &String| line::unescape(key).as_ref() == name.as_bytes();
        let mut put = |key: &[u8], value: &[u8]| {
            for part in [b",", key, b"=", value] {
                out.extend_from_slice(part);
            }
        };
        for (key, value) in &there {
            let replaced = self.tags.iter().any(|(name, _)| is(key, name));
            if !replaced && !self.without.iter().any(|name| is(key, name)) {
                put(key, value);
            }
        }
        for (name, pieces) in &self.tags {
            let value = |piece: &Piece| match piece {
                Piece::Text(text) => Some(escaped(text)),
                Piece::Tag(name) => there.iter().find(|(key, _)| is(key, name)).map(|(_, value)| value.to_vec()),
            };
            // If a tag that it refers to is missing, it is not added.
            if let Some(values) = pieces.iter().map(value).collect::<Option<Vec<_>>>() {
                put(&escaped(name), &values.concat());
            }
        }
        out
    }
}

/// Parses a value such as `http://{instance}/metrics`.
fn pieces(value: &str) -> Result<Vec<Piece>, BadTag> {
    let mut pieces = Vec::new();
    let mut rest = value;
    while let Some((before, behind)) = rest.split_once('{') {
        let open = || BadTag::Brace { value: value.to_owned(), behind: behind.to_owned() };
        let (name, after) = behind.split_once('}').ok_or_else(open)?;
        pieces.extend((!before.is_empty()).then(|| Piece::Text(before.to_owned())));
        pieces.push(Piece::Tag(name.to_owned()));
        rest = after;
    }
    pieces.extend((!rest.is_empty()).then(|| Piece::Text(rest.to_owned())));
    Ok(pieces)
}

fn escaped(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    put_escaped(&mut out, text, NAME_SPECIALS);
    out
}

/// The rows of a source, rewritten.
#[derive(Debug)]
pub struct Rewritten<S> {
    source: S,
    changes: TagChanges,
    heads: HashMap<Vec<u8>, Vec<u8>>,
    line: Vec<u8>,
    /// Rows that had a verdict, which was removed.
    pub scored_before: u64,
    /// Rows with nothing but verdicts, which are left out.
    pub verdicts: u64,
    /// Rows without a time.
    pub untimed: u64,
}

impl<S> Rewritten<S> {
    /// With these changes.
    pub fn new(source: S, changes: TagChanges) -> Self {
        let (heads, line) = (HashMap::new(), Vec::new());
        Self { source, changes, heads, line, scored_before: 0, verdicts: 0, untimed: 0 }
    }

    /// The source.
    pub fn source(&self) -> &S {
        &self.source
    }
}

impl<S: Source> Source for Rewritten<S> {
    type Error = S::Error;

    fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Row>, S::Error> {
        let Self { source, changes, heads, line, scored_before, verdicts, untimed } = self;
        line.clear();
        let Some(mut row) = source.next(line)? else { return Ok(None) };
        if !row.has_line {
            return Ok(Some(row));
        }
        let Some(head_end) = Grammar::Telegraf.head_end(line) else {
            out.append(line); // malformed: the pipeline will count it
            return Ok(Some(row));
        };
        let (head, body) = line.split_at(head_end);
        let start = out.len();
        if changes.is_empty() {
            out.extend_from_slice(head);
        } else if let Some(head) = heads.get(head) {
            out.extend_from_slice(head);
        } else {
            let changed = changes.apply(head);
            out.extend_from_slice(&changed);
            if heads.len() >= MAX_HEADS {
                heads.clear();
            }
            heads.insert(head.to_vec(), changed);
        }
        let head_end = out.len() - start;
        out.extend_from_slice(body);
        let mut fields = Vec::new();
        let mut read = read_body(&out[start..], head_end, Grammar::Telegraf, &mut fields);
        if read == Err(Refusal::AlreadyScored) {
            out.truncate(start + head_end);
            let is_own = line::head_parts(head).next() == Some(OWN_MEASUREMENT);
            if is_own || !put_unscored(body, out) {
                *verdicts += 1;
                out.truncate(start);
                return Ok(Some(Row { has_line: false, ..row }));
            }
            *scored_before += 1;
            read = read_body(&out[start..], head_end, Grammar::Telegraf, &mut fields);
        }
        if let Ok(body) = read {
            row.time = body.time;
            *untimed += u64::from(body.time.is_none());
        }
        Ok(Some(row))
    }

    fn begins_window(&self) -> bool {
        self.source.begins_window()
    }
}

/// Appends the fields and the time without the fields of a verdict; returns whether there are other fields.
fn put_unscored(body: &[u8], out: &mut Vec<u8>) -> bool {
    let mut at = body.iter().take_while(|byte| **byte == b' ').count();
    out.push(b' ');
    let mut any = false;
    loop {
        let end = field_end(body, at);
        let field = &body[at..end];
        let key = &field[..field.iter().position(|byte| *byte == b'=').unwrap_or(field.len())];
        if !is_verdict(key) {
            if any {
                out.push(b',');
            }
            out.extend_from_slice(field);
            any = true;
        }
        if body.get(end) != Some(&b',') {
            out.extend_from_slice(&body[end..]);
            return any;
        }
        at = end + 1;
    }
}

/// The end of the field that begins at `from`: the next comma or space that is neither escaped nor in a string.
fn field_end(body: &[u8], from: usize) -> usize {
    let (mut at, mut value, mut quoted) = (from, None, false);
    while let Some(&byte) = body.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' if quoted => quoted = false,
            b'"' if value == Some(at) => quoted = true,
            b'=' if value.is_none() => value = Some(at + 1),
            b',' | b' ' | b'\t' | b'\r' | b'\n' if !quoted => return at,
            _ => {}
        }
        at += 1;
    }
    body.len()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// Lines, as a source.
    struct Lines<'a>(std::str::Lines<'a>);

    impl Source for Lines<'_> {
        type Error = Infallible;

        fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Row>, Infallible> {
            let Some(line) = self.0.next() else { return Ok(None) };
            out.extend_from_slice(line.as_bytes());
            out.push(b'\n');
            Ok(Some(Row { time: None, has_line: true }))
        }
    }

    fn rewritten(text: &str, changes: TagChanges) -> (String, Vec<Row>, [u64; 3]) {
        let mut source = Rewritten::new(Lines(text.lines()), changes);
        let (mut out, mut rows) = (Vec::new(), Vec::new());
        while let Some(row) = source.next(&mut out).unwrap() {
            rows.push(row);
        }
        let Rewritten { scored_before, verdicts, untimed, .. } = source;
        (String::from_utf8(out).unwrap(), rows, [scored_before, verdicts, untimed])
    }

    #[test]
    fn verdicts_are_removed() {
        let text = "m,host=a u=1,anomaly_score=0.2,is_anomaly=0i 5\n\
                    m,host=a anomaly_cause=\"a, \\\"b\\\" c=1\",anomaly_score=2,is_anomaly=1i,s=\"x, y=1\",u=1i 6\n\
                    m anomaly_score=0.1 7\n\
                    anomaly,host=a,detector=v score=0.2,is_anomaly=0i 8\n\
                    anomaly,host=a,detector=v anomaly_rate=0.2,anomalous=1i,series=5i 8\n\
                    m k\\,anomaly_score=1,u=2\n\
                    bad\n";
        let (lines, rows, counts) = rewritten(text, TagChanges::default());
        assert_eq!(lines, "m,host=a u=1 5\nm,host=a s=\"x, y=1\",u=1i 6\nm k\\,anomaly_score=1,u=2\nbad\n");
        assert_eq!(counts, [2, 3, 1]);
        let times: Vec<_> = rows.iter().map(|row| (row.time, row.has_line)).collect();
        assert_eq!(times[..2], [(Some(5), true), (Some(6), true)]);
        assert!(times[2..5].iter().all(|(_, has_line)| !has_line));
    }

    #[test]
    fn tags_are_removed_and_added() {
        let changes = |without: &[&str], tags: &[&str]| {
            let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
            TagChanges::new(&owned(without), &owned(tags))
        };
        let both =
            changes(&["job", "instance"], &["url=http://{instance}/metrics", "host=my web", "x={none}"]).unwrap();
        let text = "up,host=old,instance=a:9100,job=node v=1 5\nup,job=node v=1 5\nup,instance=b\\ c v=1 6\n";
        let (lines, ..) = rewritten(text, both);
        assert_eq!(
            lines,
            "up,url=http://a:9100/metrics,host=my\\ web v=1 5\nup,host=my\\ web v=1 5\nup,url=http://b\\ c/metrics,host=my\\ web v=1 6\n"
        );
        for (tag, what) in [("host", "KEY=VALUE"), ("host=", "KEY=VALUE"), ("url={x", "no `}`")] {
            assert!(changes(&[], &[tag]).unwrap_err().to_string().contains(what), "{tag}");
        }
    }
}
