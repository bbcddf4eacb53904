//! Verdicts in JSON: gauges on separate lines, or tags of the metric.

use std::io::Write as _;

use qualm_pipeline::band;
use qualm_pipeline::format::{EntityRate, EventVerdict, VectorVerdict};
use qualm_pipeline::line;
use qualm_pipeline::splice;

use crate::read_json::{Parts, Tags};
use crate::text::write_string;
use crate::verdict::GaugeLabels;
use crate::{time, verdict};

/// Appends the gauges for a metric, each on a separate line, even after a metric without a line end.
pub(super) fn write_gauges(out: &mut Vec<u8>, buffer: &[u8], parts: &Parts, verdict: &EventVerdict<'_>) {
    let part = |(start, end): (u32, u32)| &buffer[start as usize..end as usize];
    let line_ended = open_line(out);
    out.extend_from_slice(b"{\"metric\":{\"name\":\"anomaly_score");
    let start = out.len();
    out.extend_from_slice(b"\",\"tags\":{");
    if parts.tags_are == Tags::Some {
        out.extend_from_slice(part(parts.tags));
        out.push(b',');
    }
    out.extend_from_slice(b"\"metric_name\":\"");
    if parts.namespace.start < parts.namespace.end {
        out.extend_from_slice(parts.namespace.of(buffer));
        out.push(b'.');
    }
    out.extend_from_slice(parts.name.of(buffer));
    out.extend_from_slice(b"\"}");
    if parts.time.0 < parts.time.1 {
        out.extend_from_slice(b",\"timestamp\":");
        out.extend_from_slice(part(parts.time));
    }
    out.extend_from_slice(b",\"kind\":\"absolute\",\"gauge\":{\"value\":");
    let same = start..out.len();
    splice::write_score(out, verdict.score);
    out.extend_from_slice(b"}}}\n{\"metric\":{\"name\":\"is_anomaly");
    out.extend_from_within(same.clone());
    out.push(if verdict.cause.is_some() { b'1' } else { b'0' });
    for (name, value) in band::named_limits(verdict.band) {
        out.extend_from_slice(b"}}}\n{\"metric\":{\"name\":\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_within(same.clone());
        band::write_number(out, value);
    }
    out.extend_from_slice(b"}}}");
    close_line(out, line_ended);
}

/// The offset at which a metric's verdict tags are written, and how many bytes they replace.
pub(super) fn tags_at(parts: &Parts) -> (usize, usize) {
    let (start, end) = parts.tags;
    (start as usize, if parts.tags_are == Tags::Null { (end - start) as usize } else { 0 })
}

/// Appends the verdict tags of a metric.
pub(super) fn write_tags(out: &mut Vec<u8>, parts: &Parts, verdict: &EventVerdict<'_>) {
    out.extend_from_slice(match parts.tags_are {
        Tags::Missing => b"\"tags\":{",
        Tags::Null => b"{",
        Tags::Empty | Tags::Some => b"",
    });
    out.extend_from_slice(b"\"anomaly_score\":\"");
    splice::write_score(out, verdict.score);
    out.extend_from_slice(b"\",\"is_anomaly\":\"");
    match verdict.cause {
        Some(cause) => {
            out.extend_from_slice(b"1\",\"anomaly_cause\":");
            write_string(out, &line::unescape(cause));
        }
        None => out.extend_from_slice(b"0\""),
    }
    if let Some(reason) = verdict.reason {
        out.extend_from_slice(b",\"anomaly_reason\":");
        write_string(out, reason.as_bytes());
    }
    for (name, value) in band::named_limits(verdict.band) {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":\"");
        band::write_number(out, value);
        out.push(b'"');
    }
    out.extend_from_slice(match parts.tags_are {
        Tags::Missing => b"},",
        Tags::Null => b"}",
        Tags::Empty => b"",
        Tags::Some => b",",
    });
}

/// Appends the gauges for a vector.
pub(super) fn write_vector<'a>(
    out: &mut Vec<u8>,
    verdict: &VectorVerdict<'_>,
    names: &(impl Iterator<Item = &'a str> + Clone),
) {
    let line_ended = open_line(out);
    verdict::gauges(verdict, names, |name, labels, value| write_gauge(out, name, labels, verdict.time, value));
    close_line(out, line_ended);
}

/// Appends the gauges for an anomaly rate.
pub(super) fn write_rate(out: &mut Vec<u8>, rate: &EntityRate<'_>) {
    let line_ended = open_line(out);
    verdict::rate_gauges(rate, |name, labels, value| write_gauge(out, name, labels, rate.time, value));
    close_line(out, line_ended);
}

/// Appends a gauge for an entity, on a new line after another gauge.
fn write_gauge(out: &mut Vec<u8>, name: &str, labels: GaugeLabels<'_>, time: i64, value: f64) {
    if out.last() == Some(&b'}') {
        out.push(b'\n');
    }
    out.extend_from_slice(b"{\"metric\":{\"name\":\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\",\"tags\":");
    let mut before = b'{';
    labels.tags(|key, value| {
        out.push(before);
        write_string(out, key);
        out.push(b':');
        write_string(out, value);
        before = b',';
    });
    out.extend_from_slice(b"},\"timestamp\":\"");
    time::write_time(out, time);
    // Writing to memory does not fail.
    let _infallible = write!(out, "\",\"kind\":\"absolute\",\"gauge\":{{\"value\":{value}}}}}}}");
}

/// Begins a new line, unless there is one; returns whether there was.
fn open_line(out: &mut Vec<u8>) -> bool {
    let line_ended = out.last().is_none_or(|&byte| byte == b'\n');
    if !line_ended {
        out.push(b'\n');
    }
    line_ended
}

/// Ends a line, unless the body has no last newline.
fn close_line(out: &mut Vec<u8>, line_ended: bool) {
    if line_ended {
        out.push(b'\n');
    }
}
