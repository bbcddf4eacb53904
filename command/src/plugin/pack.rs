//! `qualm plugin pack`: makes a bundle of a plugin that learns online.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use qualm_bundle::Bundle;
use qualm_contract::ModelFactory;
use qualm_offline::pack::pack;
use qualm_offline::train::spec::Spec;
use serde_json::json;
use tracing::warn;

use super::Error;
use crate::stdout::print_text;

/// What `--help` ends with.
pub(super) const EXAMPLES: &str = "\
Examples:
  qualm plugin pack mine/mine.wasm --out models/mine           with mine/plugin.toml, where there is one
  qualm plugin pack target/plugins/leak.wasm --manifest plugins/leak/plugin.toml --out models/leak

What comes of it is a bundle, as of any model: `model = \"models/leak\"` in qualm.toml runs it. A manifest is like this:

  name = \"leak\"
  detector = \"leak\"                # the kind that the plugin says it is
  suppression = { sustained = \"3 of 5\", cooldown = \"1h\" }
  [parameters]                     # what the plugin is opened with
  significance = 1e-4

A plugin of several values in a row needs [[features]], as in a specification: see `qualm train --help`. One that learns from
history is trained instead: `qualm train --plugin FILE`.";

/// The options of `qualm plugin pack`.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// The component
    #[arg(value_name = "FILE")]
    component: PathBuf,

    /// What is said of it, in TOML; by default `plugin.toml` beside it, where there is one
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,

    /// Where the bundle goes: a directory, which it replaces if it is a bundle already
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Print the bundle's manifest as JSON
    #[arg(long)]
    json: bool,
}

/// Makes a bundle of a plugin that needs no training.
///
/// # Errors
///
/// What cannot be used, where, and what to do; no bundle is written then.
pub(super) fn run(options: &Options, factory: &dyn ModelFactory) -> Result<(), Error> {
    let Options { component, manifest, out, json } = options;
    let at = |what: String| Error::Unusable { place: component.display().to_string(), what };
    let beside = component.with_file_name("plugin.toml");
    let manifest = manifest.clone().or_else(|| beside.is_file().then_some(beside));
    if manifest.is_none() {
        warn!("there is no plugin.toml beside {}: all is as the plugin has it by default", component.display());
    }
    let spec = manifest.as_deref().map_or_else(|| Ok(Spec::default()), Spec::read)?;
    let bytes = fs::read(component).map_err(|error| at(error.to_string()))?;
    let draft = pack(bytes, &spec, out, factory).map_err(|error| at(error.to_string()))?;
    let bundle = draft.finish(factory).map_err(|fault| fault.at(out.display()))?;
    bundle.write(out)?;
    let text = if *json {
        format!("{}\n", json!({ "bundle": out, "manifest": bundle.manifest }))
    } else {
        to_text(&bundle, &out.display().to_string())
    };
    print_text(&text).map_err(|error| at(error.to_string()))
}

fn to_text(bundle: &Bundle, path: &str) -> String {
    let manifest = &bundle.manifest;
    let scored = bundle.golden.scores.iter().filter(|score| !score.is_nan()).count();
    let note = match scored {
        0 => "note: it scored none of the rows that every start is checked with: it warms up for long\n",
        _ => "",
    };
    format!(
        "{note}{} {} ({}) is in {path}\n\
         next: in qualm.toml: model = {path:?}; or try it: qualm replay --model {path} --input HISTORY\n",
        manifest.name, manifest.version, manifest.kind
    )
}
