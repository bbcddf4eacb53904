//! A detector as it stands in the file: a flat table, in which `kind`, `model` and `members` may contradict one another. Where
//! they do not, it [becomes](DetectorTable::into_detector) a [`Detector`], in which they cannot.

use std::time::Duration;

use qualm_bundle::duration;
use qualm_bundle::manifest::Direction;
use qualm_bundle::secret::{self, Secret};
use qualm_bundle::source::Source;
use qualm_core::streaming::{Parameters, Prior, Zone};
use serde::Deserialize;
use serde::de::{self, Deserializer};

use super::anomaly_rate::AnomalyRate;
use super::detector::{Combine, Detector, Ensemble, Kind, Member, Model};
use super::invalid::Invalid;
use super::rollout::{self, Bounds};
use super::select::Select;
use super::timezone;

/// `[[detector]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DetectorTable {
    name: String,
    select: Select,
    kind: KindName,
    false_alarm_rate: f64,
    #[serde(deserialize_with = "duration::deserialize")]
    half_life: Duration,
    min_samples: u32,
    #[serde(deserialize_with = "timezone::deserialize")]
    timezone: Zone,
    #[serde(deserialize_with = "prior")]
    prior: Prior,
    #[serde(deserialize_with = "secret::some_address")]
    model: Option<Secret>,
    rollout: rollout::Name,
    #[serde(deserialize_with = "duration::some")]
    promote_after: Option<Duration>,
    #[serde(deserialize_with = "duration::some")]
    watch_for: Option<Duration>,
    bounds: Option<Bounds>,
    members: Vec<MemberTable>,
    combine: Combine,
    explain: bool,
    band: bool,
    direction: Direction,
    min_deviation: f64,
    expected_range: Option<[f64; 2]>,
    sustained: Option<String>,
    #[serde(deserialize_with = "duration::some")]
    cooldown: Option<Duration>,
    anomaly_rate: Option<AnomalyRate>,
}

/// One of `members`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MemberTable {
    name: Option<String>,
    kind: KindName,
    #[serde(deserialize_with = "secret::some_address")]
    model: Option<Secret>,
    rollout: rollout::Name,
    #[serde(deserialize_with = "duration::some")]
    promote_after: Option<Duration>,
    #[serde(deserialize_with = "duration::some")]
    watch_for: Option<Duration>,
    bounds: Option<Bounds>,
    weight: f64,
    false_alarm_rate: f64,
    #[serde(deserialize_with = "duration::deserialize")]
    half_life: Duration,
    min_samples: u32,
    #[serde(deserialize_with = "timezone::deserialize")]
    timezone: Zone,
    #[serde(deserialize_with = "prior")]
    prior: Prior,
}

/// What `kind` can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KindName {
    Streaming,
    Ensemble,
}

impl Default for DetectorTable {
    fn default() -> Self {
        let Detector { name, select, kind: _, explain, band, direction, min_deviation, .. } = Detector::default();
        let MemberTable { kind, model, false_alarm_rate, half_life, min_samples, timezone, prior, .. } =
            MemberTable::default();
        Self {
            name,
            select,
            kind,
            false_alarm_rate,
            half_life,
            min_samples,
            timezone,
            prior,
            model,
            rollout: rollout::Name::default(),
            promote_after: None,
            watch_for: None,
            bounds: None,
            members: Vec::new(),
            combine: Combine::default(),
            explain,
            band,
            direction,
            min_deviation,
            expected_range: None,
            sustained: None,
            cooldown: None,
            anomaly_rate: None,
        }
    }
}

impl Default for MemberTable {
    fn default() -> Self {
        let Parameters { half_life, false_alarm_rate, min_samples, zone, prior } = Parameters::default();
        Self {
            name: None,
            kind: KindName::Streaming,
            model: None,
            rollout: rollout::Name::default(),
            promote_after: None,
            watch_for: None,
            bounds: None,
            weight: 1.0,
            false_alarm_rate,
            half_life: Duration::from_secs_f64(half_life),
            min_samples,
            timezone: zone,
            prior,
        }
    }
}

impl DetectorTable {
    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The sources of its models.
    pub(super) fn models_mut(&mut self) -> impl Iterator<Item = &mut Secret> {
        let Self { model, members, .. } = self;
        model.iter_mut().chain(members.iter_mut().filter_map(|member| member.model.as_mut()))
    }

    /// The detector that it describes.
    ///
    /// # Errors
    ///
    /// What in it contradicts what, or cannot be.
    pub(super) fn into_detector(self) -> Result<Detector, Invalid> {
        check_parameters(&self.parameters())?;
        let kind = match (self.kind, &self.model) {
            (KindName::Ensemble, _) => Kind::Ensemble(self.ensemble()?),
            (KindName::Streaming, _) if !self.members.is_empty() || self.combine != Combine::default() => {
                return Err(Invalid::NoEnsemble);
            }
            (KindName::Streaming, Some(source)) => {
                Source::parse(source.reveal()).map_err(Invalid::Model)?;
                self.check_untouched("`model`, which was trained with its own")?;
                Kind::Model(Model {
                    source: source.clone(),
                    prior: self.prior,
                    rollout: self.rollout().into_rollout()?,
                })
            }
            (KindName::Streaming, None) => {
                self.rollout().refuse("`streaming`, which has no model that changes")?;
                Kind::Streaming(self.parameters())
            }
        };
        let detector = self.with_kind(kind);
        detector.check_alarms()?;
        Ok(detector)
    }

    fn with_kind(self, kind: Kind) -> Detector {
        let Self { name, select, explain, band, direction, min_deviation, expected_range, .. } = self;
        let Self { sustained, cooldown, anomaly_rate, .. } = self;
        Detector {
            name,
            select,
            kind,
            explain,
            band,
            direction,
            min_deviation,
            expected_range,
            sustained,
            cooldown,
            anomaly_rate,
        }
    }

    fn parameters(&self) -> Parameters {
        Parameters {
            half_life: self.half_life.as_secs_f64(),
            false_alarm_rate: self.false_alarm_rate,
            min_samples: self.min_samples,
            zone: self.timezone.clone(),
            prior: self.prior,
        }
    }

    fn rollout(&self) -> rollout::Keys {
        let Self { rollout, promote_after, watch_for, bounds, .. } = self.clone();
        rollout::Keys { rollout, promote_after, watch_for, bounds }
    }

    fn ensemble(&self) -> Result<Ensemble, Invalid> {
        let Self { model, members, combine, .. } = self;
        if members.len() < 2 || model.is_some() {
            return Err(Invalid::EnsembleWithoutMembers);
        }
        let built = members.iter().enumerate().map(|(at, member)| {
            let name = member.name().to_owned();
            if members[..at].iter().any(|other| other.name() == name) {
                return Err(Invalid::MembersAlike(name));
            }
            if name.is_empty() || name.contains(['/', '\n']) {
                return Err(Invalid::MemberName(name));
            }
            if member.kind == KindName::Ensemble {
                return Err(Invalid::NestedEnsemble(name));
            }
            if !(member.weight > 0.0 && member.weight.is_finite()) {
                return Err(Invalid::Weight { name, weight: member.weight });
            }
            let detector = member.alone(self).into_detector().map_err(|what| Invalid::Member(name, Box::new(what)))?;
            Ok(Member { detector, weight: member.weight })
        });
        let built = built.collect::<Result<_, Invalid>>()?;
        let beside = "an ensemble, whose members have their own";
        if self.prior != Prior::None {
            return Err(Invalid::Useless { key: "prior", beside });
        }
        self.check_untouched(beside)?;
        self.rollout().refuse(beside)?;
        Ok(Ensemble { members: built, combine: *combine })
    }

    /// Whether what is set of `streaming` is as it is by default, where it is of no use.
    fn check_untouched(&self, beside: &'static str) -> Result<(), Invalid> {
        let Self { false_alarm_rate, half_life, min_samples, timezone, .. } = Self::default();
        for (key, set) in [
            ("false_alarm_rate", self.false_alarm_rate.to_bits() != false_alarm_rate.to_bits()),
            ("half_life", self.half_life != half_life),
            ("min_samples", self.min_samples != min_samples),
            ("timezone", self.timezone != timezone),
        ] {
            if set {
                return Err(Invalid::Useless { key, beside });
            }
        }
        Ok(())
    }
}

impl MemberTable {
    /// What it is called in its ensemble: by default what the model's path ends with, or the kind.
    fn name(&self) -> &str {
        let of_model = || {
            self.model
                .as_ref()
                .map(|model| model.shown().trim_end_matches('/').rsplit('/').next().unwrap_or_default())
                .map(|name| name.split('?').next().unwrap_or(name))
        };
        let of_kind = match self.kind {
            KindName::Streaming => "streaming",
            KindName::Ensemble => "ensemble",
        };
        self.name.as_deref().or_else(of_model).unwrap_or(of_kind)
    }

    /// As a detector by itself. What concerns alarms is the ensemble's.
    fn alone(&self, ensemble: &DetectorTable) -> DetectorTable {
        let Self { name: _, kind, model, weight: _, false_alarm_rate, half_life, min_samples, timezone, prior, .. } =
            self.clone();
        let Self { rollout, promote_after, watch_for, bounds, .. } = self.clone();
        DetectorTable {
            name: format!("{}/{}", ensemble.name, self.name()),
            kind,
            model,
            false_alarm_rate,
            half_life,
            min_samples,
            timezone,
            prior,
            rollout,
            promote_after,
            watch_for,
            bounds,
            members: Vec::new(),
            combine: Combine::default(),
            direction: Direction::default(),
            min_deviation: 0.0,
            expected_range: None,
            anomaly_rate: None,
            ..ensemble.clone()
        }
    }
}

fn check_parameters(parameters: &Parameters) -> Result<(), Invalid> {
    parameters.check().map_err(|(key, range)| Invalid::Parameter { key, range })
}

fn prior<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Prior, D::Error> {
    let name = String::deserialize(deserializer)?;
    let known = Prior::ALL.map(Prior::name).join("` or `");
    Prior::named(&name).ok_or_else(|| de::Error::custom(format!("`prior` is `{name}`; it can be `{known}`")))
}
