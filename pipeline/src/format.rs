//! How events stand in bytes, and how verdicts are written among them: what differs between one peer and another.

use std::fmt::Debug;
use std::ops::Range;

use qualm_contract::Band;

use crate::line::{Field, Refusal};
use crate::snapshot::SeriesSnapshot;

/// How events stand in bytes. The pipeline does the rest, the same for all.
///
/// Names of measurements, tags and fields are told as line protocol writes them, escapes included, so that a detector
/// selects the same metrics whichever way they come.
pub trait Format: Debug {
    /// What must be known of an event to write its verdict.
    type Place: Copy + Debug + Send;

    /// Whether what is malformed goes on as it is, or is refused by whoever took it in.
    const PASSES_MALFORMED: bool = true;

    /// The seed of what it remembers by hash, as in [`crate::Pipeline::new`].
    fn set_seed(&mut self, _seed: u64) {}

    /// What it remembers of series, to be kept over a restart; `now` is in nanoseconds since 1970.
    fn keep(&self, _now: i64) -> SeriesSnapshot {
        SeriesSnapshot::default()
    }

    /// Goes on with what was kept.
    fn restore(&mut self, _snapshot: &SeriesSnapshot) {}

    /// Where the event at the beginning of `bytes` ends; `None` while it is not all there.
    fn end(&self, bytes: &[u8]) -> Option<usize>;

    /// An event is given up on before its end; this is what there is of it.
    fn give_up(&mut self, held: &[u8]);

    /// Where, in what came behind an event that was given up on, the next one begins; `None` where it does not yet.
    fn resume(&mut self, bytes: &[u8]) -> Option<usize>;

    /// A new run begins: places and ranges of the last one are no longer asked about.
    fn begin(&mut self);

    /// What the event that lies in `buffer` at `event` is.
    fn open(&mut self, buffer: &[u8], event: Range<usize>) -> Opened;

    /// What the event that was opened last is, by a closer look. It is asked for where a head is not known yet, so that
    /// [`open`](Self::open) may guess; `head` is what that said.
    fn confirm(&mut self, _buffer: &[u8], _event: Range<usize>, head: Range<usize>) -> Opened {
        Opened::Metric(head)
    }

    /// Reads the fields of an event that was opened last, and is a metric, into `fields`: numbers and booleans. Keys are
    /// offsets into [`text`](Self::text), counted from [`Reading::base`]. `now` is the time, in nanoseconds since 1970.
    ///
    /// # Errors
    ///
    /// Says why the event cannot be scored; `fields` then means nothing.
    fn read(
        &mut self,
        buffer: &[u8],
        event: Range<usize>,
        now: i64,
        fields: &mut Vec<Field>,
    ) -> Result<Reading<Self::Place>, Refusal>;

    /// The bytes in which heads and keys lie: the buffer itself, or what was written down of the events in it.
    fn text<'a>(&'a self, buffer: &'a [u8]) -> &'a [u8];

    /// Where in the buffer the verdict of an event goes.
    fn splice_at(place: Self::Place) -> usize;

    /// How many of the buffer's bytes the verdict stands in for; none, mostly.
    fn replaces(_place: Self::Place) -> usize {
        0
    }

    /// Appends the verdict of an event.
    fn write(&self, out: &mut Vec<u8>, buffer: &[u8], place: Self::Place, told: &EventVerdict<'_>);

    /// Appends the verdict of a vector, behind the event that completed it.
    fn write_vector<'a>(
        &self,
        out: &mut Vec<u8>,
        told: &VectorVerdict<'_>,
        names: &(impl Iterator<Item = &'a str> + Clone),
    );

    /// Appends the event that tells of an anomaly rate. It comes right behind the event with which the interval ended.
    fn write_rate(&self, out: &mut Vec<u8>, told: &EntityRate<'_>);
}

/// What an event is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// Nothing that is measured: a blank line, a comment, a log.
    Other,
    /// Nothing that is understood.
    Malformed,
    /// Something well-formed of a kind that is not known. It passes as it is, and is counted.
    Unknown,
    /// A metric; its head (measurement and tags) lies there in [`Format::text`].
    Metric(Range<usize>),
}

/// What was read of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading<P> {
    /// What its fields' keys are counted from.
    pub base: usize,
    /// Nanoseconds since 1970, where it tells.
    pub time: Option<i64>,
    /// What it takes to write its verdict.
    pub place: P,
}

/// What is told of an event.
#[derive(Debug, Clone, Copy)]
pub struct EventVerdict<'a> {
    /// The largest score of its fields.
    pub score: f64,
    /// The key, as line protocol writes it, of the field that is an anomaly, where one is.
    pub cause: Option<&'a [u8]>,
    /// Why it is one, in a word.
    pub reason: Option<&'static str>,
    /// What would have been ordinary: of the one field that has a band, or of the field that is an anomaly where several have.
    pub band: Band,
    /// The event's head.
    pub head: &'a [u8],
}

/// What is told of a vector.
#[derive(Debug, Clone, Copy)]
pub struct VectorVerdict<'a> {
    /// The entity's tags, as line protocol writes them: `,host=a`.
    pub tags: &'a [u8],
    /// The detector's name, as a tag's value in line protocol.
    pub detector: &'a [u8],
    /// Its score.
    pub score: f64,
    /// How much each feature contributed; empty where that is not known.
    pub contributions: &'a [f64],
    /// Whether it is an anomaly.
    pub anomaly: bool,
    /// Why it is one, in a word.
    pub reason: Option<&'static str>,
    /// What would have been ordinary, where it has one value.
    pub band: Band,
    /// When it was measured, in nanoseconds since 1970.
    pub time: i64,
}

/// What is told of an entity's anomaly rate.
#[derive(Debug, Clone, Copy)]
pub struct EntityRate<'a> {
    /// The entity's tags, as line protocol writes them: `,host=a`.
    pub tags: &'a [u8],
    /// The detector's name, as a tag's value in line protocol.
    pub detector: &'a [u8],
    /// How many of its series were anomalous in the interval.
    pub anomalous: u32,
    /// Of how many: those that got a score in it, one at least.
    pub series: u32,
    /// When the interval began, in nanoseconds since 1970.
    pub time: i64,
}

impl EntityRate<'_> {
    /// The share of the series that were anomalous.
    #[must_use]
    pub fn share(&self) -> f64 {
        f64::from(self.anomalous) / f64::from(self.series)
    }
}
