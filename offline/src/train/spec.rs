//! The specification of training: a file in TOML, or its defaults.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use qualm_bundle::manifest::{self, Feature, Suppression};
use qualm_core::trained::calibrate::Threshold;
use serde::Deserialize;
use toml::Value;

/// The specification of training. Missing keys are derived from the data, or have a default.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spec {
    /// The bundle's name.
    pub name: Option<String>,
    /// The bundle's version.
    pub version: Option<u64>,
    /// The kind of detector.
    pub detector: Option<String>,
    /// Tags that identify an entity.
    pub entity: Option<Vec<String>>,
    /// Values within the same interval make one vector.
    #[serde(deserialize_with = "qualm_bundle::duration::some")]
    pub interval: Option<Duration>,
    /// The features; if empty, all that the data have.
    pub features: Vec<Feature>,
    /// The seed of all randomness.
    pub seed: u64,
    /// The shares of the training, validation and test part, in order of time.
    pub split: [f64; 3],
    /// The rule for the threshold.
    pub threshold: Rule,
    /// Which incidents are reported.
    pub suppression: Suppression,
    /// How much of the newest rows is compared with training, to detect drift.
    #[serde(deserialize_with = "qualm_bundle::duration::deserialize")]
    pub drift_window: Duration,
    /// The detector's parameters, by name: a value, or a list of values to try.
    pub parameters: BTreeMap<String, Value>,
}

/// The rule for the threshold: one of these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// The share of ordinary rows that may alarm.
    pub false_alarm_rate: Option<f64>,
    /// The share of rows that are anomalies.
    pub contamination: Option<f64>,
    /// A raw score.
    pub fixed: Option<f64>,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            name: None,
            version: None,
            detector: None,
            entity: None,
            interval: None,
            features: Vec::new(),
            seed: 1,
            split: [0.7, 0.15, 0.15],
            threshold: Rule::default(),
            suppression: Suppression::default(),
            drift_window: qualm_drift::Options::default().window,
            parameters: BTreeMap::new(),
        }
    }
}

/// Why a specification cannot be used, and where.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct Error {
    place: String,
    fault: Fault,
}

/// What is wrong with a specification.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Its file cannot be read.
    #[error("{0}; `qualm train --help` shows one")]
    Io(io::Error),
    /// It is no TOML, or has something else in it.
    #[error("{}", .0.message())]
    Toml(Box<toml::de::Error>),
    /// The shares of the data do not add up.
    #[error("`split` is {0:?}; it must be three shares that add up to 1, such as [0.7, 0.15, 0.15]")]
    Split([f64; 3]),
    /// Nothing can be compared with training.
    #[error(
        "`drift_window` is 0; it must be a duration such as 1d, long enough for each hour of a day or each day of a week"
    )]
    DriftWindow,
    /// A feature or the suppression could not be in a manifest.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// The threshold has several rules.
    #[error(transparent)]
    Rule(#[from] BadRule),
}

impl Spec {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// If it cannot be read or is invalid.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let place = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|error| Error { place: place.clone(), fault: Fault::Io(error) })?;
        Self::parse(&text, &place)
    }

    fn parse(text: &str, place: &str) -> Result<Self, Error> {
        let spec: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
            let place = line.map_or_else(|| place.to_owned(), |line| format!("{place}:{line}"));
            Error { place, fault: Fault::Toml(Box::new(error)) }
        })?;
        spec.check().map_err(|fault| Error { place: place.to_owned(), fault })?;
        Ok(spec)
    }

    /// The name of a bundle that is written to `out`: the given one or, by default, that of the directory.
    #[must_use]
    pub fn name_for(&self, out: &Path) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let last = out.file_name().unwrap_or_default().to_string_lossy();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let name: String = last.chars().map(|c| if allowed(c) { c } else { '-' }).collect();
        let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        if name.is_empty() { "model".to_owned() } else { name.to_owned() }
    }

    fn check(&self) -> Result<(), Fault> {
        let [train, validation, test] = self.split;
        let shares = [train, validation, test].iter().all(|share| (0.0..=1.0).contains(share));
        if !shares || (train + validation + test - 1.0).abs() > 1e-6 || train == 0.0 || validation == 0.0 {
            return Err(Fault::Split(self.split));
        }
        for feature in &self.features {
            feature.for_pipeline()?;
        }
        if self.drift_window.is_zero() {
            return Err(Fault::DriftWindow);
        }
        self.suppression.sustained().map_err(manifest::Error::from)?;
        self.threshold.resolve()?;
        Ok(())
    }
}

/// The threshold has more than one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("[threshold] must have one of `false_alarm_rate`, `contamination` and `fixed`")]
pub struct BadRule;

impl Rule {
    /// The rule, and its text for the manifest.
    ///
    /// # Errors
    ///
    /// If there is more than one.
    pub fn resolve(self) -> Result<(Threshold, String), BadRule> {
        let Self { false_alarm_rate, contamination, fixed } = self;
        match (false_alarm_rate, contamination, fixed) {
            (rate, None, None) => {
                let rate = rate.unwrap_or(1e-4);
                Ok((Threshold::FalseAlarmRate(rate), format!("false_alarm_rate = {rate:?}")))
            }
            (None, Some(share), None) => Ok((Threshold::Contamination(share), format!("contamination = {share:?}"))),
            (None, None, Some(raw)) => Ok((Threshold::Fixed(raw), format!("fixed = {raw:?}"))),
            _ => Err(BadRule),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specification_is_read() {
        let spec = Spec::parse(
            r#"
            name = "host-vitals"
            detector = "zscore"
            entity = ["host"]
            interval = "10s"
            threshold = { contamination = 0.01 }
            suppression = { sustained = "3 of 5", cooldown = "10m" }

            [[features]]
            name = "cpu"
            measurement = "cpu"
            field = "usage_user"
            tags = { cpu = "cpu-total" }

            [[features]]
            name = "received"
            measurement = "net"
            field = "bytes_recv"
            transform = "rate"

            [parameters]
            scaling = ["standard", "robust"]
            "#,
            "spec.toml",
        )
        .unwrap();
        assert_eq!((spec.interval, spec.features.len(), spec.seed), (Some(Duration::from_secs(10)), 2, 1));
        assert_eq!(spec.threshold.resolve().unwrap().1, "contamination = 0.01");
        assert_eq!(Spec::parse("", "none").unwrap(), Spec::default());
    }

    #[test]
    fn errors_name_the_key() {
        for (text, what) in [
            ("name = 5", "spec.toml:1: "),
            ("nam = \"x\"", "unknown field `nam`"),
            ("split = [0.5, 0.5, 0.5]", "add up to 1"),
            ("interval = \"soon\"", "`soon` is no duration"),
            ("[threshold]\ncontamination = 0.1\nfixed = 3.0", "must have one of"),
            ("[[features]]\nname = \"a\"\nmeasurement = \"b\"\nfield = \"c\"\ntransform = \"log\"", "log1p"),
            ("[[features]]\nname = \"a\"\nmeasurement = \"b\"\nfield = \"c\"\ntags = { d = \"[\" }", "tag `d`"),
        ] {
            let error = Spec::parse(text, "spec.toml").unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
