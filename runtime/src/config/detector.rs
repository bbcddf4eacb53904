//! One detector of the configuration.

use std::fmt::Write as _;
use std::slice;
use std::time::Duration;

use qualm_bundle::duration::friendly;
use qualm_bundle::manifest::Direction;
use qualm_bundle::secret::Secret;
use qualm_core::streaming::{Parameters, Prior};
use serde::{Deserialize, Serialize};

use super::anomaly_rate::AnomalyRate;
use super::rollout::Rollout;
use super::select::Select;
use super::text::quoted;

/// One detector.
#[derive(Debug, Clone, PartialEq)]
pub struct Detector {
    /// A name, for logs and for its state: no other detector may have it.
    pub name: String,
    /// What it scores; everything numeric by default.
    pub select: Select,
    /// Which detector it is.
    pub kind: Kind,
    /// Whether a model's anomalies are explained.
    pub explain: bool,
    /// Whether the band of ordinary values is emitted too.
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
    pub cooldown: Option<Duration>,
    /// Whether, and for whom, the share of series that are anomalous is emitted too.
    pub anomaly_rate: Option<AnomalyRate>,
}

/// Which detector it is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Learns online; needs no training.
    Streaming(Parameters),
    /// A trained model.
    Model(Model),
    /// Combines the scores of others.
    Ensemble(Ensemble),
}

/// A trained model.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Where its bundle is: a path or a URL.
    pub source: Secret,
    /// What a new series starts from, where the model is of a plugin that supports siblings.
    pub prior: Prior,
    /// How a new model takes over; at once without one.
    pub rollout: Option<Rollout>,
}

/// Detectors whose scores are combined.
#[derive(Debug, Clone, PartialEq)]
pub struct Ensemble {
    /// Two or more, none of which is an ensemble.
    pub members: Vec<Member>,
    /// How their scores become one.
    pub combine: Combine,
}

/// A member of an ensemble.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// As a detector by itself, called `ENSEMBLE/MEMBER`.
    pub detector: Detector,
    /// How much its score counts beside the others'.
    pub weight: f64,
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
    /// As it is written; empty where a model says which kind it is.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Streaming(_) => "streaming",
            Self::Model(_) => "",
            Self::Ensemble(_) => "ensemble",
        }
    }
}

impl Default for Detector {
    fn default() -> Self {
        Self {
            name: "all".to_owned(),
            select: Select::default(),
            kind: Kind::Streaming(Parameters::default()),
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

impl Member {
    fn effective(&self, ensemble: &str) -> String {
        let Self { detector: Detector { name, kind, .. }, weight } = self;
        let name = name.strip_prefix(ensemble).and_then(|rest| rest.strip_prefix('/')).unwrap_or(name);
        let what = match kind {
            Kind::Model(model) => model.effective(", "),
            Kind::Streaming(parameters) => effective(parameters, ", "),
            Kind::Ensemble(_) => String::new(), // none is one
        };
        format!("  {{ name = {}, {what}, weight = {weight:?} }},\n", quoted(name))
    }
}

impl Model {
    fn effective(&self, between: &str) -> String {
        // Most models have no prior: it is shown where it is set.
        let prior = match self.prior {
            Prior::None => String::new(),
            Prior::Siblings => format!("{between}prior = \"{}\"", self.prior.name()),
        };
        let rollout = self.rollout.as_ref().map(|rollout| format!("{between}{}", rollout.effective(between)));
        format!("model = {}{prior}{}", quoted(self.source.shown()), rollout.unwrap_or_default())
    }
}

impl Detector {
    /// Its members, or itself where it is no ensemble, each with its weight.
    #[must_use]
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&Self, f64)> {
        let (alone, members) = match &self.kind {
            Kind::Ensemble(ensemble) => (None, ensemble.members.as_slice()),
            Kind::Streaming(_) | Kind::Model(_) => (Some(self), <&[Member]>::default()),
        };
        Members { alone, members: members.iter() }
    }

    /// How the scores of its members become one; of one alone it does not matter.
    #[must_use]
    pub fn combine(&self) -> Combine {
        match &self.kind {
            Kind::Ensemble(ensemble) => ensemble.combine,
            Kind::Streaming(_) | Kind::Model(_) => Combine::default(),
        }
    }

    /// The parameters of `streaming`.
    #[must_use]
    pub fn parameters(&self) -> Option<&Parameters> {
        match &self.kind {
            Kind::Streaming(parameters) => Some(parameters),
            Kind::Model(_) | Kind::Ensemble(_) => None,
        }
    }

    /// The model with which the built-in component is opened; none for a trained model, which is its own, and for an ensemble,
    /// whose members have theirs.
    #[must_use]
    pub fn built_in_model(&self) -> Option<Vec<u8>> {
        match &self.kind {
            Kind::Streaming(parameters) => Some(parameters.to_model()),
            Kind::Model(_) | Kind::Ensemble(_) => None,
        }
    }

    /// What a new series starts from.
    #[must_use]
    pub fn prior(&self) -> Prior {
        match &self.kind {
            Kind::Streaming(parameters) => parameters.prior,
            Kind::Model(model) => model.prior,
            Kind::Ensemble(_) => Prior::None,
        }
    }

    /// Where its model comes from, where it has one.
    #[must_use]
    pub fn model(&self) -> Option<&Secret> {
        match &self.kind {
            Kind::Model(model) => Some(&model.source),
            Kind::Streaming(_) | Kind::Ensemble(_) => None,
        }
    }

    /// How a new model takes over, where that is not at once.
    #[must_use]
    pub fn rollout(&self) -> Option<&Rollout> {
        match &self.kind {
            Kind::Model(model) => model.rollout.as_ref(),
            Kind::Streaming(_) | Kind::Ensemble(_) => None,
        }
    }

    pub(super) fn effective(&self) -> String {
        let Self { name, select, kind, explain, .. } = self;
        let mut out = format!("[[detector]]\nname = {}\nselect = {}\n", quoted(name), select.effective());
        let _infallible = match kind {
            Kind::Ensemble(Ensemble { members, combine }) => writeln!(
                out,
                "kind = \"ensemble\"\ncombine = \"{}\"\nmembers = [\n{}]\nexplain = {explain}",
                combine.name(),
                members.iter().map(|member| member.effective(name)).collect::<String>()
            ),
            Kind::Model(model) => writeln!(out, "{}\nexplain = {explain}", model.effective("\n")),
            Kind::Streaming(parameters) => writeln!(out, "{}", effective(parameters, "\n")),
        };
        if self.band {
            out += "band = true\n";
        }
        out += &self.effective_alarms();
        out.push('\n');
        out
    }
}

/// Parameters of what learns online, as they are written.
fn effective(parameters: &Parameters, between: &str) -> String {
    let Parameters { half_life, false_alarm_rate, min_samples, zone, prior } = parameters;
    [
        "kind = \"streaming\"".to_owned(),
        format!("false_alarm_rate = {false_alarm_rate:e}"),
        format!("half_life = \"{}\"", friendly(Duration::from_secs_f64(*half_life))),
        format!("min_samples = {min_samples}"),
        format!("timezone = \"{}\"", zone.name()),
        format!("prior = \"{}\"", prior.name()),
    ]
    .join(between)
}

/// The members of a detector.
struct Members<'a> {
    alone: Option<&'a Detector>,
    members: slice::Iter<'a, Member>,
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a Detector, f64);

    fn next(&mut self) -> Option<Self::Item> {
        let member = |member: &'a Member| (&member.detector, member.weight);
        self.alone.take().map(|alone| (alone, 1.0)).or_else(|| self.members.next().map(member))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.alone.is_some()) + self.members.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for Members<'_> {}
