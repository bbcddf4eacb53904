//! `qualm bundle import`: a forest that scikit-learn fitted, as a bundle.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use qualm_contract::Batch;
use qualm_core::forest::{self, import::Parts, import::TreeParts};
use qualm_core::trained::Trained;
use qualm_core::trained::prepare::Preparation;
use serde::Deserialize;
use serde_json::json;

use super::{Error, print};
use crate::bundle::{self, Bundle, Draft, Fault};
use crate::golden::Golden;
use crate::manifest::{FORMAT, Feature, Manifest, Provenance, Shape, Suppression, Threshold};
use qualm_contract::Transform;
use qualm_core::BuiltIn;

/// The form and version of what is read; `examples/sklearn/export.py` writes it, and says what is in it.
const FORM: (&str, u32) = ("qualm-forest", 1);

/// Golden rows.
const GOLDEN: usize = 32;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// What `examples/sklearn/export.py` wrote
    #[arg(value_name = "FOREST.json")]
    forest: PathBuf,

    /// Where the bundle goes: a directory
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// The bundle's name
    #[arg(long, value_name = "NAME", default_value = "imported")]
    name: String,

    /// The bundle's version; by default one more than that of the bundle it replaces, or 1
    #[arg(long, value_name = "N")]
    version: Option<u64>,

    /// The measurement whose fields the features are; without it they must be named MEASUREMENT.FIELD
    #[arg(long, value_name = "NAME")]
    measurement: Option<String>,

    /// A tag that tells one entity from another, such as `host`; may be given several times
    #[arg(long, value_name = "TAG")]
    entity: Vec<String>,

    /// Values within the same interval make one vector, such as 10s; by default those of the very same time
    #[arg(long, value_name = "DURATION", value_parser = crate::duration::parse)]
    interval: Option<Duration>,

    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

/// What the file says. Keys that are not named here are for people.
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

pub(super) fn run(options: &Options) -> Result<(), Error> {
    let place = options.forest.display();
    let bad = |what: String| Error::Bundle(Fault::Model(what).at(&place));
    let text = fs::read(&options.forest).map_err(|error| Error::Bundle(Fault::Io(error).at(&place)))?;
    let exported: Exported = serde_json::from_slice(&text)
        .map_err(|error| bad(format!("it is not what examples/sklearn/export.py writes: {error}")))?;
    let features = exported.features.iter().map(|name| options.feature(name)).collect::<Result<_, _>>().map_err(bad)?;
    let mut trained = exported.trained().map_err(bad)?;
    let calibration = trained.calibration();
    let model = trained.to_model();
    let golden = golden(&mut trained, &exported).map_err(bad)?;
    let version = options.version.unwrap_or_else(|| Bundle::next_version(&options.out));
    let manifest = Manifest {
        format: FORMAT,
        name: options.name.clone(),
        version,
        created: Timestamp::now(),
        expires: None,
        kind: forest::KIND.to_owned(),
        shape: Shape::Vector,
        entity: options.entity.clone(),
        interval: options.interval.unwrap_or_default(),
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
    let write = |error: bundle::Error| Error::Write(error);
    let bundle =
        Draft { manifest, model, golden, component: None }.finish(&BuiltIn).map_err(|fault| write(fault.at(&place)))?;
    bundle.write(&options.out).map_err(write)?;
    let (name, trees, out) = (&options.name, exported.trees.len(), options.out.display());
    let told = json!({ "bundle": options.out, "name": name, "version": version, "trees": trees });
    print(&told, options.json, || {
        format!("{name} {version}: {trees} trees, {} features; the bundle is in {out}\n", exported.features.len())
    })
}

impl Options {
    fn feature(&self, name: &str) -> Result<Feature, String> {
        let split = name.split_once('.').map(|(measurement, field)| (measurement.to_owned(), field.to_owned()));
        let (measurement, field) =
            self.measurement.clone().map(|measurement| (measurement, name.to_owned())).or(split).ok_or_else(|| {
                format!(
                    "the feature `{name}` is not named MEASUREMENT.FIELD; say with --measurement what it is a field of"
                )
            })?;
        let name = name.to_owned();
        Ok(Feature { name, measurement, field, tags: [].into(), transform: Transform::None, reference: None })
    }
}

impl Exported {
    fn trained(&self) -> Result<Trained, String> {
        let form = (self.format.as_str(), self.version);
        if form != FORM {
            return Err(format!("it is of the form {form:?}; known here is {FORM:?}"));
        }
        let none = || (vec![0.0; self.features.len()], vec![1.0; self.features.len()]);
        let (center, scale) =
            self.scaler.as_ref().map_or_else(none, |scaler| (scaler.center.clone(), scaler.scale.clone()));
        let ordinary = self.ordinary.ok_or(
            "it does not say what an ordinary score is; export it once more with --rows, and some rows that are ordinary",
        )?;
        let trees = self.trees.iter().map(|tree| TreeParts {
            children_left: tree.children_left.clone(),
            children_right: tree.children_right.clone(),
            feature: tree.feature.clone(),
            threshold: tree.threshold.clone(),
            n_node_samples: tree.n_node_samples.clone(),
            features: tree.features.clone(),
        });
        let parts = Parts { features: self.features.len(), max_samples: self.max_samples, trees: trees.collect() };
        let text = |error: qualm_contract::Error| error.to_string();
        let preparation = Preparation::from_parts(self.fill.clone(), center, scale).map_err(text)?;
        // Scores have their sign turned: here, larger is stranger.
        forest::import::assemble(&parts, preparation, -ordinary, -self.offset).map_err(text)
    }
}

/// Rows around what is ordinary, near and far.
fn golden(detector: &mut Trained, exported: &Exported) -> Result<Golden, String> {
    let scales = exported.scaler.as_ref().map(|scaler| scaler.scale.clone());
    let mut values = Vec::new();
    for row in 0..GOLDEN {
        for (at, fill) in exported.fill.iter().enumerate() {
            // −4 to 4 spreads, another mixture in each row.
            let spreads = ((row * 7 + at * 13) % 33) as f64 / 4.0 - 4.0;
            values.push(fill + spreads * scales.as_ref().map_or(1.0, |scales| scales[at]));
        }
    }
    let times: Vec<i64> = (0..GOLDEN as i64).collect();
    Golden::of(detector, Batch { series: &[0; GOLDEN], times: &times, values: &values })
}
