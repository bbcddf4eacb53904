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
    /// The name.
    pub name: String,
    /// The version.
    pub version: u64,
    /// The kind of detector.
    pub kind: String,
    /// The features of a row.
    pub names: FeatureNames,
    /// The transform of each feature.
    pub transforms: Vec<Transform>,
    /// The time between two rows.
    pub interval: Duration,
    /// The time after which it is not used.
    pub expires: Option<Timestamp>,
    /// The bytes of its model and its component, which is about what it takes in memory.
    pub bytes: u64,
    /// The median of each feature in training; `None` if the bundle does not have it.
    ordinary: Option<Vec<f64>>,
    /// Whether the detector must not be used any more.
    failed: AtomicBool,
    /// Whether it has scored anything.
    scored: AtomicBool,
    /// One large request scores at a time, and a small one beside it; those that wait have no thread yet.
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
    /// Numbers of series that are free again.
    free: Vec<u32>,
    /// The least number that was never used.
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

/// The scores of a request's rows.
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
    /// A model of a bundle, with the detector that was opened with it.
    ///
    /// # Errors
    ///
    /// If a feature's glob is malformed.
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

    /// Waits until a request, small or large, may score. Of the two that may, none waits for the other longer than for a slice.
    ///
    /// # Panics
    ///
    /// Never: turns do not end.
    pub async fn turn(&self, is_small: bool) -> Turn {
        let turns = Arc::clone(&self.turns[usize::from(is_small)]);
        Turn { _permit: turns.acquire_owned().await.expect("it is never closed") }
    }

    /// As [`turn`](Self::turn), without waiting; `None` if another request has the turn.
    #[must_use]
    pub fn turn_now(&self, is_small: bool) -> Option<Turn> {
        Some(Turn { _permit: Arc::clone(&self.turns[usize::from(is_small)]).try_acquire_owned().ok()? })
    }

    /// Scores rows, each of which follows upon the one before. Nothing precedes the first; or, if the request has no times
    /// (`without_times`), an ordinary row does: otherwise a detector that compares with previous rows could not score it.
    ///
    /// # Errors
    ///
    /// If the detector fails; it is not used again.
    pub fn score(
        &self,
        times: &[i64],
        values: &[f64],
        without_times: bool,
        explain: bool,
    ) -> Result<Scored, ScoreError> {
        let result = self.try_score(times, values, without_times, explain);
        let outcome_flag = if result.is_ok() { &self.scored } else { &self.failed };
        outcome_flag.store(true, Ordering::Relaxed);
        result
    }

    fn try_score(
        &self,
        times: &[i64],
        values: &[f64],
        without_times: bool,
        explain: bool,
    ) -> Result<Scored, ScoreError> {
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
            if let (Some(ordinary), true) = (&self.ordinary, is_first && without_times) {
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
