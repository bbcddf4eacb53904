//! Whose anomaly rate is emitted, and how often.

use std::time::Duration;

use qualm_bundle::duration::{self, friendly};
use serde::{Deserialize, Deserializer};

use super::invalid::Invalid;
use super::text::quoted;

/// Whose anomaly rate is emitted, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a table like { by = [\"host\"], interval = \"1m\" }, or {} for just that"
)]
pub struct AnomalyRate {
    /// The tags that identify an entity; without any, all series are of one.
    #[serde(deserialize_with = "one_or_many")]
    pub by: Vec<String>,
    /// The interval over which a rate is counted.
    #[serde(deserialize_with = "duration::deserialize")]
    pub interval: Duration,
}

impl Default for AnomalyRate {
    /// Telegraf's tag, and some readings of each series at its usual interval of ten seconds.
    fn default() -> Self {
        Self { by: vec!["host".to_owned()], interval: Duration::from_mins(1) }
    }
}

impl AnomalyRate {
    /// As the pipeline takes it.
    #[must_use]
    pub fn for_pipeline(&self) -> qualm_pipeline::AnomalyRate {
        let interval = i64::try_from(self.interval.as_nanos()).unwrap_or(i64::MAX);
        qualm_pipeline::AnomalyRate { by: self.by.clone(), interval }
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        let Self { by, interval } = self;
        if *interval < Duration::from_secs(1) {
            return Err(Invalid::Range("`anomaly_rate`: its `interval` must be a second at least"));
        }
        for (at, tag) in by.iter().enumerate() {
            if tag.is_empty() || tag == "detector" || tag.contains(char::is_control) || by[..at].contains(tag) {
                return Err(Invalid::RateTag(tag.clone()));
            }
        }
        Ok(())
    }

    pub(super) fn effective(&self) -> String {
        let by: Vec<_> = self.by.iter().map(|tag| quoted(tag)).collect();
        format!("{{ by = [{}], interval = \"{}\" }}", by.join(", "), friendly(self.interval))
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "`by` must be a tag or a list of tags")]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(tag) => vec![tag],
        OneOrMany::Many(tags) => tags,
    })
}
