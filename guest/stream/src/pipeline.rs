//! The loop: bytes in, scored bytes out.

use memchr::memchr;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::heads::Heads;
use crate::join::Joined;
use crate::lane::{Lane, Origin, Wants};
use crate::line::{self, Field, Refusal};
use crate::rows::Scorer;
use crate::splice;

/// How many bytes one read may bring.
const READ: usize = 1 << 20;

/// How long an event may be to be scored; a longer one passes through as it is.
pub const MAX_EVENT: usize = 1 << 20;

pub use crate::heads::MAX_LANES;

/// Bytes in, scored bytes out; all that a pipeline knows between two reads.
///
/// ```
/// use qualm_stream::{Lane, Limits, Pipeline, Rows, Scorer, Selector, Verdicts};
///
/// struct Far;
/// impl Scorer for Far {
///     fn score(&mut self, rows: &Rows, verdicts: &mut Verdicts) {
///         verdicts.scores.extend(rows.values.iter().map(|value| value.abs() / 100.0));
///     }
///     fn forget(&mut self, _: &[u32]) {}
/// }
///
/// let mut pipeline = Pipeline::new(vec![Lane::new(Selector::default(), Limits::default())], 0);
/// let line = b"cpu,host=a usage=50 1700000000000000000\n";
/// pipeline.input()[..line.len()].copy_from_slice(line);
/// let out = pipeline.run(line.len(), 0, &mut [Far]);
/// assert_eq!(out, b"cpu,host=a usage=50,anomaly_score=0.5,is_anomaly=0i 1700000000000000000\n");
/// ```
#[derive(Debug)]
pub struct Pipeline {
    lanes: Vec<Lane>,
    heads: Heads,
    /// What was read and not yet passed on lies in `..filled`; `..passed` of it has gone out by now.
    buffer: Vec<u8>,
    filled: usize,
    passed: usize,
    /// The last event was given up on before its end: pass bytes on until a newline. (Where that newline stands in a
    /// string that is longer than an event may be, what follows is taken for an event. A closing quote that may never come
    /// is no better sign.)
    midway: bool,
    /// The fields of the event at hand.
    fields: Vec<Field>,
    /// The events of this run that have fields to be scored.
    events: Vec<Event>,
    /// The vectors of this run that got a score: behind which event each goes, its lane and row.
    told: Vec<Told>,
    out: Vec<u8>,
    counts: Counts,
}

/// An event that is to be scored.
#[derive(Debug)]
struct Event {
    /// Its number since the start, counting every event that is a metric.
    number: u64,
    /// Where in the buffer the verdict goes.
    splice_at: usize,
    /// The largest score of its fields so far, NaN for none.
    score: f64,
    /// The largest of those that are anomalies, and that field's key.
    anomaly: f64,
    key: (u32, u32),
}

/// A vector that got a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    /// Where in the buffer the event ends that completed it.
    at: usize,
    lane: usize,
    row: usize,
    anomaly: bool,
}

/// What has passed, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes.
    pub bytes: u64,
    /// Events: lines, but for blank ones and comments.
    pub events: u64,
    /// Events with at least one field that a detector wants.
    pub selected: u64,
    /// Events and vectors that got a score.
    pub scored: u64,
    /// Events and vectors that are anomalies.
    pub anomalous: u64,
    /// Events that are not line protocol.
    pub malformed: u64,
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
    /// The field's key, as it stands in the line; empty for a vector.
    pub key: &'a [u8],
    /// Its values.
    pub values: &'a [f64],
    /// Its score, NaN for none.
    pub score: f64,
}

impl Pipeline {
    /// A pipeline with these detectors. The first lane that wants a field gets it. `seed` makes the series' identities:
    /// a random one keeps whoever writes the metrics from making two series collide on purpose.
    ///
    /// # Panics
    ///
    /// With more than [`MAX_LANES`] lanes.
    #[must_use]
    pub fn new(mut lanes: Vec<Lane>, seed: u64) -> Self {
        for lane in &mut lanes {
            lane.set_seed(seed);
        }
        assert!(lanes.len() <= MAX_LANES, "a pipeline has at most {MAX_LANES} detectors");
        Self {
            lanes,
            heads: Heads::new(seed),
            buffer: vec![0; READ + MAX_EVENT],
            filled: 0,
            passed: 0,
            midway: false,
            fields: Vec::new(),
            events: Vec::new(),
            told: Vec::new(),
            out: Vec::new(),
            counts: Counts::default(),
        }
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
    pub fn run<S: Scorer>(&mut self, read: usize, now: i64, scorers: &mut [S]) -> &[u8] {
        self.forget(scorers);
        self.filled += read;
        self.counts.bytes += read as u64;
        let end = self.take_events(now);
        self.pass(end, scorers)
    }

    /// The end of the input: scores what is left, an event whose newline will not come.
    pub fn finish<S: Scorer>(&mut self, now: i64, scorers: &mut [S]) -> &[u8] {
        self.forget(scorers);
        self.input();
        self.begin(now);
        if !self.midway {
            self.take_event(0, self.filled, now);
        }
        self.pass(self.filled, scorers)
    }

    /// Gives up on an event whose end has not come for too long, and returns its bytes; the rest of it will pass as it is.
    pub fn let_go(&mut self) -> &[u8] {
        self.input();
        self.midway |= self.filled > 0 && self.buffer[self.filled - 1] != b'\n';
        self.counts.unfinished += u64::from(self.filled > 0);
        self.passed = self.filled;
        &self.buffer[..self.filled]
    }

    /// Tells the detectors which series are gone. It is done before the next run, and can be done earlier, once the last
    /// one's output is written.
    pub fn forget<S: Scorer>(&mut self, scorers: &mut [S]) {
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

    /// What has passed so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
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
        self.lanes.iter().enumerate().flat_map(move |(number, lane)| {
            let Lane { rows, verdicts, .. } = lane;
            let values = rows.values.chunks_exact(rows.features());
            verdicts.scores.iter().zip(values).enumerate().map(move |(row, (&score, values))| {
                let (event, key) = match &lane.wants {
                    Wants::Fields(origins) => {
                        let Origin { event, key, key_len } = origins[row];
                        (self.events[event as usize].number, &self.buffer[key as usize..][..key_len as usize])
                    }
                    Wants::Vectors(vectors) => (vectors.joiner.emissions[row].event, &[][..]),
                };
                Verdict { event, lane: number, series: rows.series[row], time: rows.times[row], key, values, score }
            })
        })
    }

    fn begin(&mut self, now: i64) {
        self.events.clear();
        self.lanes.iter_mut().for_each(|lane| lane.begin(now));
    }

    /// Takes in every event that is complete, and returns where they end.
    fn take_events(&mut self, now: i64) -> usize {
        self.begin(now);
        let mut at = 0;
        if self.midway {
            let Some(newline) = memchr(b'\n', &self.buffer[..self.filled]) else {
                return self.filled;
            };
            at = newline + 1;
            self.midway = false;
        }
        while let Some(length) = line::event_end(&self.buffer[at..self.filled]) {
            self.take_event(at, at + length, now);
            at += length;
        }
        if self.filled - at > MAX_EVENT {
            self.midway = true;
            self.counts.unfinished += 1;
            at = self.filled;
        }
        at
    }

    /// Takes in the event that lies in the buffer at `start..end`: its wanted fields become rows.
    fn take_event(&mut self, start: usize, end: usize, now: i64) {
        let Self { lanes, heads, buffer, fields, events, counts, .. } = self;
        let indent = buffer[start..end].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let start = start + indent;
        let event = &buffer[start..end];
        if event.first().is_none_or(|&byte| byte == b'#') {
            return; // blank, or a comment
        }
        let number = counts.events;
        counts.events += 1;
        let Some(head_end) = line::head_end(event) else {
            counts.malformed += 1;
            return;
        };
        let head = heads.look_up(&event[..head_end], lanes);
        if head.lanes == 0 {
            return;
        }
        let body = match line::read_body(event, head_end, fields) {
            Ok(body) => body,
            Err(Refusal::Malformed) => {
                counts.malformed += 1;
                return;
            }
            Err(Refusal::AlreadyScored) => {
                counts.upstream += 1;
                return;
            }
        };
        let time = body.time.unwrap_or(now);
        let mut wanted = false;
        for field in &*fields {
            let key = field.key(event);
            let Some(lane) = head.lanes().find(|&lane| lanes[lane].wants_field(key)) else { continue };
            let Lane { wants: Wants::Fields(origins), series, rows, .. } = &mut lanes[lane] else { continue };
            let number = series.number(xxh3_64_with_seed(key, head.identity));
            rows.add(number, time, field.value);
            origins.push(Origin { event: events.len() as u32, key: start as u32 + field.key, key_len: field.key_len });
            counts.rows += 1;
            wanted = true;
        }
        if wanted {
            let splice_at = start + body.fields_end;
            events.push(Event { number, splice_at, score: f64::NAN, anomaly: f64::NAN, key: (0, 0) });
        }
        for lane in head.lanes() {
            let Lane { wants: Wants::Vectors(vectors), series, rows, .. } = &mut lanes[lane] else { continue };
            let joined = Joined { bytes: event, head: &event[..head_end], hash: head.hash, fields, time, number, end };
            let before = rows.len();
            wanted |= vectors.joiner.take(joined, series, rows);
            counts.rows += (rows.len() - before) as u64;
        }
        counts.selected += u64::from(wanted);
    }

    /// Scores what was taken in, and returns the bytes up to `end` with the verdicts in them.
    fn pass<S: Scorer>(&mut self, end: usize, scorers: &mut [S]) -> &[u8] {
        let Self { lanes, events, told, .. } = self;
        told.clear();
        for (number, (lane, scorer)) in lanes.iter_mut().zip(scorers).enumerate() {
            lane.score(scorer);
            for row in 0..lane.verdicts.scores.len() {
                let score = lane.verdicts.scores[row];
                let anomaly = lane.is_anomaly(row, score);
                match &lane.wants {
                    Wants::Fields(origins) => events[origins[row].event as usize].take(score, anomaly, origins[row]),
                    Wants::Vectors(_) if score.is_nan() => {}
                    Wants::Vectors(vectors) => {
                        let at = vectors.joiner.emissions[row].at;
                        told.push(Told { at, lane: number, row, anomaly });
                    }
                }
            }
        }
        told.sort_unstable();
        self.passed = end;
        self.splice(end)
    }

    /// The bytes up to `end`, with the fields' verdicts in their events and the vectors' behind them.
    fn splice(&mut self, end: usize) -> &[u8] {
        let Self { lanes, buffer, events, told, out, counts, .. } = self;
        out.clear();
        let mut from = 0;
        let mut events = events.iter().filter(|event| !event.score.is_nan()).peekable();
        let mut told = told.iter().peekable();
        loop {
            let before = told.peek().map_or(usize::MAX, |told| told.at);
            let anomaly = if let Some(event) = events.next_if(|event| event.splice_at < before) {
                let (key, key_len) = (event.key.0 as usize, event.key.1 as usize);
                let cause = (!event.anomaly.is_nan()).then(|| &buffer[key..key + key_len]);
                out.extend_from_slice(&buffer[from..event.splice_at]);
                splice::write(out, event.score, cause);
                from = event.splice_at;
                cause.is_some()
            } else if let Some(&Told { at, lane, row, anomaly }) = told.next() {
                let Lane { wants: Wants::Vectors(vectors), rows, verdicts, .. } = &lanes[lane] else { continue };
                out.extend_from_slice(&buffer[from..at]);
                from = at;
                let names = vectors.joiner.shape().features.iter().map(|feature| feature.name.as_str());
                let features = rows.features();
                let contributions = verdicts.contributions.get(row * features..(row + 1) * features);
                splice::write_event(
                    out,
                    &splice::Told {
                        tags: vectors.joiner.tags(rows.series[row]),
                        detector: &vectors.name,
                        score: verdicts.scores[row],
                        contributions: contributions.filter(|_| anomaly).unwrap_or_default(),
                        anomaly,
                        time: rows.times[row],
                    },
                    &names,
                );
                anomaly
            } else {
                break;
            };
            counts.scored += 1;
            counts.anomalous += u64::from(anomaly);
        }
        if from == 0 {
            return &buffer[..end]; // nothing to splice: out goes what came in, uncopied
        }
        out.extend_from_slice(&buffer[from..end]);
        out
    }
}

impl Event {
    /// Takes a field's score in.
    fn take(&mut self, score: f64, anomaly: bool, field: Origin) {
        if score >= 0.0 && (score > self.score || self.score.is_nan()) {
            self.score = score;
        }
        if anomaly && (score > self.anomaly || self.anomaly.is_nan()) {
            self.anomaly = score;
            self.key = (field.key, field.key_len);
        }
    }
}
