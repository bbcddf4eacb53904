//! `qualm plugin`: detectors that others write.

mod pack;

use clap::{Args, Subcommand};
use qualm_offline::train::spec;

use crate::sandbox::runtime::Sandboxed;

/// What a user may ask for.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a bundle of a plugin that needs no training, for a pipeline to run
    #[command(after_help = pack::EXAMPLES)]
    Pack(pack::Options),
}

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
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
}

/// Does what is asked for.
///
/// # Errors
///
/// What cannot be used, where, and what to do.
pub fn run(options: &Options, sandboxed: &Sandboxed) -> Result<(), Error> {
    match &options.command {
        Command::Pack(options) => pack::run(options, sandboxed),
    }
}
