//! The content of the directory of models.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use qualm_bundle::archive::EXTENSION;
use qualm_bundle::files::MANIFEST;
use qualm_bundle::manifest::Manifest;
use qualm_bundle::signature::Trust;
use qualm_bundle::source::{Stamp, stamps};
use qualm_bundle::{Bundle, Fault as BundleFault};
use rustix::io::Errno;
use tracing::warn;

use super::fault::Fault;
use super::info::About;
use crate::api::problem::shown;

/// The most bundles that a directory may have.
pub const MAX_BUNDLES: usize = 10_000;

/// A bundle, valid or not.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    /// Changes when the bundle does.
    pub(super) stamp: Vec<Option<Stamp>>,
    /// The name; if the bundle cannot be read, its last name, or that of its file.
    pub(super) name: String,
    pub(super) version: Option<u64>,
    /// Its description, if the manifest can be read.
    pub(super) about: Option<About>,
    /// Why it is not served, if that is known without opening it.
    pub(super) fault: Option<Fault>,
}

/// The content of the directory at some time.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    /// By name and version.
    pub(super) entries: Vec<Arc<Entry>>,
    /// The range of each name in `entries`.
    names: BTreeMap<String, Range<usize>>,
}

impl Catalogue {
    /// Reads the directory. What has not changed since `last` is not read again, unless it failed and a retry is due.
    ///
    /// # Errors
    ///
    /// If the directory cannot be read.
    pub(super) fn scan(dir: &Path, trust: &Trust, last: &Self) -> io::Result<Self> {
        let known: BTreeMap<&Path, &Arc<Entry>> = last.entries.iter().map(|entry| (&*entry.path, entry)).collect();
        let mut found = bundles(dir)?;
        found.sort();
        if found.len() > MAX_BUNDLES {
            warn!("{}: only the first {MAX_BUNDLES} of {} bundles are served", dir.display(), found.len());
            found.truncate(MAX_BUNDLES);
        }
        let entry = |path: PathBuf| {
            let (stamp, known) = (stamps(&path), known.get(&*path).copied());
            match known {
                Some(entry) if entry.stamp == stamp && !entry.is_due() => Arc::clone(entry),
                _ => Arc::new(Entry::read(path, stamp, trust, known)),
            }
        };
        let mut entries: Vec<_> = found.into_iter().map(entry).collect();
        entries.sort_by(|a, b| (&a.name, a.version).cmp(&(&b.name, b.version)));
        let mut names = BTreeMap::new();
        for (at, entry) in entries.iter().enumerate() {
            names.entry(entry.name.clone()).or_insert(at..at).end = at + 1;
        }
        Ok(Self { entries, names })
    }

    /// The bundles of this name, the newest first.
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = &Arc<Entry>> {
        let range = self.names.get(name).cloned().unwrap_or_default();
        self.entries[range].iter().rev()
    }

    /// All names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// Whether it is the same as `other`.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let same = |(a, b): (&Arc<Entry>, &Arc<Entry>)| Arc::ptr_eq(a, b);
        self.entries.len() == other.entries.len() && self.entries.iter().zip(&other.entries).all(same)
    }
}

impl Entry {
    /// Reads a bundle's description. A new fault is logged.
    fn read(path: PathBuf, stamp: Vec<Option<Stamp>>, trust: &Trust, last: Option<&Arc<Self>>) -> Self {
        let last_fault = last.and_then(|last| last.fault.as_ref());
        let fault =
            |fault: &BundleFault| Fault::of_bundle(fault, last_fault.and_then(|last_fault| last_fault.retry_delay));
        let entry = match Bundle::read(&path) {
            Ok(bundle) => {
                let Manifest { name, version, .. } = &bundle.manifest;
                let (name, version, about) = (name.clone(), Some(*version), Some(About::of(&bundle.manifest)));
                let fault = bundle.check_trust(trust).err().as_ref().map(fault);
                Self { path, stamp, name, version, about, fault }
            }
            Err(error) => {
                let known = last.map(|last| (last.name.clone(), last.version));
                let (name, version) = known.unwrap_or_else(|| guess(&file_name(&path)));
                Self { path, stamp, name, version, about: None, fault: Some(fault(&error.fault)) }
            }
        };
        if let Some(fault) =
            entry.fault.as_ref().filter(|fault| last_fault.is_none_or(|last| last.public_reason != fault.public_reason))
        {
            warn!("{} is not served: {}", entry.path.display(), fault.why);
        }
        entry
    }

    /// The name of its file.
    pub(super) fn file(&self) -> String {
        file_name(&self.path)
    }

    fn is_due(&self) -> bool {
        self.fault.as_ref().is_some_and(Fault::is_due)
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The paths of bundles, without those that disappear meanwhile.
fn bundles(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue; // being written, or a job's
        }
        let path = entry.path();
        let is_dir = match fs::metadata(&path) {
            Ok(about) if about.is_dir() => true,
            Ok(about) if about.is_file() => false,
            Ok(_) => continue,
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::NOMEM | Errno::IO | Errno::NFILE) => return Err(error),
                _ => continue, // removed, or not accessible
            },
        };
        if if is_dir { path.join(MANIFEST).exists() } else { path.extension().is_some_and(|own| own == EXTENSION) } {
            found.push(path);
        }
    }
    Ok(found)
}

/// The name and version of a bundle, by the name of its file.
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
    fn name_and_version_are_taken_from_the_files_name() {
        let guess = super::guess;
        assert_eq!(guess("host-vitals-12.qualm"), ("host-vitals".to_owned(), Some(12)));
        assert_eq!(guess("host.qualm"), ("host".to_owned(), None));
        assert_eq!(guess("host-vitals"), ("host-vitals".to_owned(), None));
    }
}
