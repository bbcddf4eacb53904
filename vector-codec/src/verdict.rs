//! What is told of a vector, and of an anomaly rate, the same in both codecs.

use qualm_pipeline::format::{EntityRate, VectorVerdict};
use qualm_pipeline::line;
use qualm_pipeline::{band, splice};

/// What a gauge is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a> {
    /// An entity's tags, as line protocol writes them.
    entity: &'a [u8],
    /// A detector's name, as line protocol writes it.
    detector: &'a [u8],
    feature: Option<&'a str>,
}

/// The gauges that tell of a vector, one after the other: `put` gets each one's name, what it is about, and its value.
pub(super) fn gauges<'a>(
    told: &VectorVerdict<'_>,
    names: &(impl Iterator<Item = &'a str> + Clone),
    mut put: impl FnMut(&str, About<'_>, f64),
) {
    let about = |feature| About { entity: told.tags, detector: told.detector, feature };
    put("anomaly_score", about(None), splice::rounded(told.score));
    put("is_anomaly", about(None), f64::from(u8::from(told.anomaly)));
    for (name, share) in splice::largest(told.contributions, names) {
        // Four digits are more than anybody reads.
        put("anomaly_contribution", about(Some(name)), libm::round(share * 1e4) / 1e4);
    }
    for (name, value) in band::named_limits(told.band) {
        put(name, about(None), value);
    }
}

/// The gauges that tell of an anomaly rate.
pub(super) fn rate_gauges(told: &EntityRate<'_>, mut put: impl FnMut(&str, About<'_>, f64)) {
    let about = About { entity: told.tags, detector: told.detector, feature: None };
    put("anomaly_rate", about, splice::rounded(told.share()));
    put("anomaly_rate_anomalous", about, f64::from(told.anomalous));
    put("anomaly_rate_series", about, f64::from(told.series));
}

impl About<'_> {
    /// The tags of such a gauge.
    pub(super) fn tags(&self, mut put: impl FnMut(&[u8], &[u8])) {
        for (key, value) in line::head_parts(self.entity).filter_map(line::tag) {
            put(&line::unescape(key), &line::unescape(value));
        }
        put(b"detector", &line::unescape(self.detector));
        if let Some(feature) = self.feature {
            put(b"feature", feature.as_bytes());
        }
    }
}
