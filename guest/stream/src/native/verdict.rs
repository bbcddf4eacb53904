//! What is told of a vector, the same in both codecs.

use crate::format::ToldVector;
use crate::line;
use crate::splice;

/// The gauges that tell of a vector, one after the other: `put` gets the name, the feature that it is about, if it is
/// about one, and the value.
pub(super) fn gauges<'a>(
    told: &ToldVector<'_>,
    names: &(impl Iterator<Item = &'a str> + Clone),
    mut put: impl FnMut(&str, Option<&str>, f64),
) {
    put("anomaly_score", None, splice::rounded(told.score));
    put("is_anomaly", None, f64::from(u8::from(told.anomaly)));
    for (name, share) in splice::largest(told.contributions, names) {
        // Four digits are more than anybody reads.
        put("anomaly_contribution", Some(name), libm::round(share * 1e4) / 1e4);
    }
}

/// The tags of such a gauge.
pub(super) fn tags(told: &ToldVector<'_>, feature: Option<&str>, mut put: impl FnMut(&[u8], &[u8])) {
    for (key, value) in line::head_parts(told.tags).filter_map(line::tag) {
        put(&line::unescape(key), &line::unescape(value));
    }
    put(b"detector", &line::unescape(told.detector));
    if let Some(feature) = feature {
        put(b"feature", feature.as_bytes());
    }
}
