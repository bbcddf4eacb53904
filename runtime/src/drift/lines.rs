//! What is known of drift as line protocol, so that it takes the road of the metrics.
//!
//! Lines of the measurement `qualm`; fields are called as the metrics in `/metrics`, without `qualm_`.

use qualm_drift::{FeatureReport, Summary};
use qualm_pipeline::splice::write_name;

use super::{DriftSnapshot, DriftView};
use crate::view::Detector;

/// Appends the lines of detectors whose drift is looked for, at this time (nanoseconds since 1970).
pub(crate) fn write(detectors: &[Detector], time: i64, out: &mut Vec<u8>) {
    for detector in detectors {
        let Some(state) = detector.drift.state() else { continue };
        let version = detector.model.as_ref().map(|model| model.version);
        let mut line = Line::new(out, detector, &[]);
        line.field("drift_state", &format!("\"{state}\""));
        if let Some(version) = version {
            line.field("model_version", &format!("{version}i"));
        }
        line.end(time);
        if let DriftView::Known(snapshot) = &detector.drift {
            write_known(detector, snapshot, time, out);
        }
    }
}

fn write_known(detector: &Detector, snapshot: &DriftSnapshot, time: i64, out: &mut Vec<u8>) {
    let report = &snapshot.report;
    let scores = |pick: fn(&qualm_drift::Compare) -> Option<f64>| {
        [
            ("score_median", pick(&report.error_median)),
            ("score_p95", pick(&report.error_p95)),
            ("anomaly_rate", pick(&report.alarm_rate)),
        ]
    };
    write_numbers(detector, &[("kind", "reference")], &scores(|compare| compare.reference), time, out);
    write_numbers(detector, &[("kind", "live")], &scores(|compare| compare.live), time, out);
    for (feature, report) in snapshot.features.iter().zip(&report.features) {
        write_feature(detector, feature, report, time, out);
    }
}

fn write_feature(detector: &Detector, feature: &str, report: &FeatureReport, time: i64, out: &mut Vec<u8>) {
    for (kind, Summary { mean, deviation, missing }) in [("reference", &report.reference), ("live", &report.live)] {
        let numbers = [("feature_mean", *mean), ("feature_std", *deviation), ("feature_missing_ratio", Some(*missing))];
        write_numbers(detector, &[("feature", feature), ("kind", kind)], &numbers, time, out);
    }
    let mut line = Line::new(out, detector, &[("feature", feature)]);
    line.field("feature_drift", if report.drifted { "1i" } else { "0i" });
    line.end(time);
    for test in &report.tests {
        let numbers = [("drift", Some(test.statistic / test.level))];
        write_numbers(detector, &[("feature", feature), ("test", test.test.name())], &numbers, time, out);
    }
}

/// A line of the numbers that are known and finite, if any is.
fn write_numbers(
    detector: &Detector,
    tags: &[(&str, &str)],
    numbers: &[(&str, Option<f64>)],
    time: i64,
    out: &mut Vec<u8>,
) {
    let known =
        || numbers.iter().filter_map(|(name, number)| Some((name, number.filter(|number| number.is_finite())?)));
    if known().next().is_some() {
        let mut line = Line::new(out, detector, tags);
        known().for_each(|(name, number)| line.field(name, &number.to_string()));
        line.end(time);
    }
}

/// A line that is being written.
struct Line<'a> {
    out: &'a mut Vec<u8>,
    separator: u8,
}

impl<'a> Line<'a> {
    fn new(out: &'a mut Vec<u8>, detector: &Detector, tags: &[(&str, &str)]) -> Self {
        out.extend_from_slice(b"qualm");
        for (key, value) in [("detector", &*detector.name)].iter().chain(tags) {
            out.push(b',');
            out.extend_from_slice(key.as_bytes());
            out.push(b'=');
            write_name(out, value);
        }
        Self { out, separator: b' ' }
    }

    fn field(&mut self, name: &str, value: &str) {
        self.out.push(std::mem::replace(&mut self.separator, b','));
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(b'=');
        self.out.extend_from_slice(value.as_bytes());
    }

    fn end(self, time: i64) {
        self.out.push(b' ');
        self.out.extend_from_slice(time.to_string().as_bytes());
        self.out.push(b'\n');
    }
}
