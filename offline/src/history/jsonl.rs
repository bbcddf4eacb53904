//! JSON, an object a line: flat, or as Telegraf's own JSON output has it.
//!
//! In a flat object `time` or `timestamp` is the time, texts are tags, numbers are fields. Telegraf's has `name`, `tags`,
//! `fields` and `timestamp`.

use std::io::BufRead;

use serde_json::{Map, Value};

use super::{History, Row, parse_time, put_field, put_measurement, put_name, put_time};

pub(super) struct Jsonl<R> {
    reader: R,
    measurement: String,
    text: String,
    line: u64,
}

impl<R: BufRead> Jsonl<R> {
    pub(super) fn new(reader: R, measurement: &str) -> Self {
        Self { reader, measurement: measurement.to_owned(), text: String::new(), line: 0 }
    }
}

impl<R: BufRead> History for Jsonl<R> {
    fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Row>, (u64, String)> {
        let Self { reader, measurement, text, line } = self;
        loop {
            *line += 1;
            text.clear();
            if reader.read_line(text).map_err(|error| (*line, error.to_string()))? == 0 {
                return Ok(None);
            }
            if !text.trim().is_empty() {
                return put_object(text, measurement, out).map(Some).map_err(|what| (*line, what));
            }
        }
    }

    fn columns(&self) -> Option<&[String]> {
        None
    }
}

fn put_object(text: &str, measurement: &str, out: &mut Vec<u8>) -> Result<Row, String> {
    let object: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("each line must be a JSON object ({error})"))?;
    let time = object.get("time").or_else(|| object.get("timestamp")).ok_or("it has no `time` or `timestamp`")?;
    let time = match time {
        Value::String(text) => parse_time(text),
        other => parse_time(&other.to_string()),
    }?;
    let empty = Map::new();
    let (name, tags, fields) = if let Some(Value::Object(fields)) = object.get("fields") {
        let tags = object.get("tags").and_then(Value::as_object).unwrap_or(&empty);
        (object.get("name").and_then(Value::as_str).unwrap_or(measurement), tags, fields)
    } else {
        (measurement, &object, &object)
    };
    let start = out.len();
    put_measurement(out, name)?;
    for (key, value) in tags.iter().filter(|(key, _)| !is_time(key)) {
        if let Value::String(value) = value
            && !value.is_empty()
        {
            out.push(b',');
            put_name(out, key)?;
            out.push(b'=');
            put_name(out, value)?;
        }
    }
    let mut first = true;
    for (key, value) in fields.iter().filter(|(key, _)| !is_time(key)) {
        match value {
            Value::Number(number) => {
                put_field(out, first, key, number.as_f64().unwrap_or_default())?;
                first = false;
            }
            Value::Array(_) | Value::Object(_) => {
                return Err(format!("`{key}` is neither a number nor a text; give each number a key of its own"));
            }
            Value::Null | Value::Bool(_) | Value::String(_) => {}
        }
    }
    if first {
        out.truncate(start);
    } else {
        put_time(out, time);
    }
    Ok(Row { time: Some(time), has_line: !first })
}

fn is_time(key: &str) -> bool {
    key == "time" || key == "timestamp"
}
