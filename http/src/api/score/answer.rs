//! The answer to a request for scores.

use std::iter;

use jiff::Timestamp;
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::api::models::FeatureNames;

/// A score above this is an anomaly.
const THRESHOLD: f64 = 1.0;

/// The answer.
#[derive(Debug, serde::Serialize)]
pub(super) struct Answer<'a> {
    pub(super) model: Title<'a>,
    pub(super) features: &'a [String],
    pub(super) scores: Scores<'a>,
    pub(super) anomalies: Anomalies<'a>,
    pub(super) contributions: Option<Contributions<'a>>,
    pub(super) timestamps: Option<Times<'a>>,
}

/// The model that scored.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct Title<'a> {
    pub(super) name: &'a str,
    pub(super) version: u64,
    pub(super) kind: &'a str,
}

/// Scores; null if a row is not scored.
#[derive(Debug)]
pub(super) struct Scores<'a>(pub(super) &'a [f64]);

/// Whether each row is an anomaly.
#[derive(Debug)]
pub(super) struct Anomalies<'a>(pub(super) &'a [f64]);

/// What each feature contributed, for the rows that were explained.
#[derive(Debug)]
pub(super) struct Contributions<'a> {
    pub(super) names: &'a FeatureNames,
    /// The rows, in order, and as many values as there are names for each.
    pub(super) explained: &'a [usize],
    pub(super) values: &'a [f64],
    /// The number of all rows.
    pub(super) rows: usize,
}

/// Times in RFC 3339.
#[derive(Debug)]
pub(super) struct Times<'a>(pub(super) &'a [i64]);

impl Serialize for Scores<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(|score| score.is_finite().then_some(score)))
    }
}

impl Serialize for Anomalies<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(|score| *score > THRESHOLD))
    }
}

impl Serialize for Contributions<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { names, explained, values, rows } = self;
        let mut out = to.serialize_seq(Some(*rows))?;
        let mut next = 0;
        for (row, values) in iter::zip(*explained, values.chunks_exact(names.all().len())) {
            (next..*row).try_for_each(|_| out.serialize_element(&()))?;
            out.serialize_element(&Row { names: names.all(), values })?;
            next = row + 1;
        }
        (next..*rows).try_for_each(|_| out.serialize_element(&()))?;
        out.end()
    }
}

/// One row's contributions.
struct Row<'a> {
    names: &'a [String],
    values: &'a [f64],
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut out = to.serialize_map(Some(self.names.len()))?;
        iter::zip(self.names, self.values).try_for_each(|(name, value)| out.serialize_entry(name, value))?;
        out.end()
    }
}

impl Serialize for Times<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        // Every `i64` of nanoseconds is a valid time.
        to.collect_seq(self.0.iter().map(|time| Timestamp::from_nanosecond(i128::from(*time)).ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_json() {
        let names = FeatureNames::new(vec!["cpu".to_owned(), "mem".to_owned()]);
        let scores = [0.5, f64::NAN, 1.5, 1.0];
        let answer = Answer {
            model: Title { name: "host", version: 3, kind: "zscore" },
            features: names.all(),
            scores: Scores(&scores),
            anomalies: Anomalies(&scores),
            contributions: Some(Contributions { names: &names, explained: &[2], values: &[0.25, -1.0], rows: 4 }),
            timestamps: Some(Times(&[0, 1_500_000_000, i64::MAX, i64::MIN])),
        };
        let written: serde_json::Value = serde_json::to_value(&answer).unwrap();
        let wanted = serde_json::json!({
            "model": { "name": "host", "version": 3, "kind": "zscore" },
            "features": ["cpu", "mem"],
            "scores": [0.5, null, 1.5, 1.0],
            "anomalies": [false, false, true, false],
            "contributions": [null, null, { "cpu": 0.25, "mem": -1.0 }, null],
            "timestamps": ["1970-01-01T00:00:00Z", "1970-01-01T00:00:01.5Z", "2262-04-11T23:47:16.854775807Z",
                "1677-09-21T00:12:43.145224192Z"],
        });
        assert_eq!(written, wanted);
    }
}
