//! How a pipeline is made of a configuration.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use qualm_pipeline::{Format, Lines};
use qualm_sandbox::{BuiltInModels, DetectorSpec, Limits, Sandbox, SandboxFactory};
use tracing::error;

use super::error::StartError;
use super::part::{self, Part, cache_dir};
use super::{Emission, Pipeline};
use crate::config::Config;
use crate::drift::Watching;
use crate::models::ModelBuilder;
use crate::state::{self, Saved, StateFile, Writer};
use crate::supervisor::Backoff;

/// The least deadline of a detector offline, where nothing waits for it.
const OFFLINE_DEADLINE: Duration = Duration::from_secs(10);

impl Pipeline {
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
        Self::start_from(config, random_seed(), &Saved::new())
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
        let mut pipeline = Self::of(Lines::default(), &config, parts.collect::<Result<_, _>>()?, seed);
        if !saved.is_empty() {
            pipeline.restore(saved);
            pipeline.finish_pending();
        }
        Ok(pipeline)
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

impl<F: Format> Pipeline<F> {
    /// As [`Pipeline::start`], for events of any format, with separate state in the subdirectory `name` of the state
    /// directory. Several may share a [`model_builder`].
    ///
    /// ```
    /// use qualm::Pipeline;
    /// use qualm::config::Config;
    /// use qualm_vector_codec::{VectorEvents, VerdictStyle};
    ///
    /// let config = Config::parse("", "defaults")?;
    /// let builder = qualm::model_builder(&config);
    /// let pipeline = Pipeline::start_apart(VectorEvents::new(VerdictStyle::Tags), "vector", &config, &builder)?;
    /// pipeline.close()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Pipeline::start`].
    pub fn start_apart(format: F, name: &str, config: &Config, builder: &ModelBuilder) -> Result<Self, StartError> {
        let mut own = config.clone();
        own.state.dir = config.state.dir.as_ref().map(|dir| dir.join(name));
        let parts = live(&own, builder)?;
        Ok(Self::assemble(format, &own, parts))
    }

    fn assemble(format: F, config: &Config, parts: Vec<Part>) -> Self {
        let file = open_state(config);
        let saved = file.as_ref().map(|file| file.read_all(config.limits.series_ttl)).unwrap_or_default();
        let mut pipeline = Self::of(format, config, parts, file.as_ref().map_or_else(random_seed, StateFile::seed));
        if !saved.is_empty() {
            pipeline.restore(&saved);
        }
        if let Some(file) = file.as_ref().filter(|_| pipeline.lost_state()) {
            file.set_aside();
        }
        pipeline.writer = file.map(Writer::start);
        pipeline
    }

    /// Without saved state, and without a writer.
    fn of(format: F, config: &Config, parts: Vec<Part>, seed: u64) -> Self {
        let (lanes, ensembles) = parts.into_iter().map(|Part { lane, ensemble, .. }| (lane, ensemble)).unzip();
        let interval = config.state.interval;
        Self {
            inner: qualm_pipeline::Pipeline::of(format, lanes, seed),
            ensembles,
            own: config.detector.clone(),
            limits: part::series_limits(config),
            writer: None,
            interval,
            next_save: Instant::now() + interval,
            saving: false,
            watched: None,
            watching: Watching::new(config),
            emission: Emission::default(),
            logged_unknown: false,
            is_new: false,
            orders: None,
        }
    }
}

/// The parts of a configuration's detectors, for live metrics.
fn live(config: &Config, builder: &ModelBuilder) -> Result<Vec<Part>, StartError> {
    config.detector.iter().map(|detector| Part::live(detector, config, builder)).collect()
}

fn open_state(config: &Config) -> Option<StateFile> {
    let file = StateFile::open(config.state.dir.as_deref()?, random_seed());
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
pub fn random_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
