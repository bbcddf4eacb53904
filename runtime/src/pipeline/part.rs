//! The parts of a detector in a pipeline: its lane, its supervisors and its models.

use std::path::PathBuf;
use std::sync::Arc;

use qualm_bundle::watch::Notifier;
use qualm_contract::Description;
use qualm_core::streaming::Prior;
use qualm_pipeline::Lane;
use qualm_pipeline::suppress::Suppression;
use qualm_pipeline::vector::Shape;
use qualm_sandbox::{BuiltInModels, DetectorSpec, Limits, Running, Sandbox, SandboxFactory};
use tracing::{error, info, warn};

use super::ensemble::{Ensemble, Member};
use super::error::StartError;
use crate::config::{self, Config, Invalid};
use crate::drift::ModelReference;
use crate::models::{Candidate, Loader, ModelBuilder, ModelOutline, NoModel, Reloader};
use crate::rollout::Rollout;
use crate::supervisor::{Ability, Backoff, Supervisor};

/// A detector that is ready for a pipeline.
pub(super) struct Part {
    pub(super) lane: Lane,
    pub(super) ensemble: Ensemble,
    /// Whether each member gives bands; `None` if it has no model yet.
    bands: Vec<Option<Ability>>,
    /// Settings of members that have no effect with their models.
    unused_settings: Vec<Invalid>,
}

/// The outline of untrained detectors, which score single fields.
fn single() -> ModelOutline {
    ModelOutline { shape: None, suppression: Suppression::default() }
}

/// One member, ready to run, or without a model yet.
#[derive(Default)]
struct Start {
    /// What it scores, if known: also of a model that is not compiled yet, so that saved state is kept for it.
    outline: Option<ModelOutline>,
    running: Option<Running>,
    /// Its specification, if its start failed and is tried again.
    not_started: Option<DetectorSpec>,
    reloader: Option<Reloader>,
    reference: Option<ModelReference>,
}

impl Part {
    pub(super) fn live(
        detector: &config::Detector,
        config: &Config,
        builder: &ModelBuilder,
    ) -> Result<Self, StartError> {
        let (mut part, misfits) = Self::of(detector, config, Backoff::default(), |member| {
            Start::live(member, config, &shared(builder, detector))
        })?;
        // Metrics must flow, and its next model may fit.
        for (at, error) in misfits {
            error!("{error}. It scores nothing until it has a model that fits");
            part.ensemble.members_mut()[at].supervisor.remove_model();
        }
        log_unused_settings(detector, part.lane.shape());
        if let Err(what) = check_bands(detector, &part.bands) {
            error!("detector `{}`: {what}", detector.name);
        }
        part.unused_settings.iter().for_each(|what| error!("detector `{}`: {what}", detector.name));
        Ok(part)
    }

    pub(super) fn offline(
        detector: &config::Detector,
        config: &Config,
        builder: &ModelBuilder,
    ) -> Result<Self, StartError> {
        let (mut part, misfits) = Self::of(detector, config, Backoff::default(), |member| {
            Start::offline(member, &shared(builder, detector))
        })?;
        if let Some((_, error)) = misfits.into_iter().next() {
            return Err(error);
        }
        let unused = |what| StartError::Setting(detector.name.clone(), Box::new(what));
        detector.check_shape(part.lane.shape()).map_err(unused)?;
        check_bands(detector, &part.bands).map_err(unused)?;
        let first = part.unused_settings.drain(..).next();
        first.map_or(Ok(part), |what| Err(unused(what)))
    }

    /// With these detectors instead of the configured components. Each scores single fields.
    pub(super) fn with(
        detector: &config::Detector,
        config: &Config,
        backoff: Backoff,
        specs: &mut impl Iterator<Item = DetectorSpec>,
    ) -> Result<Self, StartError> {
        let start = |member: &config::Detector| {
            let spec = specs.next().unwrap_or_else(|| panic!("a specification for `{}`", member.name));
            Ok(Start::untrained(start(&member.name, spec)?))
        };
        Self::of(detector, config, backoff, start).map(|(part, _)| part)
    }

    /// A detector of its members, and the members with another shape than those before.
    fn of(
        detector: &config::Detector,
        config: &Config,
        backoff: Backoff,
        mut start: impl FnMut(&config::Detector) -> Result<Start, StartError>,
    ) -> Result<(Self, Vec<(usize, StartError)>), StartError> {
        let (mut members, mut misfits, mut bands, mut unused_settings) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut made_of: Option<(Option<Shape>, Suppression)> = None;
        let configured = detector.members();
        let several = configured.len() > 1;
        for (at, (member, weight)) in configured.enumerate() {
            let Start { outline, running, not_started, reloader, reference } = start(member)?;
            if let Some(running) = &running {
                log_start(member, running);
                unused_settings.extend(check_prior(member, running).err());
            }
            bands.push(running.as_ref().map(Ability::bands));
            if let Some(ModelOutline { shape, suppression }) = outline {
                match &made_of {
                    None => made_of = Some((shape, if several { Suppression::default() } else { suppression })),
                    Some((first, _)) if *first != shape => misfits.push((at, StartError::Shape(member.name.clone()))),
                    Some(_) => {}
                }
            }
            // The untrained ones look at one field each: there is nothing to explain.
            let explain = detector.explain && member.model().is_some();
            let supervisor = match not_started {
                Some(spec) => Supervisor::not_started(&member.name, spec, explain, backoff),
                None => Supervisor::new(&member.name, running, explain, backoff),
            };
            let supervisor = supervisor.relating(member.prior() == Prior::Siblings);
            let rollout = Rollout::new(member.rollout().filter(|_| reloader.is_some()).cloned());
            let mut member = Member::new(supervisor, reloader, rollout, weight);
            if let Some(reference) = reference {
                member.drift.add(reference);
            }
            members.push(member);
        }
        let nothing = Shape { features: Vec::new(), entity: Vec::new(), interval: 0 };
        let (shape, suppression) = made_of.unwrap_or((Some(nothing), Suppression::default()));
        let lane = lane(detector, series_limits(config), shape, suppression);
        Ok((Self { lane, ensemble: Ensemble::new(members, detector.combine()), bands, unused_settings }, misfits))
    }
}

impl Start {
    fn live(member: &config::Detector, config: &Config, builder: &ModelBuilder) -> Result<Self, StartError> {
        let Some(source) = member.model() else { return Ok(Self::built_in_live(member, builder)) };
        let state = config.state.dir.as_deref();
        // A model can be used without a store, as with other state.
        let loader = Loader::new(&member.name, source.reveal(), state, builder.clone()).or_else(|error| {
            error!("detector `{}`: {error}. No model will outlive this process", member.name);
            Loader::new(&member.name, source.reveal(), None, builder.clone())
        });
        let mut loader = loader
            .map_err(|error| StartError::Loader(member.name.clone(), Box::new(error)))?
            .shadowing(member.rollout().is_some());
        let first = loader.first_candidate(true).inspect_err(|NoModel { why, outline, .. }| {
            let name = &member.name;
            match outline {
                Some(_) => info!("detector `{name}`: {why}"),
                None if loader.is_remote() => info!("detector `{name}` scores nothing until it has a model: {why}"),
                None => error!("detector `{name}` scores nothing until it has a model: {why}"),
            }
        });
        let reloader = Some(Reloader::start(loader, config.bundles.poll));
        let no_model = |NoModel { outline, .. }| Self { outline: outline.map(|outline| *outline), ..Self::default() };
        Ok(Self { reloader, ..first.map_or_else(no_model, Self::with_model) })
    }

    fn offline(member: &config::Detector, builder: &ModelBuilder) -> Result<Self, StartError> {
        let Some(source) = member.model() else {
            return Ok(Self::untrained(start(&member.name, built_in(member, builder)?)?));
        };
        let mut loader = Loader::new(&member.name, source.reveal(), None, builder.clone())
            .map_err(|error| StartError::Loader(member.name.clone(), Box::new(error)))?;
        let first = loader.first_candidate(false);
        first.map(Self::with_model).map_err(|no_model| StartError::Model(member.name.clone(), Box::new(no_model)))
    }

    /// A built-in detector for live metrics, which must flow even if it does not start.
    fn built_in_live(member: &config::Detector, builder: &ModelBuilder) -> Self {
        let spec = match built_in(member, builder) {
            Ok(spec) => spec,
            Err(error) => {
                error!("{error}. Metrics pass unscored; once that is mended, restart qualm");
                return Self { outline: Some(single()), ..Self::default() };
            }
        };
        match start(&member.name, spec.clone()) {
            Ok(running) => Self::untrained(running),
            Err(error) => {
                error!("{error}. Metrics pass unscored until it starts, which is tried again");
                Self { outline: Some(single()), not_started: Some(spec), ..Self::default() }
            }
        }
    }

    fn untrained(running: Running) -> Self {
        Self { outline: Some(single()), running: Some(running), ..Self::default() }
    }

    fn with_model(Candidate { title: _, shape, suppression, reference, running, unkept: _ }: Candidate) -> Self {
        let (outline, running) = (Some(ModelOutline { shape, suppression }), Some(running));
        Self { outline, running, reference: Some(reference), ..Self::default() }
    }
}

/// Logs the detector that runs.
fn log_start(member: &config::Detector, running: &Running) {
    let Description { kind, warm_up, .. } = running.description();
    if let Some(title) = running.title() {
        info!("detector `{}`: {title}", member.name);
    } else if *warm_up == 0 {
        info!("detector `{}`: {kind}, scores a series from its first value", member.name);
    } else {
        info!("detector `{}`: {kind}, scores a series after some {warm_up} values", member.name);
    }
}

/// Checks that a member gives bands if they are configured. For a plugin without bands it only warns: its next version may have
/// them.
///
/// # Errors
///
/// Which setting has no effect, and what to do.
pub(super) fn check_bands(detector: &config::Detector, members: &[Option<Ability>]) -> Result<(), Invalid> {
    if !detector.band || members.iter().any(|bands| matches!(bands, None | Some(Ability::Has))) {
        return Ok(());
    }
    if members.contains(&Some(Ability::NotOfPlugin)) {
        warn!(
            "detector `{}`: `band` does nothing, for its plugin gives no bands: a plugin does that exports \
             `qualm:detector/details`, for rows of one value (see wit/detection.wit)",
            detector.name
        );
        return Ok(());
    }
    Err(Invalid::BandOfModel)
}

/// Checks that a configured prior is supported. For a plugin without siblings it only warns: its next version may have them.
///
/// # Errors
///
/// Which setting has no effect, and what to do.
pub(super) fn check_prior(member: &config::Detector, running: &Running) -> Result<(), Invalid> {
    match (member.prior(), Ability::siblings(running)) {
        (Prior::None, _) | (Prior::Siblings, Ability::Has) => Ok(()),
        (Prior::Siblings, Ability::NotOfPlugin) => {
            warn!(
                "detector `{}`: `prior = \"siblings\"` does nothing, for its plugin does not ask who they are: a plugin does \
                 that exports `qualm:detector/siblings` (see wit/detection.wit)",
                member.name
            );
            Ok(())
        }
        (Prior::Siblings, Ability::NotOfKind) => {
            let beside = "a trained model, which scores a series from its first row";
            Err(Invalid::Useless { key: "prior", beside })
        }
    }
}

/// Logs settings that have no effect with the detector's model.
pub(super) fn log_unused_settings(detector: &config::Detector, shape: Option<&Shape>) {
    if let Err(what) = detector.check_shape(shape) {
        error!("detector `{}`: {what}", detector.name);
    }
}

/// The builder for the members of a detector, which share the deadline of a batch.
fn shared(builder: &ModelBuilder, detector: &config::Detector) -> ModelBuilder {
    let members = detector.members().len() as u32;
    let limits = builder.factory.limits();
    let factory = builder.factory.with_limits(Limits { deadline: limits.deadline / members, ..limits });
    ModelBuilder { factory, ..builder.clone() }
}

/// A detector's lane: for vectors of this shape, or for single fields. The configuration's rules override
/// the model's.
pub(super) fn lane(
    detector: &config::Detector,
    limits: qualm_pipeline::Limits,
    shape: Option<Shape>,
    suppression: Suppression,
) -> Lane {
    let selector = detector.select.selector();
    let lane = match shape {
        Some(shape) => Lane::vectors(&detector.name, shape, selector, limits),
        None => Lane::new(selector, limits),
    };
    let lane = lane.suppress(self::suppression(detector, suppression)).show_bands(detector.band);
    let related = detector.members().any(|(member, _)| member.prior() == Prior::Siblings);
    let lane = lane.relate(related);
    match &detector.anomaly_rate {
        Some(rate) => lane.emit_rates(&detector.name, rate.for_pipeline()),
        None => lane,
    }
}

/// The rule by which a detector reports incidents, given that of its model. (The configuration was checked when it was read.)
pub(super) fn suppression(detector: &config::Detector, models: Suppression) -> Suppression {
    detector.suppression(models).unwrap_or(models)
}

pub(super) fn series_limits(config: &Config) -> qualm_pipeline::Limits {
    let ttl = i64::try_from(config.limits.series_ttl.as_nanos()).unwrap_or(i64::MAX);
    qualm_pipeline::Limits { max_series: config.limits.max_series, ttl }
}

/// The specification of the built-in detector, with the parameters of this one.
fn built_in(member: &config::Detector, builder: &ModelBuilder) -> Result<DetectorSpec, StartError> {
    // Without one, which no member is, the component refuses to open it.
    let spec = builder.factory.built_in(&member.built_in_model().unwrap_or_default());
    spec.map_err(|error| StartError::Load(member.name.clone(), error))
}

pub(super) fn start(detector: &str, spec: DetectorSpec) -> Result<Running, StartError> {
    Running::start(spec, 1).map_err(|failure| StartError::Detector(detector.to_owned(), failure))
}

pub(super) fn model_builder(config: &Config, cache: Option<PathBuf>) -> ModelBuilder {
    let sandbox = Sandbox::new(cache).with_compile_time(config.limits.compile);
    let limits = Limits { memory: config.limits.memory, deadline: config.limits.deadline };
    // Compiled or loaded once, however many detectors there are.
    let built_in = DetectorSpec::new(&sandbox, qualm_components::DETECTOR, Vec::new(), limits).map_err(Arc::new);
    let factory = SandboxFactory::new(sandbox, limits, BuiltInModels::Component(built_in));
    let trust = config.bundles.trust().unwrap_or_default(); // it was checked when it was read
    ModelBuilder { factory, trust, notifier: Notifier::default() }
}

/// Where compiled code is kept: with the state, or with the user's other caches, or nowhere.
pub(super) fn cache_dir(config: &Config) -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = || set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    config.state.dir.clone().or_else(user).map(|dir| dir.join("qualm").join("compiled"))
}
