//! Vector's events, written by a plain encoder of each codec, and what separates our events from them again.

#![expect(dead_code, reason = "each test uses some of it")]

pub(crate) mod through;

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

/// An event.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Metric(Metric),
    Log(String),
    Trace(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
    pub(crate) tags: BTreeMap<String, Vec<Option<String>>>,
    /// Seconds and nanoseconds.
    pub(crate) time: Option<(i64, u32)>,
    pub(crate) interval_ms: Option<u32>,
    pub(crate) absolute: bool,
    pub(crate) value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Counter(f64),
    Gauge(f64),
    Set(Vec<String>),
    Distribution(Vec<(f64, u32)>),
    Histogram(Vec<(f64, u64)>, u64, f64),
    Summary(Vec<(f64, f64)>, u64, f64),
    Sketch { count: u32, min: f64, max: f64, avg: f64 },
}

/// A gauge without tags.
pub(crate) fn gauge(name: &str, value: f64) -> Metric {
    Metric {
        name: name.to_owned(),
        namespace: None,
        tags: BTreeMap::new(),
        time: Some((1_700_000_000, 0)),
        interval_ms: None,
        absolute: true,
        value: Value::Gauge(value),
    }
}

impl Metric {
    pub(crate) fn tag(mut self, key: &str, values: &[Option<&str>]) -> Self {
        self.tags.insert(key.to_owned(), values.iter().map(|value| value.map(str::to_owned)).collect());
        self
    }

    /// As the encoder of `native_json` writes it, but for the order of keys.
    fn json(&self) -> Json {
        let mut metric = Map::new();
        metric.insert("name".into(), json!(self.name));
        if let Some(namespace) = &self.namespace {
            metric.insert("namespace".into(), json!(namespace));
        }
        if !self.tags.is_empty() {
            let value = |values: &Vec<Option<String>>| match &values[..] {
                [Some(value)] => json!(value),
                values => json!(values),
            };
            let tags: Map<String, Json> = self.tags.iter().map(|(key, values)| (key.clone(), value(values))).collect();
            metric.insert("tags".into(), tags.into());
        }
        if let Some((seconds, nanos)) = self.time {
            // Within the one day of 2023-11-14 that the tests live in.
            let second = seconds - 1_699_920_000;
            let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
            metric
                .insert("timestamp".into(), json!(format!("2023-11-14T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")));
        }
        if let Some(interval) = self.interval_ms {
            metric.insert("interval_ms".into(), json!(interval));
        }
        metric.insert("kind".into(), json!(if self.absolute { "absolute" } else { "incremental" }));
        let limit = |limit: f64| if limit == f64::INFINITY { json!("inf") } else { json!(limit) };
        let (name, value) = match &self.value {
            Value::Counter(value) => ("counter", json!({"value": value})),
            Value::Gauge(value) => ("gauge", json!({"value": value})),
            Value::Set(values) => ("set", json!({"values": values})),
            Value::Distribution(samples) => {
                let samples: Vec<_> =
                    samples.iter().map(|(value, rate)| json!({"value": value, "rate": rate})).collect();
                ("distribution", json!({"samples": samples, "statistic": "histogram"}))
            }
            Value::Histogram(buckets, count, sum) => {
                let bucket = |&(upper, count): &(f64, u64)| json!({"upper_limit": limit(upper), "count": count});
                let buckets: Vec<_> = buckets.iter().map(bucket).collect();
                ("aggregated_histogram", json!({"buckets": buckets, "count": count, "sum": sum}))
            }
            Value::Summary(quantiles, count, sum) => {
                let quantiles: Vec<_> = quantiles.iter().map(|(q, v)| json!({"quantile": q, "value": v})).collect();
                ("aggregated_summary", json!({"quantiles": quantiles, "count": count, "sum": sum}))
            }
            Value::Sketch { count, min, max, avg } => {
                let bins = json!({"k": [1], "n": [2]});
                let sketch = json!({"bins": bins, "count": count, "min": min, "max": max, "sum": 1.0, "avg": avg});
                ("sketch", json!({"sketch": {"AgentDDSketch": sketch}}))
            }
        };
        metric.insert(name.into(), value);
        metric.into()
    }

    /// As the encoder of `native` writes it.
    fn proto(&self) -> Vec<u8> {
        let mut out = bytes(1, self.name.as_bytes());
        if let Some((seconds, nanos)) = self.time {
            out.extend(bytes(2, &[int(1, seconds as u64), int(2, nanos.into())].concat()));
        }
        for (key, values) in &self.tags {
            if let Some(single) = values.iter().rev().flatten().next() {
                out.extend(bytes(3, &[bytes(1, key.as_bytes()), bytes(2, single.as_bytes())].concat()));
            }
        }
        out.extend(int(4, self.absolute.into()));
        let pair = |number, (a, b): (f64, Vec<u8>)| bytes(number, &[double(1, a), b].concat());
        out.extend(match &self.value {
            Value::Counter(value) => bytes(5, &double(1, *value)),
            Value::Gauge(value) => bytes(6, &double(1, *value)),
            Value::Set(values) => {
                bytes(7, &values.iter().flat_map(|value| bytes(1, value.as_bytes())).collect::<Vec<_>>())
            }
            Value::Distribution(samples) => {
                bytes(12, &samples.iter().flat_map(|&(v, rate)| pair(1, (v, int(2, rate.into())))).collect::<Vec<_>>())
            }
            Value::Histogram(buckets, count, sum) => {
                let buckets: Vec<u8> = buckets.iter().flat_map(|&(limit, n)| pair(1, (limit, int(2, n)))).collect();
                bytes(16, &[buckets, int(2, *count), double(3, *sum)].concat())
            }
            Value::Summary(quantiles, count, sum) => {
                let quantiles: Vec<u8> = quantiles.iter().flat_map(|&(q, v)| pair(1, (q, double(2, v)))).collect();
                bytes(17, &[quantiles, int(2, *count), double(3, *sum)].concat())
            }
            Value::Sketch { count, min, max, avg } => {
                let bins = [bytes(6, &[2]), bytes(7, &[2])].concat();
                let numbers =
                    [int(1, (*count).into()), double(2, *min), double(3, *max), double(4, 1.0), double(5, *avg)];
                bytes(15, &bytes(1, &[numbers.concat(), bins].concat()))
            }
        });
        if let Some(namespace) = &self.namespace {
            out.extend(bytes(11, namespace.as_bytes()));
        }
        out.extend(int(18, self.interval_ms.unwrap_or_default().into()));
        for (key, values) in &self.tags {
            let value = |value: &Option<String>| {
                bytes(1, &value.iter().flat_map(|v| bytes(1, v.as_bytes())).collect::<Vec<_>>())
            };
            let list: Vec<u8> = values.iter().flat_map(value).collect();
            out.extend(bytes(20, &[bytes(1, key.as_bytes()), bytes(2, &list)].concat()));
        }
        out.extend(bytes(21, &bytes(4, b"host_metrics")));
        out
    }
}

/// A body of `native_json`.
pub(crate) fn json_body(events: &[Event]) -> Vec<u8> {
    let line = |event: &Event| match event {
        Event::Metric(metric) => json!({"metric": metric.json()}).to_string() + "\n",
        Event::Log(text) => json!({"log": {"message": text, "null": null}}).to_string() + "\n",
        Event::Trace(text) => json!({"trace": {"spans": [text]}}).to_string() + "\n",
    };
    events.iter().map(line).collect::<String>().into_bytes()
}

/// A body of `native`.
pub(crate) fn proto_body(events: &[Event]) -> Vec<u8> {
    let message = |text: &str| bytes(1, &[bytes(1, b"message"), bytes(2, &bytes(1, text.as_bytes()))].concat());
    let array = |event: &Event| match event {
        Event::Metric(metric) => bytes(2, &bytes(1, &metric.proto())),
        Event::Log(text) => bytes(1, &bytes(1, &message(text))),
        Event::Trace(text) => bytes(3, &bytes(1, &message(text))),
    };
    events.iter().flat_map(|event| frame(&array(event))).collect()
}

pub(crate) fn frame(array: &[u8]) -> Vec<u8> {
    [&(array.len() as u32).to_be_bytes(), array].concat()
}

pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

pub(crate) fn bytes(number: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// What is 0 is not written.
pub(crate) fn int(number: u64, value: u64) -> Vec<u8> {
    if value == 0 { Vec::new() } else { [varint(number << 3), varint(value)].concat() }
}

pub(crate) fn double(number: u64, value: f64) -> Vec<u8> {
    if value.to_bits() == 0 { Vec::new() } else { [varint(number << 3 | 1), value.to_le_bytes().to_vec()].concat() }
}

/// What a field of a message holds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    Int(u64),
    Double(f64),
    Bytes(Vec<u8>),
}

impl Part {
    pub(crate) fn bytes(&self) -> &[u8] {
        if let Self::Bytes(bytes) = self { bytes } else { panic!("{self:?} are no bytes") }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes().to_vec()).expect("a text")
    }
}

/// A message's fields; it must be whole.
pub(crate) fn message(mut bytes: &[u8]) -> Vec<(u64, Part)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for place in 0.. {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let part = match tag & 7 {
            0 => Part::Int(varint(&mut bytes)),
            1 => {
                let (double, rest) = bytes.split_first_chunk().expect("eight bytes");
                bytes = rest;
                Part::Double(f64::from_le_bytes(*double))
            }
            2 => {
                let length = varint(&mut bytes) as usize;
                let (inner, rest) = bytes.split_at(length);
                bytes = rest;
                Part::Bytes(inner.to_vec())
            }
            other => panic!("wire type {other}"),
        };
        fields.push((tag >> 3, part));
    }
    fields
}

/// The frames of a body, and what is left behind the last whole one.
pub(crate) fn frames(mut body: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut frames = Vec::new();
    while let Some((length, rest)) = body.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        if rest.len() < length {
            break;
        }
        frames.push(&body[..4 + length]);
        body = &rest[length..];
    }
    (frames, body)
}

/// The one metric of a frame: its fields.
pub(crate) fn metric_of(frame: &[u8]) -> Vec<(u64, Part)> {
    let array = message(&frame[4..]);
    assert_eq!((array.len(), array[0].0), (1, 2));
    let metrics = message(array[0].1.bytes());
    assert_eq!((metrics.len(), metrics[0].0), (1, 1));
    message(metrics[0].1.bytes())
}

/// The tags of a metric in the old form and in the new.
pub(crate) fn tags_of(metric: &[(u64, Part)]) -> [BTreeMap<String, Vec<Option<String>>>; 2] {
    [3, 20].map(|number| {
        let entries = metric.iter().filter(|(n, _)| *n == number).map(|(_, part)| message(part.bytes()));
        let text = |part: &Part| Some(part.text());
        entries
            .map(|entry| {
                let values = if number == 3 {
                    vec![entry.get(1).and_then(|(_, value)| text(value))]
                } else {
                    let list = entry.get(1).map(|(_, list)| message(list.bytes())).unwrap_or_default();
                    let value = |part: &Part| message(part.bytes()).first().and_then(|(_, value)| text(value));
                    list.iter().map(|(_, part)| value(part)).collect()
                };
                (entry[0].1.text(), values)
            })
            .collect()
    })
}

/// The body of JSON without our lines, and how many there were.
pub(crate) fn without_our_lines(out: &[u8]) -> (Vec<u8>, usize) {
    let ours = |line: &&[u8]| {
        let name = line.strip_prefix(b"{\"metric\":{\"name\":\"").unwrap_or_default();
        name.starts_with(b"anomaly_score\",\"tags\":{") || name.starts_with(b"is_anomaly\",\"tags\":{")
    };
    let (ours, others): (Vec<_>, Vec<_>) = out.split(|&byte| byte == b'\n').partition(ours);
    for line in &ours {
        let line: Json =
            serde_json::from_slice(&String::from_utf8_lossy(line).into_owned().into_bytes()).expect("JSON");
        assert!(line["metric"]["gauge"]["value"].is_number() && line["metric"]["kind"] == "absolute");
    }
    (others.join(&b'\n'), ours.len())
}

/// The body of protocol buffers without our frames, and how many there were.
pub(crate) fn without_our_frames(out: &[u8]) -> (Vec<u8>, usize) {
    let (frames, rest) = frames(out);
    let ours = |frame: &&[u8]| {
        let name = |name: &[u8]| {
            let field = bytes(1, name);
            frame.get(..32.min(frame.len())).is_some_and(|begin| begin.windows(field.len()).any(|at| at == field))
        };
        name(b"anomaly_score") || name(b"is_anomaly")
    };
    let (ours, others): (Vec<_>, Vec<_>) = frames.into_iter().partition(ours);
    for frame in &ours {
        let metric = metric_of(frame);
        let gauge = metric.iter().find(|(number, _)| *number == 6).expect("a value");
        assert!(matches!(message(gauge.1.bytes())[..], [(1, Part::Double(_))]));
    }
    ([others.concat(), rest.to_vec()].concat(), ours.len())
}
