//! JSON, an object a line: flat, or as Telegraf's own JSON output has it.
//!
//! In a flat object `time` or `timestamp` is the time, texts are tags, numbers are fields. Telegraf's has `name`, `tags`,
//! `fields` and `timestamp`.

use std::io::BufRead;

use serde_json::{Map, Value};

use super::{Fault, History, Row, parse_time, put_field, put_measurement, put_name, put_time};

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
    fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Row>, (u64, Fault)> {
        let Self { reader, measurement, text, line } = self;
        loop {
            *line += 1;
            text.clear();
            if reader.read_line(text).map_err(|error| (*line, error.into()))? == 0 {
                return Ok(None);
            }
            if !text.trim().is_empty() {
                return put_object(text, measurement, out).map(Some).map_err(|fault| (*line, fault));
            }
        }
    }

    fn columns(&self) -> Option<&[String]> {
        None
    }
}

/// The object of a line.
pub(crate) type Object = Map<String, Value>;

/// Parses a line.
pub(crate) fn parse(text: &str) -> Result<Object, Fault> {
    Ok(serde_json::from_str(text)?)
}

/// The parts of an object: its measurement, and the objects that its tags and its fields are among.
pub(crate) struct Parts<'a> {
    pub(crate) name: &'a str,
    pub(crate) tags: &'a Object,
    pub(crate) fields: &'a Object,
}

impl<'a> Parts<'a> {
    /// `measurement` is the name of an object without one; `empty` is an empty object.
    pub(crate) fn of(object: &'a Object, measurement: &'a str, empty: &'a Object) -> Self {
        let Some(Value::Object(fields)) = object.get("fields") else {
            return Self { name: measurement, tags: object, fields: object };
        };
        let tags = object.get("tags").and_then(Value::as_object).unwrap_or(empty);
        Self { name: object.get("name").and_then(Value::as_str).unwrap_or(measurement), tags, fields }
    }

    /// The values that may be fields: all but the time.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.fields.iter().filter(|(key, _)| !is_time(key)).map(|(key, value)| (key.as_str(), value))
    }

    /// The tags: all texts that are not empty.
    pub(crate) fn tags(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let texts = self.tags.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)));
        texts.filter(|(key, value)| !is_time(key) && !value.is_empty())
    }
}

/// When an object was measured.
pub(crate) fn time_of(object: &Object) -> Result<i64, Fault> {
    Ok(match object.get("time").or_else(|| object.get("timestamp")).ok_or(Fault::NoTime)? {
        Value::String(text) => parse_time(text)?,
        other => parse_time(&other.to_string())?,
    })
}

fn put_object(text: &str, measurement: &str, out: &mut Vec<u8>) -> Result<Row, Fault> {
    let object = parse(text)?;
    let time = time_of(&object)?;
    let empty = Object::new();
    let parts = Parts::of(&object, measurement, &empty);
    let start = out.len();
    put_measurement(out, parts.name)?;
    for (key, value) in parts.tags() {
        out.push(b',');
        put_name(out, key)?;
        out.push(b'=');
        put_name(out, value)?;
    }
    let mut first = true;
    for (key, value) in parts.fields() {
        match value {
            Value::Number(number) => {
                put_field(out, first, key, number.as_f64().unwrap_or_default())?;
                first = false;
            }
            Value::Array(_) | Value::Object(_) => return Err(Fault::Nested(key.to_owned())),
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
