//! `qualm bundle rollback`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::{Error, print};
use crate::store::{self, Store};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The detector, as it is called in the configuration
    #[arg(value_name = "NAME")]
    detector: String,

    /// The state directory: `dir` of `[state]` in the configuration
    #[arg(long, value_name = "DIR")]
    state: PathBuf,

    /// The version to go back to; the one that ran before, if left out
    #[arg(long, value_name = "VERSION")]
    to: Option<u64>,

    /// Print what is current now as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct RolledBack {
    detector: String,
    model: String,
    from: Option<u64>,
    to: u64,
    not_taken_up_to: Option<u64>,
    kept: Vec<u64>,
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    let Options { detector, state, to, .. } = options;
    if !store::directory(state, detector).is_dir() {
        return Err(Error::NoSuchDetector(no_such(state, detector)));
    }
    let mut store = Store::open(state, detector)?;
    let from = store.version();
    let bundle = store.rollback(*to)?;
    let result = RolledBack {
        detector: detector.clone(),
        model: bundle.manifest.name.clone(),
        from,
        to: bundle.manifest.version,
        not_taken_up_to: store.rolled_back_from(),
        kept: store.kept(),
    };
    print(&result, options.json, || result.for_people())
}

impl RolledBack {
    fn for_people(&self) -> String {
        let Self { detector, model, from, to, not_taken_up_to, kept } = self;
        let from = from.map_or_else(String::new, |from| format!(", after version {from}"));
        let kept: Vec<_> = kept.iter().map(u64::to_string).collect();
        let until = not_taken_up_to.map_or_else(String::new, |version| {
            format!("What the source offers is taken again once it is newer than version {version}.\n")
        });
        format!(
            "{detector}: {model}, version {to}, is the current one{from}. A running qualm takes it up by itself.\n\
             {until}Kept are the versions {}; to go to another: --to VERSION\n",
            kept.join(", ")
        )
    }
}

fn no_such(state: &Path, detector: &str) -> String {
    let entries = fs::read_dir(store::root(state)).into_iter().flatten().flatten();
    let names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let others = if names.is_empty() {
        "it keeps no bundles at all; is it the `dir` of `[state]`?".to_owned()
    } else {
        format!("it keeps those of {}", names.join(", "))
    };
    format!("{}: it keeps no bundles of a detector `{detector}`; {others}", state.display())
}
