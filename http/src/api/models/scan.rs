//! What lies in the directory of models.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use qualm_bundle::archive::EXTENSION;
use qualm_bundle::files::MANIFEST;
use qualm_bundle::signature::Trust;
use qualm_bundle::{Bundle, Fault};
use tracing::warn;

use super::info::{About, Info, State};
use crate::api::problem::shown;

/// The most bundles that a directory may have.
pub const MOST_BUNDLES: usize = 10_000;

/// A bundle, whole or not.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    /// Changes when the bundle does.
    pub(super) stamp: Stamp,
    pub(super) info: Info,
}

/// What the file system says of a file: changed, size, number.
pub(super) type Stamp = [i64; 5];

/// What lay in the directory at some time.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    /// By name and version.
    pub(super) entries: Vec<Arc<Entry>>,
    /// For each name, the newest version that can be used.
    pub(super) serving: BTreeMap<String, Arc<Entry>>,
}

impl Catalogue {
    /// Looks; what has not changed since the `last` look is not read again.
    pub(super) fn scan(dir: &Path, trust: &Trust, last: &Self) -> Self {
        let known: BTreeMap<&Path, &Arc<Entry>> = last.entries.iter().map(|entry| (&*entry.path, entry)).collect();
        let mut found = bundles(dir);
        found.sort();
        if found.len() > MOST_BUNDLES {
            warn!("{}: only the first {MOST_BUNDLES} of {} bundles are served", dir.display(), found.len());
            found.truncate(MOST_BUNDLES);
        }
        let entry = |(path, stamp): (PathBuf, Stamp)| match known.get(&*path) {
            Some(entry) if entry.stamp == stamp => Arc::clone(entry),
            _ => Arc::new(Entry { info: look_at(&path, trust), path, stamp }),
        };
        let mut entries: Vec<_> = found.into_iter().map(entry).collect();
        entries.sort_by(|a, b| (&a.info.name, a.info.version).cmp(&(&b.info.name, b.info.version)));
        // Of the same name the last one stays: the newest.
        let ready = entries.iter().filter(|entry| entry.info.state == State::Ready);
        let serving = ready.map(|entry| (entry.info.name.clone(), Arc::clone(entry))).collect();
        Self { entries, serving }
    }

    /// Whether it is the same as `other`.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let same = |(a, b): (&Arc<Entry>, &Arc<Entry>)| Arc::ptr_eq(a, b);
        self.entries.len() == other.entries.len() && self.entries.iter().zip(&other.entries).all(same)
    }
}

/// The paths of bundles, each with its stamp. One that goes away meanwhile is none.
fn bundles(dir: &Path) -> Vec<(PathBuf, Stamp)> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            warn!("{}: models cannot be looked for: {error}", dir.display());
            return Vec::new();
        }
    };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let (path, name) = (entry.path(), entry.file_name());
            if name.as_encoded_bytes().starts_with(b".") {
                return None; // being written, or a job's
            }
            let about = fs::metadata(&path).ok()?;
            let inside = about.is_dir().then(|| fs::metadata(path.join(MANIFEST))).transpose().ok()?;
            let packed = about.is_file() && path.extension().is_some_and(|extension| extension == EXTENSION);
            (packed || inside.is_some()).then(|| {
                let of = inside.as_ref().unwrap_or(&about);
                (path, [of.mtime(), of.mtime_nsec(), of.size() as i64, of.ino() as i64, about.ino() as i64])
            })
        })
        .collect()
}

/// Reads a bundle, and keeps what is to be told of it.
fn look_at(path: &Path, trust: &Trust) -> Info {
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let broken = |info: Info, fault: &Fault| Info { state: State::Broken, error: Some(fault.to_string()), ..info };
    match Bundle::read(path) {
        Ok(bundle) => {
            let manifest = &bundle.manifest;
            let info = Info {
                name: manifest.name.clone(),
                version: Some(manifest.version),
                state: State::Ready,
                error: None,
                file,
                about: Some(About::of(manifest)),
            };
            match bundle.check_trust(trust).and_then(|_| bundle.check_expiry(Timestamp::now())) {
                Ok(()) => info,
                Err(fault) => broken(info, &fault),
            }
        }
        Err(error) => {
            let (name, version) = guess(&file);
            let info = Info { name, version, state: State::Broken, error: None, file, about: None };
            broken(info, &error.fault)
        }
    }
}

/// What a file's name says of the bundle in it.
fn guess(file: &str) -> (String, Option<u64>) {
    let stem = file.strip_suffix(EXTENSION).and_then(|stem| stem.strip_suffix('.')).unwrap_or(file);
    match stem.rsplit_once('-').map(|(name, version)| (name, version.parse())) {
        Some((name, Ok(version))) => (shown(name), Some(version)),
        _ => (shown(stem), None),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_files_name_tells_its_bundles() {
        let guess = super::guess;
        assert_eq!(guess("host-vitals-12.qualm"), ("host-vitals".to_owned(), Some(12)));
        assert_eq!(guess("host.qualm"), ("host".to_owned(), None));
        assert_eq!(guess("host-vitals"), ("host-vitals".to_owned(), None));
    }
}
