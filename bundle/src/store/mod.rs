//! The bundles that a running pipeline has accepted: the latest good ones, and which is current.
//!
//! `STATE/bundles/DETECTOR/` has the packed bundles, `VERSION.qualm` each, and `store.toml`, which names the current one and
//! the version that was rolled back from. A pipeline and `qualm bundle rollback` may change it concurrently: each change
//! locks the directory and reads the state anew.
//!
//! Without a state directory the store is in memory: versions are compared, but nothing can be rolled back.

mod state;

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use qualm_system::{atomic, own};
use rustix::fs::{FlockOperation, flock};
use tracing::warn;

use crate::archive::EXTENSION;
use crate::bundle::Bundle;
use crate::error::{self, Fault};
use crate::files;
use state::{Current, State};

/// How many bundles a store keeps.
pub const MAX_KEPT: usize = 5;

/// The file that names the current bundle.
const STATE: &str = "store.toml";

/// A bundle that was made on this machine for the detector, and is not looked at yet.
const OFFERED: &str = "offered.qualm";

/// The bundles of one detector.
#[derive(Debug)]
pub struct Store {
    /// `None` for a store in memory.
    directory: Option<PathBuf>,
    /// The contents of `store.toml` when last read or written.
    state: State,
    /// The bundle that this process runs: its version counts even if it could not be stored.
    running: Option<Current>,
}

/// Whether a bundle is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may replace the current one.
    New,
    /// It is the current one.
    Same,
}

/// Why a bundle is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is older than the current one.
    #[error("version {offered} is not newer than version {current}, which runs; to go back: `qualm bundle rollback`")]
    Older {
        /// The version that is offered.
        offered: u64,
        /// The version that runs.
        current: u64,
    },
    /// It has the current one's version and another digest.
    #[error(
        "it is another bundle than the one that runs, but has the same version {0}; each new one needs a higher version"
    )]
    SameVersion(u64),
    /// It is another model than the current one: their versions cannot be compared.
    #[error("it is another model, `{offered}`, where `{current}` runs; give the detector another `name` for it")]
    OtherModel {
        /// The model that is offered.
        offered: String,
        /// The model that runs.
        current: String,
    },
    /// This version, or a later one, was rolled back from.
    #[error("version {offered} is not taken: version {from} was rolled back from, so only what is newer than that is")]
    RolledBack {
        /// The version that is offered.
        offered: u64,
        /// The newest version that was rolled back from.
        from: u64,
    },
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A stored bundle cannot be used.
    #[error(transparent)]
    Bundle(#[from] error::Error),
    /// The version to roll back to is not stored.
    #[error("{}: there is no version {wanted} to go back to; kept are {kept}", path.display())]
    NotKept {
        /// The store's directory.
        path: PathBuf,
        /// The version to roll back to.
        wanted: String,
        /// The versions that are stored.
        kept: String,
    },
}

/// The directory of all stores.
#[must_use]
pub fn root(state_directory: &Path) -> PathBuf {
    state_directory.join("bundles")
}

/// The directory of a detector's store. Bytes that are not allowed in a file name are percent-encoded.
#[must_use]
pub fn directory(state_directory: &Path, detector: &str) -> PathBuf {
    let mut name = String::from(if detector.is_empty() { "%" } else { "" });
    for (at, byte) in detector.bytes().enumerate() {
        match byte {
            b'.' if at > 0 => name.push('.'),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            _ => name.extend(format!("%{byte:02X}").chars()),
        }
    }
    root(state_directory).join(name)
}

/// The file name of a stored bundle.
fn file(version: u64) -> String {
    format!("{version}.{EXTENSION}")
}

/// Where a version of a detector's bundles is kept.
#[must_use]
pub fn kept_path(state_directory: &Path, detector: &str, version: u64) -> PathBuf {
    directory(state_directory, detector).join(file(version))
}

/// Offers a packed bundle that was made on this machine to a detector, which [takes](Store::take_offered) it as if it came
/// from its source. It is moved.
///
/// # Errors
///
/// As the file system says.
pub fn offer(state_directory: &Path, detector: &str, packed: &Path) -> Result<(), Error> {
    let path = directory(state_directory, detector).join(OFFERED);
    fs::rename(packed, &path).map_err(|source| Error::Io { path, source })
}

impl Store {
    /// Opens a detector's store, or creates one. Damaged files are set aside, with a warning.
    ///
    /// # Errors
    ///
    /// If the directory cannot be created or read.
    pub fn open(state_directory: &Path, detector: &str) -> Result<Self, Error> {
        let path = directory(state_directory, detector);
        fs::create_dir_all(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
        // Files are removed here, so links to other directories are refused.
        for path in [root(state_directory), path.clone()] {
            if path.is_symlink() {
                let source = io::Error::other("it is a symbolic link, which is not followed here; remove it");
                return Err(Error::Io { path, source });
            }
        }
        atomic::sweep(&path, &files::NAMES);
        let mut this = Self { directory: Some(path), state: State::default(), running: None };
        this.locked(|_| Ok(()))?;
        Ok(this)
    }

    /// A store in memory.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { directory: None, state: State::default(), running: None }
    }

    /// The file that changes with a rollback.
    #[must_use]
    pub fn watched(&self) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join(STATE))
    }

    /// The file of a bundle that is offered.
    #[must_use]
    pub fn offered(&self) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join(OFFERED))
    }

    /// Takes the bundle that is offered, if there is one. One that cannot be read is removed.
    pub fn take_offered(&self) -> Option<Bundle> {
        let path = self.offered().filter(|path| path.exists())?;
        let bundle = Bundle::read(&path);
        if let Err(error) = fs::remove_file(&path) {
            warn!("{}: it cannot be removed, so it is not taken: {error}", path.display());
            return None;
        }
        bundle.inspect_err(|error| warn!("a bundle that was offered is damaged: {error}")).ok()
    }

    /// The current version.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        self.state.current.as_ref().map(|current| current.version)
    }

    /// The newest version that was rolled back from.
    #[must_use]
    pub fn rolled_back_from(&self) -> Option<u64> {
        self.state.rolled_back_from
    }

    /// The stored versions, the oldest first.
    #[must_use]
    pub fn kept(&self) -> Vec<u64> {
        let entries = self.directory.as_ref().and_then(|directory| fs::read_dir(directory).ok());
        let version = |name: &str| {
            let version = name.strip_suffix(EXTENSION)?.strip_suffix('.')?.parse().ok()?;
            (name == file(version)).then_some(version) // not `007.qualm`
        };
        let names = entries.into_iter().flatten().flatten().map(|entry| entry.file_name());
        let mut versions: Vec<u64> = names.filter_map(|name| version(name.to_str()?)).collect();
        versions.sort_unstable();
        versions
    }

    /// The current bundle, if any is stored. If it is damaged, it is set aside and the newest older one becomes current.
    ///
    /// # Errors
    ///
    /// If the store cannot be read or written.
    pub fn current(&mut self) -> Result<Option<Bundle>, Error> {
        if self.directory.is_none() {
            return Ok(None);
        }
        self.locked(|this| {
            loop {
                let Some(Current { version, sha256, .. }) = this.state.current.clone() else { return Ok(None) };
                let path = this.path(version);
                match Bundle::read(&path) {
                    Ok(bundle) if bundle.digest() == sha256 => {
                        this.running = this.state.current.clone();
                        return Ok(Some(bundle));
                    }
                    Ok(_) => warn!("{}: it is not the bundle that was kept there", path.display()),
                    // That it cannot be read now does not mean that it is damaged.
                    Err(error) if matches!(error.fault, Fault::Io(_)) && path.exists() => return Err(error.into()),
                    Err(error) => warn!("a kept bundle is damaged: {error}"),
                }
                if path.exists() {
                    atomic::set_aside(&path).map_err(|source| Error::Io { path, source })?;
                }
                this.state.current = this.newest_before(version);
                this.write_state()?;
            }
        })
    }

    /// Whether a bundle may replace the current one. One of another name may not: its versions cannot be compared, so that
    /// an old bundle could follow it.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn admits(&self, bundle: &Bundle) -> Result<Admission, Refused> {
        let Some(current) = self.running.as_ref().or(self.state.current.as_ref()) else { return Ok(Admission::New) };
        if current.name != bundle.manifest.name {
            let (offered, current) = (bundle.manifest.name.clone(), current.name.clone());
            return Err(Refused::OtherModel { offered, current });
        }
        let offered = bundle.manifest.version;
        if offered == current.version && bundle.digest() == current.sha256 {
            return Ok(Admission::Same);
        }
        match self.state.rolled_back_from {
            Some(from) if offered <= from => Err(Refused::RolledBack { offered, from }),
            _ if offered < current.version => Err(Refused::Older { offered, current: current.version }),
            _ if offered == current.version => Err(Refused::SameVersion(offered)),
            _ => Ok(Admission::New),
        }
    }

    /// Stores a verified bundle as the current one, and removes the oldest beyond [`MAX_KEPT`].
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn keep(&mut self, bundle: &Bundle) -> Result<(), Error> {
        let current = Current::of(bundle);
        self.running = Some(current.clone());
        self.locked(|this| {
            if this.state.current.as_ref() == Some(&current) {
                return Ok(()); // a rollback stays in force
            }
            let same_name = this.state.current.as_ref().is_none_or(|before| before.name == current.name);
            if !same_name {
                this.remove(this.kept())?; // of another model, so no target of a rollback
            }
            if this.directory.is_some() {
                bundle.write_packed(&this.path(current.version))?;
            }
            let previous = this.state.current.take().filter(|_| same_name).map(|before| before.version);
            let surplus = |kept: Vec<u64>| {
                let needed = |version: &u64| *version == current.version || Some(*version) == previous;
                let many = kept.len().saturating_sub(MAX_KEPT);
                kept.into_iter().filter(|version| !needed(version)).take(many).collect()
            };
            this.remove(surplus(this.kept()))?;
            this.state = State { current: Some(current), previous, rolled_back_from: None };
            this.write_state()
        })
    }

    /// Makes a stored version the current one: `to`, or the previous one. Bundles from the source are then refused until one
    /// is newer than all that ran.
    ///
    /// # Errors
    ///
    /// If that version is not stored or cannot be used.
    pub fn rollback(&mut self, to: Option<u64>) -> Result<Bundle, Error> {
        self.locked(|this| this.roll_back_to(to))
    }

    /// Rolls back to the previous version because `from` failed; `None` if another version is current by now.
    ///
    /// # Errors
    ///
    /// As [`rollback`](Self::rollback).
    pub fn fall_back(&mut self, from: u64) -> Result<Option<Bundle>, Error> {
        self.locked(|this| if this.version() == Some(from) { this.roll_back_to(None).map(Some) } else { Ok(None) })
    }

    /// Refuses bundles up to this version from now on, unless it is current by now.
    ///
    /// # Errors
    ///
    /// If the store cannot be written.
    pub fn reject(&mut self, version: u64) -> Result<(), Error> {
        self.locked(|this| {
            if this.version().is_none_or(|current| current >= version) {
                return Ok(());
            }
            this.state.rolled_back_from = this.state.rolled_back_from.max(Some(version));
            this.write_state()
        })
    }

    fn roll_back_to(&mut self, to: Option<u64>) -> Result<Bundle, Error> {
        let now = self.version();
        let bundle = self.rollback_target(to)?;
        let version = bundle.manifest.version;
        let rolled_back_from = now.max(self.state.rolled_back_from).filter(|&from| from > version);
        let current = Current::of(&bundle);
        self.state = State { current: Some(current.clone()), previous: None, rolled_back_from };
        self.write_state()?;
        self.running = Some(current);
        Ok(bundle)
    }

    /// The bundle that [`rollback`](Self::rollback) would make current.
    ///
    /// # Errors
    ///
    /// As [`rollback`](Self::rollback).
    pub fn rollback_target(&self, to: Option<u64>) -> Result<Bundle, Error> {
        let (kept, now) = (self.kept(), self.version());
        let before = |version: &&u64| now.is_some_and(|now| **version < now);
        let previous = self.state.previous.filter(|version| kept.contains(version));
        let version = match to {
            Some(version) => Some(version).filter(|version| kept.contains(version)),
            None => previous.or_else(|| kept.iter().rev().find(before).copied()),
        };
        let Some(version) = version else {
            let wanted = to.map_or_else(|| "before the current one".to_owned(), |version| version.to_string());
            let kept: Vec<_> = kept.iter().map(u64::to_string).collect();
            let kept = if kept.is_empty() { "none".to_owned() } else { kept.join(", ") };
            return Err(Error::NotKept { path: self.directory.clone().unwrap_or_default(), wanted, kept });
        };
        Ok(Bundle::read(&self.path(version))?)
    }

    /// The current bundle, if another process has changed it since the last call.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub fn changed(&mut self) -> Result<Option<Bundle>, Error> {
        let before = self.state.current.clone();
        match self.read_state()? {
            Some(now) if now.current != before => self.state = now,
            Some(now) => {
                self.state = now;
                return Ok(None);
            }
            None => return Ok(None), // a missing or damaged file changes nothing
        }
        self.current()
    }

    fn path(&self, version: u64) -> PathBuf {
        self.directory.as_deref().unwrap_or(Path::new("")).join(file(version))
    }

    fn remove(&self, versions: Vec<u64>) -> Result<(), Error> {
        versions
            .into_iter()
            .map(|version| self.path(version))
            .try_for_each(|path| fs::remove_file(&path).map_err(|source| Error::Io { path, source }))
    }

    /// The newest stored bundle that is older than a version.
    fn newest_before(&self, version: u64) -> Option<Current> {
        let mut older = self.kept().into_iter().rev().filter(|&kept| kept < version);
        older.find_map(|kept| Bundle::read(&self.path(kept)).ok()).map(|bundle| Current::of(&bundle))
    }

    /// Locks the store, reads its state, and runs `what`.
    fn locked<T>(&mut self, what: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let Some(directory) = self.directory.clone() else { return what(self) };
        let lock = File::open(&directory)
            .and_then(|file| flock(&file, FlockOperation::LockExclusive).map(|()| file).map_err(io::Error::from));
        let _lock = lock.map_err(|source| Error::Io { path: directory.clone(), source })?;
        self.state = match self.read_state()? {
            Some(state) => state,
            None => self.recover()?,
        };
        let before = self.state.clone();
        let result = what(self);
        if result.is_err() {
            self.state = before; // as in the file
        }
        result
    }

    /// The contents of `store.toml`; `None` if it is missing or damaged.
    fn read_state(&self) -> Result<Option<State>, Error> {
        let Some(path) = self.watched() else { return Ok(None) };
        match own::read(&path) {
            Ok(text) => Ok(str::from_utf8(&text).ok().and_then(State::parse)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Io { path, source }),
        }
    }

    fn write_state(&self) -> Result<(), Error> {
        let Some(path) = self.watched() else { return Ok(()) };
        let written = match (&self.state.current, path.exists()) {
            (Some(_), _) => atomic::write(&path, self.state.to_text().as_bytes()),
            (None, true) => fs::remove_file(&path),
            (None, false) => Ok(()),
        };
        written.map_err(|source| Error::Io { path, source })
    }

    /// Resets the state to the newest stored bundle that can be read.
    fn recover(&mut self) -> Result<State, Error> {
        if let Some(path) = self.watched().filter(|path| path.exists()) {
            let aside = atomic::set_aside(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
            warn!(
                "{} is damaged and set aside as {}; the newest kept bundle is taken",
                path.display(),
                aside.display()
            );
        }
        self.state = State { current: self.newest_before(u64::MAX), ..State::default() };
        self.write_state()?;
        Ok(self.state.clone())
    }
}

#[cfg(test)]
mod tests;
