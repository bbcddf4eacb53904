//! Metrics in JSON: `{"metric":{"name":…,"kind":…,"gauge":{"value":…}}}`, one a line.

use crate::head;
use crate::json::{Scanner, Text};
use crate::metric::{Kind, Metric, Value};
use crate::text::unescape;
use crate::time;

/// Where a metric's parts stand in the buffer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Parts {
    /// Its name and namespace, between their quotes.
    pub(super) name: Text,
    pub(super) namespace: Text,
    /// Its time, with its quotes; empty where it has none.
    pub(super) time: (u32, u32),
    /// Its tags, between the braces, or `null`; where it has none, twice the place at which they would go.
    pub(super) tags: (u32, u32),
    pub(super) tags_are: Tags,
}

/// How tags stand there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Tags {
    /// Not at all.
    #[default]
    Missing,
    /// As something other than an object: `null`.
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
    /// A log, a trace.
    Other,
    /// A metric of a kind that is not known, an object of another make.
    Unknown,
}

/// Reads lines. It keeps its memory from one to the next.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) metric: Metric,
    pub(super) parts: Parts,
    pub(super) pairs: Vec<(f64, f64)>,
    tags: Vec<(Text, Text)>,
    scratch: Vec<u8>,
}

impl Reader {
    /// Reads the line that begins at `at` in `buffer`, which ends with it. `None` where it is no object of JSON. (Logs and
    /// traces are not looked into.)
    pub(super) fn read(&mut self, buffer: &[u8], at: usize) -> Option<Read> {
        let mut scanner = Scanner::new(buffer, at);
        let mut read = Read::Unknown;
        match scanner.peek() {
            None => return Some(Read::Other), // a blank line
            Some(b'{') => {}
            Some(_) => return None, // an array of events, for one: `native_json` is an object a line
        }
        let (mut members, mut log) = (0, false);
        let whole = scanner.members(|scanner, key| {
            members += 1;
            match scanner.raw(key) {
                b"metric" if scanner.peek()? == b'{' => {
                    read = Read::Metric;
                    self.read_metric(scanner)
                }
                b"log" | b"trace" => {
                    log = true;
                    None // no more of it is wanted
                }
                _ => scanner.skip(),
            }
        });
        if log {
            return Some(Read::Other);
        }
        whole?;
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
                    metric.time = time::parse(scanner.raw(text));
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
    pub(super) fn put_head(&mut self, buffer: &[u8], out: &mut Vec<u8>) {
        let Self { metric, parts, tags, scratch, pairs: _ } = self;
        if parts.namespace.start < parts.namespace.end {
            head::put_name(out, said(parts.namespace, buffer, scratch));
            out.push(b'.');
        }
        let name = said(parts.name, buffer, scratch);
        metric.scored |= head::is_verdict(name);
        head::put_name(out, name);
        for &(key, value) in &*tags {
            if key.start == key.end || value.start == value.end {
                continue; // left out, as Vector's sink for InfluxDB does
            }
            let key = said(key, buffer, scratch);
            metric.scored |= head::is_verdict(key);
            out.push(b',');
            head::put_name(out, key);
            out.push(b'=');
            head::put_name(out, said(value, buffer, scratch));
        }
    }
}

/// Reads tags: a string each, or an array of strings and nulls, of which the last string counts (as it does for most of
/// Vector's sinks, that for InfluxDB among them). Those that have none are left out.
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

/// Members of an object that are numbers, NaN where they are missing.
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

/// The pairs in the array `list`, and what stands beside it: how many values there are, and their sum.
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

/// What a text says, in `scratch` where that is not what stands there.
fn said<'a>(text: Text, buffer: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    if !text.escaped {
        return text.of(buffer);
    }
    scratch.clear();
    unescape(scratch, text.of(buffer));
    scratch
}
