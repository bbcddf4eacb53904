//! `qualm plugin`: creates, checks and packs plugins.

mod check;
mod new;
mod pack;

use std::io;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use qualm_offline::train::spec;

use qualm_sandbox::SandboxFactory;

pub use check::CheckError;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  qualm plugin new --lang python my-detector      a folder with a detector that works
  make -C my-detector                             build it
  qualm plugin check my-detector/my-detector.wasm   does it keep the contract?
  qualm plugin pack my-detector/my-detector.wasm --out models/mine   a bundle, for a pipeline to run

A plugin is a WebAssembly component, made from any language that can be compiled to one;
wit/detection.wit in the folder is the contract that it keeps.";

/// The options of `qualm plugin`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a folder with a detector that builds and works, to start from
    New(new::Options),
    /// Check whether a plugin keeps the contract, and measure it
    Check(check::Options),
    /// Make a bundle of a plugin that learns online, for a pipeline to run
    #[command(after_help = pack::EXAMPLES)]
    Pack(pack::Options),
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The plugin cannot be checked.
    #[error("{}: {source}", path.display())]
    Check {
        /// The component.
        path: PathBuf,
        /// Why.
        source: CheckError,
    },
    /// A new detector has a name that neither the contract nor package managers accept.
    #[error(
        "{}: a detector cannot be called `{name}`: lower-case words joined by hyphens, such as disk-pressure; 64 letters at most",
        folder.display()
    )]
    Name {
        /// The folder.
        folder: PathBuf,
        /// The last part of its path.
        name: String,
    },
    /// A new detector's folder has files already.
    #[error("{} is there already, and not empty: name another, or remove it", .0.display())]
    NotEmpty(PathBuf),
    /// A file cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The plugin or its manifest cannot be used.
    #[error("{place}: {what}")]
    Unusable {
        /// Which file.
        place: String,
        /// Why, and what to do.
        what: String,
    },
    /// The manifest cannot be used.
    #[error(transparent)]
    Spec(#[from] spec::Error),
    /// The bundle cannot be made or written.
    #[error(transparent)]
    Bundle(#[from] qualm_bundle::Error),
    /// The plugin does not pass its checks.
    #[error("{place} does not keep the contract: {failed} of its checks failed")]
    ChecksFailed {
        /// The plugin.
        place: String,
        /// How many checks failed.
        failed: usize,
    },
    /// Stdout cannot be written.
    #[error("stdout: {0}")]
    Print(io::Error),
}

/// Runs the command, and prints its result.
///
/// # Errors
///
/// Names what cannot be used, and why; or how many checks failed.
pub fn run(options: &Options, factory: &SandboxFactory) -> Result<(), Error> {
    match &options.command {
        Command::New(options) => new::run(options),
        Command::Check(options) => check::run(options, factory.sandbox()),
        Command::Pack(options) => pack::run(options, factory),
    }
}
