//! The pipeline with its detectors and their state, as `execd`, `serve` and `replay` use it.

pub mod ensemble;
mod overview;
mod part;
mod unscored;

use std::fmt::Write as _;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use qualm_pipeline::pipeline::Verdict;
use qualm_pipeline::suppress::Suppression;
use qualm_pipeline::{Counts, Format, Lane, Lines, Pipeline, SeriesSnapshot};
use qualm_sandbox::{BuiltInModels, DetectorSpec, Failure, Limits, Sandbox, SandboxFactory};
use tracing::{error, info, warn};

use self::ensemble::{Ensemble, Member};
use self::part::{Part, cache_dir};
use crate::clock;
use crate::config::{self, Config, Invalid};
use crate::models::{Candidate, LoaderError, ModelBuilder, NoModel, Reloader};
use crate::state::{self, Saved, StateFile, Writer};
use crate::supervisor::{Ability, Backoff, Health, Mode, Supervisor, drop_in_background};
use crate::view::{REFRESH, View};

/// The least deadline of a detector offline, where nothing waits for it.
const OFFLINE_DEADLINE: Duration = Duration::from_secs(10);

/// The time limit for saving or restoring all state at the start or end.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);

/// The interval at which an idle pipeline checks for a new model.
const MODEL_POLL: Duration = Duration::from_millis(500);

/// Why scoring cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The built-in component cannot be used.
    #[error("detector `{0}`: {1}")]
    Load(String, qualm_contract::Error),
    /// A detector does not start.
    #[error("detector `{0}`: {1}")]
    Detector(String, Failure),
    /// A detector's models cannot be loaded.
    #[error("detector `{0}`: {1}")]
    Loader(String, LoaderError),
    /// A detector's model is not available.
    #[error("detector `{0}`: {1}")]
    Model(String, NoModel),
    /// A setting has no effect with the detector's model.
    #[error("detector `{0}`: {1}")]
    Setting(String, Invalid),
    /// A member of an ensemble has another shape than the others.
    #[error(
        "detector `{0}`: its rows are made of other features, entities or intervals than those of the members before"
    )]
    Shape(String),
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] state::Error),
}

/// Detectors failed, so that rows passed unscored: the [`Scoring::summary`] of what happened.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DetectorsFailed(String);

/// A pipeline with its detectors, their models and saved state.
#[derive(Debug)]
pub struct Scoring<F: Format = Lines> {
    pipeline: Pipeline<F>,
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
    /// Whether it was logged that some events are malformed or unknown.
    logged_unknown: bool,
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

impl Scoring {
    /// Starts the detectors of a configuration on line protocol, with saved state. A state directory that cannot be used, or a
    /// model that is not available, is no error: metrics must flow, even without state or scores.
    ///
    /// # Errors
    ///
    /// If a detector cannot be used.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        let parts = live(config, &model_builder(config))?;
        Ok(Self::assemble(Lines::default(), config, parts))
    }

    /// As [`start`](Self::start), for history: no state is saved, models do not change, and deadlines are long, since nothing
    /// waits and scores must not depend on how busy this machine is.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and if a model is not available.
    pub fn start_offline(config: &Config) -> Result<Self, StartError> {
        Self::start_from(config, random(), &Saved::new())
    }

    /// As [`start_offline`](Self::start_offline), with state that was `saved` before, of series with identities of this seed.
    /// State is not written; [`snapshot`](Self::snapshot) returns it.
    ///
    /// # Errors
    ///
    /// As [`start_offline`](Self::start_offline).
    pub fn start_from(config: &Config, seed: u64, saved: &Saved) -> Result<Self, StartError> {
        let mut config = config.clone();
        config.limits.deadline = config.limits.deadline.max(OFFLINE_DEADLINE);
        let builder = model_builder(&config);
        config.state.dir = None;
        let parts = config.detector.iter().map(|detector| Part::offline(detector, &config, &builder));
        let mut scoring = Self::of(Lines::default(), &config, parts.collect::<Result<_, _>>()?, seed);
        if !saved.is_empty() {
            scoring.restore(saved);
            scoring.finish_pending();
        }
        Ok(scoring)
    }

    /// Whether [`start`](Self::start) would succeed. It writes nothing.
    ///
    /// # Errors
    ///
    /// Why it would not, why no state could be saved, or why a model is not available.
    pub fn check(config: &Config) -> Result<(), StartError> {
        config.state.dir.as_deref().map_or(Ok(()), state::check)?;
        let builder = part::model_builder(config, None);
        config.detector.iter().try_for_each(|detector| Part::offline(detector, config, &builder).map(drop))
    }

    /// As [`start`](Self::start), with these detectors instead of the configured components: one for each, or for each member of
    /// an ensemble.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn with(config: &Config, specs: Vec<DetectorSpec>, backoff: Backoff) -> Result<Self, StartError> {
        let mut specs = specs.into_iter();
        let parts = config.detector.iter().map(|detector| Part::with(detector, config, backoff, &mut specs));
        Ok(Self::assemble(Lines::default(), config, parts.collect::<Result<_, _>>()?))
    }
}

impl<F: Format> Scoring<F> {
    /// As [`Scoring::start`], for events of any format, with separate state in the subdirectory `name` of the state
    /// directory. Several may share a [`model_builder`].
    ///
    /// # Errors
    ///
    /// As [`Scoring::start`].
    pub fn start_apart(format: F, name: &str, config: &Config, builder: &ModelBuilder) -> Result<Self, StartError> {
        let mut own = config.clone();
        own.state.dir = config.state.dir.as_ref().map(|dir| dir.join(name));
        let parts = live(&own, builder)?;
        Ok(Self::assemble(format, &own, parts))
    }

    /// The same, with verdicts as its only output; see [`Pipeline::verdicts_only`].
    #[must_use]
    pub fn verdicts_only(self) -> Self {
        Self { pipeline: self.pipeline.verdicts_only(), ..self }
    }

    fn assemble(format: F, config: &Config, parts: Vec<Part>) -> Self {
        let file = open_state(config);
        let saved = file.as_ref().map(|file| file.read_all(config.limits.series_ttl)).unwrap_or_default();
        let mut scoring = Self::of(format, config, parts, file.as_ref().map_or_else(random, StateFile::seed));
        if !saved.is_empty() {
            scoring.restore(&saved);
        }
        if let Some(file) = file.as_ref().filter(|_| scoring.lost_state()) {
            file.set_aside();
        }
        scoring.writer = file.map(Writer::start);
        scoring
    }

    /// Without saved state, and without a writer.
    fn of(format: F, config: &Config, parts: Vec<Part>, seed: u64) -> Self {
        let (lanes, ensembles) = parts.into_iter().map(|Part { lane, ensemble, .. }| (lane, ensemble)).unzip();
        let interval = config.state.interval;
        Self {
            pipeline: Pipeline::of(format, lanes, seed),
            ensembles,
            own: config.detector.clone(),
            limits: part::series_limits(config),
            writer: None,
            interval,
            next_save: Instant::now() + interval,
            saving: false,
            watched: None,
            logged_unknown: false,
        }
    }

    /// Sets the view that shows its state.
    pub fn watch(&mut self, view: Arc<View>) {
        self.watched = Some(Watched { view, took: None, refreshed: None, unshown: true });
        self.show();
    }

    /// The format of its events.
    pub fn format_mut(&mut self) -> &mut F {
        self.pipeline.format_mut()
    }

    /// The buffer for the next bytes; see [`Pipeline::input`].
    pub fn input(&mut self) -> &mut [u8] {
        self.pipeline.input()
    }

    /// Scores what was read; see [`Pipeline::run`].
    pub fn run(&mut self, read: usize, now: i64) -> &[u8] {
        let Self { pipeline, ensembles, watched, .. } = self;
        timed(watched, || pipeline.run(read, now, ensembles))
    }

    /// The end of the input; see [`Pipeline::finish`].
    pub fn finish(&mut self, now: i64) -> &[u8] {
        let Self { pipeline, ensembles, watched, .. } = self;
        timed(watched, || pipeline.finish(now, ensembles))
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
        if self.pipeline.is_within_event() {
            out.extend_from_slice(self.finish(now));
            self.run_between_batches();
        }
    }

    /// Returns an incomplete event unscored; see [`Pipeline::release_partial_event`].
    pub fn release_partial_event(&mut self) -> &[u8] {
        self.pipeline.release_partial_event()
    }

    /// Whether the buffer has an incomplete event.
    #[must_use]
    pub fn has_partial_event(&self) -> bool {
        self.pipeline.has_partial_event()
    }

    /// The rows of the last batch; see [`Pipeline::verdicts`].
    pub fn verdicts(&self) -> impl Iterator<Item = Verdict<'_>> {
        self.pipeline.verdicts()
    }

    /// Whether any detector scores vectors.
    #[must_use]
    pub fn joins(&self) -> bool {
        self.pipeline.lanes().iter().any(|lane| lane.shape().is_some())
    }

    /// The names of a detector's features, if it scores vectors.
    #[must_use]
    pub fn features(&self, lane: usize) -> Option<Vec<String>> {
        let shape = self.pipeline.lanes()[lane].shape()?;
        Some(shape.features.iter().map(|feature| feature.name.clone()).collect())
    }

    /// The measurement of a detector of vectors, if all its features are of one.
    #[must_use]
    pub fn measurement(&self) -> Option<&str> {
        let mut shapes = self.pipeline.lanes().iter().filter_map(Lane::shape);
        let mut names = shapes.next()?.features.iter().map(|feature| feature.measurement.as_str());
        let first = names.next()?;
        names.all(|name| name == first).then_some(first)
    }

    /// The counts so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.pipeline.counts()
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

    /// Does a part of the work besides scoring: models, state, views. Call it between batches, after writing the output.
    pub fn run_between_batches(&mut self) {
        self.supervisors_mut().for_each(Supervisor::start_pause);
        self.show();
        self.log_unknown();
        self.fall_back();
        self.swap();
        if !self.saving && Instant::now() >= self.next_save {
            self.supervisors_mut().for_each(Supervisor::begin_saving);
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
        let Self { pipeline, ensembles, own, watched, .. } = self;
        let Some(Watched { view, took, refreshed, unshown }) = watched else { return };
        let due = refreshed.is_none_or(|then| then.elapsed() >= REFRESH);
        if took.is_none() && !due {
            return;
        }
        if let Some(took) = took.take() {
            view.lock().take(pipeline, took);
            *unshown = true;
        }
        if due && let Some(mut inside) = view.try_lock() {
            inside.refresh(pipeline.counts(), overview::detectors(pipeline.lanes(), ensembles, own));
            *refreshed = Some(Instant::now());
            *unshown = false;
        }
    }

    /// Records which models failed, so that they are not loaded again.
    fn fall_back(&mut self) {
        for Member { supervisor, reloader, .. } in self.ensembles.iter_mut().flat_map(Ensemble::members_mut) {
            if let (Some(failed), Some(reloader)) = (supervisor.take_fallback(), reloader) {
                reloader.record_fallback(&failed);
            }
        }
    }

    /// Swaps in new models.
    fn swap(&mut self) {
        for lane in 0..self.ensembles.len() {
            for member in 0..self.ensembles[lane].members().len() {
                let reloader = self.ensembles[lane].members()[member].reloader.as_ref();
                if let Some(candidate) = reloader.and_then(Reloader::take_candidate) {
                    self.swap_one(lane, member, candidate);
                }
            }
        }
    }

    fn swap_one(&mut self, at: usize, member: usize, candidate: Candidate) {
        let Self { pipeline, ensembles, own, limits, watched, .. } = self;
        let began = Instant::now();
        let Candidate { title, shape, suppression, running } = candidate;
        let same = pipeline.lanes()[at].shape() == shape.as_ref();
        let several = ensembles[at].has_several();
        let others = ensembles[at].members().iter().enumerate().filter(|(other, _)| *other != member);
        let bound = others.map(|(_, other)| other.supervisor.mode()).any(|mode| mode != Mode::Waiting);
        let Member { supervisor, reloader, .. } = &mut ensembles[at].members_mut()[member];
        if bound && !same {
            let why = format!(
                "{title} has other features, entities or intervals than the other members; to change them for all, put all \
                 new models in place and restart qualm"
            );
            error!("detector `{}` keeps its model: {why}", supervisor.name());
            if let Some(reloader) = reloader {
                reloader.record_refusal(&why);
            }
            drop_in_background(running.into_parts().1);
            return;
        }
        let suppression = part::suppression(&own[at], if several { Suppression::default() } else { suppression });
        if same {
            pipeline.lanes_mut()[at].set_suppression(suppression);
        } else {
            if let Some(watched) = watched {
                watched.view.lock().recorder.forget_all(at, clock::now() / 1_000_000);
            }
            part::log_unused_settings(&own[at], shape.as_ref());
            pipeline.replace_lane(at, part::lane(&own[at], *limits, shape, suppression));
        }
        if !several && let Err(what) = part::check_bands(&own[at], &[Some(Ability::bands(&running))]) {
            error!("detector `{}`: {what}", supervisor.name());
        }
        let Some((configured, _)) = own[at].members().nth(member) else { return };
        if let Err(what) = part::check_prior(configured, &running) {
            error!("detector `{}`: {what}", configured.name);
        }
        let series = same.then(|| pipeline.lanes()[at].series());
        supervisor.swap(running, series);
        if let Some(watched) = watched {
            watched.unshown = true;
        }
        info!("detector `{}`: {title} has taken over, in {:.1?}", supervisor.name(), began.elapsed());
    }

    /// Passes dropped series on to the detectors and the view.
    fn forget_dropped(&mut self) {
        let Self { pipeline, ensembles, watched, .. } = self;
        if let Some(watched) = watched {
            let dropped = pipeline.lanes().iter().enumerate().filter(|(_, lane)| !lane.dropped_series().is_empty());
            for (at, lane) in dropped {
                watched.view.lock().recorder.forget(at, lane.dropped_series(), clock::now() / 1_000_000);
                watched.unshown = true;
            }
        }
        pipeline.forget_dropped(ensembles);
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
        let members = self.ensembles.iter_mut().flat_map(Ensemble::members_mut);
        members.filter_map(|member| member.reloader.as_mut()).for_each(Reloader::finish);
        if let Some(writer) = self.writer.take() {
            self.finish_slices();
            self.supervisors_mut().for_each(Supervisor::begin_saving);
            self.finish_slices();
            writer.close(self.saved())?;
        }
        Ok(())
    }

    /// Checks that no detector failed, since metrics that passed unscored could be taken for ordinary ones.
    ///
    /// # Errors
    ///
    /// The [`summary`](Self::summary), if one did.
    pub fn check_no_failures(&self) -> Result<(), DetectorsFailed> {
        let whole = self.health().all(|(_, health)| health.failures.is_empty());
        if whole { Ok(()) } else { Err(DetectorsFailed(self.summary())) }
    }

    /// Counts and failures in a line of text.
    #[must_use]
    pub fn summary(&self) -> String {
        let Counts { events, selected, scored, incidents, malformed, unknown, upstream, unfinished, evicted, .. } =
            self.counts();
        let series = self.series();
        let mut out =
            format!("{events} lines in, {selected} selected, {scored} scored, {incidents} incidents, {series} series");
        let rare = [
            (malformed, "malformed"),
            (unknown, "of no known kind"),
            (upstream, "scored upstream"),
            (unfinished, "unfinished"),
            (evicted, "series evicted"),
        ];
        for (count, what) in rare.into_iter().filter(|(count, _)| *count > 0) {
            let _infallible = write!(out, ", {count} {what}");
        }
        for (name, Health { unscored, failures, rests, .. }) in self.health() {
            if !failures.is_empty() {
                let failures: Vec<_> = failures.iter().map(|(name, count)| format!("{name} {count}")).collect();
                let _infallible = write!(
                    out,
                    "; detector `{name}` failed ({}), rested {rests} times, left {unscored} rows unscored",
                    failures.join(", ")
                );
            }
        }
        out
    }

    /// Why nothing was scored, with counts, if there was input.
    #[must_use]
    pub fn why_unscored(&self) -> Option<String> {
        let members = self.own.iter().flat_map(config::Detector::members);
        let least = members.filter_map(|(member, _)| Some(member.parameters()?.min_samples)).min();
        let left = self.health().map(|(_, health)| health.unscored).sum();
        unscored::why_unscored(&self.counts(), self.series() as u64, least.map(u64::from), left)
    }

    /// Whether some of the saved state could not be used.
    #[must_use]
    pub fn lost_state(&self) -> bool {
        self.supervisors().any(Supervisor::lost_state)
    }

    /// Saves all state without a time limit, where nothing waits.
    pub fn snapshot(&mut self) -> Saved {
        self.finish_pending();
        self.supervisors_mut().for_each(Supervisor::begin_saving);
        self.finish_pending();
        self.saved()
    }

    /// Finishes saving and restoring.
    fn finish_pending(&mut self) {
        while self.is_busy() {
            self.supervisors_mut().for_each(Supervisor::start_pause);
            self.save_or_restore_slices();
        }
    }

    /// The number of series.
    #[must_use]
    pub fn series(&self) -> usize {
        self.pipeline.lanes().iter().map(|lane| lane.series().len()).sum()
    }

    /// The series that were dropped in the last batch, by lane and number.
    pub fn dropped_series(&self) -> impl Iterator<Item = (usize, u32)> {
        let lanes = self.pipeline.lanes().iter().enumerate();
        lanes.flat_map(|(lane, of)| of.dropped_series().iter().map(move |&series| (lane, series)))
    }

    fn is_busy(&self) -> bool {
        self.supervisors().any(Supervisor::is_busy)
    }

    fn save_or_restore_slices(&mut self) {
        for (ensemble, lane) in self.ensembles.iter_mut().zip(self.pipeline.lanes()) {
            ensemble.members_mut().iter_mut().for_each(|member| member.supervisor.save_or_restore_slice(lane.series()));
        }
    }

    /// Saves or restores all within a time limit. After it, the rest is restored between batches, or not saved again.
    fn finish_slices(&mut self) {
        let end = Instant::now() + FINISH_TIMEOUT;
        while self.is_busy() && Instant::now() < end {
            self.supervisors_mut().for_each(Supervisor::start_pause);
            self.save_or_restore_slices();
        }
    }

    fn saved(&self) -> Saved {
        let detectors = self.supervisors().map(|one| (one.name().to_owned(), one.saved().to_vec()));
        let lanes =
            self.own.iter().zip(self.pipeline.lanes()).map(|(own, lane)| (incidents_of(own), lane.save_incidents()));
        let format = (COUNTERS.to_owned(), self.pipeline.format().save_snapshot(clock::now()));
        let own = lanes.chain([format]).filter(|(_, snapshot)| !snapshot.identities.is_empty());
        detectors.chain(own.map(|(name, snapshot)| (name, vec![Arc::new(snapshot)]))).collect()
    }

    fn restore(&mut self, saved: &Saved) {
        for (ensemble, lane) in self.ensembles.iter_mut().zip(self.pipeline.lanes_mut()) {
            let series = lane.series_mut();
            for Member { supervisor, .. } in ensemble.members_mut() {
                let own = saved.iter().filter(|(name, _)| name == supervisor.name());
                let slices: Vec<_> = own.flat_map(|(_, slices)| slices).map(Arc::clone).collect();
                let known = slices.iter().flat_map(|slice| slice.identities.iter().zip(&slice.ages));
                for (&identity, &age) in known.filter(|(identity, _)| **identity != SeriesSnapshot::SUPERSEDED) {
                    series.restore_series(identity, i64::from(age) * 1_000_000_000);
                }
                supervisor.restore_from(slices);
            }
        }
        for (own, lane) in self.own.iter().zip(self.pipeline.lanes_mut()) {
            snapshots(saved, &incidents_of(own)).for_each(|snapshot| lane.restore_incidents(snapshot));
        }
        snapshots(saved, COUNTERS).for_each(|snapshot| self.pipeline.format_mut().restore_snapshot(snapshot));
        self.finish_slices();
        info!("goes on with the state of {} series", self.series());
    }
}

/// The name of the state of counters in a state file. No detector can have it.
const COUNTERS: &str = "\0counters";

/// The name of the incidents of a detector's series.
fn incidents_of(detector: &config::Detector) -> String {
    format!("\0incidents of {}", detector.name)
}

/// What was saved under this name. A series that another process saw later is marked as superseded.
fn snapshots<'a>(saved: &'a Saved, name: &'a str) -> impl Iterator<Item = &'a SeriesSnapshot> {
    saved.iter().filter(move |(of, _)| of == name).flat_map(|(_, slices)| slices).map(|slice| &**slice)
}

/// Measures the time, if there is a view.
fn timed<T>(watched: &mut Option<Watched>, score: impl FnOnce() -> T) -> T {
    let Some(watched) = watched else { return score() };
    let began = Instant::now();
    let out = score();
    watched.took = Some(began.elapsed());
    out
}

/// The parts of a configuration's detectors, for live metrics.
fn live(config: &Config, builder: &ModelBuilder) -> Result<Vec<Part>, StartError> {
    config.detector.iter().map(|detector| Part::live(detector, config, builder)).collect()
}

fn open_state(config: &Config) -> Option<StateFile> {
    let file = StateFile::open(config.state.dir.as_deref()?, random());
    file.inspect_err(|error| error!("{error}. Nothing that is learnt will outlive this process")).ok()
}

/// What is needed to open detectors of bundles for a pipeline of this configuration.
#[must_use]
pub fn model_builder(config: &Config) -> ModelBuilder {
    part::model_builder(config, cache_dir(config))
}

/// The factory of models for history, with long deadlines.
#[must_use]
pub fn offline_factory() -> SandboxFactory {
    let limits = Limits { deadline: OFFLINE_DEADLINE, ..Limits::default() };
    let native = BuiltInModels::Native(Arc::new(qualm_core::BuiltIn));
    SandboxFactory::new(Sandbox::new(cache_dir(&Config::default())), limits, native)
}

/// A random number: the standard library draws the keys of its hash maps at random, and little here needs randomness.
#[must_use]
pub fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
