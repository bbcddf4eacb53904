//! Going back to an earlier version of a detector's bundle, in every store of a state directory.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::store::{self, Store};

/// What became of one store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RolledBack {
    /// The detector, as it is called in the configuration.
    pub detector: String,
    /// Whose it is: the state directory, or the one in it of a way in.
    pub state: PathBuf,
    /// The bundle's name.
    pub model: String,
    /// The version that was current.
    pub from: Option<u64>,
    /// The version that is current now.
    pub to: u64,
    /// What the source offers is taken again once it is newer than this version.
    pub not_taken_up_to: Option<u64>,
    /// The versions that are kept.
    pub kept: Vec<u64>,
}

/// Why nothing was rolled back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A store cannot be used, or does not keep the version.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The state directory keeps no bundles of such a detector.
    #[error("{}: it keeps no bundles of a detector `{detector}`; {others}", state.display())]
    NoSuchDetector {
        /// The state directory.
        state: PathBuf,
        /// The detector that was asked for.
        detector: String,
        /// What is kept there instead.
        others: String,
    },
}

/// Makes a kept version the current one: `to`, or the one that ran before. All stores of the detector are rolled back, or
/// none: that of the state directory, and those in it of `qualm serve`'s ways in.
///
/// # Errors
///
/// Where no store is one of this detector's, one of them does not keep the version, or cannot be written.
pub fn roll_back(state: &Path, detector: &str, to: Option<u64>) -> Result<Vec<RolledBack>, Error> {
    let keepers = keepers(state);
    let theirs: Vec<_> = keepers.iter().filter(|dir| store::directory(dir, detector).is_dir()).collect();
    if theirs.is_empty() {
        let (state, detector, others) = (state.to_owned(), detector.to_owned(), kept_instead(state, &keepers));
        return Err(Error::NoSuchDetector { state, detector, others });
    }
    let mut stores = Vec::new();
    for dir in theirs {
        let store = Store::open(dir, detector)?;
        store.to_roll_back_to(to)?; // all, or none
        stores.push((dir, store));
    }
    let mut results = Vec::new();
    for (dir, mut store) in stores {
        let from = store.version();
        let bundle = store.rollback(to)?;
        results.push(RolledBack {
            detector: detector.to_owned(),
            state: dir.clone(),
            model: bundle.manifest.name.clone(),
            from,
            to: bundle.manifest.version,
            not_taken_up_to: store.rolled_back_from(),
            kept: store.kept(),
        });
    }
    Ok(results)
}

/// The directories that bundles are kept in: the state directory, and those in it of `qualm serve`'s ways in.
fn keepers(state: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(state).into_iter().flatten().flatten();
    let within = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path());
    let mut all: Vec<_> = within.chain([state.to_owned()]).filter(|dir| store::root(dir).is_dir()).collect();
    all.sort();
    all
}

/// The detectors that there are bundles of.
fn kept_instead(state: &Path, keepers: &[PathBuf]) -> String {
    let names = |dir: &PathBuf| {
        let entries = fs::read_dir(store::root(dir)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        let who = if dir == state { "it".to_owned() } else { dir.display().to_string() };
        format!("{who} keeps those of {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") })
    };
    let found: Vec<_> = keepers.iter().map(names).collect();
    if found.is_empty() {
        "it keeps no bundles at all; is it the `dir` of `[state]`?".to_owned()
    } else {
        found.join("; ")
    }
}
