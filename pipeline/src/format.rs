//! The format of events and verdicts, in which peers differ.

use std::fmt::Debug;
use std::ops::Range;

use qualm_contract::Band;

use crate::field::Field;
use crate::line::Refusal;
use crate::snapshot::SeriesSnapshot;

/// A format of events and verdicts. All else in the pipeline is independent of it.
///
/// Names of measurements, tags and fields are as in line protocol, with escapes, so that a detector selects the same metrics
/// in any format.
pub trait Format: Debug {
    /// What is needed to write the verdict of an event.
    type Place: Copy + Debug + Send;

    /// Whether malformed events pass unchanged; otherwise the caller refuses them.
    const PASSES_MALFORMED: bool = true;

    /// The seed of its hashes, as in [`crate::Pipeline::new`].
    fn set_seed(&mut self, _seed: u64) {}

    /// Its state of series, for a restart; `now` is in nanoseconds since 1970.
    fn save_snapshot(&self, _now: i64) -> SeriesSnapshot {
        SeriesSnapshot::default()
    }

    /// Restores saved state.
    fn restore_snapshot(&mut self, _snapshot: &SeriesSnapshot) {}

    /// The end of the event at the beginning of `bytes`; `None` while it is incomplete.
    fn event_end(&self, bytes: &[u8]) -> Option<usize>;

    /// Skips an incomplete event, of which `held` has arrived.
    fn skip_event(&mut self, held: &[u8]);

    /// Where the next event begins in the bytes after a skipped one; `None` if it does not yet.
    fn next_event_start(&mut self, bytes: &[u8]) -> Option<usize>;

    /// Begins a run: places and ranges of the last one are no longer used.
    fn begin_run(&mut self);

    /// The kind of the event in `buffer` at `event`.
    fn classify_event(&mut self, buffer: &[u8], event: Range<usize>) -> EventKind;

    /// Confirms the kind of the last classified event. It is called for new heads, so that
    /// [`classify_event`](Self::classify_event) may guess; `head` is the guess.
    fn confirm_head(&mut self, _buffer: &[u8], _event: Range<usize>, head: Range<usize>) -> EventKind {
        EventKind::Metric(head)
    }

    /// Reads the fields of the last classified event, a metric, into `fields`: numbers and booleans. Keys are offsets into
    /// [`text`](Self::text), from [`EventFields::base`]. `now` is the time, in nanoseconds since 1970.
    ///
    /// # Errors
    ///
    /// Why the event cannot be scored; `fields` is then undefined.
    fn read_fields(
        &mut self,
        buffer: &[u8],
        event: Range<usize>,
        now: i64,
        fields: &mut Vec<Field>,
    ) -> Result<EventFields<Self::Place>, Refusal>;

    /// The bytes that contain heads and keys: the buffer itself, or a copy in line protocol.
    fn text<'a>(&'a self, buffer: &'a [u8]) -> &'a [u8];

    /// The offset in the buffer at which an event's verdict is written.
    fn splice_at(place: Self::Place) -> usize;

    /// How many bytes of the buffer the verdict replaces, usually none.
    fn replaced_length(_place: Self::Place) -> usize {
        0
    }

    /// Appends the verdict of an event.
    fn write_verdict(&self, out: &mut Vec<u8>, buffer: &[u8], place: Self::Place, verdict: &EventVerdict<'_>);

    /// Appends the verdict of a vector, after the event that completed it.
    fn write_vector_verdict<'a>(
        &self,
        out: &mut Vec<u8>,
        verdict: &VectorVerdict<'_>,
        names: &(impl Iterator<Item = &'a str> + Clone),
    );

    /// Appends an event with an anomaly rate, after the event that ended the interval.
    fn write_anomaly_rate(&self, out: &mut Vec<u8>, rate: &EntityRate<'_>);
}

/// The kind of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// No metric: a blank line, a comment, a log.
    Other,
    /// Malformed.
    Malformed,
    /// Well-formed, of an unknown kind. It passes unchanged, and is counted.
    Unknown,
    /// A metric; the range of its head (measurement and tags) in [`Format::text`].
    Metric(Range<usize>),
}

/// What was read of a metric, besides its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventFields<P> {
    /// The offset from which its fields' keys are counted.
    pub base: usize,
    /// Its time, in nanoseconds since 1970, if it has one.
    pub time: Option<i64>,
    /// What is needed to write its verdict.
    pub place: P,
}

/// The verdict of an event.
#[derive(Debug, Clone, Copy)]
pub struct EventVerdict<'a> {
    /// The largest score of its fields.
    pub score: f64,
    /// The key, as in line protocol, of the field that is an anomaly, if any.
    pub cause: Option<&'a [u8]>,
    /// The name of the reason.
    pub reason: Option<&'static str>,
    /// The band of the only field that has one; if several have, that of the anomaly.
    pub band: Band,
    /// The event's head.
    pub head: &'a [u8],
}

/// The verdict of a vector.
#[derive(Debug, Clone, Copy)]
pub struct VectorVerdict<'a> {
    /// The entity's tags, as in line protocol: `,host=a`.
    pub tags: &'a [u8],
    /// The detector's name, as a tag's value in line protocol.
    pub detector: &'a [u8],
    /// Its score.
    pub score: f64,
    /// How much each feature contributed; empty if unknown.
    pub contributions: &'a [f64],
    /// Whether it is an anomaly.
    pub anomaly: bool,
    /// The name of the reason.
    pub reason: Option<&'static str>,
    /// The band, if it has one value.
    pub band: Band,
    /// Its time, in nanoseconds since 1970.
    pub time: i64,
}

/// The anomaly rate of an entity.
#[derive(Debug, Clone, Copy)]
pub struct EntityRate<'a> {
    /// The entity's tags, as in line protocol: `,host=a`.
    pub tags: &'a [u8],
    /// The detector's name, as a tag's value in line protocol.
    pub detector: &'a [u8],
    /// How many of its series were anomalous in the interval.
    pub anomalous: u32,
    /// How many had a score in the interval, at least one.
    pub series: u32,
    /// The beginning of the interval, in nanoseconds since 1970.
    pub time: i64,
}

impl EntityRate<'_> {
    /// The share of the series that were anomalous.
    #[must_use]
    pub fn share(&self) -> f64 {
        f64::from(self.anomalous) / f64::from(self.series)
    }
}
