//! The families of `/metrics` about drift. `docs/metrics.md` explains each.

use qualm::drift::DriftView;
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
    let samples = detectors.filter_map(|(pipeline, one)| match &one.drift {
        DriftView::Known(snapshot) => Some((pipeline, one.name.as_str(), snapshot.samples())),
        DriftView::Off | DriftView::Unknown => None,
    });
    let samples: Vec<_> = samples.collect();
    for (name, help) in FAMILIES {
        let mut family = out.gauge(name, help);
        for (pipeline, detector, samples) in &samples {
            for sample in samples.iter().filter(|sample| name.strip_prefix("qualm_") == Some(sample.name)) {
                let labels: Vec<_> = [("pipeline", *pipeline), ("detector", *detector)]
                    .into_iter()
                    .chain(sample.labels.clone())
                    .collect();
                family.value(&labels, sample.value);
            }
        }
    }
}

/// The families of samples: their names and helps.
const FAMILIES: [(&str, &str); 9] = [
    ("qualm_feature_mean", "The mean of a feature: reference, in training; live, in the window."),
    ("qualm_feature_std", "Its standard deviation, likewise."),
    ("qualm_feature_missing_ratio", "The share of rows in which it is missing, likewise."),
    ("qualm_score_median", "The median score of rows, likewise."),
    ("qualm_score_p95", "The 95 % quantile of scores, likewise."),
    ("qualm_anomaly_rate", "The share of rows with a score above 1, likewise."),
    ("qualm_drift", "A test of a feature in units of its level: above 1 it votes for drift, if it is significant."),
    ("qualm_feature_drift", "1 where a feature drifts: enough tests vote so, sustained."),
    ("qualm_entity_drift", "1 where an entity drifts away from its own first rows, of those that are looked at."),
];
