//! The configuration: one TOML file, the same for every command.
//!
//! What stands in it, with its defaults, is in `sample.toml` beside this file; `qualm --sample-config` prints that. A
//! key that is not known is an error that names the nearest one that is.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qualm_bundle::duration::{self, friendly};
use qualm_bundle::signature::{PublicKey, Trust};
use qualm_bundle::source::Source;
use qualm_core::streaming::{BYTES_PER_SERIES, Parameters};
use qualm_stream::Selector;
use qualm_stream::glob::Globs;
use qualm_stream::suppress::Suppression;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

use crate::sandbox;

/// The commented sample, in which every option stands.
pub const SAMPLE: &str = include_str!("sample.toml");

/// What a detector needs beside its series: its own code's data, and a full batch with its scores.
const GUEST_BYTES: usize = 8 << 20;

/// A configuration that cannot be used: where, what, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {what}")]
pub struct Error {
    place: String,
    what: String,
}

/// All that a user may set.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The detectors. A field goes to the first that selects it.
    pub detector: Vec<Detector>,
    /// What is kept over restarts.
    pub state: State,
    /// Trained models.
    pub bundles: Bundles,
    /// How much of everything there may be.
    pub limits: Limits,
}

/// One detector.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Detector {
    /// A name, for logs and for its state: no other detector may have it.
    pub name: String,
    /// What it scores; everything numeric by default.
    pub select: Select,
    /// Which detector it is.
    pub kind: Kind,
    /// The share of ordinary rows that may be called anomalies.
    pub false_alarm_rate: f64,
    /// After what time an observation counts half.
    #[serde(deserialize_with = "duration::deserialize")]
    pub half_life: Duration,
    /// Rows of a series before its first score.
    pub min_samples: u32,
    /// Where a trained model's bundle is: a path or a URL. None for a detector that learns online.
    pub model: Option<String>,
    /// Whether a model's anomalies are explained.
    pub explain: bool,
    /// How many of a series' last rows must have a score above 1 for an anomaly, such as `3 of 5`. A model has its own.
    pub sustained: Option<String>,
    /// For how long after an anomaly its series has no other. A model has its own.
    #[serde(deserialize_with = "some_duration")]
    pub cooldown: Option<Duration>,
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

/// The kinds of detectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Learns online; needs no training.
    Streaming,
}

impl Kind {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Streaming => "streaming",
        }
    }
}

/// What a detector scores. What is left out selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Select {
    /// Globs of measurements.
    pub measurement: Patterns,
    /// Tags that must be there, with globs of their values.
    pub tags: BTreeMap<String, Patterns>,
    /// Globs of fields to score.
    pub include_fields: Patterns,
    /// Globs of fields not to score: stronger than `include_fields`.
    pub exclude_fields: Patterns,
}

/// A glob or a list of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns {
    written: Vec<String>,
    globs: Globs,
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
    /// Series that each detector keeps.
    pub max_series: usize,
    /// After what time without rows a series is dropped.
    #[serde(deserialize_with = "duration::deserialize")]
    pub series_ttl: Duration,
}

impl Default for Detector {
    fn default() -> Self {
        let Parameters { half_life, false_alarm_rate, min_samples } = Parameters::default();
        Self {
            name: "all".to_owned(),
            select: Select::default(),
            kind: Kind::Streaming,
            false_alarm_rate,
            half_life: Duration::from_secs_f64(half_life),
            min_samples,
            model: None,
            explain: true,
            sustained: None,
            cooldown: None,
        }
    }
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
        let qualm_stream::Limits { max_series, ttl } = qualm_stream::Limits::default();
        Self { memory, deadline, max_series, series_ttl: Duration::from_nanos(ttl as u64) }
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
        let text = expand(text, |name| std::env::var(name).ok()).map_err(|(line, name)| Error {
            place: format!("{place}:{line}"),
            what: format!("the environment has no variable `{name}`; set it, or write `$${{{name}}}` to mean the text"),
        })?;
        let mut config: Self = toml::from_str(&text).map_err(|error| {
            let line = error.span().map(|span| qualm_stream::line::count_newlines(&text.as_bytes()[..span.start]) + 1);
            Error {
                place: line.map_or_else(|| place.to_owned(), |line| format!("{place}:{line}")),
                what: explain(error.message(), error.span().and_then(|span| text.get(span)).unwrap_or_default()),
            }
        })?;
        if config.detector.is_empty() {
            config.detector.push(Detector::default());
        }
        let from_there = |path: &mut String| *path = directory.join(&*path).to_string_lossy().into_owned();
        let models = config.detector.iter_mut().filter_map(|detector| detector.model.as_mut());
        models.filter(|model| !model.contains("://")).for_each(from_there);
        let keys = config.bundles.trusted_keys.iter_mut().filter(|key| PublicKey::parse(key).is_err());
        keys.for_each(from_there);
        config.check().map_err(|what| Error { place: place.to_owned(), what })?;
        Ok(config)
    }

    /// One detector with this model, and all else as it is by default.
    ///
    /// # Errors
    ///
    /// Where the model cannot be one.
    pub fn of_model(model: &str) -> Result<Self, Error> {
        Self::parse(&format!("[[detector]]\nname = \"model\"\nmodel = {}\n", quoted(model)), "--model")
    }

    fn check(&self) -> Result<(), String> {
        let Self { detector, state, bundles, limits } = self;
        if detector.len() > qualm_stream::pipeline::MAX_LANES {
            return Err(format!("there are {} detectors; at most 64 are possible", detector.len()));
        }
        for (at, one) in detector.iter().enumerate() {
            if detector[..at].iter().any(|other| other.name == one.name) {
                return Err(format!("two detectors are called `{}`; give each a `name` of its own", one.name));
            }
            let parameters = one.parameters();
            parameters.check().map_err(|(key, range)| format!("detector `{}`: `{key}` {range}", one.name))?;
            one.check().map_err(|what| format!("detector `{}`: {what}", one.name))?;
        }
        bundles.trust()?;
        let second = Duration::from_secs(1);
        for (wrong, what) in [
            (state.interval < second, "[state] `interval` must be a second at least"),
            (bundles.poll < second, "[bundles] `poll` must be a second at least"),
            (limits.memory < 1 << 20, "[limits] `memory` must be 1MiB at least"),
            (limits.memory > 4 << 30, "[limits] `memory` must be 4GiB at most: a detector cannot use more"),
            (limits.deadline < Duration::from_millis(5), "[limits] `deadline` must be 5ms at least"),
            (limits.deadline > 60 * second, "[limits] `deadline` must be 60s at most: metrics wait for it"),
            (limits.max_series == 0, "[limits] `max_series` must be 1 at least"),
            (limits.max_series > 100_000_000, "[limits] `max_series` must be 100000000 at most"),
            (limits.series_ttl < second, "[limits] `series_ttl` must be a second at least"),
        ] {
            if wrong {
                return Err(what.to_owned());
            }
        }
        let needed = limits.max_series * (BYTES_PER_SERIES + BYTES_PER_SERIES / 8) + GUEST_BYTES;
        if needed > limits.memory {
            return Err(format!(
                "[limits] `memory` has no room for the {} series of `max_series`: lower that, or raise `memory` to {}MiB",
                limits.max_series,
                needed.div_ceil(1 << 20)
            ));
        }
        Ok(())
    }

    /// The configuration as it is in force, defaults filled in, as TOML.
    #[must_use]
    pub fn effective(&self) -> String {
        let Self { detector, state, bundles, limits } = self;
        let mut out: String = detector.iter().map(Detector::effective).collect();
        let Bundles { trusted_keys, poll } = bundles;
        let keys: Vec<_> = trusted_keys.iter().map(|key| quoted(key)).collect();
        let _infallible =
            write!(out, "[bundles]\ntrusted_keys = [{}]\npoll = \"{}\"\n\n", keys.join(", "), friendly(*poll));
        let State { dir, interval } = state;
        let dir = dir.as_ref().map(|dir| format!("dir = {}\n", quoted(&dir.to_string_lossy())));
        let Limits { memory, deadline, max_series, series_ttl } = limits;
        let _infallible = write!(
            out,
            "[state]\n{}interval = \"{}\"\n\n[limits]\nmemory = \"{}\"\ndeadline = \"{}\"\n\
             max_series = {max_series}\nseries_ttl = \"{}\"\n",
            dir.unwrap_or_default(),
            friendly(*interval),
            if memory.is_multiple_of(1 << 20) { format!("{}MiB", memory >> 20) } else { format!("{memory}B") },
            friendly(*deadline),
            friendly(*series_ttl),
        );
        out
    }
}

impl Bundles {
    /// Who may make bundles.
    ///
    /// # Errors
    ///
    /// Which key is none.
    pub fn trust(&self) -> Result<Trust, String> {
        let key = |text: &String| PublicKey::find(text).map_err(|error| format!("[bundles] `trusted_keys`: {error}"));
        Ok(Trust { keys: self.trusted_keys.iter().map(key).collect::<Result<_, _>>()? })
    }
}

impl Detector {
    fn check(&self) -> Result<(), String> {
        self.suppression(Suppression::default())?;
        let Some(model) = &self.model else { return Ok(()) };
        Source::parse(model).map_err(|error| format!("`model`: {error}"))?;
        let Self { false_alarm_rate, half_life, min_samples, .. } = Self::default();
        for (key, set) in [
            ("false_alarm_rate", self.false_alarm_rate.to_bits() != false_alarm_rate.to_bits()),
            ("half_life", self.half_life != half_life),
            ("min_samples", self.min_samples != min_samples),
        ] {
            if set {
                return Err(format!(
                    "`{key}` is of no use beside `model`, which was trained with its own; leave it out"
                ));
            }
        }
        Ok(())
    }

    /// Which anomalies are worth telling, where the model says `models`: what is set here comes first.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn suppression(&self, models: Suppression) -> Result<Suppression, String> {
        let parse = |text: &String| Suppression::parse_sustained(text).map_err(|error| format!("`sustained`: {error}"));
        let (sustained, of) = self.sustained.as_ref().map_or(Ok((models.sustained, models.of)), parse)?;
        let nanoseconds = |cooldown: Duration| i64::try_from(cooldown.as_nanos()).unwrap_or(i64::MAX);
        Ok(Suppression { sustained, of, cooldown: self.cooldown.map_or(models.cooldown, nanoseconds) })
    }

    fn effective(&self) -> String {
        let Self { name, select, kind: Kind::Streaming, false_alarm_rate, half_life, min_samples, .. } = self;
        let Self { model, explain, sustained, cooldown, .. } = self;
        let mut out = format!("[[detector]]\nname = {}\nselect = {}\n", quoted(name), select.effective());
        let _infallible = match model {
            Some(model) => writeln!(out, "model = {}\nexplain = {explain}", quoted(model)),
            None => writeln!(
                out,
                "kind = \"streaming\"\nfalse_alarm_rate = {false_alarm_rate:e}\nhalf_life = \"{}\"\nmin_samples = {min_samples}",
                friendly(*half_life),
            ),
        };
        if let Some(sustained) = sustained {
            let _infallible = writeln!(out, "sustained = {}", quoted(sustained));
        }
        if let Some(cooldown) = cooldown {
            let _infallible = writeln!(out, "cooldown = \"{}\"", friendly(*cooldown));
        }
        out.push('\n');
        out
    }

    /// What the `streaming` detector is told.
    #[must_use]
    pub fn parameters(&self) -> Parameters {
        Parameters {
            half_life: self.half_life.as_secs_f64(),
            false_alarm_rate: self.false_alarm_rate,
            min_samples: self.min_samples,
        }
    }
}

impl Select {
    /// As the pipeline takes it.
    #[must_use]
    pub fn selector(&self) -> Selector {
        let Self { measurement, tags, include_fields, exclude_fields } = self;
        Selector {
            measurement: measurement.globs.clone(),
            tags: tags.iter().map(|(key, values)| (key.clone(), values.globs.clone())).collect(),
            include_fields: include_fields.globs.clone(),
            exclude_fields: exclude_fields.globs.clone(),
        }
    }

    fn effective(&self) -> String {
        let Self { measurement, tags, include_fields, exclude_fields } = self;
        let tags: Vec<_> =
            tags.iter().map(|(key, values)| format!("{} = {}", quoted(key), values.effective())).collect();
        let mut parts = Vec::new();
        for (key, patterns) in
            [("measurement", measurement), ("include_fields", include_fields), ("exclude_fields", exclude_fields)]
        {
            if !patterns.written.is_empty() {
                parts.push(format!("{key} = {}", patterns.effective()));
            }
        }
        if !tags.is_empty() {
            parts.push(format!("tags = {{ {} }}", tags.join(", ")));
        }
        if parts.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", parts.join(", ")) }
    }
}

impl Patterns {
    fn effective(&self) -> String {
        let quoted: Vec<_> = self.written.iter().map(|pattern| quoted(pattern)).collect();
        format!("[{}]", quoted.join(", "))
    }
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a glob or a list of globs")]
        enum OneOrMany {
            One(String),
            Many(Vec<String>),
        }
        let written = match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(pattern) => vec![pattern],
            OneOrMany::Many(patterns) => patterns,
        };
        let globs = Globs::new(&written).map_err(de::Error::custom)?;
        Ok(Self { written, globs })
    }
}

fn some_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration::deserialize(deserializer).map(Some)
}

/// A number of bytes such as `64MiB`.
fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let text = String::deserialize(deserializer)?;
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match text[end..].trim() {
        "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let bytes = unit.and_then(|unit: usize| text[..end].parse::<usize>().ok()?.checked_mul(unit));
    bytes.ok_or_else(|| de::Error::custom(format!("`{text}` is no size; write one like \"64MiB\" or \"1GiB\"")))
}

/// Puts the environment's variables in place of `${NAME}`; `$${` stands for `${`. A name that is not set is returned
/// with its line.
fn expand(text: &str, get: impl Fn(&str) -> Option<String>) -> Result<String, (usize, String)> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        out.push_str(&rest[..at]);
        let behind = &rest[at + 2..];
        let before = &text[..text.len() - rest.len() + at];
        let comment = before.rsplit('\n').next().unwrap_or_default().trim_start().starts_with('#');
        match behind.find('}') {
            _ if out.ends_with('$') => {
                out.push('{');
                rest = behind;
            }
            Some(end) if !comment => {
                let line = before.matches('\n').count() + 1;
                out.push_str(&get(&behind[..end]).ok_or_else(|| (line, behind[..end].to_owned()))?);
                rest = &behind[end + 1..];
            }
            _ => {
                out.push_str("${");
                rest = behind;
            }
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// How alike two names must be for the one to be meant by the other: `mesurement` and `measurement` are at 0.97, names
/// that share some letters by chance at 0.6.
const ALIKE: f64 = 0.75;

/// Serde's message in words for people, with the nearest known name where a key or a choice is not known. `written` is
/// what stands in the file.
fn explain(message: &str, written: &str) -> String {
    if message.contains("expected a sequence") {
        return "this needs two brackets, as there may be several: `[[detector]]`".to_owned();
    }
    if message.starts_with("invalid type") {
        let number = ["expected f64", "expected u32", "expected usize"].iter().any(|kind| message.ends_with(kind));
        return match number {
            true => format!("`{written}` must be a number, without quotes"),
            false if message.ends_with("expected a string") => {
                format!(
                    "`{written}` must be in quotes, with its unit if it is a duration or a size: \"72h\", \"64MiB\""
                )
            }
            false => message.to_owned(),
        };
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let (true, Some(wrong)) = (message.starts_with("unknown "), names.next()) else {
        return message.to_owned();
    };
    let known: Vec<&str> = names.collect();
    let nearest = known.iter().max_by(|a, b| strsim::jaro(a, wrong).total_cmp(&strsim::jaro(b, wrong)));
    let what = if message.starts_with("unknown field") { "key" } else { "value" };
    match nearest.filter(|nearest| strsim::jaro(nearest, wrong) >= ALIKE) {
        _ if ["agent", "inputs", "outputs", "processors", "aggregators"].contains(&wrong) => {
            format!(
                "`{wrong}` belongs into Telegraf's configuration; this is qualm's. Known here: {}",
                known.join(", ")
            )
        }
        Some(nearest) => {
            format!("unknown {what} `{wrong}`; did you mean `{nearest}`? Known here: {}", known.join(", "))
        }
        None => format!("unknown {what} `{wrong}`. Known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, "q.toml").map_err(|error| error.to_string())
    }

    #[test]
    fn no_configuration_scores_everything() {
        let config = parse("").unwrap();
        assert_eq!(config.detector, [Detector::default()]);
        assert_eq!(config.detector[0].select.selector(), Selector::default());
    }

    #[test]
    fn the_sample_says_what_the_defaults_are() {
        let plain: String = SAMPLE
            .lines()
            .map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line).to_owned() + "\n")
            .collect();
        let written = parse(SAMPLE).unwrap();
        assert_eq!(written.detector, parse("").unwrap().detector);
        let mut spelled_out = parse(&plain).expect("every option in the sample can be uncommented");
        spelled_out.state.dir = None;
        for detector in &mut spelled_out.detector {
            detector.select = Select::default();
            detector.model = None;
            detector.sustained = None;
            detector.cooldown = None;
        }
        spelled_out.bundles.trusted_keys.clear();
        assert_eq!(spelled_out, parse("").unwrap(), "what stands in comments is the default");
    }

    #[test]
    fn the_samples_for_telegraf_are_right() {
        let config = parse(include_str!("../../telegraf/host.toml")).unwrap();
        assert_eq!(config.detector.len(), 2);
        assert!(config.detector[0].select.selector().wants_event(b"cpu,cpu=cpu-total,host=a"));
        assert!(config.detector[1].select.selector().wants_field(b"used_percent"));
    }

    #[test]
    fn what_is_in_force_can_be_read_again() {
        let text = r#"
            [[detector]]
            name = "a \"quoted\" name"
            select = { measurement = ["cpu", "mem*"], tags = { cpu = "cpu-total" }, include_fields = "usage_*" }
            false_alarm_rate = 1e-6
            half_life = "1h30m"
            sustained = "3 of 5"
            cooldown = "10m"
            [[detector]]
            name = "vitals"
            model = "https://models/vitals.qualm"
            explain = false
            [bundles]
            trusted_keys = ["RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"]
            poll = "5s"
            [state]
            dir = "/var/lib/qualm"
            interval = "5m"
            [limits]
            memory = "128MiB"
            series_ttl = "7d"
        "#;
        let config = parse(text).unwrap();
        assert_eq!(config.limits.memory, 128 << 20);
        assert_eq!(config.limits.series_ttl, Duration::from_hours(168));
        assert_eq!(parse(&config.effective()).unwrap(), config);
        assert_eq!(parse(&parse("").unwrap().effective()).unwrap(), parse("").unwrap());
    }

    #[test]
    fn errors_name_the_place_and_what_would_be_right() {
        for (text, place, what) in [
            ("[[detector]]\nfalse_alarm_rat = 1", "q.toml:2", "did you mean `false_alarm_rate`?"),
            ("[detektor]\n", "q.toml:1", "did you mean `detector`?"),
            ("[limits]\n\nmemroy = \"1MiB\"", "q.toml:3", "did you mean `memory`?"),
            ("[[detector]]\nselect = { mesurement = \"cpu\" }", "q.toml:2", "did you mean `measurement`?"),
            ("[[detector]]\nkind = \"steaming\"", "q.toml:2", "`streaming`"),
            ("[[detector]]\nhalf_life = \"soon\"", "q.toml:2", "`soon` is no duration"),
            ("[[detector]]\nhalf_life = \"-1s\"", "q.toml:2", "`-1s` is no duration"),
            ("[[detector]]\nhalf_life = \"0s\"", "q.toml", "`half_life` must be"),
            ("[[detector]]\nfalse_alarm_rate = 2.0", "q.toml", "detector `all`: `false_alarm_rate` must lie"),
            ("[[detector]]\nfalse_alarm_rate = nan", "q.toml", "detector `all`: `false_alarm_rate` must lie"),
            ("[[detector]]\nmin_samples = -1", "q.toml:2", "-1"),
            ("[[detector]]\nmin_samples = \"10\"", "q.toml:2", "`\"10\"` must be a number, without quotes"),
            ("[[detector]]\nhalf_life = 72", "q.toml:2", "`72` must be in quotes, with its unit"),
            ("[[detector]]\nmodel = \"m\"\nmin_samples = 7", "q.toml", "`min_samples` is of no use beside `model`"),
            ("[[detector]]\nmodel = \"ftp://m\"", "q.toml", "`ftp` is not known"),
            ("[[detector]]\nsustained = \"5\"", "q.toml", "like \"3 of 5\""),
            ("[[detector]]\ncooldown = \"long\"", "q.toml:2", "`long` is no duration"),
            ("[bundles]\npoll = \"0s\"", "q.toml", "`poll` must be a second at least"),
            ("[bundles]\ntrusted_keys = [\"x\"]", "q.toml", "[bundles] `trusted_keys`: "),
            ("[detector]\nname = \"a\"", "q.toml:1", "two brackets"),
            ("[processors]", "q.toml:1", "belongs into Telegraf's configuration"),
            ("zzzzz = 1", "q.toml:1", "unknown key `zzzzz`. Known here: detector, state, bundles, limits"),
            ("[limits]\nmemory = \"256MB\"", "q.toml:2", "`256MB` is no size"),
            ("[[detector]]\n[[detector]]", "q.toml", "two detectors are called `all`"),
            ("[[detector]]\nselect = { measurement = \"[a\" }", "q.toml:2", "`[a`"),
            ("[[detector]]\nselect = { measurement = 3 }", "q.toml:2", "a glob or a list of globs"),
            ("[limits]\nmemory = \"64\"", "q.toml:2", "`64` is no size"),
            ("[limits]\nmemory = \"99999999999999GiB\"", "q.toml:2", "is no size"),
            ("[limits]\nmemory = \"8MiB\"", "q.toml", "lower that, or raise `memory` to 103MiB"),
            ("[limits]\ndeadline = \"1ms\"", "q.toml", "`deadline` must be 5ms at least"),
            ("a = \"${QUALM_NO_SUCH_VARIABLE}\"", "q.toml:1", "no variable `QUALM_NO_SUCH_VARIABLE`"),
            ("[[detector]\n", "q.toml:1", ""),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(place) && error.contains(what), "{text:?}: {error}");
        }
        let error = Config::read(Path::new("/no/such/file.toml")).unwrap_err().to_string();
        assert!(error.starts_with("/no/such/file.toml: ") && error.contains("--sample-config"), "{error}");
    }

    #[test]
    fn variables_are_expanded() {
        let get = |name: &str| (name == "DIR").then(|| "/state".to_owned());
        assert_eq!(expand("dir = \"${DIR}/x\" # $${DIR}", get).unwrap(), "dir = \"/state/x\" # ${DIR}");
        assert_eq!(expand("a\nb ${NO}", get), Err((2, "NO".to_owned())));
        assert_eq!(expand("# ${NO} ${NO2}\n${DIR} ${", get).unwrap(), "# ${NO} ${NO2}\n/state ${");
        assert_eq!(expand("a = \"${DIR}#${DIR}\"", get).unwrap(), "a = \"/state#/state\"");
    }
}
