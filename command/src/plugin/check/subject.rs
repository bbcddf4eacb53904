//! The plugin under test: its description, its speed, and rows for it.

use std::time::{Duration, Instant};

use qualm_contract::{Description, Verdicts, Wanted};
use qualm_pipeline::Rows;
use qualm_sandbox::{DetectorSpec, Failure, Guest, Limits, Sandbox};

use super::report::Failed;
use super::source::{MINUTE, Shape, Source, part, sigma};

/// The deadline of a call: a plugin that is too slow should still show its other faults.
const DEADLINE: Duration = Duration::from_secs(2);

/// Rows of a batch, where a check has no other.
pub(super) const BATCH: usize = 100;

/// The seconds of a check, so that all checks end within a minute.
const CHECK_SECONDS: f64 = 1.0;

/// Intervals of a series' rows: the first at which they are scored is used.
const INTERVALS: [i64; 4] = [MINUTE, 10 * MINUTE, 60 * MINUTE, 24 * 60 * MINUTE];

/// The time of a row where it cannot be measured.
const DEFAULT_ROW_TIME: Duration = Duration::from_micros(10);

/// A plugin with its model.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) sandbox: Sandbox,
    spec: DetectorSpec,
    pub(super) description: Description,
    /// Whether synthetic rows are ordinary to it: it was trained on them, or learns online.
    pub(super) knows_ordinary: bool,
    /// Whether it was trained here, so that [`Shape::Noise`] alone is ordinary.
    pub(super) trained: bool,
    /// The time of a row.
    row_time: Duration,
    /// The interval of a series' rows at which they are scored, in nanoseconds.
    pub(super) interval: i64,
}

/// The limits of the guest.
pub(super) fn limits() -> Limits {
    Limits { deadline: DEADLINE, ..Limits::default() }
}

impl Subject {
    /// Starts it once, to describe and measure it.
    pub(super) fn open(sandbox: &Sandbox, spec: DetectorSpec, trained: bool) -> Result<Self, Failure> {
        let mut guest = Guest::start(&spec)?;
        let description = guest.describe()?;
        let knows_ordinary = trained || description.warm_up > 0;
        let row_time = row_time(&mut guest, description.features as usize).unwrap_or(DEFAULT_ROW_TIME);
        let sandbox = sandbox.clone();
        let mut subject = Self { sandbox, spec, description, knows_ordinary, trained, row_time, interval: MINUTE };
        subject.find_interval();
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

    /// A guest without `details`.
    pub(super) fn start_plain(&self) -> Result<Guest, Failure> {
        Guest::start(&self.spec.without_details())
    }

    /// Finds an interval at which rows are scored: a window of time may have to fill before.
    fn find_interval(&mut self) {
        for interval in INTERVALS {
            self.interval = interval;
            let rows = self.ordinary(1, 3, 0);
            let answer = self.start().and_then(|mut guest| score_rows(&mut guest, &rows, BATCH));
            if answer.is_ok_and(|verdicts| scored(&verdicts) > 0) {
                return;
            }
        }
        self.interval = MINUTE;
    }

    /// As many of `rows` as can be scored in so many seconds, [`BATCH`] at least.
    pub(super) fn rows_within(&self, rows: usize, seconds: f64) -> usize {
        let most = (seconds / self.row_time.as_secs_f64().max(1e-9)) as usize;
        rows.min(most.max(BATCH))
    }

    /// Ordinary rows of so many series, enough to be scored where time allows; the check scores each row `times` times.
    pub(super) fn ordinary(&self, series: u32, times: usize, seed: u64) -> Rows {
        let each = (2 * self.description.warm_up as usize + 100).clamp(200, 3000);
        let rows = self.rows_within(each * series as usize, CHECK_SECONDS / times as f64);
        Source::new(self.features(), series, Shape::Noise, seed).with_interval(self.interval).rows(rows)
    }

    /// The same of five series, with spikes in the second half.
    pub(super) fn spiked(&self, times: usize, seed: u64) -> Rows {
        let mut rows = self.ordinary(5, times, seed);
        for row in (0..rows.len()).skip(rows.len() / 2).step_by(37) {
            rows.values[row * self.features()] += 50.0 * sigma(0);
        }
        rows
    }
}

/// The time of a row in the fastest batch.
fn row_time(guest: &mut Guest, features: usize) -> Result<Duration, Failure> {
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

/// Scores and explains rows in batches.
pub(super) fn score_rows(guest: &mut Guest, rows: &Rows, batch: usize) -> Result<Verdicts, Failure> {
    let mut verdicts = Verdicts::default();
    for start in (0..rows.len()).step_by(batch) {
        let batch = part(rows, start..rows.len().min(start + batch));
        guest.score_batch(batch.batch(), Wanted { contributions: true, ..batch.wanted() }, &mut verdicts)?;
    }
    Ok(verdicts)
}

/// The number of rows with a score.
pub(super) fn scored(verdicts: &Verdicts) -> usize {
    verdicts.scores.iter().filter(|score| !score.is_nan()).count()
}

/// Whether two numbers have the same bits, or both are NaN.
pub(super) fn same_bits(one: f64, other: f64) -> bool {
    one.to_bits() == other.to_bits() || one.is_nan() && other.is_nan()
}

/// Fails where two answers differ in a bit; `what` describes the answers.
pub(super) fn check_same(one: &Verdicts, other: &Verdicts, what: &str) -> Result<(), Failed> {
    let mut rows = one.scores.iter().zip(&other.scores);
    if let Some(row) = rows.position(|(one, other)| !same_bits(*one, *other)) {
        let (one, other) = (one.scores[row], other.scores[row]);
        return Err(Failed::new(format!("{what}: row {row} gets {one:?} and {other:?}")));
    }
    let mut shares = one.contributions.iter().zip(&other.contributions);
    match shares.position(|(one, other)| !same_bits(*one, *other)) {
        Some(at) => {
            Err(Failed::new(format!("{what}: the scores are the same, but not the contributions, as of number {at}")))
        }
        None => Ok(()),
    }
}
