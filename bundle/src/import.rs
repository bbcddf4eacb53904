//! Imports an isolation forest from scikit-learn as a bundle.

use std::fs;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use qualm_contract::{Batch, Transform};
use qualm_core::forest::{self, import::Parts, import::TreeParts};
use qualm_core::trained::Trained;
use qualm_core::trained::prepare::Preparation;
use serde::Deserialize;

use crate::bundle::Draft;
use crate::error::{Error, Fault};
use crate::golden::Golden;
use crate::manifest::{FORMAT, Feature, Manifest, Provenance, Shape, Suppression, Threshold};

/// The format and version of the file; `examples/sklearn/export.py` writes and documents it.
const FORMAT_AND_VERSION: (&str, u32) = ("qualm-forest", 1);

/// The number of golden rows.
const GOLDEN_ROWS: usize = 32;

/// The parts of the manifest that the file does not determine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The bundle's name.
    pub name: String,
    /// The bundle's version.
    pub version: u64,
    /// The measurement whose fields the features are; without it they must be named MEASUREMENT.FIELD.
    pub measurement: Option<String>,
    /// The tags that identify an entity.
    pub entity: Vec<String>,
    /// Values within the same interval make one vector.
    pub interval: Duration,
}

/// An imported forest.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The bundle, not yet finished.
    pub draft: Draft,
    /// How many trees the forest has.
    pub trees: usize,
}

/// The file. Keys that are not listed here are informational.
#[derive(Debug, Deserialize)]
struct Exported {
    format: String,
    version: u32,
    features: Vec<String>,
    scaler: Option<Scaler>,
    fill: Vec<f64>,
    max_samples: u32,
    offset: f64,
    ordinary: Option<f64>,
    trees: Vec<Tree>,
}

#[derive(Debug, Deserialize)]
struct Scaler {
    center: Vec<f64>,
    scale: Vec<f64>,
}

#[derive(Debug, Deserialize)]
struct Tree {
    children_left: Vec<i64>,
    children_right: Vec<i64>,
    feature: Vec<i64>,
    threshold: Vec<f64>,
    n_node_samples: Vec<u32>,
    features: Vec<u32>,
}

/// Reads what `examples/sklearn/export.py` wrote.
///
/// # Errors
///
/// The file, and what is wrong with it.
pub fn read(path: &Path, options: &Options) -> Result<Imported, Error> {
    parse(path, options).map_err(|fault| fault.at(path.display()))
}

fn parse(path: &Path, options: &Options) -> Result<Imported, Fault> {
    let bad = Fault::Model;
    let exported: Exported = serde_json::from_slice(&fs::read(path)?)
        .map_err(|error| bad(format!("it is not what examples/sklearn/export.py writes: {error}")))?;
    let features = exported.features.iter().map(|name| options.feature(name)).collect::<Result<_, _>>()?;
    let mut trained = exported.trained()?;
    let calibration = trained.calibration();
    let model = trained.to_model();
    let golden = golden(&mut trained, &exported)?;
    let manifest = Manifest {
        format: FORMAT,
        name: options.name.clone(),
        version: options.version,
        created: Timestamp::now(),
        expires: None,
        kind: forest::KIND.to_owned(),
        shape: Shape::Vector,
        entity: options.entity.clone(),
        interval: options.interval,
        threshold: Threshold {
            rule: format!("offset_ = {}", exported.offset),
            ordinary: calibration.ordinary,
            raw: calibration.threshold,
        },
        suppression: Suppression::default(),
        features,
        provenance: Provenance::default(),
        sha256: [].into(),
    };
    Ok(Imported {
        draft: Draft { manifest, model, golden, reference: None, component: None },
        trees: exported.trees.len(),
    })
}

impl Options {
    fn feature(&self, name: &str) -> Result<Feature, Fault> {
        let split = name.split_once('.').map(|(measurement, field)| (measurement.to_owned(), field.to_owned()));
        let (measurement, field) =
            self.measurement.clone().map(|measurement| (measurement, name.to_owned())).or(split).ok_or_else(|| {
                Fault::Model(format!(
                    "the feature `{name}` is not named MEASUREMENT.FIELD; say with --measurement what it is a field of"
                ))
            })?;
        let name = name.to_owned();
        Ok(Feature { name, measurement, field, tags: [].into(), transform: Transform::None, reference: None })
    }
}

impl Exported {
    fn trained(&self) -> Result<Trained, Fault> {
        let form = (self.format.as_str(), self.version);
        if form != FORMAT_AND_VERSION {
            return Err(Fault::Model(format!("it is of the form {form:?}; known here is {FORMAT_AND_VERSION:?}")));
        }
        let none = || (vec![0.0; self.features.len()], vec![1.0; self.features.len()]);
        let (center, scale) =
            self.scaler.as_ref().map_or_else(none, |scaler| (scaler.center.clone(), scaler.scale.clone()));
        let ordinary = self.ordinary.ok_or_else(|| {
            let what = "it does not say what an ordinary score is; export it once more with --rows, and some rows that are ordinary";
            Fault::Model(what.to_owned())
        })?;
        let trees = self.trees.iter().map(|tree| TreeParts {
            children_left: tree.children_left.clone(),
            children_right: tree.children_right.clone(),
            feature: tree.feature.clone(),
            threshold: tree.threshold.clone(),
            n_node_samples: tree.n_node_samples.clone(),
            features: tree.features.clone(),
        });
        let parts = Parts { features: self.features.len(), max_samples: self.max_samples, trees: trees.collect() };
        let bad = |error: qualm_contract::Error| Fault::Model(error.to_string());
        let preparation = Preparation::from_parts(self.fill.clone(), center, scale).map_err(bad)?;
        // scikit-learn's scores have the opposite sign: here, larger is more anomalous.
        forest::import::assemble(&parts, preparation, -ordinary, -self.offset).map_err(bad)
    }
}

/// Rows around the fill values, near and far.
fn golden(detector: &mut Trained, exported: &Exported) -> Result<Golden, Fault> {
    let scales = exported.scaler.as_ref().map(|scaler| scaler.scale.clone());
    let mut values = Vec::new();
    for row in 0..GOLDEN_ROWS {
        for (at, fill) in exported.fill.iter().enumerate() {
            // −4 to 4 spreads, another mixture in each row.
            let spreads = ((row * 7 + at * 13) % 33) as f64 / 4.0 - 4.0;
            values.push(fill + spreads * scales.as_ref().map_or(1.0, |scales| scales[at]));
        }
    }
    let times: Vec<i64> = (0..GOLDEN_ROWS as i64).collect();
    Golden::of(detector, Batch { series: &[0; GOLDEN_ROWS], times: &times, values: &values })
        .map_err(|error| Fault::Model(error.to_string()))
}
