//! The pipeline with its detectors and their state: what every shim drives.

use std::fmt::Write as _;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use qualm_stream::pipeline::Verdict;
use qualm_stream::{Counts, Lane, Pipeline};
use tracing::{error, info};

use crate::config::Config;
use crate::sandbox::supervisor::{Health, NOBODY, Rest};
use crate::sandbox::{Failure, Limits, Recipe, Running, Sandbox, Supervisor, engine};
use crate::state::{self, Saved, StateFile, Writer};

/// How long a detector may take for a batch where nothing waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why scoring cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The detectors' component cannot be used.
    #[error(transparent)]
    Load(#[from] engine::LoadError),
    /// A detector does not start.
    #[error("detector `{0}`: {1}")]
    Detector(String, Failure),
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] state::Error),
}

/// A pipeline, its detectors, and the keeping of their state.
#[derive(Debug)]
pub struct Scoring {
    pipeline: Pipeline,
    supervisors: Vec<Supervisor>,
    writer: Option<Writer>,
    /// How often state is saved, when it is next, and whether that is under way.
    interval: Duration,
    next_save: Instant,
    saving: bool,
}

impl Scoring {
    /// Starts the detectors of a configuration, with what they knew when they last stopped. A state directory that cannot
    /// be used is no error: metrics must flow, even if nothing is remembered.
    ///
    /// # Errors
    ///
    /// Where a detector cannot be used.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        Self::with(config, recipes(config, cache_dir(config))?, Rest::default())
    }

    /// As [`start`](Self::start), for what is not live: nothing is remembered of it, and a detector may take its time,
    /// since nothing waits for it and its scores must not depend on how busy this machine is.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_offline(config: &Config) -> Result<Self, StartError> {
        let mut config = config.clone();
        config.state.dir = None;
        config.limits.deadline = config.limits.deadline.max(PATIENCE);
        Self::start(&config)
    }

    /// Whether [`start`](Self::start) would succeed, without leaving a trace.
    ///
    /// # Errors
    ///
    /// Why it would not, or why no state would be kept.
    pub fn check(config: &Config) -> Result<(), StartError> {
        config.state.dir.as_deref().map_or(Ok(()), state::check)?;
        for (detector, recipe) in config.detector.iter().zip(recipes(config, None)?) {
            start(&detector.name, recipe)?;
        }
        Ok(())
    }

    /// As [`start`](Self::start), with detectors of one's own in place of the configured ones' components.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn with(config: &Config, recipes: Vec<Recipe>, rest: Rest) -> Result<Self, StartError> {
        let mut supervisors = Vec::new();
        let mut lanes = Vec::new();
        let limits = qualm_stream::Limits {
            max_series: config.limits.max_series,
            ttl: i64::try_from(config.limits.series_ttl.as_nanos()).unwrap_or(i64::MAX),
        };
        for (detector, recipe) in config.detector.iter().zip(recipes) {
            let running = start(&detector.name, recipe)?;
            let description = &running.description;
            info!(
                "detector `{}`: {}, scores a series after some {} values",
                detector.name, description.kind, description.warm_up
            );
            supervisors.push(Supervisor::new(&detector.name, Some(running), false, rest));
            lanes.push(Lane::new(detector.select.selector(), limits));
        }
        let file = open_state(config);
        let saved = file.as_ref().map(|file| file.read_all(config.limits.series_ttl)).unwrap_or_default();
        let seed = file.as_ref().map_or_else(random, StateFile::seed);
        let interval = config.state.interval;
        let mut scoring = Self {
            pipeline: Pipeline::new(lanes, seed),
            supervisors,
            writer: None,
            interval,
            next_save: Instant::now() + interval,
            saving: false,
        };
        if !saved.is_empty() {
            scoring.restore(&saved);
        }
        if let Some(file) = file.as_ref().filter(|_| scoring.supervisors.iter().any(Supervisor::lost_state)) {
            file.set_aside();
        }
        scoring.writer = file.map(Writer::start);
        Ok(scoring)
    }

    /// Where the next bytes go; see [`Pipeline::input`].
    pub fn input(&mut self) -> &mut [u8] {
        self.pipeline.input()
    }

    /// Scores what was read; see [`Pipeline::run`].
    pub fn run(&mut self, read: usize, now: i64) -> &[u8] {
        self.pipeline.run(read, now, &mut self.supervisors)
    }

    /// The end of the input; see [`Pipeline::finish`].
    pub fn finish(&mut self, now: i64) -> &[u8] {
        self.pipeline.finish(now, &mut self.supervisors)
    }

    /// Gives up on an unfinished event; see [`Pipeline::let_go`].
    pub fn let_go(&mut self) -> &[u8] {
        self.pipeline.let_go()
    }

    /// Whether bytes wait for the rest of their event.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.pipeline.holds()
    }

    /// The rows of the last batch; see [`Pipeline::verdicts`].
    pub fn verdicts(&self) -> impl Iterator<Item = Verdict<'_>> {
        self.pipeline.verdicts()
    }

    /// What has passed.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.pipeline.counts()
    }

    /// How each detector fared, by name.
    pub fn health(&self) -> impl Iterator<Item = (&str, &Health)> {
        self.supervisors.iter().map(|supervisor| (supervisor.name(), supervisor.health()))
    }

    /// Does a little of what is to be done besides scoring. Call it between batches, after writing.
    pub fn tend(&mut self) {
        if !self.saving && Instant::now() >= self.next_save {
            self.supervisors.iter_mut().for_each(Supervisor::begin_saving);
            self.saving = true;
            self.next_save = Instant::now() + self.interval;
        }
        self.pipeline.forget(&mut self.supervisors);
        self.tend_slices();
        if self.saving && !self.is_busy() {
            self.saving = false;
            if let Some(writer) = &self.writer {
                writer.write_soon(self.saved());
            }
        }
    }

    /// How long [`tend`](Self::tend) can wait.
    #[must_use]
    pub fn leisure(&self) -> Duration {
        if self.is_busy() { Duration::ZERO } else { self.next_save.saturating_duration_since(Instant::now()) }
    }

    /// Saves a last time, and waits until it is on disk.
    pub fn close(mut self) {
        if let Some(writer) = self.writer.take() {
            while self.is_busy() {
                self.tend_slices();
            }
            self.supervisors.iter_mut().for_each(Supervisor::begin_saving);
            while self.is_busy() {
                self.tend_slices();
            }
            writer.close(self.saved());
        }
    }

    /// Whether no detector failed: metrics that passed unscored would otherwise be taken for ordinary ones.
    ///
    /// # Errors
    ///
    /// The [`summary`](Self::summary), where one did.
    pub fn check_whole(&self) -> Result<(), String> {
        let whole = self.health().all(|(_, health)| health.failures.is_empty());
        if whole { Ok(()) } else { Err(self.summary()) }
    }

    /// What has passed and how the detectors fared, in a line for people.
    #[must_use]
    pub fn summary(&self) -> String {
        let Counts { bytes: _, events, selected, scored, anomalous, malformed, upstream, unfinished, rows: _, evicted } =
            self.counts();
        let series: usize = self.pipeline.lanes().iter().map(|lane| lane.series().len()).sum();
        let mut out =
            format!("{events} lines in, {selected} selected, {scored} scored, {anomalous} anomalous, {series} series");
        let rare = [
            (malformed, "malformed"),
            (upstream, "scored upstream"),
            (unfinished, "unfinished"),
            (evicted, "series evicted"),
        ];
        for (count, what) in rare.into_iter().filter(|(count, _)| *count > 0) {
            let _infallible = write!(out, ", {count} {what}");
        }
        for (name, Health { batches: _, unscored, failures, starts: _, rests, swaps: _, fallbacks: _ }) in self.health()
        {
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

    fn is_busy(&self) -> bool {
        self.supervisors.iter().any(Supervisor::is_busy)
    }

    fn tend_slices(&mut self) {
        for (supervisor, lane) in self.supervisors.iter_mut().zip(self.pipeline.lanes()) {
            supervisor.tend(lane.series());
        }
    }

    fn saved(&self) -> Saved {
        self.supervisors.iter().map(|one| (one.name().to_owned(), one.saved().to_vec())).collect()
    }

    fn restore(&mut self, saved: &Saved) {
        for (supervisor, lane) in self.supervisors.iter_mut().zip(self.pipeline.lanes_mut()) {
            let own = saved.iter().filter(|(name, _)| name == supervisor.name());
            let slices: Vec<_> = own.flat_map(|(_, slices)| slices).map(Arc::clone).collect();
            let series = lane.series_mut();
            let known = slices.iter().flat_map(|slice| slice.identities.iter().zip(&slice.ages));
            for (&identity, &age) in known.filter(|(identity, _)| **identity != NOBODY) {
                series.take_back(identity, i64::from(age) * 1_000_000_000);
            }
            supervisor.adopt(slices);
        }
        while self.is_busy() {
            self.tend_slices();
        }
        let series: usize = self.pipeline.lanes().iter().map(|lane| lane.series().len()).sum();
        info!("goes on with the state of {series} series");
    }
}

fn start(detector: &str, recipe: Recipe) -> Result<Running, StartError> {
    Running::start(recipe, 1).map_err(|failure| StartError::Detector(detector.to_owned(), failure))
}

fn open_state(config: &Config) -> Option<StateFile> {
    let file = StateFile::open(config.state.dir.as_deref()?, random());
    file.inspect_err(|error| error!("{error}. Nothing that is learnt will outlive this process")).ok()
}

fn recipes(config: &Config, cache: Option<PathBuf>) -> Result<Vec<Recipe>, StartError> {
    let sandbox = Sandbox::new(cache);
    let limits = Limits { memory: config.limits.memory, deadline: config.limits.deadline };
    // Compiled or loaded once, however many detectors there are.
    let recipe = Recipe::new(&sandbox, qualm_components::DETECTOR, Vec::new(), limits)?;
    Ok(config.detector.iter().map(|detector| recipe.with_model(detector.parameters().to_model())).collect())
}

/// The standard library draws the keys of its hash maps at random; nothing else here needs randomness.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Where compiled code is kept: with the state, or with the user's other caches, or nowhere.
fn cache_dir(config: &Config) -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = || set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    config.state.dir.clone().or_else(user).map(|dir| dir.join("qualm").join("compiled"))
}
