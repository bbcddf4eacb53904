//! The families of `/metrics` about drift. `docs/metrics.md` explains each.

use qualm::drift::{DriftSnapshot, DriftView};
use qualm::view::Detector;
use qualm_http::exposition::Exposition;

/// Writes them for all detectors, each with the name of its pipeline.
pub(super) fn expose<'a>(detectors: impl Iterator<Item = (&'static str, &'a Detector)> + Clone, out: &mut Exposition) {
    let help = "1 for the state of a model's drift: unknown (it has no reference), learning, none, drifting.";
    let mut family = out.gauge("qualm_drift_state", help);
    for (pipeline, one) in detectors.clone() {
        let Some(present) = one.drift.state() else { continue };
        for state in DriftView::STATES {
            let labels = [("pipeline", pipeline), ("detector", &*one.name), ("state", state)];
            family.value(&labels, f64::from(u8::from(state == present)));
        }
    }
    let mut family =
        out.counter("qualm_drift_skipped_rows", "Rows that were not compared with training, for want of time.");
    for (pipeline, one) in detectors.clone().filter(|(_, one)| one.drift.state().is_some()) {
        family.value(&[("pipeline", pipeline), ("detector", &one.name)], one.drift_skipped as f64);
    }
    let known: Vec<Known<'a>> = detectors.filter_map(Known::of).collect();
    let mut family =
        out.gauge("qualm_feature_mean", "The mean of a feature: reference, in training; live, in the window.");
    for one in &known {
        one.features(|report| [report.reference.mean, report.live.mean], &mut |labels, value| {
            family.value(labels, value);
        });
    }
    let mut family = out.gauge("qualm_feature_std", "Its standard deviation, likewise.");
    for one in &known {
        let of = |report: &qualm_drift::FeatureReport| [report.reference.deviation, report.live.deviation];
        one.features(of, &mut |labels, value| family.value(labels, value));
    }
    let mut family = out.gauge("qualm_feature_missing_ratio", "The share of rows in which it is missing, likewise.");
    for one in &known {
        let of = |report: &qualm_drift::FeatureReport| [Some(report.reference.missing), Some(report.live.missing)];
        one.features(of, &mut |labels, value| family.value(labels, value));
    }
    let scores: [ScoreFamily; 3] = [
        ("qualm_score_median", "The median score of rows, likewise.", |one| one.report.error_median),
        ("qualm_score_p95", "The 95 % quantile of scores, likewise.", |one| one.report.error_p95),
        ("qualm_anomaly_rate", "The share of rows with a score above 1, likewise.", |one| one.report.alarm_rate),
    ];
    for (name, help, of) in scores {
        let mut family = out.gauge(name, help);
        for one in &known {
            let compare = of(one.snapshot);
            one.both([compare.reference, compare.live], &mut |labels, value| family.value(labels, value));
        }
    }
    let help = "A test of a feature in units of its level: above 1 it votes for drift, if it is significant.";
    let mut family = out.gauge("qualm_drift", help);
    for one in &known {
        for (feature, report) in one.snapshot.features.iter().zip(&one.snapshot.report.features) {
            for test in &report.tests {
                family.value(
                    &one.labels(&[("feature", feature), ("test", test.test.name())]),
                    test.statistic / test.level,
                );
            }
        }
    }
    let mut family = out.gauge("qualm_feature_drift", "1 where a feature drifts: enough tests vote so, sustained.");
    for one in &known {
        for (feature, report) in one.snapshot.features.iter().zip(&one.snapshot.report.features) {
            family.value(&one.labels(&[("feature", feature)]), f64::from(u8::from(report.drifted)));
        }
    }
}

/// A family of the score: its name, its help, and its values.
type ScoreFamily = (&'static str, &'static str, fn(&DriftSnapshot) -> qualm_drift::Compare);

/// Takes a sample: its labels, and its value.
type Sample<'a> = &'a mut dyn FnMut(&[(&'static str, &str)], f64);

/// A detector whose drift is known.
struct Known<'a> {
    pipeline: &'static str,
    detector: &'a str,
    snapshot: &'a DriftSnapshot,
}

impl<'a> Known<'a> {
    fn of((pipeline, detector): (&'static str, &'a Detector)) -> Option<Self> {
        let DriftView::Known(snapshot) = &detector.drift else { return None };
        Some(Self { pipeline, detector: &detector.name, snapshot })
    }

    fn labels<'b>(&'b self, more: &[(&'static str, &'b str)]) -> Vec<(&'static str, &'b str)> {
        [("pipeline", self.pipeline), ("detector", self.detector)].into_iter().chain(more.iter().copied()).collect()
    }

    /// Both values of each feature, that in training and that of the window, where they are known.
    fn features(&self, of: impl Fn(&qualm_drift::FeatureReport) -> [Option<f64>; 2], value: Sample<'_>) {
        for (feature, report) in self.snapshot.features.iter().zip(&self.snapshot.report.features) {
            for (kind, number) in KINDS.into_iter().zip(of(report)) {
                if let Some(number) = number {
                    value(&self.labels(&[("feature", feature), ("kind", kind)]), number);
                }
            }
        }
    }

    /// Both values of the score.
    fn both(&self, of: [Option<f64>; 2], value: Sample<'_>) {
        for (kind, number) in KINDS.into_iter().zip(of) {
            if let Some(number) = number {
                value(&self.labels(&[("kind", kind)]), number);
            }
        }
    }
}

/// What a value is of: training rows, or the rows of the window.
const KINDS: [&str; 2] = ["reference", "live"];
