//! Vector's events through the pipeline.

use std::cell::RefCell;

use qualm_pipeline::{Format as _, Pipeline};
use qualm_vector_codec::VectorEvents;
use qualm_vector_codec::{VerdictStyle, repair};
use serde_json::Value;

use crate::line::{SEED, arrivals, lane, pump};

/// Lines of JSON are unchanged but for verdict lines after them or verdict tags in them; a repair is complete.
pub(crate) fn native_json(bytes: &[u8]) {
    if bytes.first() == Some(&0) {
        return; // a body of the other codec
    }
    let repaired = repair(bytes).body;
    let second = repair(&repaired);
    assert!(second.body == repaired && second.discarded == 0 && second.repaired == 0, "{}", shown(&repaired));
    holds(bytes, |bytes| bytes.split_inclusive(|&byte| byte == b'\n').collect(), is_our_line);

    let tagged = through(VerdictStyle::Tags, "*", bytes, &[usize::MAX]).0;
    let lines = |bytes| <[u8]>::split(bytes, |&byte| byte == b'\n');
    assert_eq!(lines(bytes).count(), lines(&tagged).count());
    for (before, after) in lines(bytes).zip(lines(&tagged)).filter(|(before, after)| before != after) {
        let Ok(before) = serde_json::from_slice::<Value>(before) else { continue };
        let mut after: Value =
            serde_json::from_slice(after).unwrap_or_else(|error| panic!("{error}: {}", shown(after)));
        assert!(without_our_tags(&mut after), "{after}");
        let mut before = before;
        without_our_tags(&mut before);
        assert_eq!(before, after);
    }
}

/// Frames of protocol buffers are unchanged but for verdict frames after them. Bytes that begin with another byte than 0 are
/// taken as the contents of a frame, so that the fuzzer does not have to find its length.
pub(crate) fn native(bytes: &[u8]) {
    let framed = [&(bytes.len() as u32).to_be_bytes(), bytes].concat();
    let body = if bytes.first() == Some(&0) { bytes } else { &framed };
    holds(body, frames, is_our_frame);
}

/// However the body arrives, the output is its events in order, with verdict events between them.
fn holds(body: &[u8], events: impl Fn(&[u8]) -> Vec<&[u8]>, is_ours: impl Fn(&[u8]) -> bool) {
    let whole = through(VerdictStyle::Gauges, "*", body, &[usize::MAX]);
    let mut input = events(body).into_iter().peekable();
    let mut ours = 0;
    for event in events(&whole.0) {
        // The last line of a body has no newline unless something comes behind it.
        let is_next = input.peek().is_some_and(|next| *next == event || [*next, b"\n"].concat() == event);
        if is_next {
            input.next();
        } else {
            assert!(is_ours(event), "{} came out of {}", shown(event), shown(body));
            ours += 1;
        }
    }
    assert_eq!(input.next(), None, "lost from {}", shown(body));
    assert_eq!(ours, whole.1 * 2, "a score and whether it is an anomaly: {}", shown(body));
    for style in [VerdictStyle::Gauges, VerdictStyle::Tags] {
        let whole = through(style, "*", body, &[usize::MAX]);
        for lengths in arrivals(body) {
            assert!(through(style, "*", body, &lengths) == whole, "{style:?}, {lengths:?}: {}", shown(body));
        }
        assert!(through(style, "none such", body, &[usize::MAX]).0 == body, "{style:?}: {}", shown(body));
    }
}

thread_local! {
    static EVENTS: RefCell<Pipeline<VectorEvents>> =
        RefCell::new(Pipeline::of(VectorEvents::new(VerdictStyle::Gauges), vec![lane("*")], SEED));
}

/// The output, and how many events were scored.
fn through(style: VerdictStyle, measurement: &str, body: &[u8], lengths: &[usize]) -> (Vec<u8>, u64) {
    EVENTS.with_borrow_mut(|pipeline| {
        *pipeline.format_mut() = VectorEvents::new(style);
        pipeline.format_mut().set_seed(SEED);
        pipeline.format_mut().begin_body(body);
        pump(pipeline, measurement, body, lengths)
    })
}

/// The frames of a body; an incomplete last one counts as one.
fn frames(mut body: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    while !body.is_empty() {
        let length = body.first_chunk().map_or(usize::MAX, |length| 4 + u32::from_be_bytes(*length) as usize);
        let (frame, rest) = body.split_at(length.min(body.len()));
        frames.push(frame);
        body = rest;
    }
    frames
}

fn is_our_line(line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line); // names need not be UTF-8
    serde_json::from_str(&line).is_ok_and(|event: Value| {
        let metric = &event["metric"];
        (metric["name"] == "anomaly_score" || metric["name"] == "is_anomaly") && metric["gauge"]["value"].is_number()
    })
}

fn is_our_frame(frame: &[u8]) -> bool {
    let named = |name: &[u8]| frame.windows(name.len()).take(32).any(|at| at == name);
    named(b"anomaly_score") || named(b"is_anomaly")
}

/// Removes the verdict tags of an event; returns whether there were any.
fn without_our_tags(event: &mut Value) -> bool {
    let Some(metric) = event.get_mut("metric").and_then(Value::as_object_mut) else { return false };
    let mut found = false;
    if let Some(tags) = metric.get_mut("tags").and_then(Value::as_object_mut) {
        for ours in ["anomaly_score", "is_anomaly", "anomaly_cause"] {
            found |= tags.remove(ours).is_some();
        }
        if tags.is_empty() {
            metric.remove("tags");
        }
    }
    found
}

fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
