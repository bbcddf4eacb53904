//! Packs a plugin that needs no training as a bundle.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use qualm_bundle::bundle::Draft;
use qualm_bundle::golden::{self, Golden};
use qualm_bundle::manifest::{FORMAT, Feature, Manifest, Provenance, Shape, Threshold};
use qualm_bundle::{Bundle, Fault};
use qualm_contract::{Batch, Description, Detector, ModelFactory, ModelSource, ParameterValue, Transform};

use crate::train::grid;
use crate::train::plugin;
use crate::train::spec::{Rule, Spec};

/// The least number of golden rows; a detector with a warm-up gets more.
const MIN_GOLDEN_ROWS: usize = 64;

/// Nanoseconds between a series' golden rows: the first is taken with which the detector scores any.
const STEPS: [i64; 3] = [10_000_000_000, 900_000_000_000, 14_400_000_000_000];

/// The most values in golden rows, about, for detectors with a long warm-up or many features.
const MAX_GOLDEN_VALUES: usize = 1 << 18;

/// Why a plugin cannot be packed, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A threshold is set.
    #[error("`threshold` is the plugin's own; leave it out")]
    Threshold,
    /// The plugin does not open with the parameters.
    #[error("the plugin does not take its parameters: {0}")]
    Parameters(String),
    /// The component cannot be opened at all.
    #[error(transparent)]
    Component(Fault),
    /// A parameter has a type that plugins do not take.
    #[error(transparent)]
    Grid(#[from] grid::Error),
    /// A parameter has several values.
    #[error("[parameters] have lists of values to try; without training nothing is tried: give each one value")]
    Lists,
    /// The specification names another kind.
    #[error("`detector` is `{said}`, but the plugin is `{is}`")]
    OtherKind {
        /// The kind in the specification.
        said: String,
        /// The plugin's kind.
        is: String,
    },
    /// The specification lists another number of features than the plugin takes.
    #[error(
        "the plugin takes {takes} values in a row, but [[features]] are {listed}; list as many as it takes, in its order"
    )]
    Features {
        /// Features that the plugin takes.
        takes: u32,
        /// Features that the specification lists.
        listed: usize,
    },
    /// The plugin does not score the golden rows.
    #[error("the plugin does not score golden rows: {0}")]
    Golden(#[from] golden::Error),
    /// There are no rows to score.
    #[error("there are no golden rows")]
    NoGolden,
}

/// Packs a component as `spec` describes it. The component's description completes the specification; `out`, where the bundle
/// is written, gives a missing name or version. Packing is deterministic.
///
/// # Errors
///
/// What is invalid, and what to do.
pub fn pack(component: Vec<u8>, spec: &Spec, out: &Path, factory: &dyn ModelFactory) -> Result<Draft, Error> {
    if spec.threshold != Rule::default() {
        return Err(Error::Threshold);
    }
    let model = model(spec)?;
    let open = || {
        let source = ModelSource::unnamed(Some(&component), &model);
        factory.open_model(source).map_err(|error| match Fault::from(error) {
            Fault::Model(what) | Fault::Deadline(what) | Fault::System(what) => Error::Parameters(what),
            other => Error::Component(other),
        })
    };
    let description = open()?.describe();
    if let Some(kind) = spec.detector.as_ref().filter(|kind| **kind != description.kind) {
        return Err(Error::OtherKind { said: kind.clone(), is: description.kind });
    }
    let (shape, features) = features(spec, description.features)?;
    let manifest = Manifest {
        format: FORMAT,
        name: spec.name_for(out),
        version: spec.version.unwrap_or_else(|| Bundle::next_version(out)),
        created: Timestamp::UNIX_EPOCH,
        expires: None,
        kind: description.kind.clone(),
        shape,
        entity: spec.entity.clone().unwrap_or_default(),
        interval: spec.interval.unwrap_or_default(),
        threshold: Threshold { rule: "the plugin's own".to_owned(), ordinary: 0.0, raw: 1.0 },
        suppression: spec.suppression.clone(),
        features,
        provenance: Provenance { parameters: spec.parameters.clone(), ..Provenance::default() },
        sha256: BTreeMap::new(),
    };
    let golden = golden(open, &description)?;
    Ok(Draft { manifest, model, golden, reference: None, component: Some(component) })
}

/// The parameters as the plugin's model: a JSON object.
fn model(spec: &Spec) -> Result<Vec<u8>, Error> {
    let [choice] = &grid::choices(&spec.parameters)?[..] else {
        return Err(Error::Lists);
    };
    let json = |(name, value)| {
        let value = match value {
            ParameterValue::Flag(flag) => flag.into(),
            // A whole number is written as an integer: many languages distinguish the two.
            ParameterValue::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => (number as i64).into(),
            ParameterValue::Number(number) => number.into(),
            ParameterValue::Text(text) => text.into(),
        };
        (name, value)
    };
    let object: serde_json::Map<String, serde_json::Value> =
        plugin::parameters(choice)?.into_iter().map(json).collect();
    Ok(serde_json::Value::Object(object).to_string().into_bytes())
}

/// The shape and the features. A plugin of one value scores any field by itself, unless the specification lists it.
fn features(spec: &Spec, count: u32) -> Result<(Shape, Vec<Feature>), Error> {
    let any = "*".to_owned();
    match (&spec.features[..], count) {
        ([], 1) => {
            let (name, measurement, field, tags) = ("value".to_owned(), any.clone(), any, BTreeMap::new());
            let any = Feature { name, measurement, field, tags, transform: Transform::None, reference: None };
            Ok((Shape::Field, vec![any]))
        }
        (features, count) if features.len() == count as usize => Ok((Shape::Vector, features.to_vec())),
        (features, takes) => Err(Error::Features { takes, listed: features.len() }),
    }
}

/// Golden rows of two series with small variations, each feature at another level; the second half has a jump of one series,
/// a missing value, and a row without values.
fn golden(open: impl Fn() -> Result<Box<dyn Detector>, Error>, description: &Description) -> Result<Golden, Error> {
    let features = (description.features as usize).max(1);
    let most = (MAX_GOLDEN_VALUES / features).max(MIN_GOLDEN_ROWS);
    let rows = ((description.warm_up as usize).saturating_mul(4)).clamp(MIN_GOLDEN_ROWS, most) / 2 * 2;
    let half = rows / 2;
    let value = |row: usize, feature: usize| {
        let level = 10.0 * (feature % 10 + 1) as f64;
        let swing = ((row * 7919 + feature * 104_729) % 101) as f64 / 101.0;
        match row - row.min(half) {
            4 | 6 => level * 10.0,
            9 if feature == 0 => f64::NAN,
            13 => f64::NAN,
            _ => level + swing,
        }
    };
    let values: Vec<f64> =
        (0..rows).flat_map(|row| (0..features).map(move |feature| (row, feature))).map(|(r, f)| value(r, f)).collect();
    let series: Vec<u32> = (0..rows as u32).map(|row| row % 2).collect();
    let mut golden = None;
    // A detector of time windows may need longer steps before it scores.
    for step in STEPS {
        let times: Vec<i64> = (0..rows as i64).map(|row| row / 2 * step).collect();
        let rows = Batch { series: &series, times: &times, values: &values };
        let made = Golden::of(&mut *open()?, rows)?;
        if made.scores.iter().any(|score| !score.is_nan()) {
            return Ok(made);
        }
        golden.get_or_insert(made);
    }
    golden.ok_or(Error::NoGolden)
}

#[cfg(test)]
mod tests;
