//! `qualm retrain`: trains a model again on the rows that it scored.

use std::io;
use std::path::PathBuf;

use clap::Args;
use qualm_bundle::rows::Window;
use qualm_bundle::signature::{self, SecretKey};
use qualm_contract::ModelFactory;
use qualm_offline::retrain::gate::{Comparison, Figures};
use qualm_offline::retrain::{self, Retrained};
use qualm_system::child::Limits;

use crate::stdout::print_text;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  qualm retrain --model models/host --rows /var/lib/qualm/rows/host --out next.qualm
  qualm retrain --model models/host --rows rows/host --out next.qualm --maintenance 2026-01-31T22:00:00Z/2026-02-01T02:00:00Z
  qualm retrain --model models/host --rows rows/host --out next.qualm -- /opt/train.sh {rows} {bundle} {out}

A running qualm keeps the rows that a detector scored where its configuration has `[retrain]`, and runs this
command by itself when the model is old or its metrics drift. Left out are rows from before the metrics became what they are
now, rows that were anomalous, and those of --maintenance. The new model has the kind, the parameters and the rule for the threshold of the old one. It is written only
if, on rows that it has not seen, it reports no more than it may and separates anomalies that are put in about as well.

A program of your own may train instead: it gets the rows as a CSV file (time, entity, and a column for each feature).

The exit code is 1 where the new model is not good enough.";

/// The options of `qualm retrain`.
#[derive(Debug, Args)]
pub struct Options {
    /// The model that is to be trained again: a bundle's directory or .qualm file
    #[arg(long, value_name = "BUNDLE", alias = "bundle")]
    pub model: PathBuf,

    /// The directory of rows that a running qualm has kept
    #[arg(long, value_name = "DIR")]
    pub rows: PathBuf,

    /// Where the new model goes: a .qualm file, or a directory
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,

    /// The new model's version; by default one more than that of the old one
    #[arg(long, value_name = "N")]
    pub version: Option<u64>,

    /// A time whose rows are left out: FROM/UNTIL; again for more
    #[arg(long, value_name = "TIMES")]
    pub maintenance: Vec<Window>,

    /// A secret key without a password, as `minisign -GW` makes it, that the new model is signed with
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,

    /// Print the outcome as JSON
    #[arg(long)]
    pub json: bool,

    /// A program that trains instead, by its whole path, and its arguments, in which {rows}, {bundle} and {out} are paths
    #[arg(last = true, value_name = "PROGRAM")]
    pub command: Vec<String>,
}

/// Why there is no new model.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model, the rows or an option cannot be used, or the new model is not good enough.
    #[error(transparent)]
    Retrain(#[from] retrain::Error),
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] signature::KeyError),
    /// The model is written, but the outcome cannot be printed.
    #[error("stdout: {0}")]
    Print(io::Error),
}

/// Trains a model again, and prints the outcome. `factory` opens both.
///
/// # Errors
///
/// As [`Error`] lists them.
pub fn run(options: &Options, factory: &dyn ModelFactory) -> Result<(), Error> {
    let Options { model, rows, out, version, maintenance, key, json, command } = options;
    let no_password = || Err(io::Error::other("a key with a password cannot be used here").into());
    let key = key.as_ref().map(|path| SecretKey::read(path, no_password)).transpose()?;
    let wanted = retrain::Options {
        bundle: model.clone(),
        rows: rows.clone(),
        out: out.clone(),
        version: *version,
        maintenance: maintenance.clone(),
        command: command.clone(),
        limits: Limits::default(),
        key,
    };
    let retrained = retrain::retrain(&wanted, factory, &|_| {})?;
    let text = if *json { format!("{}\n", serde_json::json!(retrained)) } else { to_text(&retrained, out) };
    print_text(&text).map_err(Error::Print)
}

fn to_text(retrained: &Retrained, out: &std::path::Path) -> String {
    let Retrained { name, version, rows, excluded, comparison, warnings } = retrained;
    let notes: String = warnings.iter().map(|warning| format!("note: {warning}\n")).collect();
    let Comparison { rows: unseen, incumbent, successor } = comparison;
    let figures = |of: &Figures| {
        format!("{} of {unseen} rows alarm, AUC-PR {:.3} of anomalies put in", of.alarms, of.injected_auc_pr)
    };
    format!(
        "{notes}{name} {version}: made of {rows} rows; {} that no longer look like the newest, {} anomalous ones and {} of maintenance are left out\n\
         on the last rows, which it had not seen\n  new      {}\n  running  {}\n\
         the bundle is in {}\n",
        excluded.earlier,
        excluded.anomalous,
        excluded.maintenance,
        figures(successor),
        figures(incumbent),
        out.display()
    )
}
