//! Metrics in JSON: `{"metric":{"name":…,"kind":…,"gauge":{"value":…}}}`, one a line.

use crate::head;
use crate::json::{Scanner, Text};
use crate::metric::{Kind, Metric, Value};
use crate::text::unescape;
use crate::time;

/// The positions of a metric's parts in the buffer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Parts {
    /// Its name and namespace, between their quotes.
    pub(super) name: Text,
    pub(super) namespace: Text,
    /// Its time, with its quotes; empty if it has none.
    pub(super) time: (u32, u32),
    /// Its tags, between the braces, or `null`; if it has none, an empty range where they would be.
    pub(super) tags: (u32, u32),
    pub(super) tags_are: Tags,
}

/// How the tags of a metric are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Tags {
    /// Not at all.
    #[default]
    Missing,
    /// As `null`, or anything else than an object.
    Null,
    /// As an object without any.
    Empty,
    /// As an object with some.
    Some,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Metric,
    /// A log or a trace.
    Other,
    /// A metric of an unknown kind, or another object.
    Unknown,
}

/// Reads lines, and reuses its memory.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) metric: Metric,
    pub(super) parts: Parts,
    pub(super) pairs: Vec<(f64, f64)>,
    tags: Vec<(Text, Text)>,
    scratch: Vec<u8>,
}

impl Reader {
    /// Reads the line that begins at `at` in `buffer`, which ends with it. `None` if it is no JSON object. (Logs and
    /// traces are not parsed.)
    pub(super) fn read_line(&mut self, buffer: &[u8], at: usize) -> Option<Read> {
        let mut scanner = Scanner::new(buffer, at);
        let mut read = Read::Unknown;
        match scanner.peek() {
            None => return Some(Read::Other), // a blank line
            Some(b'{') => {}
            Some(_) => return None, // such as an array of events: `native_json` is an object per line
        }
        let (mut members, mut log) = (0, false);
        let parsed = scanner.members(|scanner, key| {
            members += 1;
            match scanner.raw(key) {
                b"metric" if scanner.peek()? == b'{' => {
                    read = Read::Metric;
                    self.read_metric(scanner)
                }
                b"log" | b"trace" => {
                    log = true;
                    None // the rest is not needed
                }
                _ => scanner.skip(),
            }
        });
        if log {
            return Some(Read::Other);
        }
        parsed?;
        let Self { metric, parts, .. } = self;
        let known = metric.value != Value::Unknown && metric.kind != Kind::Unknown && parts.name != Text::default();
        scanner.is_done().then_some(if known && members == 1 { read } else { Read::Unknown })
    }

    fn read_metric(&mut self, scanner: &mut Scanner<'_>) -> Option<()> {
        let Self { metric, parts, pairs, tags, scratch: _ } = self;
        *metric = Metric::default();
        *parts = Parts::default();
        tags.clear();
        scanner.peek()?;
        let inside = scanner.at as u32 + 1;
        parts.tags = (inside, inside);
        scanner.members(|scanner, key| {
            match scanner.raw(key) {
                b"name" if scanner.peek()? == b'"' => parts.name = scanner.string()?,
                b"namespace" if scanner.peek()? == b'"' => parts.namespace = scanner.string()?,
                b"tags" => read_tags(scanner, parts, tags)?,
                b"timestamp" if scanner.peek()? == b'"' => {
                    let text = scanner.string()?;
                    metric.time = time::parse_time(scanner.raw(text));
                    parts.time = (text.start - 1, text.end + 1);
                }
                b"interval_ms" => metric.interval = scanner.float()?,
                b"kind" if scanner.peek()? == b'"' => {
                    let text = scanner.string()?;
                    metric.kind = match scanner.raw(text) {
                        b"absolute" => Kind::Absolute,
                        b"incremental" => Kind::Incremental,
                        _ => Kind::Unknown,
                    };
                }
                b"gauge" => metric.value = Value::Gauge(numbers(scanner, [b"value"])?[0]),
                b"counter" => metric.value = Value::Counter(numbers(scanner, [b"value"])?[0]),
                b"set" => {
                    let mut count = 0;
                    scanner.any_members(|scanner, key| match scanner.raw(key) {
                        b"values" => scanner.items(|scanner| {
                            count += 1;
                            scanner.skip()
                        }),
                        _ => scanner.skip(),
                    })?;
                    metric.value = Value::Set(count);
                }
                b"distribution" => {
                    read_pairs(scanner, b"samples", [b"value", b"rate"], pairs)?;
                    metric.value = Value::Distribution;
                }
                b"aggregated_histogram" => {
                    let [count, sum] = read_pairs(scanner, b"buckets", [b"upper_limit", b"count"], pairs)?;
                    metric.value = Value::Histogram { count, sum };
                }
                b"aggregated_summary" => {
                    let [count, sum] = read_pairs(scanner, b"quantiles", [b"quantile", b"value"], pairs)?;
                    metric.value = Value::Summary { count, sum };
                }
                b"sketch" => scanner.any_members(|scanner, key| match scanner.raw(key) {
                    b"sketch" => scanner.any_members(|scanner, key| match scanner.raw(key) {
                        b"AgentDDSketch" => {
                            let [count, min, max, avg] = numbers(scanner, [b"count", b"min", b"max", b"avg"])?;
                            metric.value = Value::Sketch { count, min, max, avg };
                            Some(())
                        }
                        _ => scanner.skip(),
                    }),
                    _ => scanner.skip(),
                })?,
                _ => scanner.skip()?,
            }
            Some(())
        })
    }

    /// Appends the head of the metric that was read last, and notes whether it is a verdict.
    pub(super) fn write_head(&mut self, buffer: &[u8], out: &mut Vec<u8>) {
        let Self { metric, parts, tags, scratch, pairs: _ } = self;
        if parts.namespace.start < parts.namespace.end {
            head::write_name(out, decoded(parts.namespace, buffer, scratch));
            out.push(b'.');
        }
        let name = decoded(parts.name, buffer, scratch);
        metric.scored |= head::is_verdict(name);
        head::write_name(out, name);
        for &(key, value) in &*tags {
            if key.start == key.end || value.start == value.end {
                continue; // omitted, as in Vector's sink for InfluxDB
            }
            let key = decoded(key, buffer, scratch);
            metric.scored |= head::is_verdict(key);
            out.push(b',');
            head::write_name(out, key);
            out.push(b'=');
            head::write_name(out, decoded(value, buffer, scratch));
        }
    }
}

/// Reads tags: a string each, or an array of strings and nulls, of which the last string counts (as for most of
/// Vector's sinks, that for InfluxDB among them). Tags without a string are omitted.
fn read_tags(scanner: &mut Scanner<'_>, parts: &mut Parts, tags: &mut Vec<(Text, Text)>) -> Option<()> {
    tags.clear();
    let object = scanner.peek()? == b'{';
    let start = scanner.at as u32;
    let mut any = false;
    scanner.any_members(|scanner, key| {
        any = true;
        let mut last = None;
        match scanner.peek()? {
            b'"' => last = Some(scanner.string()?),
            _ => scanner.items(|scanner| {
                if scanner.peek()? == b'"' {
                    last = Some(scanner.string()?);
                    return Some(());
                }
                scanner.skip()
            })?,
        }
        tags.extend(last.map(|value| (key, value)));
        Some(())
    })?;
    let end = scanner.at as u32;
    (parts.tags, parts.tags_are) = match (object, any) {
        (false, _) => ((start, end), Tags::Null),
        (true, false) => ((start + 1, end - 1), Tags::Empty),
        (true, true) => ((start + 1, end - 1), Tags::Some),
    };
    Some(())
}

/// Members of an object that are numbers; NaN if they are missing.
fn numbers<const N: usize>(scanner: &mut Scanner<'_>, names: [&[u8]; N]) -> Option<[f64; N]> {
    let mut values = [f64::NAN; N];
    scanner.any_members(|scanner, key| {
        match names.iter().position(|&name| name == scanner.raw(key)) {
            Some(at) => values[at] = scanner.float()?,
            None => scanner.skip()?,
        }
        Some(())
    })?;
    Some(values)
}

/// Reads the pairs in the array `list`, and the count and sum next to it.
fn read_pairs(
    scanner: &mut Scanner<'_>,
    list: &[u8],
    names: [&[u8]; 2],
    pairs: &mut Vec<(f64, f64)>,
) -> Option<[f64; 2]> {
    let [mut count, mut sum] = [f64::NAN; 2];
    pairs.clear();
    scanner.any_members(|scanner, key| {
        match scanner.raw(key) {
            key if key == list => {
                pairs.clear();
                scanner.items(|scanner| {
                    let [a, b] = numbers(scanner, names)?;
                    pairs.push((a, b));
                    Some(())
                })?;
            }
            b"count" => count = scanner.float()?,
            b"sum" => sum = scanner.float()?,
            _ => scanner.skip()?,
        }
        Some(())
    })?;
    Some([count, sum])
}

/// The decoded text, in `scratch` if it has escapes.
fn decoded<'a>(text: Text, buffer: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if !text.escaped {
        return text.of(buffer);
    }
    scratch.clear();
    unescape(scratch, text.of(buffer));
    scratch
}
