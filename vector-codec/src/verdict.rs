//! The gauges for a vector and for an anomaly rate, for both codecs.

use qualm_pipeline::format::{EntityRate, VectorVerdict};
use qualm_pipeline::line;
use qualm_pipeline::{band, splice};

/// The labels of a gauge.
#[derive(Debug, Clone, Copy)]
pub(super) struct GaugeLabels<'a> {
    /// An entity's tags, as line protocol writes them.
    entity: &'a [u8],
    /// A detector's name, as line protocol writes it.
    detector: &'a [u8],
    feature: Option<&'a str>,
}

/// The gauges for a vector: `put` is called with the name, labels and value of each.
pub(super) fn gauges<'a>(
    verdict: &VectorVerdict<'_>,
    names: &(impl Iterator<Item = &'a str> + Clone),
    mut put: impl FnMut(&str, GaugeLabels<'_>, f64),
) {
    let labels = |feature| GaugeLabels { entity: verdict.tags, detector: verdict.detector, feature };
    put("anomaly_score", labels(None), splice::round_score(verdict.score));
    put("is_anomaly", labels(None), f64::from(u8::from(verdict.anomaly)));
    for (name, share) in splice::largest_contributions(verdict.contributions, names) {
        // Four digits suffice.
        put("anomaly_contribution", labels(Some(name)), libm::round(share * 1e4) / 1e4);
    }
    for (name, value) in band::named_limits(verdict.band) {
        put(name, labels(None), value);
    }
}

/// The gauges for an anomaly rate.
pub(super) fn rate_gauges(rate: &EntityRate<'_>, mut put: impl FnMut(&str, GaugeLabels<'_>, f64)) {
    let labels = GaugeLabels { entity: rate.tags, detector: rate.detector, feature: None };
    put("anomaly_rate", labels, splice::round_score(rate.share()));
    put("anomaly_rate_anomalous", labels, f64::from(rate.anomalous));
    put("anomaly_rate_series", labels, f64::from(rate.series));
}

impl GaugeLabels<'_> {
    /// The tags of the gauge.
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
