//! The events of Vector, in both of its own codecs: `native_json` (a JSON object a line) and `native` (frames of
//! protocol buffers).
//!
//! A metric is seen as Vector's sink for InfluxDB would write it: its measurement is `namespace.name`, its tags are its
//! tags, and its numbers are fields (`docs/vector-metrics.md` lists them). So a detector selects the same
//! metrics from Vector, from Telegraf, and from a history that Vector wrote. Logs, traces and metrics of kinds that are
//! not known pass as they are.
//!
//! Nothing that comes in is written anew: verdicts are new events behind a metric's, or tags spliced into it.
//!
//! - `json` (with `text`, and `swar` for eight bytes at once) and `wire` read the two notations, `read_json` and
//!   `read_proto` metrics in them;
//! - `metric` says which numbers of a metric are scored, `rates` knows how counters grow, `head` writes names;
//! - `write_json` and `write_proto` write verdicts;
//! - [`repair`] mends what Vector's encoder writes and its decoder refuses, before a body is scored.

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
use qualm_pipeline::format::{EntityRate, EventVerdict, Format, Opened, Reading, VectorVerdict};
use qualm_pipeline::line::{Field, Refusal};
use qualm_pipeline::snapshot::SeriesSnapshot;
use rates::Rates;
use read_json::Read;

/// How the verdict of a metric is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VerdictStyle {
    /// As gauges right behind it, `anomaly_score` and `is_anomaly` (0 or 1) and, where bands are shown, `anomaly_expected`,
    /// `anomaly_lower` and `anomaly_upper`, with its tags, its time, and its name as the tag `metric_name`. The default: they are numbers to whichever sink comes next.
    #[default]
    Gauges,
    /// As tags on the metric itself: `anomaly_score`, `is_anomaly` (`0` or `1`), and where that is 1 `anomaly_cause`,
    /// the number that is anomalous, and `anomaly_reason`; a band likewise. To route or filter by in Vector; most databases would make a new series of each
    /// score.
    Tags,
}

/// The events of Vector, as bodies of either codec. Tell it where each [begins](Self::begin_body).
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
/// out.extend_from_slice(pipeline.finish(0, &mut [Far])); // what has no newline behind it
/// let tags = br#""tags":{"anomaly_score":"0.5","is_anomaly":"0","t":[null]}"#;
/// assert!(out.windows(tags.len()).any(|part| part == tags));
/// ```
#[derive(Debug, Default)]
pub struct VectorEvents {
    style: VerdictStyle,
    codec: Codec,
    json: read_json::Reader,
    proto: read_proto::Reader,
    /// Names of fields, then the heads of the run's metrics and the names of their own.
    text: Vec<u8>,
    /// Where the head of the metric at hand lies there.
    head: Range<usize>,
    /// Where the parts of the run's metrics lie that were read, in the codec at hand.
    json_parts: Vec<read_json::Parts>,
    proto_parts: Vec<read_proto::Parts>,
    rates: Rates,
    seed: u64,
    given_up: GivenUp,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Codec {
    #[default]
    Json,
    Proto,
}

/// What is still to come of a frame that was given up on.
#[derive(Debug, Clone, Copy)]
enum GivenUp {
    /// So many bytes.
    Bytes(usize),
    /// The rest of its length first, of which so many bytes were there.
    Length([u8; 4], usize),
}

impl Default for GivenUp {
    fn default() -> Self {
        Self::Bytes(0)
    }
}

/// Where a verdict goes.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    at: usize,
    replaces: usize,
    /// Which of the run's metrics that were read.
    metric: usize,
}

impl VectorEvents {
    /// Events whose verdicts are told like this.
    #[must_use]
    pub fn new(style: VerdictStyle) -> Self {
        Self { style, ..Self::default() }
    }

    /// A new body comes, which begins with these bytes: one is enough. A frame is shorter than 16 MiB, so that the
    /// first byte of its length is 0, as no byte of JSON is.
    ///
    /// Call it when the body before has been [finished](crate::Pipeline::finish).
    pub fn begin_body(&mut self, first_bytes: &[u8]) {
        self.codec = if first_bytes.first() == Some(&0) { Codec::Proto } else { Codec::Json };
        self.given_up = GivenUp::default();
    }

    /// Whether each event of a whole body is a metric that tells its time, so that whoever stores metrics has the same after
    /// the body came twice.
    #[must_use]
    pub fn all_have_times(body: &[u8]) -> bool {
        let (mut native, mut at) = (Self::default(), 0);
        native.begin_body(body);
        while at < body.len() {
            let event = at..native.end(&body[at..]).map_or(body.len(), |end| at + end);
            at = event.end;
            let blank = body[event.clone()].trim_ascii().is_empty();
            native.begin();
            let metric = match native.open(body, event) {
                Opened::Metric(_) => match native.codec {
                    Codec::Json => &native.json.metric,
                    Codec::Proto => &native.proto.metric,
                },
                Opened::Other if blank => continue,
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
    const PASSES_MALFORMED: bool = false; // a body with such events is refused

    type Place = Place;

    fn set_seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    fn keep(&self, now: i64) -> SeriesSnapshot {
        self.rates.keep(now)
    }

    fn restore(&mut self, snapshot: &SeriesSnapshot) {
        self.rates.restore(snapshot);
    }

    fn end(&self, bytes: &[u8]) -> Option<usize> {
        match self.codec {
            Codec::Json => memchr(b'\n', bytes).map(|newline| newline + 1),
            Codec::Proto => read_proto::frame_end(bytes).filter(|&end| end <= bytes.len()),
        }
    }

    fn give_up(&mut self, held: &[u8]) {
        self.given_up = if let Some(end) = read_proto::frame_end(held) {
            GivenUp::Bytes(end.saturating_sub(held.len()))
        } else {
            let mut length = [0; 4];
            length[..held.len()].copy_from_slice(held);
            GivenUp::Length(length, held.len())
        };
    }

    /// Behind the next newline, or where the frame ends.
    fn resume(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.codec == Codec::Json {
            return memchr(b'\n', bytes).map(|newline| newline + 1);
        }
        if let GivenUp::Length(mut length, there) = self.given_up {
            let come = bytes.len().min(4 - there);
            length[there..there + come].copy_from_slice(&bytes[..come]);
            self.given_up = match read_proto::frame_end(&length[..there + come]) {
                Some(end) => GivenUp::Bytes(end - there),
                None => GivenUp::Length(length, there + come),
            };
        }
        let GivenUp::Bytes(left) = &mut self.given_up else { return None };
        if *left <= bytes.len() {
            return Some(*left);
        }
        *left -= bytes.len();
        None
    }

    fn begin(&mut self) {
        let Self { text, json_parts, proto_parts, .. } = self;
        text.clear();
        text.extend_from_slice(metric::NAMES);
        json_parts.clear();
        proto_parts.clear();
    }

    fn open(&mut self, buffer: &[u8], event: Range<usize>) -> Opened {
        let Self { codec, json, proto, text, head, .. } = self;
        let start = text.len();
        let read = match codec {
            Codec::Json => json.read(&buffer[..event.end], event.start),
            Codec::Proto => proto.read(buffer, event.start, event.end).ok(),
        };
        match (read, codec) {
            (None, _) => return Opened::Malformed,
            (Some(Read::Other), _) => return Opened::Other,
            (Some(Read::Unknown), _) => return Opened::Unknown,
            (Some(Read::Metric), Codec::Json) => json.put_head(buffer, text),
            (Some(Read::Metric), Codec::Proto) => proto.put_head(buffer, text),
        }
        *head = start..text.len();
        Opened::Metric(head.clone())
    }

    fn read(
        &mut self,
        _: &[u8],
        event: Range<usize>,
        now: i64,
        fields: &mut Vec<Field>,
    ) -> Result<Reading<Place>, Refusal> {
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
                metric::rate(fields, value * 1e3 / metric.interval);
            }
            (Kind::Incremental, Value::Counter(value)) => {
                let identity = xxh3_64_with_seed(&text[head.clone()], *seed);
                if value.is_finite()
                    && let Some((rate, end)) = rates.add(identity, time.unwrap_or(now), value)
                {
                    metric::rate(fields, rate);
                    time = Some(end);
                }
            }
            (Kind::Absolute, Value::Counter(total)) => {
                let identity = xxh3_64_with_seed(&text[head.clone()], *seed);
                if total.is_finite()
                    && let Some(rate) = rates.grow(identity, time.unwrap_or(now), total)
                {
                    metric::rate(fields, rate);
                }
            }
            // By how much a gauge changed says nothing without what it was.
            (Kind::Incremental, Value::Gauge(_)) => {}
            (_, value) => metric::fields(value, pairs, text, fields),
        }
        let (at, replaces) = match (style, &codec) {
            (VerdictStyle::Gauges, _) => (event.end, 0),
            (VerdictStyle::Tags, Codec::Json) => write_json::tags_at(&json.parts),
            (VerdictStyle::Tags, Codec::Proto) => write_proto::tags_at(&proto.parts),
        };
        let place = Place { at, replaces, metric: self.json_parts.len() + self.proto_parts.len() };
        match codec {
            Codec::Json => self.json_parts.push(json.parts),
            Codec::Proto => self.proto_parts.push(proto.parts),
        }
        Ok(Reading { base: 0, time, place })
    }

    fn text<'a>(&'a self, _: &'a [u8]) -> &'a [u8] {
        &self.text
    }

    fn splice_at(place: Place) -> usize {
        place.at
    }

    fn replaces(place: Place) -> usize {
        place.replaces
    }

    fn write(&self, out: &mut Vec<u8>, buffer: &[u8], place: Place, told: &EventVerdict<'_>) {
        let (json, proto) = (|| &self.json_parts[place.metric], || &self.proto_parts[place.metric]);
        match (self.codec, self.style) {
            (Codec::Json, VerdictStyle::Gauges) => write_json::put_gauges(out, buffer, json(), told),
            (Codec::Json, VerdictStyle::Tags) => write_json::put_tags(out, json(), told),
            (Codec::Proto, VerdictStyle::Gauges) => write_proto::put_gauges(out, buffer, proto(), told),
            (Codec::Proto, VerdictStyle::Tags) => write_proto::put_tags(out, proto(), told),
        }
    }

    fn write_vector<'a>(
        &self,
        out: &mut Vec<u8>,
        told: &VectorVerdict<'_>,
        names: &(impl Iterator<Item = &'a str> + Clone),
    ) {
        match self.codec {
            Codec::Json => write_json::put_vector(out, told, names),
            Codec::Proto => write_proto::put_vector(out, told, names),
        }
    }

    fn write_rate(&self, out: &mut Vec<u8>, told: &EntityRate<'_>) {
        match self.codec {
            Codec::Json => write_json::put_rate(out, told),
            Codec::Proto => write_proto::put_rate(out, told),
        }
    }
}
