//! What others may see of a pipeline while it runs: its counts for `/metrics`, its series and incidents for the live page.
//!
//! The pipeline's thread tells a [`View`] what became of each batch after it has been written, and copies its counts a
//! few times a second; whoever looks on takes a lock for as long as a copy takes.

pub mod latency;
pub mod live;
pub mod recorder;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use qualm_stream::join;
use qualm_stream::{Counts, Format, Pipeline};

use self::latency::Latency;
use self::recorder::{Recorder, Totals};
use crate::models::Reloader;
use crate::sandbox::Supervisor;
use crate::sandbox::guest::Title;
use crate::sandbox::supervisor::{Health, Mode};
use crate::{clock, config};

/// How often counts are copied.
pub const REFRESH: Duration = Duration::from_millis(200);

/// A pipeline as others see it.
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
    /// Its detectors.
    pub detectors: Vec<Detector>,
}

/// A detector as others see it.
#[derive(Debug, Clone)]
pub struct Detector {
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
    /// See `rows`.
    pub anomalous: u64,
    /// How many models have taken over, how many were refused, and why the last was.
    pub taken: u64,
    /// See `taken`.
    pub refused: u64,
    /// See `taken`.
    pub refusal: Option<String>,
}

/// What a [`View`] guards.
#[derive(Debug)]
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
        let (snapshot, latency, recorder) = (Snapshot::default(), Latency::default(), Recorder::default());
        Self { name, started: Instant::now(), inside: Mutex::new(Inside { snapshot, latency, recorder }) }
    }

    /// What is to be seen. The pipeline waits meanwhile: be quick.
    pub fn look(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// Takes in the batch that was just written, which took so long to score.
    pub(crate) fn take<F: Format>(&mut self, pipeline: &Pipeline<F>, took: Duration) {
        let now = clock::now() / 1_000_000;
        self.latency.add(took, now);
        self.recorder.take(pipeline, now);
    }

    /// Copies the counts.
    pub(crate) fn refresh<F: Format>(
        &mut self,
        pipeline: &Pipeline<F>,
        supervisors: &[Supervisor],
        reloaders: &[Option<Reloader>],
        own: &[config::Detector],
    ) {
        let counts = pipeline.counts();
        self.recorder.pass(counts, clock::now() / 1_000_000);
        self.snapshot.counts = counts;
        let parts = pipeline.lanes().iter().zip(supervisors).zip(reloaders).zip(own);
        self.snapshot.detectors.clear();
        let recorder = &self.recorder;
        self.snapshot.detectors.extend(parts.enumerate().map(|(at, (((lane, supervisor), reloader), own))| {
            let Totals { rows, scored, anomalous } = recorder.totals(at);
            let model = supervisor.title().map(|title| (**title).clone());
            let untrained = if own.model.is_some() { "" } else { own.kind.name() };
            Detector {
                name: own.name.clone(),
                kind: model.as_ref().map_or_else(|| untrained.to_owned(), |title| title.kind.clone()),
                mode: supervisor.mode(),
                model,
                series: lane.series().len(),
                joined: lane.joined(),
                health: supervisor.health().clone(),
                rows,
                scored,
                anomalous,
                taken: reloader.as_ref().map_or(0, Reloader::taken),
                refused: reloader.as_ref().map_or(0, Reloader::refused),
                refusal: reloader.as_ref().and_then(Reloader::refusal),
            }
        }));
    }
}
