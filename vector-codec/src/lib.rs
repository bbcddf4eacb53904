//! The events of Vector, in both of its own codecs: `native_json` (a JSON object a line) and `native` (frames of
//! protocol buffers).
//!
//! A metric is converted as Vector's sink for InfluxDB would write it: its measurement is `namespace.name`, its tags are its
//! tags, and its numbers are fields (`docs/vector-metrics.md` lists them). So a detector selects the same
//! metrics from Vector, from Telegraf, and from a history that Vector wrote. Logs, traces and metrics of
//! unknown kinds pass unchanged.
//!
//! The input is never encoded again: verdicts are new events after a metric, or tags spliced into it.
//!
//! - `json` (with `text`, and `swar` for eight bytes at once) and `wire` parse the two encodings, `read_json` and `read_proto`
//!   read metrics in them;
//! - `metric` has the numbers of a metric that are scored, `rates` the rates of counters, `head` writes names;
//! - `write_json` and `write_proto` write verdicts;
//! - [`repair`] corrects, before a body is scored, what Vector's encoder writes and its decoder refuses.

mod head;
mod json;
mod metric;
mod rates;
mod read_json;
mod read_proto;
mod repair;
mod swar;
mod text;
mod time;
mod verdict;
mod wire;
mod write_json;
mod write_proto;

use std::ops::Range;

use memchr::memchr;
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub use repair::{Repaired, repair};

use metric::{Kind, Value};
use qualm_pipeline::field::Field;
use qualm_pipeline::format::{EntityRate, EventFields, EventKind, EventVerdict, Format, VectorVerdict};
use qualm_pipeline::line::Refusal;
use qualm_pipeline::snapshot::SeriesSnapshot;
use rates::Rates;
use read_json::Read;

/// How the verdict of a metric is emitted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VerdictStyle {
    /// As gauges after it, `anomaly_score` and `is_anomaly` (0 or 1) and, if bands are shown, `anomaly_expected`,
    /// `anomaly_lower` and `anomaly_upper`, with its tags, its time, and its name as the tag `metric_name`. The default, since
    /// any sink then gets numbers.
    #[default]
    Gauges,
    /// As tags on the metric itself: `anomaly_score`, `is_anomaly` (`0` or `1`), for an anomaly `anomaly_cause`, the name of the
    /// anomalous number, and `anomaly_reason`; a band likewise. For routing and filtering in Vector; most databases would create
    /// a new series for each score.
    Tags,
}

/// The events of Vector, as bodies of either codec. Call [`begin_body`](Self::begin_body) before each.
///
/// ```
/// use qualm_vector_codec::{VectorEvents, VerdictStyle, repair};
/// use qualm_contract::{Batch, BatchScorer, Error, Verdicts, Wanted};
/// use qualm_pipeline::{Lane, Limits, Pipeline, Selector};
///
/// struct Far;
/// impl BatchScorer for Far {
///     fn score_batch(&mut self, batch: Batch<'_>, _: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
///         verdicts.scores.extend(batch.values.iter().map(|value| value.abs() / 100.0));
///         Ok(())
///     }
///     fn forget_series(&mut self, _: &[u32]) -> Result<(), Error> {
///         Ok(())
///     }
/// }
///
/// let lane = Lane::new(Selector::default(), Limits::default());
/// let mut pipeline = Pipeline::of(VectorEvents::new(VerdictStyle::Tags), vec![lane], 0);
/// let body = br#"{"metric":{"name":"cpu","tags":{"t":null},"kind":"absolute","gauge":{"value":50.0}}}"#;
/// let repaired = repair(body);
/// pipeline.format_mut().begin_body(&repaired.body);
/// pipeline.input()[..repaired.body.len()].copy_from_slice(&repaired.body);
/// let mut out = pipeline.run(repaired.body.len(), 0, &mut [Far]).to_vec();
/// out.extend_from_slice(pipeline.finish(0, &mut [Far])); // the last event has no newline
/// let tags = br#""tags":{"anomaly_score":"0.5","is_anomaly":"0","t":[null]}"#;
/// assert!(out.windows(tags.len()).any(|part| part == tags));
/// ```
#[derive(Debug, Default)]
pub struct VectorEvents {
    style: VerdictStyle,
    codec: Codec,
    json: read_json::Reader,
    proto: read_proto::Reader,
    /// Names of fields, then the heads and further names of the run's metrics.
    text: Vec<u8>,
    /// The range of the current metric's head in `text`.
    head: Range<usize>,
    /// The positions of the parts of the run's metrics that were read, for the current codec.
    json_parts: Vec<read_json::Parts>,
    proto_parts: Vec<read_proto::Parts>,
    rates: Rates,
    seed: u64,
    skipped_frame: SkippedFrame,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Codec {
    #[default]
    Json,
    Proto,
}

/// The rest of a frame that is skipped.
#[derive(Debug, Clone, Copy)]
enum SkippedFrame {
    /// This number of bytes.
    Bytes(usize),
    /// First the rest of its length, of which this number of bytes has arrived.
    Length([u8; 4], usize),
}

impl Default for SkippedFrame {
    fn default() -> Self {
        Self::Bytes(0)
    }
}

/// Where a verdict is written.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    at: usize,
    replaced_length: usize,
    /// The index in `json_parts` or `proto_parts`.
    metric: usize,
}

impl VectorEvents {
    /// Events with verdicts of this style.
    #[must_use]
    pub fn new(style: VerdictStyle) -> Self {
        Self { style, ..Self::default() }
    }

    /// Begins a new body. `first_bytes` are its first bytes, of which one is enough to determine the codec: a frame is
    /// shorter than 16 MiB, so that the first byte of its length is 0, which JSON never has.
    ///
    /// Call it when the previous body has been [finished](qualm_pipeline::Pipeline::finish).
    pub fn begin_body(&mut self, first_bytes: &[u8]) {
        self.codec = if first_bytes.first() == Some(&0) { Codec::Proto } else { Codec::Json };
        self.skipped_frame = SkippedFrame::default();
    }

    /// Whether each event of a body is a metric with a time, so that a database has the same after the body was written
    /// twice.
    #[must_use]
    pub fn all_have_times(body: &[u8]) -> bool {
        let (mut native, mut at) = (Self::default(), 0);
        native.begin_body(body);
        while at < body.len() {
            let event = at..native.event_end(&body[at..]).map_or(body.len(), |end| at + end);
            at = event.end;
            let blank = body[event.clone()].trim_ascii().is_empty();
            native.begin_run();
            let metric = match native.classify_event(body, event) {
                EventKind::Metric(_) => match native.codec {
                    Codec::Json => &native.json.metric,
                    Codec::Proto => &native.proto.metric,
                },
                EventKind::Other if blank => continue,
                _ => return false,
            };
            if metric.time.is_none() {
                return false;
            }
        }
        true
    }
}

impl Format for VectorEvents {
    const PASSES_MALFORMED: bool = false; // a body with malformed events is refused

    type Place = Place;

    fn set_seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    fn save_snapshot(&self, now: i64) -> SeriesSnapshot {
        self.rates.save_snapshot(now)
    }

    fn restore_snapshot(&mut self, snapshot: &SeriesSnapshot) {
        self.rates.restore_snapshot(snapshot);
    }

    fn event_end(&self, bytes: &[u8]) -> Option<usize> {
        match self.codec {
            Codec::Json => memchr(b'\n', bytes).map(|newline| newline + 1),
            Codec::Proto => read_proto::frame_end(bytes).filter(|&end| end <= bytes.len()),
        }
    }

    fn skip_event(&mut self, held: &[u8]) {
        self.skipped_frame = if let Some(end) = read_proto::frame_end(held) {
            SkippedFrame::Bytes(end.saturating_sub(held.len()))
        } else {
            let mut length = [0; 4];
            length[..held.len()].copy_from_slice(held);
            SkippedFrame::Length(length, held.len())
        };
    }

    /// After the next newline, or the end of the frame.
    fn next_event_start(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.codec == Codec::Json {
            return memchr(b'\n', bytes).map(|newline| newline + 1);
        }
        if let SkippedFrame::Length(mut length, there) = self.skipped_frame {
            let come = bytes.len().min(4 - there);
            length[there..there + come].copy_from_slice(&bytes[..come]);
            self.skipped_frame = match read_proto::frame_end(&length[..there + come]) {
                Some(end) => SkippedFrame::Bytes(end - there),
                None => SkippedFrame::Length(length, there + come),
            };
        }
        let SkippedFrame::Bytes(left) = &mut self.skipped_frame else { return None };
        if *left <= bytes.len() {
            return Some(*left);
        }
        *left -= bytes.len();
        None
    }

    fn begin_run(&mut self) {
        let Self { text, json_parts, proto_parts, .. } = self;
        text.clear();
        text.extend_from_slice(metric::NAMES);
        json_parts.clear();
        proto_parts.clear();
    }

    fn classify_event(&mut self, buffer: &[u8], event: Range<usize>) -> EventKind {
        let Self { codec, json, proto, text, head, .. } = self;
        let start = text.len();
        let read = match codec {
            Codec::Json => json.read_line(&buffer[..event.end], event.start),
            Codec::Proto => proto.read_frame(buffer, event.start, event.end).ok(),
        };
        match (read, codec) {
            (None, _) => return EventKind::Malformed,
            (Some(Read::Other), _) => return EventKind::Other,
            (Some(Read::Unknown), _) => return EventKind::Unknown,
            (Some(Read::Metric), Codec::Json) => json.write_head(buffer, text),
            (Some(Read::Metric), Codec::Proto) => proto.write_head(buffer, text),
        }
        *head = start..text.len();
        EventKind::Metric(head.clone())
    }

    fn read_fields(
        &mut self,
        _: &[u8],
        event: Range<usize>,
        now: i64,
        fields: &mut Vec<Field>,
    ) -> Result<EventFields<Place>, Refusal> {
        let Self { codec, style, json, proto, text, head, rates, seed, .. } = self;
        let (metric, pairs) = match codec {
            Codec::Json => (&json.metric, &mut json.pairs),
            Codec::Proto => (&proto.metric, &mut proto.pairs),
        };
        if metric.scored {
            return Err(Refusal::AlreadyScored);
        }
        fields.clear();
        let mut time = metric.time;
        match (metric.kind, metric.value) {
            (Kind::Incremental, Value::Counter(value)) if metric.interval > 0.0 => {
                metric::append_rate(fields, value * 1e3 / metric.interval);
            }
            (Kind::Incremental, Value::Counter(value)) => {
                let identity = xxh3_64_with_seed(&text[head.clone()], *seed);
                if value.is_finite()
                    && let Some((rate, end)) = rates.add_increment(identity, time.unwrap_or(now), value)
                {
                    metric::append_rate(fields, rate);
                    time = Some(end);
                }
            }
            (Kind::Absolute, Value::Counter(total)) => {
                let identity = xxh3_64_with_seed(&text[head.clone()], *seed);
                if total.is_finite()
                    && let Some(rate) = rates.growth_rate(identity, time.unwrap_or(now), total)
                {
                    metric::append_rate(fields, rate);
                }
            }
            // The change of a gauge is useless without its value.
            (Kind::Incremental, Value::Gauge(_)) => {}
            (_, value) => metric::append_fields(value, pairs, text, fields),
        }
        let (at, replaced_length) = match (style, &codec) {
            (VerdictStyle::Gauges, _) => (event.end, 0),
            (VerdictStyle::Tags, Codec::Json) => write_json::tags_at(&json.parts),
            (VerdictStyle::Tags, Codec::Proto) => write_proto::tags_at(&proto.parts),
        };
        let place = Place { at, replaced_length, metric: self.json_parts.len() + self.proto_parts.len() };
        match codec {
            Codec::Json => self.json_parts.push(json.parts),
            Codec::Proto => self.proto_parts.push(proto.parts),
        }
        Ok(EventFields { base: 0, time, place })
    }

    fn text<'a>(&'a self, _: &'a [u8]) -> &'a [u8] {
        &self.text
    }

    fn splice_at(place: Place) -> usize {
        place.at
    }

    fn replaced_length(place: Place) -> usize {
        place.replaced_length
    }

    fn write_verdict(&self, out: &mut Vec<u8>, buffer: &[u8], place: Place, verdict: &EventVerdict<'_>) {
        let (json, proto) = (|| &self.json_parts[place.metric], || &self.proto_parts[place.metric]);
        match (self.codec, self.style) {
            (Codec::Json, VerdictStyle::Gauges) => write_json::write_gauges(out, buffer, json(), verdict),
            (Codec::Json, VerdictStyle::Tags) => write_json::write_tags(out, json(), verdict),
            (Codec::Proto, VerdictStyle::Gauges) => write_proto::write_gauges(out, buffer, proto(), verdict),
            (Codec::Proto, VerdictStyle::Tags) => write_proto::write_tags(out, proto(), verdict),
        }
    }

    fn write_vector_verdict<'a>(
        &self,
        out: &mut Vec<u8>,
        verdict: &VectorVerdict<'_>,
        names: &(impl Iterator<Item = &'a str> + Clone),
    ) {
        match self.codec {
            Codec::Json => write_json::write_vector(out, verdict, names),
            Codec::Proto => write_proto::write_vector(out, verdict, names),
        }
    }

    fn write_anomaly_rate(&self, out: &mut Vec<u8>, rate: &EntityRate<'_>) {
        match self.codec {
            Codec::Json => write_json::write_rate(out, rate),
            Codec::Proto => write_proto::write_rate(out, rate),
        }
    }
}
