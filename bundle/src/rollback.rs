//! Rolls a detector back to an earlier version of its bundle, in every store of a state directory.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::store::{self, Store};

/// The result for one store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RolledBack {
    /// The detector's name in the configuration.
    pub detector: String,
    /// The store's state directory: that of the configuration, or of one of `qualm serve`'s inputs in it.
    pub state: PathBuf,
    /// The bundle's name.
    pub model: String,
    /// The version that was current.
    pub from: Option<u64>,
    /// The version that is current now.
    pub to: u64,
    /// Bundles from the source are refused up to this version.
    pub not_taken_up_to: Option<u64>,
    /// The versions that are kept.
    pub kept: Vec<u64>,
}

/// Why nothing was rolled back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A store cannot be used, or does not have the version.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The state directory has no store of the detector.
    #[error("{}: it keeps no bundles of a detector `{detector}`; {others}", state.display())]
    NoSuchDetector {
        /// The state directory.
        state: PathBuf,
        /// The detector.
        detector: String,
        /// The stores that there are.
        others: String,
    },
}

/// Makes a stored version the current one: `to`, or the previous one. All stores of the detector are rolled back, or none:
/// that of the state directory, and those of `qualm serve`'s inputs in it.
///
/// # Errors
///
/// If the detector has no store, or one of its stores does not have the version or cannot be written.
pub fn roll_back(state: &Path, detector: &str, to: Option<u64>) -> Result<Vec<RolledBack>, Error> {
    let store_parents = store_parents(state);
    let parents: Vec<_> = store_parents.iter().filter(|dir| store::directory(dir, detector).is_dir()).collect();
    if parents.is_empty() {
        let (state, detector, others) = (state.to_owned(), detector.to_owned(), other_detectors(state, &store_parents));
        return Err(Error::NoSuchDetector { state, detector, others });
    }
    let mut stores = Vec::new();
    for dir in parents {
        let store = Store::open(dir, detector)?;
        store.rollback_target(to)?; // all, or none
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

/// The directories that have stores: the state directory, and those of `qualm serve`'s inputs in it.
fn store_parents(state: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(state).into_iter().flatten().flatten();
    let within = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path());
    let mut all: Vec<_> = within.chain([state.to_owned()]).filter(|dir| store::root(dir).is_dir()).collect();
    all.sort();
    all
}

/// The detectors that have stores, for an error.
fn other_detectors(state: &Path, store_parents: &[PathBuf]) -> String {
    let names = |dir: &PathBuf| {
        let entries = fs::read_dir(store::root(dir)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        let who = if dir == state { "it".to_owned() } else { dir.display().to_string() };
        format!("{who} keeps those of {}", if names.is_empty() { "none".to_owned() } else { names.join(", ") })
    };
    let found: Vec<_> = store_parents.iter().map(names).collect();
    if found.is_empty() {
        "it keeps no bundles at all; is it the `dir` of `[state]`?".to_owned()
    } else {
        found.join("; ")
    }
}
