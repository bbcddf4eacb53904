//! `qualm plugin`: what people do who write detectors of their own.

mod check;
mod new;
mod pack;

use std::io;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use qualm_offline::train::spec;

use qualm_sandbox::SandboxFactory;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  qualm plugin new --lang python my-detector      a folder with a detector that works
  make -C my-detector                             build it
  qualm plugin check my-detector/my-detector.wasm   does it keep the contract?
  qualm plugin pack my-detector/my-detector.wasm --out models/mine   a bundle, for a pipeline to run

A plugin is a WebAssembly component, made from any language that can be compiled to one;
wit/detection.wit in the folder is the contract that it keeps.";

/// What a user may ask for.
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

/// Why a command ended early.
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
    /// What was given cannot be used.
    #[error("{0}")]
    ComponentError(String),
    /// The folder cannot be made.
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
    /// A check found the plugin wanting.
    #[error("{place} does not keep the contract: {failed} of its checks failed")]
    Wanting {
        /// The plugin.
        place: String,
        /// How many checks failed.
        failed: usize,
    },
    /// Nothing can be printed.
    #[error("stdout: {0}")]
    Print(io::Error),
}

/// Does it, and prints what came of it.
///
/// # Errors
///
/// Says what cannot be used, and why; or what was found wanting.
pub fn run(options: &Options, factory: &SandboxFactory) -> Result<(), Error> {
    match &options.command {
        Command::New(options) => new::run(options),
        Command::Check(options) => check::run(options, factory.sandbox()),
        Command::Pack(options) => pack::run(options, factory),
    }
}
