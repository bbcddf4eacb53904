//! `qualm train`: learns a model from history, and writes its bundle.

use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use qualm_bundle::Bundle;
use qualm_contract::ModelFactory;
use qualm_core::autoencoder::architecture::Network;
use qualm_offline::train::grid::Choice;
use qualm_offline::train::{self, Step, Trained};
use serde_json::json;

use crate::progress::progress_bar;
use crate::stdout::print_text;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  qualm train --detector isolation-forest --input history.csv --out models/host
  qualm train --spec vitals.toml --input metrics.lp --out models/vitals --json
  qualm train --plugin mine.wasm --input history.csv --out models/mine   a detector of your own

Without --spec every column of a CSV file, or every numeric field of other files, is a feature, and values of one `host`
belong together. A specification says more:

  detector = \"pca-mahalanobis\"
  entity = [\"host\"]
  interval = \"10s\"
  threshold = { false_alarm_rate = 1e-4 }
  suppression = { sustained = \"3 of 5\", cooldown = \"10m\" }

  [[features]]
  name = \"received\"
  measurement = \"net\"
  field = \"bytes_recv\"
  tags = { interface = \"eth0\" }
  transform = \"rate\"                        # none, rate, delta, log1p

  [parameters]
  scaling = [\"standard\", \"robust\"]          # a list is tried value by value
  memory = [1, 10]

The rows are parted by time: 70 % are learnt from, 15 % choose parameters and set the threshold, 15 % show how it does.";

/// The options of `qualm train`.
#[derive(Debug, Args)]
pub struct Options {
    /// The history: CSV with a time column (.csv), line protocol (.lp), or JSON lines (.jsonl)
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,

    /// Where the bundle goes: a directory, which it replaces if it is a bundle already
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// The kind of detector
    #[arg(long, value_name = "KIND")]
    pub detector: Option<String>,

    /// A plugin that learns: a component, which becomes part of the bundle
    #[arg(long, value_name = "FILE", conflicts_with = "detector")]
    pub plugin: Option<PathBuf>,

    /// What to train, in TOML
    #[arg(long, value_name = "FILE")]
    pub spec: Option<PathBuf>,

    /// The bundle's name; by default the directory's
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// The bundle's version; by default one more than that of the bundle it replaces, or 1
    #[arg(long, value_name = "N")]
    pub version: Option<u64>,

    /// The seed of all randomness
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// What the metrics of a CSV or JSON file are called; by default the file's name without its ending
    #[arg(long, value_name = "NAME")]
    pub measurement: Option<String>,

    /// Print the outcome as JSON
    #[arg(long)]
    pub json: bool,
}

/// Why nothing was trained.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The history, the specification or an option cannot be used, or the bundle not be written.
    #[error(transparent)]
    Train(#[from] train::Error),
    /// The bundle is written, but the summary cannot be printed.
    #[error("stdout: {0}")]
    Print(io::Error),
}

/// Trains, writes the bundle, and prints a summary. `factory` opens the plugin of `--plugin`.
///
/// # Errors
///
/// As [`Error`] lists them.
pub fn run(options: &Options, factory: &dyn ModelFactory) -> Result<(), Error> {
    let Options { out, json, .. } = options;
    let bar = progress_bar(0, "{wide_bar} {pos}/{len} {msg}");
    let Trained { bundle, tried, warnings, split } = train::from_file(&options.into(), factory, &|step| match step {
        Step::Fitted { models, of } if of > 1 => {
            bar.set_length(of);
            bar.set_position(models);
            bar.set_message("models");
        }
        Step::Fitted { .. } => {}
        Step::Epoch { network, epoch, of, training, validation } => {
            bar.println(format!(
                "{network:<5} epoch {epoch:>3} of {of}: loss {training:.4}, on rows not learnt from {validation:.4}"
            ));
            bar.set_length(of);
            bar.set_position(epoch);
            bar.set_message("epochs");
        }
    })?;
    bar.finish_and_clear();
    let text = if *json {
        let tried: Vec<_> = tried
            .iter()
            .map(|(choice, objective)| json!({ "parameters": choice.0, "validation_injected_auc_pr": objective }))
            .collect();
        let summary = json!({
            "bundle": out,
            "manifest": bundle.manifest,
            "warnings": warnings,
            "tried": tried,
            "rows": { "train": split.train.len(), "validation": split.validation.len(), "test": split.test.len() },
        });
        format!("{summary}\n")
    } else {
        to_text(&bundle, &tried, &warnings, out)
    };
    print_text(&text).map_err(Error::Print)
}

impl From<&Options> for train::Options {
    fn from(options: &Options) -> Self {
        let Options { input, out, detector, plugin, spec, name, version, seed, measurement, .. } = options;
        Self {
            input: input.clone(),
            out: out.clone(),
            detector: detector.clone(),
            plugin: plugin.clone(),
            spec: spec.clone(),
            name: name.clone(),
            version: *version,
            seed: *seed,
            measurement: measurement.clone(),
        }
    }
}

fn to_text(bundle: &Bundle, tried: &[(Choice, f64)], warnings: &[String], out: &Path) -> String {
    let manifest = &bundle.manifest;
    let metric = |name: &str| manifest.provenance.metrics.get(name).copied().unwrap_or(f64::NAN);
    let path = out.display().to_string();
    let chosen = manifest.provenance.parameters.iter().map(|(name, value)| format!("{name} = {value}"));
    let chosen = chosen.collect::<Vec<_>>().join(", ");
    let notes: String = warnings.iter().map(|warning| format!("note: {warning}\n")).collect();
    let tried = match tried.len() {
        0 => String::new(),
        tried => format!("tried {tried} combinations of parameters; taken: {chosen}\n"),
    };
    // Of several networks, what each would do alone.
    let alone = |name: &str| manifest.provenance.metrics.get(&format!("test_injected_auc_pr_{name}")).copied();
    let members = Network::ALL.map(Network::name).map(|name| alone(name).map(|auc_pr| format!("{name} {auc_pr:.3}")));
    let members = members.into_iter().flatten().collect::<Vec<_>>().join(", ");
    let members = if members.is_empty() { members } else { format!(" (each network alone: {members})") };
    format!(
        "{notes}{tried}{} {} ({}), {} features, learnt from {} rows\n\
         on the last {} rows, which it had not seen: {:.4} % alarms; injected anomalies are separated with an AUC-PR of \
         {:.3}{members}\n\
         the bundle is in {path}\n\
         next: qualm evaluate --bundle {path} --input HISTORY, or in qualm.toml: model = {path:?}\n",
        manifest.name,
        manifest.version,
        manifest.kind,
        manifest.features.len(),
        manifest.provenance.rows,
        metric("test_rows"),
        metric("test_alarm_rate") * 100.0,
        metric("test_injected_auc_pr"),
    )
}
