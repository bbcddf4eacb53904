//! The public description of a model.

use std::collections::BTreeMap;

use jiff::Timestamp;
use qualm_bundle::manifest::{Feature, Manifest};
use qualm_contract::Transform;
use serde::Serialize;

/// The public description of a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Info {
    /// The name; if the bundle cannot be read, that of its file.
    pub name: String,
    /// The version, if it is known.
    pub version: Option<u64>,
    /// Whether it serves.
    pub state: State,
    /// Why it does not serve.
    pub error: Option<String>,
    /// Its file or directory in the directory of models.
    pub file: String,
    /// Its description, if the manifest can be read.
    #[serde(flatten)]
    pub about: Option<About>,
}

/// Whether a model serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It does.
    Ready,
    /// It does not, and `error` says why.
    Broken,
}

/// The part of a manifest that clients need.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct About {
    /// The kind of detector.
    pub kind: String,
    /// When it was made.
    pub created: Timestamp,
    /// The time after which it is not used.
    pub expires: Option<Timestamp>,
    /// The features of a row, in order.
    pub features: Vec<FeatureInfo>,
    /// The configured threshold.
    pub threshold: String,
    /// The rows that it was trained on.
    pub trained_rows: u64,
    /// Its figures on rows that it was not trained on, by name.
    pub metrics: BTreeMap<String, f64>,
}

/// A feature.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureInfo {
    /// Its name in rows.
    pub name: String,
    /// The measurement that a pipeline takes it from.
    pub measurement: String,
    /// The field that a pipeline takes it from.
    pub field: String,
    /// The transform of its value before it is scored.
    pub transform: Transform,
}

impl About {
    pub(super) fn of(manifest: &Manifest) -> Self {
        let feature = |feature: &Feature| {
            let Feature { name, measurement, field, transform, .. } = feature.clone();
            FeatureInfo { name, measurement, field, transform }
        };
        Self {
            kind: manifest.kind.clone(),
            created: manifest.created,
            expires: manifest.expires,
            features: manifest.features.iter().map(feature).collect(),
            threshold: manifest.threshold.rule.clone(),
            trained_rows: manifest.provenance.rows,
            metrics: manifest.provenance.metrics.clone(),
        }
    }
}
