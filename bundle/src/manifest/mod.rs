//! `bundle.toml`: the manifest of a bundle.

mod check;
mod error;
pub mod suppression;
mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use qualm_contract::Transform;
use qualm_pipeline::glob::Globs;
use qualm_pipeline::vector;
use serde::{Deserialize, Serialize};

pub use check::name;
pub use error::Error;
pub use suppression::{Direction, Suppression};

/// The version of the format that is written and read here.
pub const FORMAT: u32 = 1;

/// The manifest of a bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this format.
    pub format: u32,
    /// The model's name: letters, digits, `-`, `_` and `.`; it is part of file names.
    pub name: String,
    /// Grows with each new model of this name.
    pub version: u64,
    /// When it was created; of a trained model, the time of the last row, so that training is reproducible.
    pub created: Timestamp,
    /// The time from which it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// The kind of detector, such as `isolation-forest`.
    pub kind: String,
    /// Whether a row is one field or a vector.
    pub shape: Shape,
    /// Tags that identify an entity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entity: Vec<String>,
    /// Values within the same interval make one vector; with `0s`, only those with the same time.
    #[serde(with = "crate::duration", default)]
    pub interval: Duration,
    /// The threshold, and the rule that it comes from.
    pub threshold: Threshold,
    /// Which incidents are reported.
    #[serde(default, skip_serializing_if = "Suppression::is_none")]
    pub suppression: Suppression,
    /// The features, in the order of the values in a row.
    pub features: Vec<Feature>,
    /// How the model was trained.
    #[serde(default)]
    pub provenance: Provenance,
    /// The digest of every other file, by name.
    pub sha256: BTreeMap<String, String>,
}

/// Whether a row is one field or a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// One field of one event.
    Field,
    /// Features of one entity at one time, joined across events.
    Vector,
}

/// A feature: its metric, and its statistics in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Its name in reports.
    pub name: String,
    /// The measurement that it is a field of.
    pub measurement: String,
    /// The field.
    pub field: String,
    /// Tags that an event must have: globs of their values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// How the value is transformed.
    #[serde(default, skip_serializing_if = "Transform::is_none")]
    pub transform: Transform,
    /// Its statistics in training, for detecting drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
}

/// The statistics of a feature in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The share of rows in which it was missing.
    pub missing: f64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation.
    pub deviation: f64,
    /// Their 0, 10, 20 … 100 % quantiles.
    pub quantiles: Vec<f64>,
}

/// The threshold: the rule, and the raw scores that it gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The rule, such as `false_alarm_rate = 0.0001`.
    pub rule: String,
    /// The raw score of an ordinary row, where the score is 0.
    pub ordinary: f64,
    /// The raw score where the score is 1.
    pub raw: f64,
}

/// How a model was trained.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Provenance {
    /// The digest of the data.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub data_sha256: String,
    /// The number of training rows.
    pub rows: u64,
    /// When the first and the last of them was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// See `from`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// The seed of all randomness.
    pub seed: u64,
    /// Hyperparameters, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, toml::Value>,
    /// Evaluation metrics, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, f64>,
    /// How each network was trained, if the model has any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<NetworkTraining>,
}

/// How a network was trained.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkTraining {
    /// Which: `lstm`, `gru` or `conv`.
    pub network: String,
    /// Why training stopped.
    pub stopped: String,
    /// After how many epochs its weights were the best, which the model has.
    pub best_epoch: u64,
    /// The loss of each epoch on the rows that were learnt from.
    pub training_loss: Vec<f64>,
    /// The loss after each epoch on the rows that decide when training stops.
    pub validation_loss: Vec<f64>,
}

impl Manifest {
    /// How the pipeline joins vectors.
    ///
    /// # Errors
    ///
    /// Names the tag whose glob is invalid.
    pub fn vectors(&self) -> Result<vector::Shape, Error> {
        shape(&self.features, &self.entity, self.interval)
    }
}

/// How the pipeline joins vectors of these features.
///
/// # Errors
///
/// Names the feature whose glob is invalid.
pub fn shape(features: &[Feature], entity: &[String], interval: Duration) -> Result<vector::Shape, Error> {
    let features = features.iter().map(Feature::for_pipeline).collect::<Result<_, _>>()?;
    let interval = i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX);
    Ok(vector::Shape { features, entity: entity.to_vec(), interval })
}

impl Feature {
    /// How the pipeline selects it.
    ///
    /// # Errors
    ///
    /// Names the tag whose glob is invalid.
    pub fn for_pipeline(&self) -> Result<vector::Feature, Error> {
        let glob = |(key, value): (&String, &String)| {
            let (feature, tag) = (self.name.clone(), key.clone());
            let globs = Globs::new(&[value]).map_err(|source| Error::Glob { feature, tag, source })?;
            Ok((key.clone(), globs))
        };
        Ok(vector::Feature {
            name: self.name.clone(),
            measurement: self.measurement.clone(),
            field: self.field.clone(),
            tags: self.tags.iter().map(glob).collect::<Result<_, Error>>()?,
            transform: self.transform,
        })
    }
}
