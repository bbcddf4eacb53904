//! The loop: bytes in, scored bytes out.

use std::ops::Range;

use qualm_contract::{Band, BatchScorer, Reason};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::format::{EventVerdict, Format, Opened, Reading, VectorVerdict};
use crate::heads::Heads;
use crate::incident::Finding;
use crate::join::Joined;
use crate::lane::{Lane, Origin, Vectors, Wants};
use crate::line::{Field, Refusal};
use crate::lines::Lines;

/// How many bytes one read may bring.
const READ: usize = 1 << 20;

/// How long an event may be to be scored; a longer one passes through as it is.
pub const MAX_EVENT: usize = 1 << 20;

pub use crate::heads::MAX_LANES;

/// Bytes in, scored bytes out; all that a pipeline knows between two reads.
///
/// ```
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
/// let mut pipeline = Pipeline::new(vec![Lane::new(Selector::default(), Limits::default())], 0);
/// let line = b"cpu,host=a usage=50 1700000000000000000\n";
/// pipeline.input()[..line.len()].copy_from_slice(line);
/// let out = pipeline.run(line.len(), 0, &mut [Far]);
/// assert_eq!(out, b"cpu,host=a usage=50,anomaly_score=0.5,is_anomaly=0i 1700000000000000000\n");
/// ```
#[derive(Debug)]
pub struct Pipeline<F: Format = Lines> {
    format: F,
    lanes: Vec<Lane>,
    heads: Heads,
    /// What was read and not yet passed on lies in `..filled`; `..passed` of it has gone out by now.
    buffer: Vec<u8>,
    filled: usize,
    passed: usize,
    /// The last event was given up on before its end: pass bytes on until the next one begins.
    midway: bool,
    /// Only verdicts come out.
    tap: bool,
    /// The fields of the event at hand.
    fields: Vec<Field>,
    /// The events of this run that have fields to be scored.
    events: Vec<Event<F::Place>>,
    /// What is told behind events of this run.
    behind: Vec<Behind>,
    out: Vec<u8>,
    counts: Counts,
}

/// An event that is to be scored.
#[derive(Debug)]
struct Event<P> {
    /// Its number since the start, counting every event that is a metric.
    number: u64,
    /// Where the verdict goes.
    place: P,
    /// Where in the buffer it ends.
    end: usize,
    /// Its head: where that begins in the format's text, and its length.
    head: (u32, u32),
    /// The largest score of its fields so far, NaN for none.
    score: f64,
    /// The largest of those that are anomalies, and that field's row.
    anomaly: f64,
    cause: RowAt,
    /// Of its fields, those that have a band.
    banded: Banded,
}

/// One of the run's rows: its lane, and its number there.
#[derive(Debug, Clone, Copy)]
struct RowAt {
    lane: u32,
    row: u32,
}

/// The fields of an event that have a band. In a line of several, a band would say nothing to whoever does not know which
/// field it is of.
#[derive(Debug, Clone, Copy)]
enum Banded {
    None,
    One(RowAt),
    Several,
}

/// What is told behind an event: a vector that it completed, or the anomaly rate of an interval that ended with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Behind {
    /// Where in the buffer the event ends.
    at: usize,
    lane: usize,
    /// Which of the lane's rows the vector is, or of the intervals that ended in its entities.
    which: usize,
    anomaly: bool,
}

/// What has passed, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes.
    pub bytes: u64,
    /// Events that are metrics: lines, but for blank ones and comments.
    pub events: u64,
    /// Events with at least one field that a detector wants.
    pub selected: u64,
    /// Events and vectors that got a score.
    pub scored: u64,
    /// Events and vectors that are anomalies: rows of incidents that were reported.
    pub anomalous: u64,
    /// Incidents that were reported, each once: of one series, or of the vectors of one entity.
    pub incidents: u64,
    /// Events that are not what they should be: not line protocol, for one.
    pub malformed: u64,
    /// Events that are well-formed, but nothing that is known: they pass as they are, and are not among `events`.
    pub unknown: u64,
    /// Events that were scored upstream: they carry a field that qualm would add.
    pub upstream: u64,
    /// Events that were longer than 1 MiB, or whose end did not come in time.
    pub unfinished: u64,
    /// Rows: fields and vectors given to a detector.
    pub rows: u64,
    /// Series that were dropped.
    pub evicted: u64,
}

/// A row and what became of it, for those who look at each: see [`Pipeline::verdicts`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict<'a> {
    /// The number of the row's event since the start: `0` is the first. Of a vector, the last event that brought it a
    /// value, which may be one of an earlier run.
    pub event: u64,
    /// Which detector, by its place among the lanes.
    pub lane: usize,
    /// The series' number.
    pub series: u32,
    /// When it was measured.
    pub time: i64,
    /// The head of its event, as line protocol writes it; of a vector, its entity's tags.
    pub head: &'a [u8],
    /// The field's key, as line protocol writes it; empty for a vector.
    pub key: &'a [u8],
    /// Its values.
    pub values: &'a [f64],
    /// Its score, NaN for none.
    pub score: f64,
    /// Whether it is an anomaly: a row of an incident that was reported, with this row or before.
    pub anomaly: bool,
    /// Whether it is the row that reports its incident.
    pub reports: bool,
    /// How much each value contributed, where the detector explained; empty otherwise.
    pub contributions: &'a [f64],
    /// Why it is an anomaly, where it is one.
    pub reason: Reason,
    /// What would have been ordinary, where bands are shown.
    pub band: Band,
}

impl Pipeline {
    /// A pipeline of line protocol with these detectors. The first lane that wants a field gets it. `seed` makes the
    /// series' identities: a random one keeps whoever writes the metrics from making two series collide on purpose.
    ///
    /// # Panics
    ///
    /// With more than [`MAX_LANES`] lanes.
    #[must_use]
    pub fn new(lanes: Vec<Lane>, seed: u64) -> Self {
        Self::of(Lines::default(), lanes, seed)
    }
}

impl<F: Format> Pipeline<F> {
    /// The same for events of another format.
    ///
    /// # Panics
    ///
    /// With more than [`MAX_LANES`] lanes.
    #[must_use]
    pub fn of(mut format: F, mut lanes: Vec<Lane>, seed: u64) -> Self {
        format.set_seed(seed);
        for lane in &mut lanes {
            lane.set_seed(seed);
        }
        assert!(lanes.len() <= MAX_LANES, "a pipeline has at most {MAX_LANES} detectors");
        Self {
            format,
            lanes,
            heads: Heads::new(seed),
            buffer: vec![0; READ + MAX_EVENT],
            filled: 0,
            passed: 0,
            midway: false,
            tap: false,
            fields: Vec::new(),
            events: Vec::new(),
            behind: Vec::new(),
            out: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// The same, with nothing but verdicts coming out: for a format whose verdicts are events by themselves.
    #[must_use]
    pub fn tap(self) -> Self {
        Self { tap: true, ..self }
    }

    /// Where the next bytes go: a mebibyte of room. Give [`run`](Self::run) the number that came.
    pub fn input(&mut self) -> &mut [u8] {
        self.buffer.copy_within(self.passed..self.filled, 0);
        self.filled -= self.passed;
        self.passed = 0;
        &mut self.buffer[self.filled..][..READ]
    }

    /// Takes the `read` bytes that were put into [`input`](Self::input), scores every event that is complete, and
    /// returns what is to be written. `now` (nanoseconds since 1970) is the time of events that do not tell theirs, and
    /// the clock by which series come and go. `scorers` are the lanes' detectors.
    pub fn run<S: BatchScorer>(&mut self, read: usize, now: i64, scorers: &mut [S]) -> &[u8] {
        self.forget(scorers);
        self.filled += read;
        self.counts.bytes += read as u64;
        let end = self.take_events(now);
        self.pass(end, scorers)
    }

    /// The end of the input: scores what is left, an event whose newline will not come.
    pub fn finish<S: BatchScorer>(&mut self, now: i64, scorers: &mut [S]) -> &[u8] {
        self.forget(scorers);
        self.input();
        self.begin(now);
        if !self.midway {
            self.take_event(0..self.filled, now);
        }
        self.midway = false;
        self.pass(self.filled, scorers)
    }

    /// Gives up on an event whose end has not come for too long, and returns its bytes; the rest of it will pass as it is.
    pub fn let_go(&mut self) -> &[u8] {
        self.input();
        if self.filled > 0 {
            self.give_up(0);
        }
        self.passed = self.filled;
        if self.tap { &[] } else { &self.buffer[..self.filled] }
    }

    /// Tells the detectors which series are gone. It is done before the next run, and can be done earlier, once the last
    /// one's output is written.
    pub fn forget<S: BatchScorer>(&mut self, scorers: &mut [S]) {
        for (lane, scorer) in self.lanes.iter_mut().zip(scorers) {
            self.counts.evicted += lane.forget(scorer);
        }
    }

    /// Puts another lane in the place of one: a detector whose rows are made of something else now.
    pub fn replace(&mut self, lane: usize, mut with: Lane) {
        with.set_seed(self.heads.seed());
        self.lanes[lane] = with;
        self.heads.forget();
    }

    /// Whether bytes are held that wait for the rest of their event.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.passed < self.filled
    }

    /// Whether the end of the input would leave an event unfinished, be it held or passed on already.
    #[must_use]
    pub fn is_within_event(&self) -> bool {
        self.midway || self.holds()
    }

    /// What has passed so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How its events stand in bytes.
    pub fn format(&self) -> &F {
        &self.format
    }

    /// How its events stand in bytes, to change it.
    pub fn format_mut(&mut self) -> &mut F {
        &mut self.format
    }

    /// The detectors' parts.
    #[must_use]
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// The detectors' parts, to restore what an earlier run knew.
    pub fn lanes_mut(&mut self) -> &mut [Lane] {
        &mut self.lanes
    }

    /// Every row of the last [`run`](Self::run) or [`finish`](Self::finish), and its score.
    pub fn verdicts(&self) -> impl Iterator<Item = Verdict<'_>> {
        let text = self.format.text(&self.buffer);
        let part = move |(start, length): (u32, u32)| &text[start as usize..][..length as usize];
        self.lanes.iter().enumerate().flat_map(move |(number, lane)| {
            let Lane { rows, verdicts, .. } = lane;
            let features = rows.features();
            let values = rows.values.chunks_exact(features);
            verdicts.scores.iter().zip(values).enumerate().map(move |(row, (&score, values))| {
                let series = rows.series[row];
                let (event, head, key) = match &lane.wants {
                    Wants::Fields(origins) => {
                        let Origin { event, key, key_len } = origins[row];
                        let event = &self.events[event as usize];
                        (event.number, part(event.head), part((key, key_len)))
                    }
                    Wants::Vectors(vectors) => {
                        let Vectors { joiner, .. } = &**vectors;
                        (joiner.emissions[row].event, joiner.tags(series), &[][..])
                    }
                };
                let contributions = verdicts.contributions.get(row * features..(row + 1) * features);
                let anomaly = lane.findings[row].is_anomaly();
                Verdict {
                    event,
                    lane: number,
                    series,
                    time: rows.times[row],
                    head,
                    key,
                    values,
                    score,
                    anomaly,
                    reports: lane.findings[row] == Finding::Reported,
                    contributions: contributions.unwrap_or_default(),
                    reason: if anomaly { verdicts.reason(row) } else { Reason::None },
                    band: verdicts.band(row),
                }
            })
        })
    }

    fn begin(&mut self, now: i64) {
        self.format.begin();
        self.events.clear();
        self.lanes.iter_mut().for_each(|lane| lane.begin(now));
    }

    /// Takes in every event that is complete, and returns where they end.
    fn take_events(&mut self, now: i64) -> usize {
        self.begin(now);
        let mut at = 0;
        if self.midway {
            let Some(next) = self.format.resume(&self.buffer[..self.filled]) else {
                return self.filled;
            };
            at = next;
            self.midway = false;
        }
        while let Some(length) = self.format.end(&self.buffer[at..self.filled]) {
            self.take_event(at..at + length, now);
            at += length;
        }
        if self.filled - at > MAX_EVENT {
            self.give_up(at);
            at = self.filled;
        }
        at
    }

    /// Gives up on the event that begins there.
    fn give_up(&mut self, at: usize) {
        self.midway = true;
        self.counts.unfinished += 1;
        self.format.give_up(&self.buffer[at..self.filled]);
    }

    /// Takes in the event that lies there in the buffer: its wanted fields become rows.
    fn take_event(&mut self, at: Range<usize>, now: i64) {
        let Self { format, lanes, heads, buffer, fields, events, counts, .. } = self;
        let opened = format.open(buffer, at.clone());
        match opened {
            Opened::Other => return,
            Opened::Unknown => {
                counts.unknown += 1;
                return;
            }
            Opened::Malformed | Opened::Metric(_) => {}
        }
        let number = counts.events;
        counts.events += 1;
        let Opened::Metric(mut head_at) = opened else {
            counts.malformed += 1;
            return;
        };
        let known = heads.find(&format.text(buffer)[head_at.clone()]);
        let head = if let Some(head) = known {
            head
        } else {
            let Opened::Metric(confirmed) = format.confirm(buffer, at.clone(), head_at) else {
                counts.malformed += 1;
                return;
            };
            head_at = confirmed;
            heads.learn(&format.text(buffer)[head_at.clone()], lanes)
        };
        if head.lanes == 0 {
            return;
        }
        let Reading { base, time, place } = match format.read(buffer, at.clone(), now, fields) {
            Ok(reading) => reading,
            Err(Refusal::Malformed) => {
                counts.malformed += 1;
                return;
            }
            Err(Refusal::AlreadyScored) => {
                counts.upstream += 1;
                return;
            }
        };
        let time = time.unwrap_or(now);
        let text = format.text(buffer);
        let bytes = &text[base..];
        let (mut wanted, mut banded) = (false, Banded::None);
        for field in &*fields {
            let key = field.key(bytes);
            let Some(lane) = head.lanes().find(|&lane| lanes[lane].wants_field(key, field.boolean)) else { continue };
            let Lane { wants: Wants::Fields(origins), series, rows, census, .. } = &mut lanes[lane] else { continue };
            let number = series.number(xxh3_64_with_seed(key, head.identity));
            if let Some(census) = census {
                census.meet(number, &text[head_at.clone()]);
            }
            if rows.bands {
                let at = RowAt { lane: lane as u32, row: rows.len() as u32 };
                banded = if let Banded::None = banded { Banded::One(at) } else { Banded::Several };
            }
            rows.add(number, time, field.value);
            if rows.related {
                rows.groups.push(xxh3_64_with_seed(key, head.measurement));
            }
            origins.push(Origin { event: events.len() as u32, key: base as u32 + field.key, key_len: field.key_len });
            counts.rows += 1;
            wanted = true;
        }
        if wanted {
            let head = (head_at.start as u32, head_at.len() as u32);
            let cause = RowAt { lane: 0, row: 0 };
            let (score, anomaly) = (f64::NAN, f64::NAN);
            events.push(Event { number, place, end: at.end, head, score, anomaly, cause, banded });
        }
        for lane in head.lanes() {
            let Lane { wants: Wants::Vectors(vectors), series, rows, .. } = &mut lanes[lane] else { continue };
            let head_bytes = &text[head_at.clone()];
            let joined = Joined { bytes, head: head_bytes, hash: head.hash, fields, time, number, end: at.end };
            let before = rows.len();
            wanted |= vectors.joiner.take(joined, series, rows);
            counts.rows += (rows.len() - before) as u64;
        }
        counts.selected += u64::from(wanted);
    }

    /// Scores what was taken in, and returns the bytes up to `end` with the verdicts in them.
    fn pass<S: BatchScorer>(&mut self, end: usize, scorers: &mut [S]) -> &[u8] {
        let Self { lanes, events, behind, counts, .. } = self;
        behind.clear();
        for (number, (lane, scorer)) in lanes.iter_mut().zip(scorers).enumerate() {
            lane.score(scorer);
            for row in 0..lane.verdicts.scores.len() {
                let finding = lane.judge(row);
                let anomaly = finding.is_anomaly();
                counts.incidents += u64::from(finding == Finding::Reported);
                let Lane { wants, verdicts, rows, census, .. } = &mut *lane;
                let score = verdicts.scores[row];
                match wants {
                    Wants::Fields(origins) => {
                        let event = &mut events[origins[row].event as usize];
                        event.take(score, anomaly, RowAt { lane: number as u32, row: row as u32 });
                        let ended = census.as_mut().and_then(|census| {
                            census.count(rows.series[row], rows.times[row], !score.is_nan(), anomaly)
                        });
                        if let Some(which) = ended {
                            behind.push(Behind { at: event.end, lane: number, which, anomaly: false });
                        }
                    }
                    Wants::Vectors(_) if score.is_nan() => {}
                    Wants::Vectors(vectors) => {
                        let at = vectors.joiner.emissions[row].at;
                        behind.push(Behind { at, lane: number, which: row, anomaly });
                    }
                }
            }
        }
        behind.sort_unstable();
        self.passed = end;
        self.splice(end)
    }

    /// The bytes up to `end`, with the fields' verdicts in their events and what else is told behind them.
    fn splice(&mut self, end: usize) -> &[u8] {
        let Self { format, lanes, buffer, events, behind, out, counts, .. } = self;
        let original = |from: usize, to: usize| if self.tap { &[] } else { &buffer[from..to] };
        out.clear();
        let text = format.text(buffer);
        let part = |(start, length): (u32, u32)| &text[start as usize..][..length as usize];
        let mut from = 0;
        let mut events = events.iter().filter(|event| !event.score.is_nan()).peekable();
        let mut behind = behind.iter().peekable();
        loop {
            let before = behind.peek().map_or(usize::MAX, |next| next.at);
            // An event's own verdict comes before what is told behind it.
            let anomaly = if let Some(event) = events.next_if(|event| F::splice_at(event.place) <= before) {
                let at = F::splice_at(event.place);
                let cause = (!event.anomaly.is_nan()).then_some(event.cause);
                let banded = match event.banded {
                    Banded::None => None,
                    Banded::One(at) => Some(at),
                    Banded::Several => cause,
                };
                let verdicts = |at: RowAt| (&lanes[at.lane as usize].verdicts, at.row as usize);
                let told = EventVerdict {
                    score: event.score,
                    cause: cause.map(|at| part(lanes[at.lane as usize].key(at.row as usize))),
                    reason: cause.map(verdicts).and_then(|(verdicts, row)| verdicts.reason(row).name()),
                    band: banded.map(verdicts).map_or(Band::UNKNOWN, |(verdicts, row)| verdicts.band(row)),
                    head: part(event.head),
                };
                out.extend_from_slice(original(from, at));
                format.write(out, buffer, event.place, &told);
                from = at + F::replaces(event.place);
                cause.is_some()
            } else if let Some(&Behind { at, lane, which, anomaly }) = behind.next() {
                let Lane { wants, rows, verdicts, census, .. } = &lanes[lane];
                out.extend_from_slice(original(from, at));
                from = at;
                let Wants::Vectors(vectors) = wants else {
                    if let Some(census) = census {
                        format.write_rate(out, &census.told(which));
                    }
                    continue;
                };
                let names = vectors.joiner.shape().features.iter().map(|feature| feature.name.as_str());
                let features = rows.features();
                let contributions = verdicts.contributions.get(which * features..(which + 1) * features);
                let told = VectorVerdict {
                    tags: vectors.joiner.tags(rows.series[which]),
                    detector: &vectors.name,
                    score: verdicts.scores[which],
                    contributions: contributions.filter(|_| anomaly).unwrap_or_default(),
                    anomaly,
                    reason: verdicts.reason(which).name().filter(|_| anomaly),
                    band: verdicts.band(which),
                    time: rows.times[which],
                };
                format.write_vector(out, &told, &names);
                anomaly
            } else {
                break;
            };
            counts.scored += 1;
            counts.anomalous += u64::from(anomaly);
        }
        if from == 0 {
            return original(0, end); // nothing to splice: out goes what came in, uncopied
        }
        out.extend_from_slice(original(from, end));
        out
    }
}

impl<P> Event<P> {
    /// Takes a field's score in.
    fn take(&mut self, score: f64, anomaly: bool, field: RowAt) {
        if score >= 0.0 && (score > self.score || self.score.is_nan()) {
            self.score = score;
        }
        if anomaly && (score > self.anomaly || self.anomaly.is_nan()) {
            self.anomaly = score;
            self.cause = field;
        }
    }
}
