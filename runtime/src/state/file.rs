//! The file that a process writes, and those that it reads.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use qualm_pipeline::SeriesSnapshot;
use qualm_system::{atomic, own};
use rustix::fs::FlockOperation;
use tracing::{info, warn};

use super::Saved;
use super::error::{Error, MAX_PROCESSES};
use super::format::{Stored, decode, encode};
use super::merge::{MAX_CLOCK_SKEW, mark_superseded, retain_recent};
use crate::clock::now;

/// A state file that this process has locked.
///
/// ```
/// use std::time::Duration;
///
/// use qualm::Pipeline;
/// use qualm::config::Config;
/// use qualm::state::StateFile;
///
/// # let dir = tempfile::tempdir()?;
/// # let dir = dir.path();
/// let file = StateFile::open(dir, qualm::random_seed())?;
/// let config = Config::parse("", "defaults")?;
/// let mut pipeline = Pipeline::start_from(&config, file.seed(), &file.read_all(Duration::from_secs(3600)))?;
/// // … score history, then leave what was learnt for a live pipeline:
/// file.write(&pipeline.snapshot())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    seed: u64,
    /// Locked; the kernel unlocks it when the process ends.
    lock: Mutex<File>,
}

impl StateFile {
    /// Locks the first state file in `dir` that no other process has: `qualm.state`, or `qualm-2.state` and so on.
    /// `seed` is the directory's from now on, unless it has one.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be used, or too many others use it.
    pub fn open(dir: &Path, seed: u64) -> Result<Self, Error> {
        let failed = |source| Error::Directory { dir: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(failed)?;
        let seed = common_seed(dir, seed).map_err(failed)?;
        for process in 1..=MAX_PROCESSES {
            let name = if process == 1 { "qualm".to_owned() } else { format!("qualm-{process}") };
            let lock = dir.join(format!("{name}.lock"));
            let lock = own::open_or_create(&lock).map_err(|error| failed(at(&lock, &error)))?;
            match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    let path = dir.join(format!("{name}.state"));
                    if process > 1 {
                        info!("another process uses {}; this one keeps its state in {}", dir.display(), path.display());
                    }
                    atomic::sweep(dir, &[]);
                    sweep_former(&path);
                    return Ok(Self { path, seed, lock: Mutex::new(lock) });
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {}
                Err(error) => return Err(failed(error.into())),
            }
        }
        Err(Error::InUse(dir.to_owned()))
    }

    /// Locks the first state file in `dir` if no process uses any; `seed` as in [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and where a process keeps its state there.
    pub fn open_alone(dir: &Path, seed: u64) -> Result<Self, Error> {
        let file = Self::open(dir, seed)?;
        if file.path.file_name() != Some("qualm.state".as_ref()) || file.is_shared() {
            return Err(Error::Running(dir.to_owned()));
        }
        Ok(file)
    }

    /// Whether another process uses the same directory now.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        let own = self.path.with_extension("lock");
        let others = in_dir(self.dir(), "lock").into_iter().filter(|path| *path != own);
        others.filter_map(|path| own::open(&path).ok()).any(|lock| {
            rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) == Err(rustix::io::Errno::WOULDBLOCK)
        })
    }

    /// The states that processes have left in the directory, and when the last of them was written: seconds since 1970,
    /// or 0 where none says.
    #[must_use]
    pub fn remaining_states(&self) -> (Vec<PathBuf>, i64) {
        let paths = in_dir(self.dir(), "state");
        let written = |path: &PathBuf| Some(decode(&own::read(path).ok()?, self.seed)?.written.min(now_seconds()));
        let last = paths.iter().filter_map(written).max().unwrap_or_default();
        (paths, last)
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The seed of the series' identities, which all processes with this directory have in common.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The state of all processes with this directory. If several have a series, the latest counts. A file
    /// that was last written more than `ttl` before the newest belongs to a process that is no more, and is left out.
    /// The newest is the last that was written before now: one from the future leaves out no other.
    #[must_use]
    pub fn read_all(&self, ttl: Duration) -> Saved {
        let mut files: Vec<Stored> = in_dir(self.dir(), "state").iter().filter_map(|path| self.read(path)).collect();
        retain_recent(&mut files, now_seconds(), i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX));
        if files.len() > 1 {
            mark_superseded(&mut files);
        }
        let mut saved: BTreeMap<String, Vec<Arc<SeriesSnapshot>>> = BTreeMap::new();
        for (name, slices) in files.into_iter().flat_map(|file| file.detectors) {
            saved.entry(name).or_default().extend(slices.into_iter().map(Arc::new));
        }
        saved.into_iter().collect()
    }

    /// What is in a state file. One that is not there is a fresh start; one that is damaged is set aside, with a warning,
    /// and is one too.
    fn read(&self, path: &Path) -> Option<Stored> {
        let bytes = match own::read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                warn!("the state in {} cannot be read: {error}; starting afresh", path.display());
                return None;
            }
        };
        let stored = decode(&bytes, self.seed);
        if let Some(ahead) = stored
            .as_ref()
            .map(|stored| stored.written.saturating_sub(now_seconds()))
            .filter(|ahead| *ahead > MAX_CLOCK_SKEW)
        {
            warn!(
                "{} was written {ahead} seconds from now, says its clock or ours; others count before it",
                path.display()
            );
        }
        if stored.is_none() {
            set_aside(path, "it is damaged, or of another version");
        }
        stored
    }

    /// Renames the state on disk, so that it is not overwritten: another version may be able to use it.
    pub fn set_aside(&self) {
        set_aside(&self.path, "a detector cannot use all of it");
    }

    /// Writes the state atomically.
    ///
    /// # Errors
    ///
    /// As the file system says; the old state is then untouched.
    pub fn write(&self, saved: &Saved) -> io::Result<()> {
        self.write_as(&self.path, b"", saved)
    }

    /// The same in another file of the directory, behind a head.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_as(&self, path: &Path, head: &[u8], saved: &Saved) -> io::Result<()> {
        self.ensure_present()?;
        atomic::write_with(path, 0o600, |file| {
            file.write_all(head)?;
            encode(saved, self.seed, now_seconds(), BufWriter::new(file))
        })
    }

    /// Creates the directory, the seed and the lock again if they were removed.
    fn ensure_present(&self) -> io::Result<()> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path.with_extension("lock");
        let number = |about: &fs::Metadata| (about.dev(), about.ino());
        let same = fs::symlink_metadata(&path)
            .is_ok_and(|there| lock.metadata().is_ok_and(|ours| number(&there) == number(&ours)));
        if same {
            return Ok(());
        }
        fs::create_dir_all(self.dir())?;
        let new = own::open_or_create(&path).map_err(|error| at(&path, &error))?;
        rustix::fs::flock(&new, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            rustix::io::Errno::WOULDBLOCK => io::Error::other(format!("{} is another process' now", path.display())),
            error => error.into(),
        })?;
        if common_seed(self.dir(), self.seed)? != self.seed {
            return Err(io::Error::other("others have begun anew there, with another seed; restart this process"));
        }
        warn!("{} had been removed, and is made again", self.dir().display());
        *lock = new;
        Ok(())
    }

    /// What is written behind the head of such a file; none where it is damaged.
    #[must_use]
    pub fn read_after_header(&self, bytes: &[u8]) -> Option<Saved> {
        let detectors = decode(bytes, self.seed)?.detectors;
        Some(detectors.into_iter().map(|(name, slices)| (name, slices.into_iter().map(Arc::new).collect())).collect())
    }
}

/// An error with the file that it is about.
fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Removes what a killed process of an earlier version left half written.
fn sweep_former(state: &Path) {
    let half = state.with_extension("state.new");
    if own::open(&half).is_ok() {
        let _stays = fs::remove_file(&half);
    }
}

/// The files in a directory whose names end so.
fn in_dir(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.extension().is_some_and(|own| own == ending)).collect()
}

fn set_aside(path: &Path, why: &str) {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".damaged");
    let aside = path.with_file_name(name);
    let kept = fs::rename(path, &aside).map_or_else(
        |error| format!("it cannot be set aside: {error}"),
        |()| format!("it is set aside as {}", aside.display()),
    );
    warn!("{}: {why}; starting afresh, {kept}", path.display());
}

pub(super) fn now_seconds() -> i64 {
    now() / 1_000_000_000
}

/// The seed that the processes of a directory have in common: `own`, if there is none yet.
fn common_seed(dir: &Path, own: u64) -> io::Result<u64> {
    let path = dir.join("qualm.seed");
    let read = || {
        let text = own::read(&path).map_err(|error| at(&path, &error))?;
        Ok::<_, io::Error>(str::from_utf8(&text).ok().and_then(|text| u64::from_str_radix(text.trim(), 16).ok()))
    };
    match read() {
        Ok(Some(seed)) => return Ok(seed),
        Ok(None) => set_aside(&path, "it is no seed"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = atomic::unfinished_file(dir, 0o600)?;
    write!(file, "{own:016x}")?;
    file.as_file().sync_all()?;
    // Whoever comes first puts it there whole; everybody reads what is there.
    match file.persist_noclobber(&path) {
        Ok(_) => Ok(own),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(read()?.unwrap_or(own)),
        Err(error) => Err(error.error),
    }
}
