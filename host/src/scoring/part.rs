//! A detector as it is put into a pipeline: its lane there, who looks after it, and where its models come from.

use std::path::PathBuf;

use qualm_stream::Lane;
use qualm_stream::suppress::Suppression;
use qualm_stream::vector::Shape;
use tracing::{error, info};

use super::StartError;
use crate::config::{self, Config};
use crate::models::{Absent, Candidate, Loader, Outline, Reloader, Workshop};
use crate::sandbox::guest::Description;
use crate::sandbox::supervisor::Rest;
use crate::sandbox::{Limits, Recipe, Running, Sandbox, Supervisor};

/// A detector that is ready to be put into a pipeline.
pub(super) struct Part {
    pub(super) lane: Lane,
    pub(super) supervisor: Supervisor,
    pub(super) reloader: Option<Reloader>,
}

impl Part {
    pub(super) fn live(detector: &config::Detector, config: &Config, workshop: &Workshop) -> Result<Self, StartError> {
        let Some(source) = &detector.model else { return Self::built_in(detector, config, workshop) };
        let state = config.state.dir.as_deref();
        // A store that cannot be used keeps no model from being used, as with other state.
        let loader = Loader::new(&detector.name, source, state, workshop.clone()).or_else(|error| {
            error!("detector `{}`: {error}. No model will outlive this process", detector.name);
            Loader::new(&detector.name, source, None, workshop.clone())
        });
        let mut loader = loader.map_err(|error| StartError::Model(detector.name.clone(), error))?;
        let first = loader.first(true).inspect_err(|Absent { why, outline }| {
            let name = &detector.name;
            match outline {
                Some(_) => info!("detector `{name}`: {why}"),
                None if loader.is_far() => info!("detector `{name}` scores nothing until it has a model: {why}"),
                None => error!("detector `{name}` scores nothing until it has a model: {why}"),
            }
        });
        let reloader = Some(Reloader::start(loader, config.bundles.poll));
        Ok(Self { reloader, ..Self::with_model(detector, config, first) })
    }

    pub(super) fn offline(
        detector: &config::Detector,
        config: &Config,
        workshop: &Workshop,
    ) -> Result<Self, StartError> {
        let Some(source) = &detector.model else { return Self::built_in(detector, config, workshop) };
        let first = Loader::new(&detector.name, source, None, workshop.clone())
            .and_then(|mut loader| loader.first(false).map_err(|absent| absent.why));
        let first = first.map_err(|error| StartError::Model(detector.name.clone(), error))?;
        Ok(Self::with_model(detector, config, Ok(first)))
    }

    pub(super) fn built_in(
        detector: &config::Detector,
        config: &Config,
        workshop: &Workshop,
    ) -> Result<Self, StartError> {
        let recipe = workshop.built_in.with_model(detector.parameters().to_model());
        Ok(Self::streaming(detector, config, start(&detector.name, recipe)?, Rest::default()))
    }

    pub(super) fn streaming(detector: &config::Detector, config: &Config, running: Running, rest: Rest) -> Self {
        let Description { kind, warm_up, .. } = &running.description;
        info!("detector `{}`: {kind}, scores a series after some {warm_up} values", detector.name);
        Self {
            lane: lane(detector, series_limits(config), None, Suppression::default()),
            supervisor: Supervisor::new(&detector.name, Some(running), false, rest),
            reloader: None,
        }
    }

    /// With a model; without one, nothing is scored. Of one that is not compiled yet, it is known already what it will
    /// score: so the state that an earlier run left is kept for it.
    pub(super) fn with_model(detector: &config::Detector, config: &Config, model: Result<Candidate, Absent>) -> Self {
        let nothing = Some(Shape { features: Vec::new(), entity: Vec::new(), interval: 0 });
        let (shape, suppression, running) = match model {
            Err(Absent { outline: None, .. }) => (nothing, Suppression::default(), None),
            Err(Absent { outline: Some(Outline { shape, suppression }), .. }) => (shape, suppression, None),
            Ok(Candidate { title, shape, suppression, running }) => {
                info!("detector `{}`: {title}", detector.name);
                (shape, suppression, Some(running))
            }
        };
        let lane = lane(detector, series_limits(config), shape, suppression);
        let supervisor = Supervisor::new(&detector.name, running, detector.explain, Rest::default());
        Self { lane, supervisor, reloader: None }
    }
}

/// A detector's lane: for vectors of this shape, or for single fields. What the configuration suppresses comes before what
/// the model does.
pub(super) fn lane(
    detector: &config::Detector,
    limits: qualm_stream::Limits,
    shape: Option<Shape>,
    suppression: Suppression,
) -> Lane {
    let selector = detector.select.selector();
    let lane = match shape {
        Some(shape) => Lane::vectors(&detector.name, shape, selector, limits),
        None => Lane::new(selector, limits),
    };
    lane.suppress(self::suppression(detector, suppression))
}

/// Which anomalies a detector tells, where its model says `models`. (What is configured was checked when it was read.)
pub(super) fn suppression(detector: &config::Detector, models: Suppression) -> Suppression {
    detector.suppression(models).unwrap_or(models)
}

pub(super) fn series_limits(config: &Config) -> qualm_stream::Limits {
    let ttl = i64::try_from(config.limits.series_ttl.as_nanos()).unwrap_or(i64::MAX);
    qualm_stream::Limits { max_series: config.limits.max_series, ttl }
}

pub(super) fn start(detector: &str, recipe: Recipe) -> Result<Running, StartError> {
    Running::start(recipe, 1).map_err(|failure| StartError::Detector(detector.to_owned(), failure))
}

pub(super) fn workshop(config: &Config, cache: Option<PathBuf>) -> Result<Workshop, StartError> {
    let sandbox = Sandbox::new(cache).with_patience(config.limits.compile);
    let limits = Limits { memory: config.limits.memory, deadline: config.limits.deadline };
    // Compiled or loaded once, however many detectors there are.
    let built_in = Recipe::new(&sandbox, qualm_components::DETECTOR, Vec::new(), limits)?;
    let trust = config.bundles.trust().unwrap_or_default(); // it was checked when it was read
    Ok(Workshop { sandbox, limits, built_in, trust })
}

/// Where compiled code is kept: with the state, or with the user's other caches, or nowhere.
pub(super) fn cache_dir(config: &Config) -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = || set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    config.state.dir.clone().or_else(user).map(|dir| dir.join("qualm").join("compiled"))
}
