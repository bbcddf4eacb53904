//! A model that is loaded, and how requests share it.
//!
//! Each request is a series of its own. It has the detector for a slice of its rows at a time, and the request
//! that has waited longest gets it next: a hundred thousand rows delay a single one by a slice at most. Before that it waits for its
//! [turn](Model::turn), so that a model has two threads at most, however slow it is and however many requests there are.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::FairMutex;
use qualm_bundle::Bundle;
use qualm_bundle::manifest::Error as ManifestError;
use qualm_contract::{Detector, Transform, Verdicts, Wanted};
use qualm_pipeline::Rows;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::names::FeatureNames;

/// Rows that are scored in one go: a millisecond or so of the slowest detector.
pub const SLICE: usize = 128;

/// A model that is loaded.
pub struct Model {
    /// What it is called, and its version.
    pub name: String,
    /// See `name`.
    pub version: u64,
    /// The kind of detector.
    pub kind: String,
    /// What a row has.
    pub names: FeatureNames,
    /// What becomes of each value.
    pub transforms: Vec<Transform>,
    /// What lies between two rows.
    pub interval: Duration,
    /// After which time it is not used.
    pub expires: Option<Timestamp>,
    /// What it takes in memory, about.
    pub bytes: u64,
    /// The median of each feature in training; none where the bundle does not tell.
    ordinary: Option<Vec<f64>>,
    /// Whether the detector must not be used any more.
    failed: AtomicBool,
    /// Whether it has scored anything.
    scored: AtomicBool,
    /// For one large request at a time, and beside it for a small one: who waits has no thread yet.
    turns: [Arc<Semaphore>; 2],
    shared: FairMutex<Shared>,
}

/// The right to score with a model.
#[derive(Debug)]
pub struct Turn {
    _permit: OwnedSemaphorePermit,
}

struct Shared {
    detector: Box<dyn Detector>,
    /// Numbers of series that nobody has.
    free: Vec<u32>,
    /// The number that nobody has had yet.
    next: u32,
}

/// Why a model could not score rows.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// The detector failed.
    #[error(transparent)]
    Detector(#[from] qualm_contract::Error),
    /// The detector failed at the rows of another request, and must not be used any more.
    #[error("it failed while another request was served")]
    FailedMeanwhile,
    /// The detector answered with fewer or more values than a batch has rows.
    #[error("{scores} scores and {contributions} contributions for {rows} rows")]
    Incomplete {
        /// How many scores it returned.
        scores: usize,
        /// How many contributions it returned, of all features together.
        contributions: usize,
        /// How many rows it was given.
        rows: usize,
    },
}

/// What came of a request's rows.
#[derive(Debug, Default, PartialEq)]
pub struct Scored {
    /// One a row; NaN is not scored.
    pub scores: Vec<f64>,
    /// The anomalies that were explained, by row.
    pub explained: Vec<usize>,
    /// What each feature contributed to each of them.
    pub contributions: Vec<f64>,
}

impl Model {
    /// Of a bundle, and the detector that it was opened with.
    ///
    /// # Errors
    ///
    /// Where the bundle's features cannot be taken from metrics.
    pub fn new(bundle: &Bundle, detector: Box<dyn Detector>) -> Result<Self, ManifestError> {
        let manifest = &bundle.manifest;
        let shape = manifest.vectors()?;
        Ok(Self {
            name: manifest.name.clone(),
            version: manifest.version,
            kind: manifest.kind.clone(),
            names: FeatureNames::new(shape.features.iter().map(|feature| feature.name.clone()).collect()),
            transforms: shape.features.iter().map(|feature| feature.transform).collect(),
            interval: manifest.interval,
            expires: manifest.expires,
            ordinary: manifest
                .features
                .iter()
                .map(|feature| feature.reference.as_ref().and_then(|reference| reference.quantiles.get(5).copied()))
                .collect(),
            bytes: (bundle.model.len() + bundle.component.as_ref().map_or(0, Vec::len)) as u64,
            failed: AtomicBool::new(false),
            scored: AtomicBool::new(false),
            turns: [(); 2].map(|()| Arc::new(Semaphore::new(1))),
            shared: FairMutex::new(Shared { detector, free: Vec::new(), next: 0 }),
        })
    }

    /// Whether the detector must not be used any more.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Whether it has scored anything.
    pub(super) fn has_scored(&self) -> bool {
        self.scored.load(Ordering::Relaxed)
    }

    /// Waits until a request that is small, or not, may score: a thread that scores keeps no other waiting for longer than
    /// a slice takes.
    ///
    /// # Panics
    ///
    /// Never: turns do not end.
    pub async fn turn(&self, is_small: bool) -> Turn {
        let turns = Arc::clone(&self.turns[usize::from(is_small)]);
        Turn { _permit: turns.acquire_owned().await.expect("it is never closed") }
    }

    /// The same where nobody else is before this one.
    #[must_use]
    pub fn turn_now(&self, is_small: bool) -> Option<Turn> {
        Some(Turn { _permit: Arc::clone(&self.turns[usize::from(is_small)]).try_acquire_owned().ok()? })
    }

    /// Scores rows, which follow upon one another. What came before them is nothing; or, where they are `alone`, an
    /// ordinary row: a detector that judges by what a series has just been like could not judge the first one otherwise.
    ///
    /// # Errors
    ///
    /// Why the detector failed; it will not be used again.
    pub fn score(&self, times: &[i64], values: &[f64], alone: bool, explain: bool) -> Result<Scored, ScoreError> {
        let result = self.try_score(times, values, alone, explain);
        let outcome_flag = if result.is_ok() { &self.scored } else { &self.failed };
        outcome_flag.store(true, Ordering::Relaxed);
        result
    }

    fn try_score(&self, times: &[i64], values: &[f64], alone: bool, explain: bool) -> Result<Scored, ScoreError> {
        let (width, wanted) = (self.names.all().len(), Wanted { contributions: explain, bands: false });
        let (mut rows, mut verdicts) = (Rows::new(width), Verdicts::default());
        let mut scored = Scored { scores: Vec::with_capacity(times.len()), ..Scored::default() };
        let mut series = None;
        let mut slices = times.chunks(SLICE).zip(values.chunks(SLICE * width)).peekable();
        while let Some((times, values)) = slices.next() {
            let mut shared = self.shared.lock();
            if self.has_failed() {
                return Err(ScoreError::FailedMeanwhile);
            }
            let is_first = series.is_none();
            let series = *series.get_or_insert_with(|| shared.take_number());
            if let (Some(ordinary), true) = (&self.ordinary, is_first && alone) {
                rows.add_vector(series, times[0].saturating_sub(self.interval.as_nanos().max(1) as i64), ordinary);
                shared.detector.score_batch(rows.batch(), Wanted::SCORES, &mut verdicts)?;
            }
            rows.clear();
            rows.series.resize(times.len(), series);
            rows.times.extend_from_slice(times);
            rows.values.extend_from_slice(values);
            verdicts.clear();
            shared.detector.score_batch(rows.batch(), wanted, &mut verdicts)?;
            if slices.peek().is_none() {
                shared.detector.forget_series(&[series])?;
                shared.free.push(series);
            }
            drop(shared); // to the request that has waited longest
            scored.take(&verdicts, times.len(), width, explain)?;
        }
        Ok(scored)
    }
}

impl Shared {
    /// A number that no other request has.
    fn take_number(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }
}

impl Scored {
    /// Adds a slice's verdicts.
    fn take(&mut self, verdicts: &Verdicts, rows: usize, width: usize, explain: bool) -> Result<(), ScoreError> {
        let Verdicts { scores, contributions, .. } = verdicts;
        if scores.len() != rows || (explain && contributions.len() != rows * width) {
            return Err(ScoreError::Incomplete { scores: scores.len(), contributions: contributions.len(), rows });
        }
        if explain {
            for (at, (score, row)) in scores.iter().zip(contributions.chunks_exact(width)).enumerate() {
                // Of very many anomalies a detector may explain only the first.
                if *score > 1.0 && row.iter().any(|one| *one != 0.0) {
                    self.explained.push(self.scores.len() + at);
                    self.contributions.extend_from_slice(row);
                }
            }
        }
        self.scores.extend_from_slice(scores);
        Ok(())
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Model({} {})", self.name, self.version)
    }
}
