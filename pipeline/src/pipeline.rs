//! The pipeline: bytes in, scored bytes out.

use std::ops::Range;

use qualm_contract::{Band, BatchScorer, Reason};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::field::Field;
use crate::format::{EventFields, EventKind, EventVerdict, Format, VectorVerdict};
use crate::head_cache::HeadCache;
use crate::incident::Finding;
use crate::join::Joined;
use crate::lane::{Lane, Origin, Vectors, Wants};
use crate::line::Refusal;
use crate::lines::Lines;

/// The most bytes of one read.
const MAX_READ: usize = 1 << 20;

/// The longest event that is scored, in bytes; a longer one passes unchanged.
pub const MAX_EVENT: usize = 1 << 20;

pub use crate::head_cache::MAX_LANES;

/// Scores the events in a stream of bytes. It holds all state between two reads.
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
    head_cache: HeadCache,
    /// Unfinished input is in `passed..filled`; what is before was emitted.
    buffer: Vec<u8>,
    filled: usize,
    passed: usize,
    /// The last event was too long or incomplete: bytes pass unchanged until the next one begins.
    skipping: bool,
    /// The output has verdicts only.
    verdicts_only: bool,
    /// Buffer: the fields of the current event.
    fields: Vec<Field>,
    /// The events of this run with fields to score.
    events: Vec<Event<F::Place>>,
    /// Events that are emitted after events of this run.
    trailing: Vec<TrailingEvent>,
    out: Vec<u8>,
    counts: Counts,
}

/// An event with fields to score.
#[derive(Debug)]
struct Event<P> {
    /// Its number since the start, among events that are metrics.
    number: u64,
    /// Where its verdict is written.
    place: P,
    /// The offset of its end in the buffer.
    end: usize,
    /// Offset and length of its head in the format's text.
    head: (u32, u32),
    /// The largest score of its fields so far; NaN without one.
    score: f64,
    /// The largest score of anomalies among them, and that field's row.
    anomaly: f64,
    cause: RowAt,
    /// The field whose band is written.
    band_source: BandSource,
}

/// One of the run's rows: its lane, and its number there.
#[derive(Debug, Clone, Copy)]
struct RowAt {
    lane: u32,
    row: u32,
}

/// The field of an event whose band is written. If several have bands, only that of an anomaly is written, whose field the
/// verdict names.
#[derive(Debug, Clone, Copy)]
enum BandSource {
    None,
    One(RowAt),
    Several,
}

/// What is emitted after an event: the verdict of a vector that it completed, or the anomaly rate of an interval that it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct TrailingEvent {
    /// The offset of the event's end in the buffer.
    at: usize,
    lane: usize,
    /// The vector's row in the lane, or the number of the ended interval.
    which: usize,
    anomaly: bool,
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes.
    pub bytes: u64,
    /// Events that are metrics: lines other than blank ones and comments.
    pub events: u64,
    /// Events with at least one field that a detector wants.
    pub selected: u64,
    /// Events and vectors with a score.
    pub scored: u64,
    /// Events and vectors that are anomalies: rows of incidents that were reported.
    pub anomalous: u64,
    /// Incidents that were reported, each once: of one series, or of the vectors of one entity.
    pub incidents: u64,
    /// Events that are malformed, such as invalid line protocol.
    pub malformed: u64,
    /// Well-formed events of an unknown kind: they pass unchanged, and are not counted in `events`.
    pub unknown: u64,
    /// Events that were scored upstream: they have a field that qualm adds.
    pub upstream: u64,
    /// Events longer than 1 MiB, or whose end did not arrive in time.
    pub unfinished: u64,
    /// Rows: fields and vectors given to a detector.
    pub rows: u64,
    /// Series that were dropped.
    pub evicted: u64,
}

/// A row and its result: see [`Pipeline::verdicts`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict<'a> {
    /// The number of the row's event since the start: `0` is the first. For a vector it is the last event with one of its
    /// values, perhaps of an earlier run.
    pub event: u64,
    /// The number of the detector's lane.
    pub lane: usize,
    /// The series' number.
    pub series: u32,
    /// Its time, in nanoseconds since 1970.
    pub time: i64,
    /// The head of its event, as in line protocol; for a vector, its entity's tags.
    pub head: &'a [u8],
    /// The field's key, as line protocol writes it; empty for a vector.
    pub key: &'a [u8],
    /// Its values.
    pub values: &'a [f64],
    /// Its score; NaN if it has none.
    pub score: f64,
    /// Whether it is an anomaly: a row of an incident that was reported by this row or an earlier one.
    pub anomaly: bool,
    /// Whether it is the row that reports its incident.
    pub reports: bool,
    /// How much each value contributed; empty if the detector did not explain it.
    pub contributions: &'a [f64],
    /// The reason, if it is an anomaly.
    pub reason: Reason,
    /// The range of ordinary values, if bands are shown.
    pub band: Band,
}

impl Pipeline {
    /// A pipeline of line protocol with these detectors. The first lane that wants a field gets it. `seed` is that
    /// of the series' identities: with a random one, nobody can construct series that collide.
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
    /// A pipeline for events of another format.
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
            head_cache: HeadCache::new(seed),
            buffer: vec![0; MAX_READ + MAX_EVENT],
            filled: 0,
            passed: 0,
            skipping: false,
            verdicts_only: false,
            fields: Vec::new(),
            events: Vec::new(),
            trailing: Vec::new(),
            out: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// A pipeline whose output has verdicts only, for a format whose verdicts are separate events.
    #[must_use]
    pub fn verdicts_only(self) -> Self {
        Self { verdicts_only: true, ..self }
    }

    /// The buffer for the next bytes: a mebibyte. Pass the number of bytes to [`run`](Self::run).
    pub fn input(&mut self) -> &mut [u8] {
        self.buffer.copy_within(self.passed..self.filled, 0);
        self.filled -= self.passed;
        self.passed = 0;
        &mut self.buffer[self.filled..][..MAX_READ]
    }

    /// Processes `read` bytes in [`input`](Self::input): scores every complete event, and returns the output. `now`
    /// (nanoseconds since 1970) is the time of events without one, and the clock by which series expire. `scorers` are the
    /// lanes' detectors.
    pub fn run<S: BatchScorer>(&mut self, read: usize, now: i64, scorers: &mut [S]) -> &[u8] {
        self.forget_dropped(scorers);
        self.filled += read;
        self.counts.bytes += read as u64;
        let end = self.parse_events(now);
        self.score_events(end, scorers)
    }

    /// Ends the input: scores the last event, which has no newline.
    pub fn finish<S: BatchScorer>(&mut self, now: i64, scorers: &mut [S]) -> &[u8] {
        self.forget_dropped(scorers);
        self.input();
        self.begin_run(now);
        if !self.skipping {
            self.parse_event(0..self.filled, now);
        }
        self.skipping = false;
        self.score_events(self.filled, scorers)
    }

    /// Returns the bytes of an incomplete event, unscored. The rest of it will pass unchanged.
    pub fn release_partial_event(&mut self) -> &[u8] {
        self.input();
        if self.filled > 0 {
            self.skip_event(0);
        }
        self.passed = self.filled;
        if self.verdicts_only { &[] } else { &self.buffer[..self.filled] }
    }

    /// Passes the dropped series on to the detectors. The next run does so too; call it earlier to save its time, once the
    /// last output is written.
    pub fn forget_dropped<S: BatchScorer>(&mut self, scorers: &mut [S]) {
        for (lane, scorer) in self.lanes.iter_mut().zip(scorers) {
            self.counts.evicted += lane.forget_dropped(scorer);
        }
    }

    /// Replaces a lane, if the rows of its detector have changed.
    pub fn replace_lane(&mut self, lane: usize, mut with: Lane) {
        with.set_seed(self.head_cache.seed());
        self.lanes[lane] = with;
        self.head_cache.clear();
    }

    /// Whether the buffer has an incomplete event.
    #[must_use]
    pub fn has_partial_event(&self) -> bool {
        self.passed < self.filled
    }

    /// Whether an event is incomplete, in the buffer or emitted in part.
    #[must_use]
    pub fn is_within_event(&self) -> bool {
        self.skipping || self.has_partial_event()
    }

    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The format of its events.
    pub fn format(&self) -> &F {
        &self.format
    }

    /// The format of its events, to change it.
    pub fn format_mut(&mut self) -> &mut F {
        &mut self.format
    }

    /// The lanes.
    #[must_use]
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// The lanes, to restore saved state.
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

    fn begin_run(&mut self, now: i64) {
        self.format.begin_run();
        self.events.clear();
        self.lanes.iter_mut().for_each(|lane| lane.begin_run(now));
    }

    /// Parses all complete events, and returns where they end.
    fn parse_events(&mut self, now: i64) -> usize {
        self.begin_run(now);
        let mut at = 0;
        if self.skipping {
            let Some(next) = self.format.next_event_start(&self.buffer[..self.filled]) else {
                return self.filled;
            };
            at = next;
            self.skipping = false;
        }
        while let Some(length) = self.format.event_end(&self.buffer[at..self.filled]) {
            self.parse_event(at..at + length, now);
            at += length;
        }
        if self.filled - at > MAX_EVENT {
            self.skip_event(at);
            at = self.filled;
        }
        at
    }

    /// Skips the incomplete event at `at`.
    fn skip_event(&mut self, at: usize) {
        self.skipping = true;
        self.counts.unfinished += 1;
        self.format.skip_event(&self.buffer[at..self.filled]);
    }

    /// Parses the event at this range of the buffer: its wanted fields become rows.
    fn parse_event(&mut self, at: Range<usize>, now: i64) {
        let Self { format, lanes, head_cache, buffer, fields, events, counts, .. } = self;
        let kind = format.classify_event(buffer, at.clone());
        match kind {
            EventKind::Other => return,
            EventKind::Unknown => {
                counts.unknown += 1;
                return;
            }
            EventKind::Malformed | EventKind::Metric(_) => {}
        }
        let number = counts.events;
        counts.events += 1;
        let EventKind::Metric(mut head_at) = kind else {
            counts.malformed += 1;
            return;
        };
        let known = head_cache.get(&format.text(buffer)[head_at.clone()]);
        let head = if let Some(head) = known {
            head
        } else {
            let EventKind::Metric(confirmed) = format.confirm_head(buffer, at.clone(), head_at) else {
                counts.malformed += 1;
                return;
            };
            head_at = confirmed;
            head_cache.insert(&format.text(buffer)[head_at.clone()], lanes)
        };
        if head.lanes == 0 {
            return;
        }
        let EventFields { base, time, place } = match format.read_fields(buffer, at.clone(), now, fields) {
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
        let (mut wanted, mut band_source) = (false, BandSource::None);
        for field in &*fields {
            let key = field.key(bytes);
            let Some(lane) = head.lanes().find(|&lane| lanes[lane].wants_field(key, field.boolean)) else { continue };
            let Lane { wants: Wants::Fields(origins), series, rows, entity_counter, .. } = &mut lanes[lane] else {
                continue;
            };
            let number = series.number(xxh3_64_with_seed(key, head.identity));
            if let Some(entity_counter) = entity_counter {
                entity_counter.assign_entity(number, &text[head_at.clone()]);
            }
            if rows.bands {
                let at = RowAt { lane: lane as u32, row: rows.len() as u32 };
                band_source =
                    if let BandSource::None = band_source { BandSource::One(at) } else { BandSource::Several };
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
            events.push(Event { number, place, end: at.end, head, score, anomaly, cause, band_source });
        }
        for lane in head.lanes() {
            let Lane { wants: Wants::Vectors(vectors), series, rows, .. } = &mut lanes[lane] else { continue };
            let head_bytes = &text[head_at.clone()];
            let joined = Joined { bytes, head: head_bytes, hash: head.hash, fields, time, number, end: at.end };
            let before = rows.len();
            wanted |= vectors.joiner.join_event(joined, series, rows);
            counts.rows += (rows.len() - before) as u64;
        }
        counts.selected += u64::from(wanted);
    }

    /// Scores the rows of this run, and returns the bytes up to `end` with their verdicts.
    fn score_events<S: BatchScorer>(&mut self, end: usize, scorers: &mut [S]) -> &[u8] {
        let Self { lanes, events, trailing, counts, .. } = self;
        trailing.clear();
        for (number, (lane, scorer)) in lanes.iter_mut().zip(scorers).enumerate() {
            lane.score_rows(scorer);
            for row in 0..lane.verdicts.scores.len() {
                let finding = lane.judge_row(row);
                let anomaly = finding.is_anomaly();
                counts.incidents += u64::from(finding == Finding::Reported);
                let Lane { wants, verdicts, rows, entity_counter, .. } = &mut *lane;
                let score = verdicts.scores[row];
                match wants {
                    Wants::Fields(origins) => {
                        let event = &mut events[origins[row].event as usize];
                        event.add_score(score, anomaly, RowAt { lane: number as u32, row: row as u32 });
                        let ended = entity_counter.as_mut().and_then(|entity_counter| {
                            entity_counter.count_row(rows.series[row], rows.times[row], !score.is_nan(), anomaly)
                        });
                        if let Some(which) = ended {
                            trailing.push(TrailingEvent { at: event.end, lane: number, which, anomaly: false });
                        }
                    }
                    Wants::Vectors(_) if score.is_nan() => {}
                    Wants::Vectors(vectors) => {
                        let at = vectors.joiner.emissions[row].at;
                        trailing.push(TrailingEvent { at, lane: number, which: row, anomaly });
                    }
                }
            }
        }
        trailing.sort_unstable();
        self.passed = end;
        self.splice_verdicts(end)
    }

    /// The bytes up to `end`, with the fields' verdicts in their events and anomaly rates behind them.
    fn splice_verdicts(&mut self, end: usize) -> &[u8] {
        let Self { format, lanes, buffer, events, trailing, out, counts, .. } = self;
        let original = |from: usize, to: usize| if self.verdicts_only { &[] } else { &buffer[from..to] };
        out.clear();
        let text = format.text(buffer);
        let part = |(start, length): (u32, u32)| &text[start as usize..][..length as usize];
        let mut from = 0;
        let mut events = events.iter().filter(|event| !event.score.is_nan()).peekable();
        let mut trailing = trailing.iter().peekable();
        loop {
            let before = trailing.peek().map_or(usize::MAX, |next| next.at);
            // An event's own verdict comes before events that follow it.
            let anomaly = if let Some(event) = events.next_if(|event| F::splice_at(event.place) <= before) {
                let at = F::splice_at(event.place);
                let cause = (!event.anomaly.is_nan()).then_some(event.cause);
                let band_source = match event.band_source {
                    BandSource::None => None,
                    BandSource::One(at) => Some(at),
                    BandSource::Several => cause,
                };
                let verdicts = |at: RowAt| (&lanes[at.lane as usize].verdicts, at.row as usize);
                let verdict = EventVerdict {
                    score: event.score,
                    cause: cause.map(|at| part(lanes[at.lane as usize].key(at.row as usize))),
                    reason: cause.map(verdicts).and_then(|(verdicts, row)| verdicts.reason(row).name()),
                    band: band_source.map(verdicts).map_or(Band::UNKNOWN, |(verdicts, row)| verdicts.band(row)),
                    head: part(event.head),
                };
                out.extend_from_slice(original(from, at));
                format.write_verdict(out, buffer, event.place, &verdict);
                from = at + F::replaced_length(event.place);
                cause.is_some()
            } else if let Some(&TrailingEvent { at, lane, which, anomaly }) = trailing.next() {
                let Lane { wants, rows, verdicts, entity_counter, .. } = &lanes[lane];
                out.extend_from_slice(original(from, at));
                from = at;
                let Wants::Vectors(vectors) = wants else {
                    if let Some(entity_counter) = entity_counter {
                        format.write_anomaly_rate(out, &entity_counter.entity_rate(which));
                    }
                    continue;
                };
                let names = vectors.joiner.shape().features.iter().map(|feature| feature.name.as_str());
                let features = rows.features();
                let contributions = verdicts.contributions.get(which * features..(which + 1) * features);
                let verdict = VectorVerdict {
                    tags: vectors.joiner.tags(rows.series[which]),
                    detector: &vectors.name,
                    score: verdicts.scores[which],
                    contributions: contributions.filter(|_| anomaly).unwrap_or_default(),
                    anomaly,
                    reason: verdicts.reason(which).name().filter(|_| anomaly),
                    band: verdicts.band(which),
                    time: rows.times[which],
                };
                format.write_vector_verdict(out, &verdict, &names);
                anomaly
            } else {
                break;
            };
            counts.scored += 1;
            counts.anomalous += u64::from(anomaly);
        }
        if from == 0 {
            return original(0, end); // nothing to splice: the input is the output, without a copy
        }
        out.extend_from_slice(original(from, end));
        out
    }
}

impl<P> Event<P> {
    /// Adds a field's score.
    fn add_score(&mut self, score: f64, anomaly: bool, field: RowAt) {
        if score >= 0.0 && (score > self.score || self.score.is_nan()) {
            self.score = score;
        }
        if anomaly && (score > self.anomaly || self.anomaly.is_nan()) {
            self.anomaly = score;
            self.cause = field;
        }
    }
}
