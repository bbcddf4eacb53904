//! What others may see of a pipeline while it runs: its counts for `/metrics`, its series and incidents for the live page.
//!
//! The pipeline's thread records each batch in a [`View`] after it has been written, and copies its counts a few times a
//! second. Readers [copy](View::copy) what they need under a lock, and make text of the copy without it: the pipeline never
//! waits for longer than a copy takes, and refreshes its counts later where the lock is taken.

pub mod latency;
pub mod live;
pub mod recorder;
pub mod track;

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use qualm_pipeline::join;
use qualm_pipeline::{Counts, Format, Pipeline};
use qualm_sandbox::Title;

use self::latency::Latency;
use self::recorder::{Recorder, Totals};
use crate::clock;
use crate::drift::DriftView;
use crate::rollout::Report;
use crate::supervisor::{Health, Mode};

/// How often counts are copied.
pub const REFRESH: Duration = Duration::from_millis(200);

/// A pipeline as others see it.
///
/// ```
/// use std::sync::Arc;
///
/// use qualm::Pipeline;
/// use qualm::config::Config;
/// use qualm::view::{View, live};
///
/// let mut pipeline = Pipeline::start_offline(&Config::parse("", "defaults")?)?;
/// let view = Arc::new(View::new("example"));
/// pipeline.watch(Arc::clone(&view));
/// // … on another thread:
/// let detectors = view.copy(|inside| inside.snapshot.detectors.len());
/// assert_eq!(detectors, 1);
/// assert_eq!(live::overview("example", false, &[view])["detectors"][0]["kind"], "streaming");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct View {
    /// Which pipeline it is, such as `execd`.
    pub name: &'static str,
    /// Since when it runs.
    pub started: Instant,
    inside: Mutex<Inside>,
}

/// What is copied of a pipeline.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// What has passed.
    pub counts: Counts,
    /// Its detectors, one a lane; behind them the members of ensembles, called `ENSEMBLE/MEMBER`.
    pub detectors: Vec<Detector>,
}

/// A detector as others see it.
#[derive(Debug, Clone)]
pub struct Detector {
    /// The lane that it scores, by its place in the pipeline.
    pub lane: usize,
    /// Whether it is that lane's detector, and not a member of its ensemble.
    pub is_lane: bool,
    /// Its name in the configuration.
    pub name: String,
    /// What kind it is.
    pub kind: String,
    /// Whether it scores.
    pub mode: Mode,
    /// What its model is called, where that was trained.
    pub model: Option<Title>,
    /// How many series it knows.
    pub series: usize,
    /// The vectors that were joined for it.
    pub joined: join::Counts,
    /// What became of its batches.
    pub health: Health,
    /// What it was given, and what became of it.
    pub rows: u64,
    /// See `rows`.
    pub scored: u64,
    /// Incidents that it reported. A member of an ensemble reports none: its score is one of several.
    pub incidents: Option<u64>,
    /// How many models have taken over, how many were refused, and why the last was.
    pub taken: u64,
    /// See `taken`.
    pub refused: u64,
    /// See `taken`.
    pub refusal: Option<String>,
    /// Whether its rows still look like those in training.
    pub drift: DriftView,
    /// Rows that were not compared because there was no time.
    pub drift_skipped: u64,
    /// Its rollout, if new models are in shadow first.
    pub rollout: Option<Report>,
}

/// What a [`View`] guards.
#[derive(Debug, Default)]
pub struct Inside {
    /// The counts, as they were last copied.
    pub snapshot: Snapshot,
    /// How long batches took.
    pub latency: Latency,
    /// Series, their scores, and incidents.
    pub recorder: Recorder,
}

impl View {
    /// Of a pipeline that begins now.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self { name, started: Instant::now(), inside: Mutex::default() }
    }

    /// Forgets all that was seen: another pipeline takes the place of one that panicked.
    pub fn clear(&self) {
        *self.lock() = Inside::default();
    }

    /// Copies something out. The pipeline waits meanwhile, so `copy` does nothing else.
    pub fn copy<T>(&self, copy: impl FnOnce(&mut Inside) -> T) -> T {
        copy(&mut self.lock())
    }

    /// For the pipeline's thread, to record what must not be lost.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the pipeline's thread, to record what can be recorded later: none while somebody copies.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, Inside>> {
        match self.inside.try_lock() {
            Ok(inside) => Some(inside),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl Inside {
    /// Takes in the batch that was just written, which took so long to score.
    pub(crate) fn take<F: Format>(&mut self, pipeline: &Pipeline<F>, took: Duration) {
        let now = clock::now() / 1_000_000;
        self.latency.add(took, now);
        self.recorder.take(pipeline, now);
    }

    /// Takes in the counts, and the detectors as they are now. What became of a lane's rows is filled in here.
    pub(crate) fn refresh(&mut self, counts: Counts, mut detectors: Vec<Detector>) {
        self.recorder.pass(counts, clock::now() / 1_000_000);
        for detector in &mut detectors {
            let Totals { rows, scored, incidents } = self.recorder.totals(detector.lane);
            detector.rows = rows;
            if detector.is_lane {
                detector.scored = scored;
                detector.incidents = Some(incidents);
            }
        }
        self.snapshot = Snapshot { counts, detectors };
    }
}
