//! What others may see of drift.

use std::sync::Arc;
use std::time::Duration;

use qualm_drift::{EntityReport, FeatureReport, Report, State, Summary};

/// What is known of the drift of a detector's rows.
#[derive(Debug, Clone, Default)]
pub enum DriftView {
    /// Nothing is compared: the detector has no trained model, or it is switched off.
    #[default]
    Off,
    /// Its model does not say what its training rows looked like.
    Unknown,
    /// What was found at the last end of a block.
    Known(Arc<DriftSnapshot>),
}

/// What was found of a model.
#[derive(Debug, Clone)]
pub struct DriftSnapshot {
    /// What the features are called.
    pub features: Arc<[String]>,
    /// What was found.
    pub report: Report,
    /// Entities that are looked at one by one, by name.
    pub entities: Vec<EntityReport>,
    /// How long a window is.
    pub window: Duration,
}

impl DriftView {
    /// The states that there are, by name.
    pub const STATES: [&'static str; 4] = ["unknown", "learning", "none", "drifting"];

    /// The state's name; `None` where nothing is compared.
    #[must_use]
    pub fn state(&self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::Unknown => Some("unknown"),
            Self::Known(snapshot) => Some(snapshot.report.state.name()),
        }
    }
}

/// A number that is known of drift, as `/metrics` and emitted lines have it.
#[derive(Debug, Clone)]
pub struct Sample<'a> {
    /// What it is called, such as `feature_mean`.
    pub name: &'static str,
    /// Of which feature, kind or test, by name.
    pub labels: Vec<(&'static str, &'a str)>,
    /// The number; of `feature_drift` and `entity_drift` 0 or 1.
    pub value: f64,
}

impl DriftSnapshot {
    /// All numbers that are known. Those with the same labels follow one another.
    #[must_use]
    pub fn samples(&self) -> Vec<Sample<'_>> {
        let Report { error_median, error_p95, alarm_rate, features, .. } = &self.report;
        let mut out = Samples(Vec::new());
        let scores = [("score_median", error_median), ("score_p95", error_p95), ("anomaly_rate", alarm_rate)];
        out.add(&[("kind", "reference")], &scores.map(|(name, compare)| (name, compare.reference)));
        out.add(&[("kind", "live")], &scores.map(|(name, compare)| (name, compare.live)));
        for (feature, report) in self.features.iter().zip(features) {
            out.add_feature(feature, report);
        }
        for EntityReport { name, state, .. } in self.entities.iter().filter(|one| one.state != State::Learning) {
            let drifts = f64::from(u8::from(*state == State::Drifting));
            out.add(&[("entity", name)], &[("entity_drift", Some(drifts))]);
        }
        out.0
    }
}

struct Samples<'a>(Vec<Sample<'a>>);

impl<'a> Samples<'a> {
    fn add_feature(&mut self, feature: &'a str, report: &FeatureReport) {
        for (kind, Summary { mean, deviation, missing }) in [("reference", report.reference), ("live", report.live)] {
            let numbers =
                [("feature_mean", mean), ("feature_std", deviation), ("feature_missing_ratio", Some(missing))];
            self.add(&[("feature", feature), ("kind", kind)], &numbers);
        }
        self.add(&[("feature", feature)], &[("feature_drift", Some(f64::from(u8::from(report.drifted))))]);
        for test in &report.tests {
            let numbers = [("drift", Some(test.statistic / test.level))];
            self.add(&[("feature", feature), ("test", test.test.name())], &numbers);
        }
    }

    /// Adds the numbers that are known.
    fn add(&mut self, labels: &[(&'static str, &'a str)], numbers: &[(&'static str, Option<f64>)]) {
        let known = numbers.iter().filter_map(|(name, number)| Some((*name, (*number)?)));
        self.0.extend(known.map(|(name, value)| Sample { name, labels: labels.to_vec(), value }));
    }
}
