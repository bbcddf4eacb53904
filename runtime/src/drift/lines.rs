//! What is known of drift as line protocol, so that it takes the road of the metrics.
//!
//! Lines of the measurement `qualm`; fields are called as the metrics in `/metrics`, without `qualm_`.

use qualm_pipeline::splice::write_name;

use super::{DriftView, Sample};
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
            let samples = snapshot.samples();
            for of_same in samples.chunk_by(|one, next| one.labels == next.labels) {
                write_line(detector, of_same, time, out);
            }
        }
    }
}

/// A line of the samples that are finite, if any is; all have the same labels.
fn write_line(detector: &Detector, samples: &[Sample<'_>], time: i64, out: &mut Vec<u8>) {
    let finite = || samples.iter().filter(|sample| sample.value.is_finite());
    if let Some(Sample { labels, .. }) = finite().next() {
        let mut line = Line::new(out, detector, labels);
        finite().for_each(|Sample { name, value, .. }| match *name {
            "feature_drift" | "entity_drift" => line.field(name, &format!("{value}i")),
            _ => line.field(name, &value.to_string()),
        });
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
