//! `qualm bundle import`: makes a bundle of a forest that scikit-learn fitted.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use qualm_bundle::import::{self, Imported};
use qualm_bundle::{Bundle, duration};
use qualm_core::BuiltIn;
use serde_json::json;

use super::{Error, print_result};

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
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    interval: Option<Duration>,

    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    let Options { forest, out, name, measurement, entity, .. } = options;
    let version = options.version.unwrap_or_else(|| Bundle::next_version(out));
    let (measurement, entity, interval) = (measurement.clone(), entity.clone(), options.interval.unwrap_or_default());
    let import = import::Options { name: name.clone(), version, measurement, entity, interval };
    let Imported { draft, trees } = import::read(forest, &import).map_err(Error::Bundle)?;
    let bundle = draft.finish(&BuiltIn).map_err(|fault| Error::Write(fault.at(forest.display())))?;
    bundle.write(out).map_err(Error::Write)?;
    let summary = json!({ "bundle": out, "name": name, "version": version, "trees": trees });
    print_result(&summary, options.json, || {
        let (features, out) = (bundle.manifest.features.len(), out.display());
        format!("{name} {version}: {trees} trees, {features} features; the bundle is in {out}\n")
    })
}
