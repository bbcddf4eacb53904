//! One detector of the configuration, and what it selects.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use qualm_bundle::duration::{self, friendly};
use qualm_bundle::manifest::Direction;
use qualm_bundle::secret::{self, Secret};
use qualm_bundle::source::Source;
use qualm_core::streaming::{Parameters, Prior, Zone};
use qualm_pipeline::Selector;
use qualm_pipeline::glob::Globs;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

use super::alarms::AnomalyRate;
use super::text::quoted;
use super::timezone;

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
    /// Where its days begin and end.
    #[serde(deserialize_with = "timezone::deserialize")]
    pub timezone: Zone,
    /// What a new series starts from.
    #[serde(deserialize_with = "prior")]
    pub prior: Prior,
    /// Where a trained model's bundle is: a path or a URL. None for a detector that learns online.
    #[serde(deserialize_with = "secret::some_address")]
    pub model: Option<Secret>,
    /// The members of an ensemble, and how their scores become one.
    pub members: Vec<Member>,
    /// See `members`.
    pub combine: Combine,
    /// Whether a model's anomalies are explained.
    pub explain: bool,
    /// Whether it is shown what would have been ordinary.
    pub band: bool,
    /// On which side of what was expected a value must be for an anomaly. Of `streaming`; a model has its own.
    pub direction: Direction,
    /// How far from what was expected it must be at least, in its own unit. Of `streaming`; a model has its own.
    pub min_deviation: f64,
    /// From which value to which, both included, none is an anomaly. A model has its own.
    pub expected_range: Option<[f64; 2]>,
    /// How many of a series' last rows must have a score above 1 for an anomaly, such as `3 of 5`. A model has its own.
    pub sustained: Option<String>,
    /// For how long after an anomaly its series has no other. A model has its own.
    #[serde(deserialize_with = "some_duration")]
    pub cooldown: Option<Duration>,
    /// Whether, and for whom, the share of series that are anomalous is told too.
    pub anomaly_rate: Option<AnomalyRate>,
}

/// The kinds of detectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Learns online; needs no training.
    Streaming,
    /// Combines the scores of others.
    Ensemble,
}

/// A member of an ensemble: a detector that learns online, or one with a model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Member {
    /// A name, for logs and for its state; by default what the model's path ends with, or the kind.
    pub name: Option<String>,
    /// Which detector it is, where it has no model.
    pub kind: Kind,
    /// As of a detector.
    #[serde(deserialize_with = "secret::some_address")]
    pub model: Option<Secret>,
    /// How much its score counts beside the others'.
    pub weight: f64,
    /// As of a detector.
    pub false_alarm_rate: f64,
    /// As of a detector.
    #[serde(deserialize_with = "duration::deserialize")]
    pub half_life: Duration,
    /// As of a detector.
    pub min_samples: u32,
    /// As of a detector.
    #[serde(deserialize_with = "timezone::deserialize")]
    pub timezone: Zone,
    /// As of a detector.
    #[serde(deserialize_with = "prior")]
    pub prior: Prior,
}

/// How the scores of an ensemble's members become one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Combine {
    /// Their mean, by weight.
    #[default]
    Mean,
    /// The highest.
    Maximum,
    /// The weighted median: above 1 where members of more than half the weight say so.
    Vote,
}

impl Combine {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Maximum => "maximum",
            Self::Vote => "vote",
        }
    }
}

impl Kind {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Streaming => "streaming",
            Self::Ensemble => "ensemble",
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

impl Default for Detector {
    fn default() -> Self {
        let Parameters { half_life, false_alarm_rate, min_samples, zone, prior } = Parameters::default();
        Self {
            name: "all".to_owned(),
            select: Select::default(),
            kind: Kind::Streaming,
            false_alarm_rate,
            half_life: Duration::from_secs_f64(half_life),
            min_samples,
            timezone: zone,
            prior,
            model: None,
            members: Vec::new(),
            combine: Combine::default(),
            explain: true,
            band: false,
            direction: Direction::default(),
            min_deviation: 0.0,
            expected_range: None,
            sustained: None,
            cooldown: None,
            anomaly_rate: None,
        }
    }
}

impl Default for Member {
    fn default() -> Self {
        let Detector { kind, model, false_alarm_rate, half_life, min_samples, timezone, prior, .. } =
            Detector::default();
        Self { name: None, kind, model, weight: 1.0, false_alarm_rate, half_life, min_samples, timezone, prior }
    }
}

impl Member {
    /// What it is called in its ensemble.
    fn name(&self) -> &str {
        let of_model = || {
            self.model
                .as_ref()
                .map(|model| model.shown().trim_end_matches('/').rsplit('/').next().unwrap_or_default())
                .map(|name| name.split('?').next().unwrap_or(name))
        };
        self.name.as_deref().or_else(of_model).unwrap_or(self.kind.name())
    }

    /// As a detector by itself.
    fn alone(&self, ensemble: &Detector) -> Detector {
        let Self { name: _, kind, model, weight: _, false_alarm_rate, half_life, min_samples, timezone, prior } =
            self.clone();
        Detector {
            name: format!("{}/{}", ensemble.name, self.name()),
            kind,
            model,
            false_alarm_rate,
            half_life,
            min_samples,
            timezone,
            prior,
            members: Vec::new(),
            combine: Combine::default(),
            // The ensemble's, not its members'.
            direction: Direction::default(),
            min_deviation: 0.0,
            expected_range: None,
            anomaly_rate: None,
            ..ensemble.clone()
        }
    }

    fn effective(&self) -> String {
        let Self { name: _, kind, model, weight, false_alarm_rate, half_life, min_samples, timezone, prior } = self;
        let what = match model {
            Some(model) => format!("model = {}{}", quoted(model.shown()), of_model(*prior, ", ")),
            None => format!(
                "kind = \"{}\", false_alarm_rate = {false_alarm_rate:e}, half_life = \"{}\", \
                 min_samples = {min_samples}, timezone = \"{}\", prior = \"{}\"",
                kind.name(),
                friendly(*half_life),
                timezone.name(),
                prior.name()
            ),
        };
        format!("  {{ name = {}, {what}, weight = {weight:?} }},\n", quoted(self.name()))
    }
}

impl Detector {
    /// Its members as detectors by themselves, with their weights; itself, where it is no ensemble.
    #[must_use]
    pub fn members(&self) -> Vec<(Self, f64)> {
        match self.kind {
            Kind::Ensemble => self.members.iter().map(|member| (member.alone(self), member.weight)).collect(),
            Kind::Streaming => vec![(self.clone(), 1.0)],
        }
    }

    /// The sources of its models.
    pub(super) fn models_mut(&mut self) -> impl Iterator<Item = &mut Secret> {
        let Self { model, members, .. } = self;
        model.iter_mut().chain(members.iter_mut().filter_map(|member| member.model.as_mut()))
    }

    fn check_ensemble(&self) -> Result<(), String> {
        let Self { kind, model, members, combine, .. } = self;
        if *kind != Kind::Ensemble {
            if !members.is_empty() || *combine != Combine::default() {
                return Err("`members` and `combine` are of an ensemble: write `kind = \"ensemble\"` too".to_owned());
            }
            return Ok(());
        }
        if members.len() < 2 || model.is_some() {
            return Err(
                "an ensemble has two or more `members` (such as `members = [{ kind = \"streaming\" }, { model = \
                        \"models/vitals\" }]`), and no `model` of its own"
                    .to_owned(),
            );
        }
        for (at, member) in members.iter().enumerate() {
            let name = member.name();
            if members[..at].iter().any(|other| other.name() == name) {
                return Err(format!("two members are called `{name}`; give each a `name` of its own"));
            }
            if name.is_empty() || name.contains(['/', '\n']) {
                return Err(format!("`{name}` is no name of a member: it may have no `/` in it"));
            }
            if member.kind == Kind::Ensemble {
                return Err(format!("member `{name}` is an ensemble itself; name its members here"));
            }
            if !(member.weight > 0.0 && member.weight.is_finite()) {
                return Err(format!("member `{name}`: `weight` is {}; it must be above 0", member.weight));
            }
            let alone = member.alone(self);
            alone.parameters().check().map_err(|(key, range)| format!("member `{name}`: `{key}` {range}"))?;
            alone.check().map_err(|what| format!("member `{name}`: {what}"))?;
        }
        let members = "an ensemble, whose members have their own";
        if self.prior != Prior::None {
            return Err(format!("`prior` is of no use beside {members}; leave it out"));
        }
        self.check_untouched(members)
    }

    /// Whether what is set of `streaming` is as it is by default, where it is of no use.
    fn check_untouched(&self, beside: &str) -> Result<(), String> {
        let Self { false_alarm_rate, half_life, min_samples, timezone, .. } = Self::default();
        for (key, set) in [
            ("false_alarm_rate", self.false_alarm_rate.to_bits() != false_alarm_rate.to_bits()),
            ("half_life", self.half_life != half_life),
            ("min_samples", self.min_samples != min_samples),
            ("timezone", self.timezone != timezone),
        ] {
            if set {
                return Err(format!("`{key}` is of no use beside {beside}; leave it out"));
            }
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), String> {
        self.check_alarms()?;
        self.check_ensemble()?;
        if self.kind == Kind::Ensemble {
            return Ok(());
        }
        let Some(model) = &self.model else { return Ok(()) };
        Source::parse(model.reveal()).map_err(|error| format!("`model`: {error}"))?;
        self.check_untouched("`model`, which was trained with its own")
    }

    pub(super) fn effective(&self) -> String {
        let Self { name, select, kind, false_alarm_rate, half_life, min_samples, timezone, .. } = self;
        let Self { model, members, combine, explain, prior, .. } = self;
        let mut out = format!("[[detector]]\nname = {}\nselect = {}\n", quoted(name), select.effective());
        let _infallible = match (kind, model) {
            (Kind::Ensemble, _) => writeln!(
                out,
                "kind = \"ensemble\"\ncombine = \"{}\"\nmembers = [\n{}]\nexplain = {explain}",
                combine.name(),
                members.iter().map(Member::effective).collect::<String>()
            ),
            (_, Some(model)) => {
                writeln!(out, "model = {}{}\nexplain = {explain}", quoted(model.shown()), of_model(*prior, "\n"))
            }
            (_, None) => writeln!(
                out,
                "kind = \"streaming\"\nfalse_alarm_rate = {false_alarm_rate:e}\nhalf_life = \"{}\"\n\
                 min_samples = {min_samples}\ntimezone = \"{}\"\nprior = \"{}\"",
                friendly(*half_life),
                timezone.name(),
                prior.name(),
            ),
        };
        if self.band {
            out += "band = true\n";
        }
        out += &self.effective_alarms();
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
            zone: self.timezone.clone(),
            prior: self.prior,
        }
    }
}

/// The prior of what has a model, where there is one: few have.
fn of_model(prior: Prior, before: &str) -> String {
    if prior == Prior::None { String::new() } else { format!("{before}prior = \"{}\"", prior.name()) }
}

fn prior<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Prior, D::Error> {
    let name = String::deserialize(deserializer)?;
    let known = Prior::ALL.map(Prior::name).join("` or `");
    Prior::named(&name).ok_or_else(|| de::Error::custom(format!("`prior` is `{name}`; it can be `{known}`")))
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
