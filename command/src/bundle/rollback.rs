//! `qualm bundle rollback`.

use std::path::PathBuf;

use clap::Args;
use qualm_bundle::rollback::{RolledBack, roll_back};

use super::{Error, print_result};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The detector, as it is called in the configuration
    #[arg(value_name = "NAME")]
    detector: String,

    /// The state directory: `dir` of `[state]` in the configuration. The ways in of `qualm serve` have theirs in it; all
    /// are rolled back
    #[arg(long, value_name = "DIR")]
    state: PathBuf,

    /// The version to go back to; the one that ran before, if left out
    #[arg(long, value_name = "VERSION")]
    to: Option<u64>,

    /// Print what is current now as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    match &roll_back(&options.state, &options.detector, options.to)?[..] {
        [one] => print_result(one, options.json, || to_text(one)),
        several => print_result(&several, options.json, || several.iter().map(to_text).collect()),
    }
}

fn to_text(result: &RolledBack) -> String {
    let RolledBack { detector, state, model, from, to, not_taken_up_to, kept } = result;
    let from = from.map_or_else(String::new, |from| format!(", after version {from}"));
    let kept: Vec<_> = kept.iter().map(u64::to_string).collect();
    let until = not_taken_up_to.map_or_else(String::new, |version| {
        format!("What the source offers is taken again once it is newer than version {version}.\n")
    });
    format!(
        "{detector} in {}: {model}, version {to}, is the current one{from}. A running qualm takes it up by itself.\n\
         {until}Kept are the versions {}; to go to another: --to VERSION\n",
        state.display(),
        kept.join(", ")
    )
}
