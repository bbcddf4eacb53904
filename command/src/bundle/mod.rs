//! `qualm bundle`: inspects, checks, packs, signs, compares and rolls back bundles.

mod diff;
mod import;
mod inspect;
mod pack;
mod rollback;
mod sign;
mod verify;

use std::io;
use std::path::Path;

use clap::{Args, Subcommand};
use serde::Serialize;

use qualm_bundle::Bundle;
use qualm_bundle::signature::KeyError;
use qualm_contract::ModelFactory;

use crate::stdout::print_text;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  qualm bundle inspect models/cpu                  what is in it
  qualm bundle verify cpu-3.qualm --key my.pub     is it whole, and who made it?
  qualm bundle diff models/cpu cpu-3.qualm         what is different in the second
  qualm bundle sign models/cpu --key my.key        with a key of minisign
  qualm bundle pack models/cpu                     one file, NAME-VERSION.qualm, for web servers
  qualm bundle import forest.json --measurement cpu --entity host --out models/cpu   from scikit-learn
  qualm bundle rollback cpu --state /var/lib/qualm   back to the version that ran before

A bundle is a directory or a packed file; wherever one is wanted, the other will do.";

/// The options of `qualm bundle`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what is in a bundle
    Inspect(inspect::Options),
    /// Check everything about a bundle that can be checked without metrics
    Verify(verify::Options),
    /// Pack a bundle into one file
    Pack(pack::Options),
    /// Sign a bundle with a key of minisign
    Sign(sign::Options),
    /// Say what is different in another bundle
    Diff(diff::Options),
    /// Make a bundle of an isolation forest that scikit-learn fitted
    Import(import::Options),
    /// Make a running pipeline go back to an earlier version
    Rollback(rollback::Options),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A bundle cannot be read.
    #[error(transparent)]
    Bundle(qualm_bundle::Error),
    /// A key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is no version to roll back to.
    #[error(transparent)]
    Rollback(#[from] qualm_bundle::rollback::Error),
    /// A bundle cannot be written.
    #[error(transparent)]
    Write(qualm_bundle::Error),
    /// Stdout cannot be written.
    #[error("stdout: {0}")]
    Print(#[from] io::Error),
    /// A check of the bundle failed.
    #[error("{0}")]
    ChecksFailed(String),
}

/// Runs the command, and prints its result. `factory` opens the models that have to score.
///
/// # Errors
///
/// What cannot be used, and why; or which check failed.
pub fn run(options: &Options, factory: &dyn ModelFactory) -> Result<(), Error> {
    match &options.command {
        Command::Inspect(options) => inspect::run(options),
        Command::Verify(options) => verify::run(options, factory),
        Command::Pack(options) => pack::run(options),
        Command::Sign(options) => sign::run(options),
        Command::Diff(options) => diff::run(options),
        Command::Import(options) => import::run(options),
        Command::Rollback(options) => rollback::run(options),
    }
}

fn read(path: &Path) -> Result<Bundle, Error> {
    Bundle::read(path).map_err(Error::Bundle)
}

/// Prints a result as JSON or as text.
fn print_result(result: &impl Serialize, json: bool, text: impl FnOnce() -> String) -> Result<(), Error> {
    Ok(print_text(&if json { format!("{}\n", serde_json::json!(result)) } else { text() })?)
}

#[cfg(test)]
#[path = "../../../bundle/src/testing.rs"]
mod testing;
#[cfg(test)]
mod tests;
