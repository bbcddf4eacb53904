//! The configuration: one TOML file, the same for every command.
//!
//! What stands in it, with its defaults, is in `sample.toml` beside this directory; `qualm --sample-config` prints that. A
//! key that is not known is an error that names the nearest one that is.

mod alarms;
mod anomaly_rate;
mod detector;
mod drift;
mod invalid;
mod retrain;
mod rollout;
mod select;
mod service;
mod table;
mod text;
mod timezone;
mod variables;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qualm_bundle::duration::{self, friendly};
use qualm_bundle::secret::Secret;
use qualm_bundle::signature::{PublicKey, Trust};
use qualm_core::streaming::{BYTES_PER_SEASON, BYTES_PER_SERIES, MAX_SEASONS};
use qualm_sandbox as sandbox;
use serde::Deserialize;
use toml::de::{DeTable, Deserializer};

pub use self::anomaly_rate::AnomalyRate;
pub use self::detector::{Combine, Detector, Ensemble, Kind, Member, Model};
pub use self::drift::Drift;
pub use self::invalid::Invalid;
pub use self::retrain::Retrain;
pub use self::rollout::{Bounds, Rollout};
pub use self::select::{Patterns, Select};
pub use self::service::{Http, Influxdb, LISTEN, Vector, Verdicts};
use self::table::DetectorTable;
use self::text::{bytes, explain, quoted, size};

/// The commented sample, in which every option stands.
pub const SAMPLE: &str = include_str!("../sample.toml");

/// The name of the socket for commands in the state directory.
const CONTROL_SOCKET: &str = "control.sock";

/// What a detector needs beside its series: its own code's data, and a full batch with its scores.
const GUEST_BYTES: usize = 8 << 20;

/// The shortest deadline: the clock ticks every other millisecond.
const MIN_DEADLINE: Duration = Duration::from_millis(5);

/// A configuration that cannot be used: where, what, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {what}")]
pub struct Error {
    place: String,
    what: String,
}

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    detector: Vec<DetectorTable>,
    state: State,
    bundles: Bundles,
    drift: Drift,
    retrain: Retrain,
    limits: Limits,
    http: Http,
    vector: Vector,
    influxdb: Influxdb,
    control: Control,
}

/// All that a user may set.
///
/// ```
/// use qualm::config::Config;
///
/// let config = Config::parse("[[detector]]\nselect = { measurement = \"cpu\" }\n", "my.toml")?;
/// assert!(config.effective().contains("half_life = \"72h\""), "defaults are filled in");
///
/// let error = Config::parse("[[detector]]\nhalf_live = \"1d\"\n", "my.toml").unwrap_err();
/// assert!(error.to_string().starts_with("my.toml:2: unknown key `half_live`; did you mean `half_life`?"));
/// # Ok::<(), qualm::config::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// The detectors. A field goes to the first that selects it.
    pub detector: Vec<Detector>,
    /// What is kept over restarts.
    pub state: State,
    /// Trained models.
    pub bundles: Bundles,
    /// How live rows are compared with those that models were trained on.
    pub drift: Drift,
    /// How models are trained again on the rows that they scored.
    pub retrain: Retrain,
    /// How much of everything there may be.
    pub limits: Limits,
    /// What is served over HTTP.
    pub http: Http,
    /// Vector's events.
    pub vector: Vector,
    /// Writes meant for InfluxDB.
    pub influxdb: Influxdb,
    /// Commands for a running process.
    pub control: Control,
}

/// Trained models.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bundles {
    /// Public keys of those who may make bundles; anyone, where there are none.
    pub trusted_keys: Vec<String>,
    /// How often a source is asked for a new one, besides whenever a file changes.
    #[serde(deserialize_with = "duration::deserialize")]
    pub poll: Duration,
}

/// What is kept over restarts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// Where the detectors' state is kept; nowhere by default.
    pub dir: Option<PathBuf>,
    /// How often it is saved.
    #[serde(deserialize_with = "duration::deserialize")]
    pub interval: Duration,
}

/// Commands for a running process: `qualm models`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// The socket where they come in; see [`Config::control_socket`].
    pub socket: Option<PathBuf>,
}

/// How much of everything there may be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of memory for each detector.
    #[serde(deserialize_with = "bytes")]
    pub memory: usize,
    /// How long a detector may take for a batch.
    #[serde(deserialize_with = "duration::deserialize")]
    pub deadline: Duration,
    /// How long it may take to compile a plugin.
    #[serde(deserialize_with = "duration::deserialize")]
    pub compile: Duration,
    /// Series that each detector keeps.
    pub max_series: usize,
    /// After what time without rows a series is dropped.
    #[serde(deserialize_with = "duration::deserialize")]
    pub series_ttl: Duration,
}

impl Default for Bundles {
    fn default() -> Self {
        Self { trusted_keys: Vec::new(), poll: Duration::from_secs(30) }
    }
}

impl Default for State {
    fn default() -> Self {
        Self { dir: None, interval: Duration::from_mins(1) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let sandbox::Limits { memory, deadline } = sandbox::Limits::default();
        let qualm_pipeline::Limits { max_series, ttl } = qualm_pipeline::Limits::default();
        let compile = sandbox::compiler::DEFAULT_TIME;
        Self { memory, deadline, compile, max_series, series_ttl: Duration::from_nanos(ttl as u64) }
    }
}

impl Document {
    fn into_config(self) -> Result<Config, Invalid> {
        let Self { detector, state, bundles, drift, retrain, limits, http, vector, influxdb, control } = self;
        let build = |table: DetectorTable| {
            let name = table.name().to_owned();
            table.into_detector().map_err(|what| Invalid::Detector(name, Box::new(what)))
        };
        let detector = detector.into_iter().map(build).collect::<Result<_, _>>()?;
        Ok(Config { detector, state, bundles, drift, retrain, limits, http, vector, influxdb, control })
    }
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Says where the file is wrong, how, and what would be right.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let place = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            let hint = if missing { "; `qualm --sample-config` prints a file to start from" } else { "" };
            Error { place: place.clone(), what: format!("{error}{hint}") }
        })?;
        Self::parse_from(&text, &place, path.parent().unwrap_or(Path::new("")))
    }

    /// Reads a file's text; `place` names it in errors.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn parse(text: &str, place: &str) -> Result<Self, Error> {
        Self::parse_from(text, place, Path::new(""))
    }

    /// The same, where the paths of bundles and keys are meant from `directory`, wherever the process was started.
    fn parse_from(text: &str, place: &str, directory: &Path) -> Result<Self, Error> {
        let at = |offset: usize| {
            let before = text.as_bytes().get(..offset).unwrap_or_default();
            format!("{place}:{}", qualm_pipeline::line::count_newlines(before) + 1)
        };
        let wrong = |error: &toml::de::Error, hide: &dyn Fn(String) -> String| Error {
            place: error.span().map_or_else(|| place.to_owned(), |span| at(span.start)),
            what: hide(explain(error.message(), error.span().and_then(|span| text.get(span)).unwrap_or_default())),
        };
        let mut document = DeTable::parse(text).map_err(|error| wrong(&error, &|what| what))?;
        let used = variables::expand(document.get_mut(), text, &variables::of_environment)
            .map_err(|fault| Error { place: at(fault.at), what: fault.what })?;
        let hide = |what: String| variables::hide(&used, what);
        let mut document = Document::deserialize(Deserializer::from(document)).map_err(|error| wrong(&error, &hide))?;
        if document.detector.is_empty() {
            document.detector.push(DetectorTable::default());
        }
        let from_there = |path: &mut String| *path = directory.join(&*path).to_string_lossy().into_owned();
        let models = document.detector.iter_mut().flat_map(DetectorTable::models_mut);
        for model in models.filter(|model| !model.reveal().contains("://")) {
            *model = Secret::address(directory.join(model.reveal()).to_string_lossy());
        }
        let Http { tls_cert, tls_key, models, .. } = &mut document.http;
        for path in [tls_cert, tls_key, models, &mut document.control.socket].into_iter().flatten() {
            *path = directory.join(&*path);
        }
        document.retrain.relative_to(directory);
        let keys = document.bundles.trusted_keys.iter_mut().filter(|key| PublicKey::parse(key).is_err());
        keys.for_each(from_there);
        let config = document.into_config().and_then(|config| config.check().map(|()| config));
        config.map_err(|what| Error { place: place.to_owned(), what: hide(what.to_string()) })
    }

    /// One detector with this model, and all else as it is by default.
    ///
    /// # Errors
    ///
    /// Where the model cannot be one.
    pub fn of_model(model: &Secret) -> Result<Self, Error> {
        Self::parse(&format!("[[detector]]\nname = \"model\"\nmodel = {}\n", quoted(model.reveal())), "--model")
    }

    fn check(&self) -> Result<(), Invalid> {
        let Self { detector, state, bundles, drift, retrain, limits, http, vector, influxdb, control: _ } = self;
        drift.check()?;
        let shadows = || detector.iter().flat_map(Detector::members).any(|(member, _)| member.rollout().is_some());
        retrain.check(state.dir.is_some(), !bundles.trusted_keys.is_empty(), shadows())?;
        http.check()?;
        vector.check()?;
        influxdb.check()?;
        if detector.len() > qualm_pipeline::pipeline::MAX_LANES {
            return Err(Invalid::TooManyDetectors(detector.len()));
        }
        for (at, one) in detector.iter().enumerate() {
            // Members are reported, and their state is kept, under names like `careful/leak`.
            let names = |one: &Detector| {
                let members = one.members().map(|(member, _)| member.name.clone());
                members.chain([one.name.clone()]).collect::<Vec<_>>()
            };
            let own = names(one);
            if let Some(name) = detector[..at].iter().flat_map(names).find(|name| own.contains(name)) {
                return Err(Invalid::DetectorsAlike(name));
            }
            let members = one.members().len() as u32;
            if members > 1 && limits.deadline / members < MIN_DEADLINE {
                let (name, least) = (one.name.clone(), MIN_DEADLINE * members);
                return Err(Invalid::SharedDeadline { name, members, least });
            }
        }
        bundles.trust()?;
        let second = Duration::from_secs(1);
        Invalid::check_ranges(&[
            (state.interval < second, "[state] `interval` must be a second at least"),
            (bundles.poll < second, "[bundles] `poll` must be a second at least"),
            (limits.memory < 1 << 20, "[limits] `memory` must be 1MiB at least"),
            (limits.memory > 4 << 30, "[limits] `memory` must be 4GiB at most: a detector cannot use more"),
            (limits.deadline < MIN_DEADLINE, "[limits] `deadline` must be 5ms at least"),
            (limits.deadline > 60 * second, "[limits] `deadline` must be 60s at most: metrics wait for it"),
            (limits.compile < second, "[limits] `compile` must be a second at least"),
            (limits.max_series == 0, "[limits] `max_series` must be 1 at least"),
            (limits.max_series > 100_000_000, "[limits] `max_series` must be 100000000 at most"),
            (limits.series_ttl < second, "[limits] `series_ttl` must be a second at least"),
        ])?;
        let seasons = limits.max_series.min(MAX_SEASONS) * BYTES_PER_SEASON;
        let needed = limits.max_series * (BYTES_PER_SERIES + BYTES_PER_SERIES / 8) + seasons + GUEST_BYTES;
        if needed > limits.memory {
            let (max_series, mebibytes) = (limits.max_series, needed.div_ceil(1 << 20));
            return Err(Invalid::SeriesMemory { max_series, mebibytes });
        }
        Ok(())
    }

    /// The configuration as it is in force, defaults filled in, as TOML.
    #[must_use]
    pub fn effective(&self) -> String {
        let Self { detector, state, bundles, drift, retrain, limits, http, vector, influxdb, control: _ } = self;
        let mut out: String = detector.iter().map(Detector::effective).collect();
        let Bundles { trusted_keys, poll } = bundles;
        let keys: Vec<_> = trusted_keys.iter().map(|key| quoted(key)).collect();
        let _infallible =
            write!(out, "[bundles]\ntrusted_keys = [{}]\npoll = \"{}\"\n\n", keys.join(", "), friendly(*poll));
        let State { dir, interval } = state;
        let dir = dir.as_ref().map(|dir| format!("dir = {}\n", quoted(&dir.to_string_lossy())));
        let Limits { memory, deadline, compile, max_series, series_ttl } = limits;
        let _infallible = write!(
            out,
            "[state]\n{}interval = \"{}\"\n\n[limits]\nmemory = \"{}\"\ndeadline = \"{}\"\ncompile = \"{}\"\n\
             max_series = {max_series}\nseries_ttl = \"{}\"\n\n",
            dir.unwrap_or_default(),
            friendly(*interval),
            size(*memory),
            friendly(*deadline),
            friendly(*compile),
            friendly(*series_ttl),
        );
        let control = self.control_socket().map(|socket| quoted(&socket.to_string_lossy()));
        let control = control.map_or_else(String::new, |socket| format!("[control]\nsocket = {socket}\n\n"));
        out + &drift.effective()
            + &retrain.effective()
            + &http.effective()
            + &vector.effective()
            + &influxdb.effective()
            + &control
    }

    /// The socket where commands come in: the configured one, or `control.sock` in the state directory, if there is one and
    /// any detector has a model.
    #[must_use]
    pub fn control_socket(&self) -> Option<PathBuf> {
        let Self { detector, state, control, .. } = self;
        let has_models = || detector.iter().flat_map(Detector::members).any(|(member, _)| member.model().is_some());
        let in_state = || state.dir.as_ref().filter(|_| has_models()).map(|dir| dir.join(CONTROL_SOCKET));
        control.socket.clone().or_else(in_state)
    }
}

impl Bundles {
    /// Who may make bundles.
    ///
    /// # Errors
    ///
    /// Which key is none.
    pub fn trust(&self) -> Result<Trust, Invalid> {
        let key = |text: &String| PublicKey::find(text).map_err(Invalid::TrustedKey);
        Ok(Trust { keys: self.trusted_keys.iter().map(key).collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests;
