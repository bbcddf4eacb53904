//! The pipeline with its detectors and their state, as `execd`, `serve` and `replay` use it.

pub(crate) mod ensemble;
mod error;
mod overview;
mod part;
mod rollout;
mod saving;
mod start;
mod summary;
mod swap;

use std::sync::Arc;
use std::time::{Duration, Instant};

use qualm_pipeline::pipeline::Verdict;
use qualm_pipeline::{Counts, Format, Lane, Lines};
use tracing::warn;

use self::ensemble::Ensemble;
pub use self::error::StartError;
pub use self::start::{model_builder, offline_factory, random_seed};
pub use self::summary::DetectorsFailed;
use crate::clock;
use crate::config;
use crate::drift::{self, Watching};
use crate::models::Reloader;
use crate::rollout::{Orders, State};
use crate::state::{self, Writer};
use crate::supervisor::{Health, Supervisor};
use crate::view::{REFRESH, View};

/// The interval at which an idle pipeline checks for a new model.
const MODEL_POLL: Duration = Duration::from_millis(500);

/// A pipeline with its detectors, their models and saved state.
#[derive(Debug)]
pub struct Pipeline<F: Format = Lines> {
    inner: qualm_pipeline::Pipeline<F>,
    ensembles: Vec<Ensemble>,
    /// The configuration of each detector, and the limits of series.
    own: Vec<config::Detector>,
    limits: qualm_pipeline::Limits,
    writer: Option<Writer>,
    /// The interval between saves, the time of the next one, and whether one is in progress.
    interval: Duration,
    next_save: Instant,
    saving: bool,
    watched: Option<Watched>,
    /// What is done with the rows of detectors.
    watching: Watching,
    emission: Emission,
    /// Whether it was logged that some events are malformed or unknown.
    logged_unknown: bool,
    /// Whether the rows of the last batch were not looked at yet: in shadow, and for drift.
    is_new: bool,
    /// Commands for rollouts.
    orders: Option<Orders>,
}

/// Lines that are emitted among the metrics.
#[derive(Debug, Default)]
struct Emission {
    last: Option<Instant>,
    lines: Vec<u8>,
}

/// A view, and what is new for it.
#[derive(Debug)]
struct Watched {
    view: Arc<View>,
    /// The time of the last batch, until it is shown.
    took: Option<Duration>,
    /// When counts were last copied, and whether there is anything new since then.
    refreshed: Option<Instant>,
    unshown: bool,
}

impl<F: Format> Pipeline<F> {
    /// The same, with verdicts as its only output; see [`qualm_pipeline::Pipeline::verdicts_only`].
    #[must_use]
    pub fn verdicts_only(self) -> Self {
        Self { inner: self.inner.verdicts_only(), ..self }
    }

    /// Sets the view that shows its state.
    pub fn watch(&mut self, view: Arc<View>) {
        self.watched = Some(Watched { view, took: None, refreshed: None, unshown: true });
        self.show();
    }

    /// The format of its events.
    pub fn format_mut(&mut self) -> &mut F {
        self.inner.format_mut()
    }

    /// The buffer for the next bytes; see [`qualm_pipeline::Pipeline::input`].
    pub fn input(&mut self) -> &mut [u8] {
        self.inner.input()
    }

    /// Scores what was read; see [`qualm_pipeline::Pipeline::run`].
    pub fn run(&mut self, read: usize, now: i64) -> &[u8] {
        let Self { inner, ensembles, watched, is_new, .. } = self;
        *is_new = true;
        timed(watched, || inner.run(read, now, ensembles))
    }

    /// The end of the input; see [`qualm_pipeline::Pipeline::finish`].
    pub fn finish(&mut self, now: i64) -> &[u8] {
        let Self { inner, ensembles, watched, .. } = self;
        timed(watched, || inner.finish(now, ensembles))
    }

    /// Scores a whole body, as much at a time as there is room for, and appends it with its scores to `out`. After each part it
    /// [runs](Self::run_between_batches) what is due between batches.
    pub fn score_body(&mut self, body: &[u8], now: i64, out: &mut Vec<u8>) {
        let mut rest = body;
        while !rest.is_empty() {
            let input = self.input();
            let (first, later) = rest.split_at(rest.len().min(input.len()));
            input[..first.len()].copy_from_slice(first);
            rest = later;
            out.extend_from_slice(self.run(first.len(), now));
            self.run_between_batches();
        }
        if self.inner.is_within_event() {
            out.extend_from_slice(self.finish(now));
            self.run_between_batches();
        }
    }

    /// Returns an incomplete event unscored; see [`qualm_pipeline::Pipeline::release_partial_event`].
    pub fn release_partial_event(&mut self) -> &[u8] {
        self.inner.release_partial_event()
    }

    /// Lines of the measurement `qualm` with what is known of drift, where the configuration asks for them and they are due. To
    /// be written between two events.
    pub fn drift_lines(&mut self, now: i64) -> &[u8] {
        let Self { inner, ensembles, own, watching, emission, .. } = self;
        emission.lines.clear();
        if let Some(interval) = watching.emit() {
            let due = emission.last.is_none_or(|last| last.elapsed() >= interval);
            // Nothing is known before the first rows.
            if due && inner.counts().rows > 0 {
                emission.last = Some(Instant::now());
                let detectors = overview::detectors(inner.lanes(), ensembles, own);
                drift::write_lines(&detectors, now, &mut emission.lines);
            }
        }
        &emission.lines
    }

    /// Whether the buffer has an incomplete event.
    #[must_use]
    pub fn has_partial_event(&self) -> bool {
        self.inner.has_partial_event()
    }

    /// The rows of the last batch; see [`qualm_pipeline::Pipeline::verdicts`].
    pub fn verdicts(&self) -> impl Iterator<Item = Verdict<'_>> {
        self.inner.verdicts()
    }

    /// Whether any detector scores vectors.
    #[must_use]
    pub fn joins(&self) -> bool {
        self.inner.lanes().iter().any(|lane| lane.shape().is_some())
    }

    /// The names of a detector's features, if it scores vectors.
    #[must_use]
    pub fn features(&self, lane: usize) -> Option<Vec<String>> {
        let shape = self.inner.lanes()[lane].shape()?;
        Some(shape.features.iter().map(|feature| feature.name.clone()).collect())
    }

    /// The measurement of a detector of vectors, if all its features are of one.
    #[must_use]
    pub fn measurement(&self) -> Option<&str> {
        let mut shapes = self.inner.lanes().iter().filter_map(Lane::shape);
        let mut names = shapes.next()?.features.iter().map(|feature| feature.measurement.as_str());
        let first = names.next()?;
        names.all(|name| name == first).then_some(first)
    }

    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.inner.counts()
    }

    /// The health of each detector, by name.
    pub fn health(&self) -> impl Iterator<Item = (&str, &Health)> {
        self.supervisors().map(|supervisor| (supervisor.name(), supervisor.health()))
    }

    fn supervisors(&self) -> impl Iterator<Item = &Supervisor> {
        self.ensembles.iter().flat_map(Ensemble::members).map(|member| &member.supervisor)
    }

    fn supervisors_mut(&mut self) -> impl Iterator<Item = &mut Supervisor> {
        self.ensembles.iter_mut().flat_map(Ensemble::members_mut).map(|member| &mut member.supervisor)
    }

    /// The models before those that are watched, which go on in shadow.
    fn watched_models(&mut self) -> impl Iterator<Item = &mut Supervisor> {
        let members = self.ensembles.iter_mut().flat_map(Ensemble::members_mut);
        let watching = members.filter(|member| member.rollout.state() == State::Watching);
        watching.filter_map(|member| member.rollout.other_mut())
    }

    /// Does a part of the work besides scoring: models, state, views. Call it between batches, after writing the output.
    pub fn run_between_batches(&mut self) {
        self.supervisors_mut().for_each(Supervisor::start_pause);
        self.show();
        self.log_unknown();
        self.fall_back();
        if std::mem::take(&mut self.is_new) {
            self.score_in_shadow();
            self.record_drift();
        }
        self.follow_rules();
        self.obey_orders();
        self.swap();
        if !self.saving && Instant::now() >= self.next_save {
            self.supervisors_mut().for_each(Supervisor::begin_saving);
            self.watched_models().for_each(Supervisor::begin_saving);
            self.saving = true;
            self.next_save = Instant::now() + self.interval;
        }
        self.forget_dropped();
        self.save_or_restore_slices();
        // One detector that takes too long must not prevent the others' state from being written.
        if self.saving && (!self.is_busy() || Instant::now() >= self.next_save) {
            self.saving = false;
            if let Some(writer) = &self.writer {
                writer.write_soon(self.saved());
            }
        }
    }

    /// Passes the rows of the last batch on, to be compared with those in training and kept.
    fn record_drift(&mut self) {
        let Self { inner, ensembles, watching, .. } = self;
        if !watching.is_on() {
            return;
        }
        for (lane, ensemble) in inner.lanes().iter().zip(ensembles) {
            if lane.shape().is_some() && !lane.last_rows().0.is_empty() {
                ensemble.record_drift(lane, watching);
            }
        }
    }

    /// Logs once that events pass without having been understood, which counts alone would not reveal.
    fn log_unknown(&mut self) {
        let Counts { malformed, unknown, .. } = self.counts();
        let unknown_count = unknown + if F::PASSES_MALFORMED { malformed } else { 0 };
        if unknown_count > 0 && !std::mem::replace(&mut self.logged_unknown, true) {
            warn!(
                "{unknown_count} of what came in so far was not understood: it passes as it is, without a score; qualm_errors_total \
                 counts it, and this is not said again"
            );
        }
    }

    /// Updates the view with the last batch.
    fn show(&mut self) {
        let Self { inner, ensembles, own, watched, .. } = self;
        let Some(Watched { view, took, refreshed, unshown }) = watched else { return };
        let due = refreshed.is_none_or(|then| then.elapsed() >= REFRESH);
        if took.is_none() && !due {
            return;
        }
        if let Some(took) = took.take() {
            view.lock().take(inner, took);
            *unshown = true;
        }
        if due && let Some(mut inside) = view.try_lock() {
            inside.refresh(inner.counts(), overview::detectors(inner.lanes(), ensembles, own));
            *refreshed = Some(Instant::now());
            *unshown = false;
        }
    }

    /// Passes dropped series on to the detectors and the view.
    fn forget_dropped(&mut self) {
        let Self { inner, ensembles, watched, .. } = self;
        if let Some(watched) = watched {
            let dropped = inner.lanes().iter().enumerate().filter(|(_, lane)| !lane.dropped_series().is_empty());
            for (at, lane) in dropped {
                watched.view.lock().recorder.forget(at, lane.dropped_series(), clock::now() / 1_000_000);
                watched.unshown = true;
            }
        }
        inner.forget_dropped(ensembles);
    }

    /// How long [`run_between_batches`](Self::run_between_batches) can wait.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        if self.is_busy() {
            return Duration::ZERO;
        }
        let mut members = self.ensembles.iter().flat_map(Ensemble::members);
        let models = members.any(|member| member.reloader.is_some()).then_some(MODEL_POLL);
        let shown = self.watched.as_ref().filter(|watched| watched.unshown).map(|_| REFRESH);
        let models = models.or(self.orders.as_ref().map(|_| MODEL_POLL));
        let soon = models.unwrap_or(Duration::MAX).min(shown.unwrap_or(Duration::MAX));
        self.next_save.saturating_duration_since(Instant::now()).min(soon)
    }

    /// Saves the state a last time, and waits until it is on disk.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn close(mut self) -> Result<(), state::Unsaved> {
        self.fall_back();
        for member in self.ensembles.iter_mut().flat_map(Ensemble::members_mut) {
            member.reloader.iter_mut().for_each(Reloader::finish);
            member.drift.finish();
        }
        if let Some(writer) = self.writer.take() {
            self.finish_slices();
            self.supervisors_mut().for_each(Supervisor::begin_saving);
            self.finish_slices();
            writer.close(self.saved())?;
        }
        Ok(())
    }

    /// The number of series.
    #[must_use]
    pub fn series(&self) -> usize {
        self.inner.lanes().iter().map(|lane| lane.series().len()).sum()
    }

    /// The series that were dropped in the last batch, by lane and number.
    pub fn dropped_series(&self) -> impl Iterator<Item = (usize, u32)> {
        let lanes = self.inner.lanes().iter().enumerate();
        lanes.flat_map(|(lane, of)| of.dropped_series().iter().map(move |&series| (lane, series)))
    }
}

/// Measures the time, if there is a view.
fn timed<T>(watched: &mut Option<Watched>, score: impl FnOnce() -> T) -> T {
    let Some(watched) = watched else { return score() };
    let began = Instant::now();
    let out = score();
    watched.took = Some(began.elapsed());
    out
}
