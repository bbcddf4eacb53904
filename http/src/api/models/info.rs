//! The public description of a model.

use std::collections::BTreeMap;

use jiff::Timestamp;
use qualm_bundle::manifest::{Feature, Manifest};
use qualm_contract::Transform;
use serde::Serialize;

/// The public description of a model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Info {
    /// What it is called; for one that cannot be read, what its file's name says.
    pub name: String,
    /// Its version, where that is known.
    pub version: Option<u64>,
    /// Whether it serves.
    pub state: State,
    /// Why not.
    pub error: Option<String>,
    /// Its file or directory in the directory of models.
    pub file: String,
    /// What its manifest says, where that can be read.
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

/// What a manifest says, for those who send rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct About {
    /// The kind of detector.
    pub kind: String,
    /// When it was made.
    pub created: Timestamp,
    /// After which time it is not used.
    pub expires: Option<Timestamp>,
    /// What a row has, in this order.
    pub features: Vec<FeatureInfo>,
    /// The configured threshold.
    pub threshold: String,
    /// The rows that it learnt from.
    pub trained_rows: u64,
    /// Its figures on rows that it was not trained on, by name.
    pub metrics: BTreeMap<String, f64>,
}

/// A feature.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureInfo {
    /// What it is called in rows.
    pub name: String,
    /// Which metric it is taken from in a pipeline.
    pub measurement: String,
    /// See `measurement`.
    pub field: String,
    /// What becomes of the value, before the detector sees it.
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
