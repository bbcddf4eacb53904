//! Verdicts in protocol buffers: gauges in frames of their own, or tags of the metric.

use crate::read_proto::{Parts, Span};
use crate::verdict::{self, About};
use crate::wire::{put_varint, varint_len};
use qualm_pipeline::band;
use qualm_pipeline::format::{EntityRate, EventVerdict, VectorVerdict};
use qualm_pipeline::line;
use qualm_pipeline::splice;

/// A gauge's kind (absolute), and its value's field up to the double. The double is always written: Vector's decoder
/// panics on a metric without a value.
const GAUGE: [u8; 5] = [0x20, 0x01, 0x32, 0x09, 0x09];

/// The bytes of that with the double.
const GAUGE_LEN: usize = GAUGE.len() + 8;

/// Appends the gauges that tell of a metric, each in a frame of its own.
pub(super) fn put_gauges(out: &mut Vec<u8>, buffer: &[u8], parts: &Parts, told: &EventVerdict<'_>) {
    let start = out.len();
    // Its time and its tags, as they stand there.
    for &(start, end) in parts.shared.pieces() {
        out.extend_from_slice(&buffer[start..end]);
    }
    let part = |(start, end): Span| &buffer[start..end];
    let (namespace, name) = (part(parts.namespace), part(parts.name));
    let point = if namespace.is_empty() { &[][..] } else { b"." };
    put_tag(out, b"metric_name", &[namespace, point, name]);
    let same = start..out.len();
    // The first frame's beginning goes before what is written already.
    let header = out.len();
    put_beginning(out, b"anomaly_score", same.len());
    let length = out.len() - header;
    out[start..].rotate_right(length);
    put_value(out, splice::rounded(told.score));
    put_beginning(out, b"is_anomaly", same.len());
    let same = start + length..same.end + length;
    out.extend_from_within(same.clone());
    put_value(out, f64::from(u8::from(told.cause.is_some())));
    for (name, value) in band::named_limits(told.band) {
        put_beginning(out, name.as_bytes(), same.len());
        out.extend_from_within(same.clone());
        put_value(out, value);
    }
}

/// Appends the beginning of a frame up to the metric's name; `rest` more bytes will come before its value.
fn put_beginning(out: &mut Vec<u8>, name: &[u8], rest: usize) {
    put_lengths(out, 2 + name.len() + rest + GAUGE_LEN);
    out.extend_from_slice(&[0x0a, name.len() as u8]);
    out.extend_from_slice(name);
}

/// Appends the beginning of a frame with one metric of this length: the frame's length, then the array's, then its own.
fn put_lengths(out: &mut Vec<u8>, metric: usize) {
    let array = field_len(metric);
    // A frame that is read is no longer than a mebibyte; the verdict adds little.
    out.extend_from_slice(&(field_len(array) as u32).to_be_bytes());
    put_field(out, 0x12, array);
    put_field(out, 0x0a, metric);
}

fn put_value(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&GAUGE);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Where the tags go that tell of a metric, and how many bytes they stand in for: all up to the metric's first field,
/// as the lengths grow.
pub(super) fn tags_at(parts: &Parts) -> (usize, usize) {
    (parts.frame.0, parts.metric.0 - parts.frame.0)
}

/// Appends the tags that tell of a metric, behind lengths that count them.
pub(super) fn put_tags(out: &mut Vec<u8>, parts: &Parts, told: &EventVerdict<'_>) {
    let start = out.len();
    splice::write_score(out, told.score);
    let mut score = [0; 16]; // a score has at most seven digits before the point and four behind
    let length = (out.len() - start).min(score.len());
    score[..length].copy_from_slice(&out[start..][..length]);
    out.truncate(start);
    put_tag(out, b"anomaly_score", &[&score[..length]]);
    put_tag(out, b"is_anomaly", &[if told.cause.is_some() { b"1" } else { b"0" }]);
    if let Some(cause) = told.cause {
        put_tag(out, b"anomaly_cause", &[&line::unescape(cause)]);
    }
    if let Some(reason) = told.reason {
        put_tag(out, b"anomaly_reason", &[reason.as_bytes()]);
    }
    for (name, value) in band::named_limits(told.band) {
        let start = out.len();
        band::write_number(out, value);
        let mut text = [0; 32]; // the fewest digits that read back, and an exponent
        let length = (out.len() - start).min(text.len());
        text[..length].copy_from_slice(&out[start..][..length]);
        out.truncate(start);
        put_tag(out, name.as_bytes(), &[&text[..length]]);
    }
    let header = out.len();
    put_lengths(out, parts.metric.1 - parts.metric.0 + (header - start));
    let length = out.len() - header;
    out[start..].rotate_right(length);
}

/// Appends the gauges that tell of a vector.
pub(super) fn put_vector<'a>(
    out: &mut Vec<u8>,
    told: &VectorVerdict<'_>,
    names: &(impl Iterator<Item = &'a str> + Clone),
) {
    verdict::gauges(told, names, |name, about, value| put_gauge(out, name, about, told.time, value));
}

/// Appends the gauges that tell of an anomaly rate.
pub(super) fn put_rate(out: &mut Vec<u8>, told: &EntityRate<'_>) {
    verdict::rate_gauges(told, |name, about, value| put_gauge(out, name, about, told.time, value));
}

/// Appends a gauge about an entity, in a frame of its own.
fn put_gauge(out: &mut Vec<u8>, name: &str, about: About<'_>, time: i64, value: f64) {
    let start = out.len();
    put_time(out, time);
    about.tags(|key, value| put_tag(out, key, &[value]));
    let header = out.len();
    put_beginning(out, name.as_bytes(), header - start);
    let length = out.len() - header;
    out[start..].rotate_right(length);
    put_value(out, value);
}

/// Appends a metric's time.
fn put_time(out: &mut Vec<u8>, time: i64) {
    // Seconds may be negative; nanoseconds never are.
    let (seconds, nanos) = (time.div_euclid(1_000_000_000) as u64, time.rem_euclid(1_000_000_000) as u64);
    let length = 2 + varint_len(seconds) + varint_len(nanos);
    out.extend_from_slice(&[0x12, length as u8, 0x08]);
    put_varint(out, seconds);
    out.push(0x10);
    put_varint(out, nanos);
}

/// Appends a tag in the old form (field 3, a text) and in the new one (field 20, a list of values, each a text), as
/// Vector itself does: a tag that the metric has already is replaced in both. The value comes in parts.
fn put_tag(out: &mut Vec<u8>, key: &[u8], value: &[&[u8]]) {
    let text = value.iter().map(|part| part.len()).sum();
    let list = field_len(field_len(text));
    let put_text = |out: &mut Vec<u8>| {
        for part in value {
            out.extend_from_slice(part);
        }
    };
    put_entry(out, &[0x1a], key, text);
    put_text(out);
    put_entry(out, &[0xa2, 0x01], key, list);
    put_field(out, 0x0a, field_len(text));
    put_field(out, 0x0a, text);
    put_text(out);
}

/// Appends a map's entry, up to its value, which will be so long.
fn put_entry(out: &mut Vec<u8>, tag: &[u8], key: &[u8], value: usize) {
    out.extend_from_slice(tag);
    put_varint(out, (field_len(key.len()) + field_len(value)) as u64);
    put_field(out, 0x0a, key.len());
    out.extend_from_slice(key);
    put_field(out, 0x12, value);
}

/// Appends a field's tag and length.
fn put_field(out: &mut Vec<u8>, tag: u8, length: usize) {
    out.push(tag);
    put_varint(out, length as u64);
}

/// How long a field is with its tag, of one byte, and its length.
fn field_len(length: usize) -> usize {
    1 + varint_len(length as u64) + length
}
