//! Verdicts in protocol buffers: gauges in separate frames, or tags of the metric.

use qualm_pipeline::band;
use qualm_pipeline::format::{EntityRate, EventVerdict, VectorVerdict};
use qualm_pipeline::line;
use qualm_pipeline::splice;

use crate::read_proto::{Parts, Span};
use crate::verdict::{self, GaugeLabels};
use crate::wire::{varint_len, write_varint};

/// A gauge's kind (absolute), and its value's field up to the double. The double is always written: Vector's decoder
/// panics on a metric without a value.
const GAUGE: [u8; 5] = [0x20, 0x01, 0x32, 0x09, 0x09];

/// The length of that with the double.
const GAUGE_LEN: usize = GAUGE.len() + 8;

/// Appends the gauges for a metric, each in a separate frame.
pub(super) fn write_gauges(out: &mut Vec<u8>, buffer: &[u8], parts: &Parts, verdict: &EventVerdict<'_>) {
    let start = out.len();
    // Its time and its tags, copied.
    for &(start, end) in parts.shared.pieces() {
        out.extend_from_slice(&buffer[start..end]);
    }
    let part = |(start, end): Span| &buffer[start..end];
    let (namespace, name) = (part(parts.namespace), part(parts.name));
    let point = if namespace.is_empty() { &[][..] } else { b"." };
    write_tag(out, b"metric_name", &[namespace, point, name]);
    let same = start..out.len();
    // The first frame's beginning goes before what has been written.
    let header = out.len();
    write_frame_start(out, b"anomaly_score", same.len());
    let length = out.len() - header;
    out[start..].rotate_right(length);
    write_value(out, splice::round_score(verdict.score));
    write_frame_start(out, b"is_anomaly", same.len());
    let same = start + length..same.end + length;
    out.extend_from_within(same.clone());
    write_value(out, f64::from(u8::from(verdict.cause.is_some())));
    for (name, value) in band::named_limits(verdict.band) {
        write_frame_start(out, name.as_bytes(), same.len());
        out.extend_from_within(same.clone());
        write_value(out, value);
    }
}

/// Appends the beginning of a frame up to the metric's name; `rest` more bytes follow before its value.
fn write_frame_start(out: &mut Vec<u8>, name: &[u8], rest: usize) {
    write_lengths(out, 2 + name.len() + rest + GAUGE_LEN);
    out.extend_from_slice(&[0x0a, name.len() as u8]);
    out.extend_from_slice(name);
}

/// Appends the beginning of a frame with one metric of this length: the frame's length, then the array's, then its own.
fn write_lengths(out: &mut Vec<u8>, metric: usize) {
    let array = field_len(metric);
    // A frame has at most a mebibyte; the verdict adds little.
    out.extend_from_slice(&(field_len(array) as u32).to_be_bytes());
    write_field_header(out, 0x12, array);
    write_field_header(out, 0x0a, metric);
}

fn write_value(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&GAUGE);
    out.extend_from_slice(&value.to_le_bytes());
}

/// The offset at which a metric's verdict tags are written, and how many bytes they replace: all before the metric's first
/// field, since lengths change.
pub(super) fn tags_at(parts: &Parts) -> (usize, usize) {
    (parts.frame.0, parts.metric.0 - parts.frame.0)
}

/// Appends the verdict tags of a metric, after the new lengths.
pub(super) fn write_tags(out: &mut Vec<u8>, parts: &Parts, verdict: &EventVerdict<'_>) {
    let start = out.len();
    splice::write_score(out, verdict.score);
    let mut score = [0; 16]; // a score has at most seven digits before the point and four after it
    let length = (out.len() - start).min(score.len());
    score[..length].copy_from_slice(&out[start..][..length]);
    out.truncate(start);
    write_tag(out, b"anomaly_score", &[&score[..length]]);
    write_tag(out, b"is_anomaly", &[if verdict.cause.is_some() { b"1" } else { b"0" }]);
    if let Some(cause) = verdict.cause {
        write_tag(out, b"anomaly_cause", &[&line::unescape(cause)]);
    }
    if let Some(reason) = verdict.reason {
        write_tag(out, b"anomaly_reason", &[reason.as_bytes()]);
    }
    for (name, value) in band::named_limits(verdict.band) {
        let start = out.len();
        band::write_number(out, value);
        let mut text = [0; 32]; // the fewest digits that read back, and an exponent
        let length = (out.len() - start).min(text.len());
        text[..length].copy_from_slice(&out[start..][..length]);
        out.truncate(start);
        write_tag(out, name.as_bytes(), &[&text[..length]]);
    }
    let header = out.len();
    write_lengths(out, parts.metric.1 - parts.metric.0 + (header - start));
    let length = out.len() - header;
    out[start..].rotate_right(length);
}

/// Appends the gauges for a vector.
pub(super) fn write_vector<'a>(
    out: &mut Vec<u8>,
    verdict: &VectorVerdict<'_>,
    names: &(impl Iterator<Item = &'a str> + Clone),
) {
    verdict::gauges(verdict, names, |name, labels, value| write_gauge(out, name, labels, verdict.time, value));
}

/// Appends the gauges for an anomaly rate.
pub(super) fn write_rate(out: &mut Vec<u8>, rate: &EntityRate<'_>) {
    verdict::rate_gauges(rate, |name, labels, value| write_gauge(out, name, labels, rate.time, value));
}

/// Appends a gauge for an entity, in a separate frame.
fn write_gauge(out: &mut Vec<u8>, name: &str, labels: GaugeLabels<'_>, time: i64, value: f64) {
    let start = out.len();
    write_time(out, time);
    labels.tags(|key, value| write_tag(out, key, &[value]));
    let header = out.len();
    write_frame_start(out, name.as_bytes(), header - start);
    let length = out.len() - header;
    out[start..].rotate_right(length);
    write_value(out, value);
}

/// Appends a metric's time.
fn write_time(out: &mut Vec<u8>, time: i64) {
    // Seconds may be negative; nanoseconds never are.
    let (seconds, nanos) = (time.div_euclid(1_000_000_000) as u64, time.rem_euclid(1_000_000_000) as u64);
    let length = 2 + varint_len(seconds) + varint_len(nanos);
    out.extend_from_slice(&[0x12, length as u8, 0x08]);
    write_varint(out, seconds);
    out.push(0x10);
    write_varint(out, nanos);
}

/// Appends a tag in the old form (field 3, a text) and in the new one (field 20, a list of texts), as Vector does: a tag that the
/// metric has already is replaced in both. The value is in parts.
fn write_tag(out: &mut Vec<u8>, key: &[u8], value: &[&[u8]]) {
    let text = value.iter().map(|part| part.len()).sum();
    let list = field_len(field_len(text));
    let write_text = |out: &mut Vec<u8>| {
        for part in value {
            out.extend_from_slice(part);
        }
    };
    write_map_entry(out, &[0x1a], key, text);
    write_text(out);
    write_map_entry(out, &[0xa2, 0x01], key, list);
    write_field_header(out, 0x0a, field_len(text));
    write_field_header(out, 0x0a, text);
    write_text(out);
}

/// Appends a map's entry up to its value, which has `value` bytes.
fn write_map_entry(out: &mut Vec<u8>, tag: &[u8], key: &[u8], value: usize) {
    out.extend_from_slice(tag);
    write_varint(out, (field_len(key.len()) + field_len(value)) as u64);
    write_field_header(out, 0x0a, key.len());
    out.extend_from_slice(key);
    write_field_header(out, 0x12, value);
}

/// Appends a field's tag and length.
fn write_field_header(out: &mut Vec<u8>, tag: u8, length: usize) {
    out.push(tag);
    write_varint(out, length as u64);
}

/// The length of a field with its tag, of one byte, and its length.
fn field_len(length: usize) -> usize {
    1 + varint_len(length as u64) + length
}
