//! Reads JSON lines.

use std::io::{BufRead, Read as _};

use qualm_pipeline::pipeline::MAX_EVENT;
use serde_json::Value;

use super::super::data::{Data, NO_TIME};
use super::{excerpt, hash};
use crate::history::jsonl::{Object, Parts, parse, time_of};

pub(super) fn read(mut input: impl BufRead, measurement: &str, data: &mut Data, step: &mut dyn FnMut()) {
    let mut held = Vec::new();
    let mut line = 0;
    loop {
        line += 1;
        held.clear();
        let read = input.by_ref().take(MAX_EVENT as u64 + 1).read_until(b'\n', &mut held);
        match read {
            Ok(0) => return,
            Ok(_) if held.len() <= MAX_EVENT => {}
            Ok(_) => {
                data.faults.broken_off = Some((line, "a line is longer than 1 MiB".to_owned()));
                return;
            }
            Err(error) => {
                data.faults.broken_off = Some((line, error.to_string()));
                return;
            }
        }
        if held.trim_ascii().is_empty() {
            continue;
        }
        step();
        match std::str::from_utf8(&held).ok().and_then(|text| parse(text).ok()) {
            Some(object) => take(&object, measurement, line, hash(&held), data),
            None => data.faults.malformed.add(line, || excerpt(&held)),
        }
    }
}

fn take(object: &Object, measurement: &str, line: u64, hash: u64, data: &mut Data) {
    let time = time_of(object).unwrap_or(NO_TIME);
    if time == NO_TIME {
        match object.get("time").or_else(|| object.get("timestamp")) {
            Some(written) => data.faults.time.add(line, || excerpt(written.to_string().as_bytes())),
            None => data.faults.untimed.add(line, String::new),
        }
    }
    let empty = Object::new();
    let parts = Parts::of(object, measurement, &empty);
    let group = data.group(parts.name.as_bytes());
    let columns = &mut data.groups[group];
    let mut cells = Vec::new();
    let mut nested = false;
    for (key, value) in parts.fields() {
        match value {
            Value::Number(number) => cells.push((columns.column(key.as_bytes()), number.as_f64().unwrap_or(f64::NAN))),
            Value::Null => cells.push((columns.column(key.as_bytes()), f64::NAN)),
            Value::String(text) => {
                if let Some(column) = columns.known(key.as_bytes()) {
                    columns.texts[column].add(line, || excerpt(text.as_bytes()));
                }
            }
            Value::Array(_) | Value::Object(_) => nested = true,
            Value::Bool(_) => {}
        }
    }
    if nested {
        data.faults.malformed.add(line, || "a value is neither a number nor a text".to_owned());
    }
    let mut name = parts.name.to_owned();
    let is_flat = std::ptr::eq(parts.tags, parts.fields);
    for (key, value) in parts.tags() {
        // In a flat object a text is a tag, unless the column has numbers elsewhere.
        if !is_flat || data.groups[group].known(key.as_bytes()).is_none() {
            name.extend([",", key, "=", value]);
        }
    }
    let series = data.series(name.as_bytes(), group);
    data.row(series, line, time, hash, &cells);
}
