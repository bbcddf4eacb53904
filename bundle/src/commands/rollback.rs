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

#[derive(Debug, Serialize)]
struct RolledBack {
    detector: String,
    /// Whose it is: the state directory, or the one in it of a way in.
    state: PathBuf,
    model: String,
    from: Option<u64>,
    to: u64,
    not_taken_up_to: Option<u64>,
    kept: Vec<u64>,
}

pub(super) fn run(options: &Options) -> Result<(), Error> {
    let Options { detector, state, to, .. } = options;
    let keepers = keepers(state);
    let theirs: Vec<_> = keepers.iter().filter(|dir| store::directory(dir, detector).is_dir()).collect();
    if theirs.is_empty() {
        return Err(Error::NoSuchDetector(no_such(state, &keepers, detector)));
    }
    let mut stores = Vec::new();
    for dir in theirs {
        let store = Store::open(dir, detector)?;
        store.to_roll_back_to(*to)?; // all, or none
        stores.push((dir, store));
    }
    let mut results = Vec::new();
    for (dir, mut store) in stores {
        let from = store.version();
        let bundle = store.rollback(*to)?;
        results.push(RolledBack {
            detector: detector.clone(),
            state: dir.clone(),
            model: bundle.manifest.name.clone(),
            from,
            to: bundle.manifest.version,
            not_taken_up_to: store.rolled_back_from(),
            kept: store.kept(),
        });
    }
    match &results[..] {
        [one] => print(one, options.json, || one.for_people()),
        several => print(&several, options.json, || several.iter().map(RolledBack::for_people).collect()),
    }
}

/// The directories that bundles are kept in: the state directory, and those in it of `qualm serve`'s ways in.
fn keepers(state: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(state).into_iter().flatten().flatten();
    let within = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path());
    let mut all: Vec<_> = within.chain([state.to_owned()]).filter(|dir| store::root(dir).is_dir()).collect();
    all.sort();
    all
}

impl RolledBack {
    fn for_people(&self) -> String {
        let Self { detector, state, model, from, to, not_taken_up_to, kept } = self;
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
}

fn no_such(state: &Path, keepers: &[PathBuf], detector: &str) -> String {
    let names = |dir: &PathBuf| {
        let entries = fs::read_dir(store::root(dir)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        let who = if dir == state { "it".to_owned() } else { dir.display().to_string() };
        format!("{who} keeps those of {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") })
    };
    let found: Vec<_> = keepers.iter().map(names).collect();
    let others = if found.is_empty() {
        "it keeps no bundles at all; is it the `dir` of `[state]`?".to_owned()
    } else {
        found.join("; ")
    };
    format!("{}: it keeps no bundles of a detector `{detector}`; {others}", state.display())
}
