//! Verdicts in JSON: gauges on lines of their own, or tags of the metric.

use std::io::Write as _;

use crate::read_json::{Parts, Tags};
use crate::text::put_string;
use crate::verdict::About;
use crate::{time, verdict};
use qualm_pipeline::band;
use qualm_pipeline::format::{EntityRate, EventVerdict, VectorVerdict};
use qualm_pipeline::line;
use qualm_pipeline::splice;

/// Appends the gauges that tell of a metric, each on a line of its own, even behind a metric that lacks its end.
pub(super) fn put_gauges(out: &mut Vec<u8>, buffer: &[u8], parts: &Parts, told: &EventVerdict<'_>) {
    let part = |(start, end): (u32, u32)| &buffer[start as usize..end as usize];
    let ended = open_line(out);
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
    splice::write_score(out, told.score);
    out.extend_from_slice(b"}}}\n{\"metric\":{\"name\":\"is_anomaly");
    out.extend_from_within(same.clone());
    out.push(if told.cause.is_some() { b'1' } else { b'0' });
    for (name, value) in band::named_limits(told.band) {
        out.extend_from_slice(b"}}}\n{\"metric\":{\"name\":\"");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_within(same.clone());
        band::write_number(out, value);
    }
    out.extend_from_slice(b"}}}");
    close_line(out, ended);
}

/// Where the tags go that tell of a metric, and how many bytes they stand in for.
pub(super) fn tags_at(parts: &Parts) -> (usize, usize) {
    let (start, end) = parts.tags;
    (start as usize, if parts.tags_are == Tags::Null { (end - start) as usize } else { 0 })
}

/// Appends the tags that tell of a metric.
pub(super) fn put_tags(out: &mut Vec<u8>, parts: &Parts, told: &EventVerdict<'_>) {
    out.extend_from_slice(match parts.tags_are {
        Tags::Missing => b"\"tags\":{",
        Tags::Null => b"{",
        Tags::Empty | Tags::Some => b"",
    });
    out.extend_from_slice(b"\"anomaly_score\":\"");
    splice::write_score(out, told.score);
    out.extend_from_slice(b"\",\"is_anomaly\":\"");
    match told.cause {
        Some(cause) => {
            out.extend_from_slice(b"1\",\"anomaly_cause\":");
            put_string(out, &line::unescape(cause));
        }
        None => out.extend_from_slice(b"0\""),
    }
    if let Some(reason) = told.reason {
        out.extend_from_slice(b",\"anomaly_reason\":");
        put_string(out, reason.as_bytes());
    }
    for (name, value) in band::named_limits(told.band) {
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

/// Appends the gauges that tell of a vector.
pub(super) fn put_vector<'a>(
    out: &mut Vec<u8>,
    told: &VectorVerdict<'_>,
    names: &(impl Iterator<Item = &'a str> + Clone),
) {
    let ended = open_line(out);
    verdict::gauges(told, names, |name, about, value| put_gauge(out, name, about, told.time, value));
    close_line(out, ended);
}

/// Appends the gauges that tell of an anomaly rate.
pub(super) fn put_rate(out: &mut Vec<u8>, told: &EntityRate<'_>) {
    let ended = open_line(out);
    verdict::rate_gauges(told, |name, about, value| put_gauge(out, name, about, told.time, value));
    close_line(out, ended);
}

/// Appends a gauge about an entity, on a new line behind another gauge.
fn put_gauge(out: &mut Vec<u8>, name: &str, about: About<'_>, time: i64, value: f64) {
    if out.last() == Some(&b'}') {
        out.push(b'\n');
    }
    out.extend_from_slice(b"{\"metric\":{\"name\":\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\",\"tags\":");
    let mut before = b'{';
    about.tags(|key, value| {
        out.push(before);
        put_string(out, key);
        out.push(b':');
        put_string(out, value);
        before = b',';
    });
    out.extend_from_slice(b"},\"timestamp\":\"");
    time::put(out, time);
    // Writing to memory does not fail.
    let _infallible = write!(out, "\",\"kind\":\"absolute\",\"gauge\":{{\"value\":{value}}}}}}}");
}

/// Makes sure that a line begins here; whether it did.
fn open_line(out: &mut Vec<u8>) -> bool {
    let ended = out.last().is_none_or(|&byte| byte == b'\n');
    if !ended {
        out.push(b'\n');
    }
    ended
}

/// Ends a line, unless the body lacks its last newline and is to lack it still.
fn close_line(out: &mut Vec<u8>, ended: bool) {
    if ended {
        out.push(b'\n');
    }
}
