//! Metrics in protocol buffers: a frame is the length of an `EventArray`, in four bytes, and the `EventArray`.
//!
//! A frame with one metric is scored. Vector's codec writes one event a frame; a frame with more passes unchanged. So do
//! metrics whose tags are in many separate pieces, which no encoder writes, and metrics in forms that Vector abandoned years ago (`distribution1`, `aggregated_histogram1`, `aggregated_summary1`).

use crate::head;
use crate::metric::{Kind, Metric, Value};
use crate::read_json::Read;
use crate::wire::{self, Broken, Message};

/// The most tags of a metric that is scored, in both forms together. They are compared pairwise.
const MAX_TAGS: usize = 512;

/// Seconds from 1970 and nanoseconds, as one.
const SECOND: i64 = 1_000_000_000;

/// A range of the buffer.
pub(super) type Span = (usize, usize);

/// The positions of a metric's parts in the buffer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Parts {
    /// The frame, and the metric in it.
    pub(super) frame: Span,
    pub(super) metric: Span,
    pub(super) name: Span,
    pub(super) namespace: Span,
    /// Its time and its tags, which are copied to its verdict; Vector writes them in two pieces.
    pub(super) shared: Shared,
}

/// Pieces of a metric.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shared {
    pieces: [Span; 4],
    count: usize,
}

impl Shared {
    /// Appends a piece, and returns whether there was room for it.
    fn add(&mut self, (start, end): Span) -> bool {
        if let Some(last) = self.pieces[..self.count].last_mut().filter(|last| last.1 == start) {
            last.1 = end;
            return true;
        }
        let place = self.pieces.get_mut(self.count);
        self.count += usize::from(place.is_some());
        place.map(|place| *place = (start, end)).is_some()
    }

    pub(super) fn pieces(&self) -> &[Span] {
        &self.pieces[..self.count]
    }
}

/// Reads frames, and reuses its memory.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) metric: Metric,
    pub(super) parts: Parts,
    pub(super) pairs: Vec<(f64, f64)>,
    tags: Vec<(Span, Span)>,
}

impl Reader {
    /// Reads the frame that lies at `start..end`.
    pub(super) fn read_frame(&mut self, buffer: &[u8], start: usize, end: usize) -> Result<Read, Broken> {
        if end == start {
            return Ok(Read::Other);
        }
        if frame_end(&buffer[start..end]) != Some(end - start) {
            return Err(Broken);
        }
        let Some(array) = only(buffer, (start + 4, end), 2)? else { return Ok(Read::Other) };
        let Some(metric) = only(buffer, array, 1)? else { return Ok(Read::Unknown) };
        self.parts = Parts { frame: (start, end), metric, ..Parts::default() };
        self.read_metric(buffer)?;
        let known = self.metric.value != Value::Unknown && self.metric.kind != Kind::Unknown;
        Ok(if known { Read::Metric } else { Read::Unknown })
    }

    fn read_metric(&mut self, buffer: &[u8]) -> Result<(), Broken> {
        let Self { metric, parts, pairs, tags } = self;
        *metric = Metric { kind: Kind::Incremental, ..Metric::default() };
        tags.clear();
        // Tags of both forms are in the same order.
        let mut next = 0;
        let mut unsupported = false;
        let mut entries = 0;
        let mut message = Message::new(buffer, parts.metric.0, parts.metric.1);
        while let Some(field) = message.next()? {
            let wire::Value::Bytes(start, end) = field.value else {
                match (field.number, field.value) {
                    (4, wire::Value::Integer(0)) => metric.kind = Kind::Incremental,
                    (4, wire::Value::Integer(1)) => metric.kind = Kind::Absolute,
                    (4, _) => metric.kind = Kind::Unknown,
                    (18, wire::Value::Integer(interval)) => metric.interval = interval as f64,
                    _ => {}
                }
                continue;
            };
            if matches!(field.number, 2 | 3 | 20) {
                unsupported |= !parts.shared.add((field.start, field.end));
            }
            match field.number {
                1 => parts.name = (start, end),
                11 => parts.namespace = (start, end),
                2 => metric.time = read_time(buffer, start, end)?,
                3 | 20 => {
                    entries += 1;
                    if entries > MAX_TAGS {
                        unsupported = true;
                        continue;
                    }
                    let (key, value) = read_entry(buffer, start, end)?;
                    let same = |&(other, _): &(Span, Span)| buffer[other.0..other.1] == buffer[key.0..key.1];
                    let known = if tags.get(next).is_some_and(same) { Some(next) } else { tags.iter().position(same) };
                    // If a tag has both forms, the old one counts: Vector adds it last.
                    if let Some(at) = known {
                        next = at + 1;
                        if field.number == 20 {
                            continue;
                        }
                        tags[at].1 = value;
                    } else if field.number == 3 {
                        tags.push((key, value));
                    } else if let Some(value) = last_value(buffer, value)? {
                        tags.push((key, value));
                    }
                }
                5 => metric.value = Value::Counter(doubles(buffer, start, end, [1])?[0]),
                6 => metric.value = Value::Gauge(doubles(buffer, start, end, [1])?[0]),
                7 => {
                    let (mut count, mut set) = (0, Message::new(buffer, start, end));
                    while let Some(field) = set.next()? {
                        count += usize::from(field.number == 1);
                    }
                    metric.value = Value::Set(count);
                }
                12 => {
                    read_pairs(buffer, start, end, pairs)?;
                    metric.value = Value::Distribution;
                }
                13 | 16 => {
                    let [count, sum] = read_pairs(buffer, start, end, pairs)?;
                    metric.value = Value::Histogram { count, sum };
                }
                14 | 17 => {
                    let [count, sum] = read_pairs(buffer, start, end, pairs)?;
                    metric.value = Value::Summary { count, sum };
                }
                15 => {
                    let mut sketch = Message::new(buffer, start, end);
                    while let Some(field) = sketch.next()? {
                        if let (1, wire::Value::Bytes(start, end)) = (field.number, field.value) {
                            let [count, min, max, avg] = doubles(buffer, start, end, [1, 2, 3, 5])?;
                            metric.value = Value::Sketch { count, min, max, avg };
                        }
                    }
                }
                8..=10 => metric.value = Value::Unknown,
                _ => {}
            }
        }
        if unsupported {
            metric.value = Value::Unknown;
        }
        Ok(())
    }

    /// Appends the head of the metric that was read last, and notes whether it is a verdict.
    pub(super) fn write_head(&mut self, buffer: &[u8], out: &mut Vec<u8>) {
        let Self { metric, parts, tags, pairs: _ } = self;
        let part = |(start, end): Span| &buffer[start..end];
        if !part(parts.namespace).is_empty() {
            head::write_name(out, part(parts.namespace));
            out.push(b'.');
        }
        metric.scored |= head::is_verdict(part(parts.name));
        head::write_name(out, part(parts.name));
        for (key, value) in tags.iter().map(|&(key, value)| (part(key), part(value))) {
            if key.is_empty() || value.is_empty() {
                continue; // left out, as Vector's sink for InfluxDB does
            }
            metric.scored |= head::is_verdict(key);
            out.push(b',');
            head::write_name(out, key);
            out.push(b'=');
            head::write_name(out, value);
        }
    }
}

/// Where the frame at the beginning of `bytes` ends, once its length is there.
pub(super) fn frame_end(bytes: &[u8]) -> Option<usize> {
    bytes.first_chunk::<4>().map(|length| 4 + u32::from_be_bytes(*length) as usize)
}

/// The one field of a message, where that is a message itself and has this number.
fn only(buffer: &[u8], (start, end): Span, number: u64) -> Result<Option<Span>, Broken> {
    let mut message = Message::new(buffer, start, end);
    let mut found = None;
    let mut count = 0;
    while let Some(field) = message.next()? {
        count += 1;
        if let (wire::Value::Bytes(start, end), true) = (field.value, field.number == number) {
            found = Some((start, end));
        }
    }
    Ok(found.filter(|_| count == 1))
}

fn read_time(buffer: &[u8], start: usize, end: usize) -> Result<Option<i64>, Broken> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut message = Message::new(buffer, start, end);
    while let Some(field) = message.next()? {
        match (field.number, field.value) {
            (1, wire::Value::Integer(value)) => seconds = value as i64,
            (2, wire::Value::Integer(value)) => nanos = value as i64,
            _ => {}
        }
    }
    Ok(seconds.checked_mul(SECOND).and_then(|time: i64| time.checked_add(nanos)))
}

/// The key and the value of a map's entry.
fn read_entry(buffer: &[u8], start: usize, end: usize) -> Result<(Span, Span), Broken> {
    // As it mostly is: both short, in their order.
    if let [0x0a, key @ 0..0x80, rest @ ..] = &buffer[start..end]
        && let Some([0x12, value @ 0..0x80, rest @ ..]) = rest.get(usize::from(*key)..)
        && rest.len() == usize::from(*value)
    {
        let key = start + 2..start + 2 + usize::from(*key);
        return Ok(((key.start, key.end), (end - rest.len(), end)));
    }
    let (mut key, mut value) = ((start, start), (start, start));
    let mut message = Message::new(buffer, start, end);
    while let Some(field) = message.next()? {
        match (field.number, field.value) {
            (1, wire::Value::Bytes(start, end)) => key = (start, end),
            (2, wire::Value::Bytes(start, end)) => value = (start, end),
            _ => {}
        }
    }
    Ok((key, value))
}

/// The last of a tag's values that is one.
fn last_value(buffer: &[u8], (start, end): Span) -> Result<Option<Span>, Broken> {
    let (mut last, mut values) = (None, Message::new(buffer, start, end));
    while let Some(field) = values.next()? {
        let (1, wire::Value::Bytes(start, end)) = (field.number, field.value) else { continue };
        let mut value = Message::new(buffer, start, end);
        while let Some(field) = value.next()? {
            if let (1, wire::Value::Bytes(start, end)) = (field.number, field.value) {
                last = Some((start, end));
            }
        }
    }
    Ok(last)
}

/// Fields of a message that are numbers; one that is missing is 0.
fn doubles<const N: usize>(buffer: &[u8], start: usize, end: usize, numbers: [u64; N]) -> Result<[f64; N], Broken> {
    let mut values = [0.0; N];
    let mut message = Message::new(buffer, start, end);
    while let Some(field) = message.next()? {
        let Some(at) = numbers.iter().position(|&number| number == field.number) else { continue };
        match field.value {
            wire::Value::Fixed(bits) => values[at] = f64::from_bits(bits),
            wire::Value::Integer(value) => values[at] = value as f64,
            _ => {}
        }
    }
    Ok(values)
}

/// The pairs of a distribution, histogram or summary, and what stands beside them: how many values there are, and their
/// sum.
fn read_pairs(buffer: &[u8], start: usize, end: usize, pairs: &mut Vec<(f64, f64)>) -> Result<[f64; 2], Broken> {
    pairs.clear();
    let mut message = Message::new(buffer, start, end);
    while let Some(field) = message.next()? {
        if let (1, wire::Value::Bytes(start, end)) = (field.number, field.value) {
            let [a, b] = doubles(buffer, start, end, [1, 2])?;
            pairs.push((a, b));
        }
    }
    doubles(buffer, start, end, [2, 3])
}
