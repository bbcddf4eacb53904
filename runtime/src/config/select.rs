//! What a detector scores.

use std::collections::BTreeMap;

use qualm_pipeline::Selector;
use qualm_pipeline::glob::Globs;
use serde::Deserialize;
use serde::de::{self, Deserializer};

use super::text::quoted;

/// What a detector scores. What is left out selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Select {
    /// Globs of measurements.
    pub measurement: Patterns,
    /// Tags that must be there, with globs of their values.
    pub tags: BTreeMap<String, Patterns>,
    /// Globs of fields to score.
    pub include_fields: Patterns,
    /// Globs of fields not to score: stronger than `include_fields`.
    pub exclude_fields: Patterns,
}

/// A glob or a list of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns {
    written: Vec<String>,
    globs: Globs,
}

impl Select {
    /// As the pipeline takes it.
    #[must_use]
    pub fn selector(&self) -> Selector {
        let Self { measurement, tags, include_fields, exclude_fields } = self;
        Selector {
            measurement: measurement.globs.clone(),
            tags: tags.iter().map(|(key, values)| (key.clone(), values.globs.clone())).collect(),
            include_fields: include_fields.globs.clone(),
            exclude_fields: exclude_fields.globs.clone(),
        }
    }

    pub(super) fn effective(&self) -> String {
        let Self { measurement, tags, include_fields, exclude_fields } = self;
        let tags: Vec<_> =
            tags.iter().map(|(key, values)| format!("{} = {}", quoted(key), values.effective())).collect();
        let mut parts = Vec::new();
        for (key, patterns) in
            [("measurement", measurement), ("include_fields", include_fields), ("exclude_fields", exclude_fields)]
        {
            if !patterns.written.is_empty() {
                parts.push(format!("{key} = {}", patterns.effective()));
            }
        }
        if !tags.is_empty() {
            parts.push(format!("tags = {{ {} }}", tags.join(", ")));
        }
        if parts.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", parts.join(", ")) }
    }
}

impl Patterns {
    fn effective(&self) -> String {
        let quoted: Vec<_> = self.written.iter().map(|pattern| quoted(pattern)).collect();
        format!("[{}]", quoted.join(", "))
    }
}

impl<'de> Deserialize<'de> for Patterns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a glob or a list of globs")]
        enum OneOrMany {
            One(String),
            Many(Vec<String>),
        }
        let written = match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(pattern) => vec![pattern],
            OneOrMany::Many(patterns) => patterns,
        };
        let globs = Globs::new(&written).map_err(de::Error::custom)?;
        Ok(Self { written, globs })
    }
}
