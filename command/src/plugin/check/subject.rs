//! What is checked: how to start it, what it says it is, and how long it takes.

use std::time::{Duration, Instant};

use qualm_contract::{Description, Verdicts, Wanted};
use qualm_pipeline::Rows;
use qualm_sandbox::{DetectorSpec, Failure, Guest, Limits, Sandbox};

use super::report::Fault;
use super::source::{MINUTE, Shape, Source, part, sigma};

/// How long a call may take while it is checked: what is late by a little should show all else that it does.
const PATIENCE: Duration = Duration::from_secs(2);

/// Rows that are handed over at a time, where a check does not say otherwise.
pub(super) const BATCH: usize = 100;

/// How long one ordinary check may take, in seconds, so that all of them end within a minute.
const CHECK: f64 = 1.0;

/// How far apart a series' rows may be: the first at which they are scored is taken.
const STEPS: [i64; 4] = [MINUTE, 10 * MINUTE, 60 * MINUTE, 24 * 60 * MINUTE];

/// A row takes this long where it cannot be measured.
const UNKNOWN: Duration = Duration::from_micros(10);

/// A plugin with its model.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) sandbox: Sandbox,
    spec: DetectorSpec,
    pub(super) description: Description,
    /// Whether it is known what is ordinary to it: it was trained here, or learns that itself.
    pub(super) knows_ordinary: bool,
    /// Whether it was trained here, so that only one shape is ordinary.
    pub(super) trained: bool,
    /// How long a row takes.
    pace: Duration,
    /// The time between a series' rows at which they are scored.
    pub(super) step: i64,
}

/// What it may use while it is checked.
pub(super) fn limits() -> Limits {
    Limits { deadline: PATIENCE, ..Limits::default() }
}

impl Subject {
    /// Starts it once, to see what it is.
    pub(super) fn open(sandbox: &Sandbox, spec: DetectorSpec, trained: bool) -> Result<Self, Failure> {
        let mut guest = Guest::start(&spec)?;
        let description = guest.describe()?;
        let knows_ordinary = trained || description.warm_up > 0;
        let pace = pace(&mut guest, description.features as usize).unwrap_or(UNKNOWN);
        let mut subject =
            Self { sandbox: sandbox.clone(), spec, description, knows_ordinary, trained, pace, step: MINUTE };
        subject.find_step();
        Ok(subject)
    }

    pub(super) fn features(&self) -> usize {
        self.description.features as usize
    }

    /// Whether it exports `details`.
    pub(super) fn has_details(&self) -> bool {
        self.spec.has_details()
    }

    pub(super) fn start(&self) -> Result<Guest, Failure> {
        Guest::start(&self.spec)
    }

    /// One that is asked by `detection` alone.
    pub(super) fn start_plain(&self) -> Result<Guest, Failure> {
        Guest::start(&self.spec.without_details())
    }

    /// A window of time may have to fill before anything is scored: finds rows that are far enough apart.
    fn find_step(&mut self) {
        for step in STEPS {
            self.step = step;
            let rows = self.ordinary(1, 3, 0);
            let answer = self.start().and_then(|mut guest| feed(&mut guest, &rows, BATCH));
            if answer.is_ok_and(|verdicts| scored(&verdicts) > 0) {
                return;
            }
        }
        self.step = MINUTE;
    }

    /// As many of these rows as there are so many seconds for.
    pub(super) fn affordable(&self, rows: usize, seconds: f64) -> usize {
        let most = (seconds / self.pace.as_secs_f64().max(1e-9)) as usize;
        rows.min(most.max(BATCH))
    }

    /// Ordinary rows of so many series, long enough to be scored if there is time for that: each is observed so many times.
    pub(super) fn ordinary(&self, series: u32, times: usize, seed: u64) -> Rows {
        let each = (2 * self.description.warm_up as usize + 100).clamp(200, 3000);
        let rows = self.affordable(each * series as usize, CHECK / times as f64);
        Source::new(self.features(), series, Shape::Noise, seed).each(self.step).rows(rows)
    }

    /// The same of five series, the second half of them with some that are worth explaining.
    pub(super) fn spiked(&self, times: usize, seed: u64) -> Rows {
        let mut rows = self.ordinary(5, times, seed);
        for row in (0..rows.len()).skip(rows.len() / 2).step_by(37) {
            rows.values[row * self.features()] += 50.0 * sigma(0);
        }
        rows
    }
}

/// How long a row takes: of a few batches, the fastest.
fn pace(guest: &mut Guest, features: usize) -> Result<Duration, Failure> {
    let mut source = Source::new(features.clamp(1, 1000), 10, Shape::Noise, 0);
    let (begun, mut best) = (Instant::now(), Duration::MAX);
    while begun.elapsed() < Duration::from_millis(200) {
        let rows = source.rows(BATCH);
        let start = Instant::now();
        guest.score_batch(rows.batch(), Wanted { contributions: true, ..rows.wanted() }, &mut Verdicts::default())?;
        best = best.min(start.elapsed() / BATCH as u32);
    }
    Ok(best)
}

/// Has rows scored and explained, so many at a time.
pub(super) fn feed(guest: &mut Guest, rows: &Rows, batch: usize) -> Result<Verdicts, Failure> {
    let mut verdicts = Verdicts::default();
    for start in (0..rows.len()).step_by(batch) {
        let batch = part(rows, start..rows.len().min(start + batch));
        guest.score_batch(batch.batch(), Wanted { contributions: true, ..batch.wanted() }, &mut verdicts)?;
    }
    Ok(verdicts)
}

/// How many rows were scored.
pub(super) fn scored(verdicts: &Verdicts) -> usize {
    verdicts.scores.iter().filter(|score| !score.is_nan()).count()
}

/// Whether two numbers are the same to the last bit.
pub(super) fn alike(one: f64, other: f64) -> bool {
    one.to_bits() == other.to_bits() || one.is_nan() && other.is_nan()
}

/// Makes sure that two answers are the same to the last bit; `what` says how they came about.
pub(super) fn same(one: &Verdicts, other: &Verdicts, what: &str) -> Result<(), Fault> {
    let mut rows = one.scores.iter().zip(&other.scores);
    if let Some(row) = rows.position(|(one, other)| !alike(*one, *other)) {
        let (one, other) = (one.scores[row], other.scores[row]);
        return Err(Fault::new(format!("{what}: row {row} gets {one:?} and {other:?}")));
    }
    let mut shares = one.contributions.iter().zip(&other.contributions);
    match shares.position(|(one, other)| !alike(*one, *other)) {
        Some(at) => {
            Err(Fault::new(format!("{what}: the scores are the same, but not the contributions, as of number {at}")))
        }
        None => Ok(()),
    }
}
