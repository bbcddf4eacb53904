//! Saved state of the detectors, written atomically.
//!
//! Each process writes its own file and reads all: with aggregators Telegraf starts two processes, in random order. Series that a
//! process restores and never sees again expire.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use qualm_pipeline::SeriesSnapshot;
use qualm_system::{atomic, own};
use rustix::fs::{Access, FlockOperation};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use crate::clock::now;

/// The file's first bytes: its format and version.
const MAGIC: &[u8; 16] = b"qualm state  v1\n";

/// How far in the future a file's time may be, in seconds, since clocks are corrected.
const MAX_CLOCK_SKEW: i64 = 60;

/// The most processes that share a directory: Telegraf starts two, one of them after its aggregators.
const MAX_PROCESSES: u32 = 16;

/// The state of detectors, by name.
pub type Saved = Vec<(String, Vec<Arc<SeriesSnapshot>>)>;

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be made, or nothing can be written to it.
    #[error("the state directory {} cannot be used: {source}; make it writable for this user, or name another under [state] dir", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process uses it.
    #[error("{} is in use: a qualm keeps its state there. Stop it (or the Telegraf that runs it), and try again", .0.display())]
    Running(PathBuf),
    /// Every file in it is in use.
    #[error("the state directory {} is in use by {MAX_PROCESSES} other processes; name another under [state] dir", .0.display())]
    InUse(PathBuf),
}

/// A state file that this process has locked.
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

/// Leaves out what was written more than `ttl` seconds before the newest, as far as times can be trusted. A file from the
/// future, or all of them after the clock was set back, is as likely the freshest as not: it stays, and counts behind all
/// whose time is real.
fn retain_recent(files: &mut Vec<Stored>, now: i64, ttl: i64) {
    let newest = files.iter().map(|file| file.written).filter(|written| *written <= now + MAX_CLOCK_SKEW).max();
    let Some(newest) = newest else { return };
    let oldest = newest.saturating_sub(ttl);
    files.retain(|file| file.written >= oldest);
    for file in files.iter_mut().filter(|file| file.written > now + MAX_CLOCK_SKEW) {
        file.written = oldest;
    }
}

/// The files in a directory whose names end so.
fn in_dir(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let paths = fs::read_dir(dir).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    paths.filter(|path| path.extension().is_some_and(|own| own == ending)).collect()
}

/// Writes state on another thread, so that a slow disk does not delay the pipeline.
#[derive(Debug)]
pub struct Writer {
    queue: Option<SyncSender<Saved>>,
    thread: Option<JoinHandle<Result<(), Unsaved>>>,
}

impl Writer {
    /// Starts the thread that writes.
    ///
    /// # Panics
    ///
    /// Where no thread can be started.
    #[must_use]
    pub fn start(file: StateFile) -> Self {
        let (queue, due) = sync_channel::<Saved>(1);
        let thread = thread::Builder::new().name("qualm-state".to_owned()).spawn(move || {
            let mut last = Ok(());
            for saved in due {
                let result = file.write(&saved);
                let result = result.map_err(|source| Unsaved { path: file.path().to_owned(), source });
                if let (Err(error), true) = (&result, last.is_ok()) {
                    warn!("{error}; it will be tried again");
                }
                last = result;
            }
            last
        });
        Self { queue: Some(queue), thread: Some(thread.expect("a thread can be started")) }
    }

    /// Has a state written soon. While an earlier one is still being written, it is dropped: another will follow.
    pub fn write_soon(&self, saved: Saved) {
        if let Some(Err(TrySendError::Disconnected(_))) = self.queue.as_ref().map(|queue| queue.try_send(saved)) {
            warn!("the thread that writes state has ended; state is no longer kept");
        }
    }

    /// Writes a last state, and waits until it is on disk.
    ///
    /// # Errors
    ///
    /// Where it is not.
    pub fn close(mut self, saved: Saved) -> Result<(), Unsaved> {
        if let Some(queue) = self.queue.take() {
            let _ended = queue.send(saved);
        }
        self.thread.take().map_or(Ok(()), |thread| thread.join().unwrap_or_else(|_panic| Err(Unsaved::ended())))
    }
}

/// The last state is not on disk.
#[derive(Debug, thiserror::Error)]
#[error("the state cannot be written to {}: {source}", path.display())]
pub struct Unsaved {
    path: PathBuf,
    source: io::Error,
}

impl Unsaved {
    /// A thread that should have saved has panicked.
    #[must_use]
    pub fn ended() -> Self {
        Self { path: PathBuf::new(), source: io::Error::other("the thread that writes it has failed") }
    }
}

/// What is in a state file.
#[derive(Debug, PartialEq, Eq)]
struct Stored {
    /// When it was written, in seconds since 1970.
    written: i64,
    detectors: Vec<(String, Vec<SeriesSnapshot>)>,
}

/// Marks each series as superseded except where it was seen last.
fn mark_superseded(files: &mut [Stored]) {
    let mut latest: HashMap<String, HashMap<u64, i64>> = HashMap::new();
    // Twice over all: once to see which is the latest, once to strike out what is not, or is so a second time.
    for strike in [false, true] {
        for Stored { written, detectors } in files.iter_mut() {
            for (name, slices) in detectors {
                let latest = latest.entry(name.clone()).or_default();
                for SeriesSnapshot { identities, ages, .. } in slices {
                    let known = identities
                        .iter_mut()
                        .zip(ages)
                        .filter(|(identity, _)| **identity != SeriesSnapshot::SUPERSEDED);
                    for (identity, age) in known {
                        let seen = written.saturating_sub(i64::from(*age));
                        if !strike {
                            let latest = latest.entry(*identity).or_insert(seen);
                            *latest = seen.max(*latest);
                        } else if latest.get(identity) == Some(&seen) {
                            latest.remove(identity);
                        } else {
                            *identity = SeriesSnapshot::SUPERSEDED;
                        }
                    }
                }
            }
        }
    }
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

fn now_seconds() -> i64 {
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
    let mut file = tempfile::Builder::new().prefix(atomic::MARK).tempfile_in(dir)?;
    write!(file, "{own:016x}")?;
    file.as_file().sync_all()?;
    // Whoever comes first puts it there whole; everybody reads what is there.
    match file.persist_noclobber(&path) {
        Ok(_) => Ok(own),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(read()?.unwrap_or(own)),
        Err(error) => Err(error.error),
    }
}

/// From now on a write beyond the largest file that this process may have (`ulimit -f`, systemd's `LimitFSIZE=`) fails like one
/// to a full disk. By itself the system ends the process, and the metrics that are on their way with it.
///
/// # Errors
///
/// As the system says.
pub fn ignore_file_size_signal() -> io::Result<()> {
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default()).map(drop)
}

/// Whether this user could keep state in `dir`; nothing is made there.
///
/// # Errors
///
/// Why not.
pub fn check(dir: &Path) -> Result<(), Error> {
    let there = dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let failed = |source| Error::Directory { dir: dir.to_owned(), source };
    if !there.is_dir() {
        return Err(failed(io::ErrorKind::NotADirectory.into()));
    }
    rustix::fs::access(there, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| failed(error.into()))
}

/// Writes a state and, behind it, its digest.
fn encode(saved: &Saved, seed: u64, written: i64, out: impl Write) -> io::Result<()> {
    let mut out = Digested { out, digest: Sha256::new() };
    out.put(MAGIC)?;
    out.put_number(seed)?;
    out.put_number(written as u64)?;
    out.put_number(saved.len() as u64)?;
    for (name, slices) in saved {
        out.put_bytes(name.as_bytes())?;
        out.put_number(slices.len() as u64)?;
        for slice in slices {
            let SeriesSnapshot { identities, ages, state } = &**slice;
            out.put_number(identities.len() as u64)?;
            for (identity, age) in identities.iter().zip(ages) {
                out.put_number(*identity)?;
                out.put(&age.to_le_bytes())?;
            }
            out.put_bytes(state)?;
        }
    }
    let Digested { mut out, digest } = out;
    out.write_all(&digest.finalize())?;
    out.flush()
}

/// Digests what is written.
struct Digested<W> {
    out: W,
    digest: Sha256,
}

impl<W: Write> Digested<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.out.write_all(bytes)
    }

    fn put_number(&mut self, number: u64) -> io::Result<()> {
        self.put(&number.to_le_bytes())
    }

    fn put_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.put_number(bytes.len() as u64)?;
        self.put(bytes)
    }
}

fn decode(bytes: &[u8], seed: u64) -> Option<Stored> {
    let (body, digest) = bytes.split_last_chunk::<32>()?;
    if Sha256::digest(body).as_slice() != digest {
        return None;
    }
    let mut rest = body.strip_prefix(MAGIC)?;
    if take_number(&mut rest)? != seed {
        return None;
    }
    let written = take_number(&mut rest)? as i64;
    let mut detectors = Vec::new();
    for _ in 0..take_number(&mut rest)? {
        let name = String::from_utf8(take_bytes(&mut rest)?.to_vec()).ok()?;
        let mut slices = Vec::new();
        for _ in 0..take_number(&mut rest)? {
            let mut slice = SeriesSnapshot::default();
            for _ in 0..take_number(&mut rest)? {
                slice.identities.push(take_number(&mut rest)?);
                slice.ages.push(u32::from_le_bytes(take(&mut rest)?));
            }
            slice.state = take_bytes(&mut rest)?.to_vec();
            slices.push(slice);
        }
        detectors.push((name, slices));
    }
    rest.is_empty().then_some(Stored { written, detectors })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*bytes)
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    take(rest).map(u64::from_le_bytes)
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_number(rest)?).ok()?;
    let (bytes, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_hours(1);

    fn saved(name: &str, identity: u64, age: u32) -> Saved {
        let slice = SeriesSnapshot { identities: vec![identity, 77], ages: vec![age, age], state: b"state".to_vec() };
        vec![(name.to_owned(), vec![Arc::new(slice)])]
    }

    fn encoded(saved: &Saved, seed: u64, written: i64) -> Vec<u8> {
        let mut out = Vec::new();
        encode(saved, seed, written, &mut out).unwrap();
        out
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::open(dir.path(), 42).unwrap();
        assert_eq!(file.read_all(TTL), [], "a missing file is a fresh start");
        file.write(&saved("cpu", 1, 5)).unwrap();
        assert_eq!(file.read_all(TTL), saved("cpu", 1, 5));
        drop(file);
        let file = StateFile::open(dir.path(), 43).unwrap();
        assert_eq!((file.seed(), file.read_all(TTL)), (42, saved("cpu", 1, 5)));
        file.set_aside();
        assert_eq!(file.read_all(TTL), []);
        assert!(dir.path().join("qualm.state.damaged").exists());
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::open(dir.path(), 42).unwrap();
        let whole = encoded(&saved("cpu", 1, 0), 42, 0);
        let longer = [&whole[..], b"x"].concat();
        for damaged in [&whole[..whole.len() - 1], &whole[..10], b"", &longer, &encoded(&saved("cpu", 1, 0), 41, 0)] {
            fs::write(file.path(), damaged).unwrap();
            assert_eq!(file.read_all(TTL), []);
            assert_eq!(fs::read(dir.path().join("qualm.state.damaged")).unwrap(), damaged);
            assert!(!file.path().exists());
        }
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&damaged, 42), None);
        }
    }

    #[test]
    fn each_process_writes_its_own_file_and_reads_all() {
        let dir = tempfile::tempdir().unwrap();
        let first = StateFile::open(dir.path(), 1).unwrap();
        let second = StateFile::open(dir.path(), 2).unwrap();
        assert_eq!((second.path(), second.seed()), (dir.path().join("qualm-2.state").as_path(), 1));
        second.write(&saved("b", 2, 0)).unwrap();
        first.write(&saved("a", 1, 0)).unwrap();
        let both = [saved("a", 1, 0), saved("b", 2, 0)].concat();
        assert_eq!((first.read_all(TTL), second.read_all(TTL)), (both.clone(), both));
        drop(first);
        assert_eq!(StateFile::open(dir.path(), 3).unwrap().path(), dir.path().join("qualm.state"));
    }

    #[test]
    fn whoever_saw_a_series_last_knows_it_best() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::open(dir.path(), 1).unwrap();
        // The second file is newer, and yet its series 77 was seen earlier, as it was only carried along.
        fs::write(dir.path().join("qualm.state"), encoded(&saved("a", 1, 10), 1, 1000)).unwrap();
        fs::write(dir.path().join("qualm-2.state"), encoded(&saved("a", 2, 60), 1, 1030)).unwrap();
        fs::write(dir.path().join("qualm-3.state"), encoded(&saved("a", 3, 0), 1, 1030 - 3601)).unwrap();
        let read = file.read_all(TTL);
        let mut identities: Vec<_> = read[0].1.iter().map(|slice| slice.identities.clone()).collect();
        identities.sort_unstable();
        assert_eq!(
            identities,
            [vec![1, 77], vec![2, SeriesSnapshot::SUPERSEDED]],
            "and a process that is no more is left out"
        );
    }

    #[test]
    fn a_time_that_cannot_be_leaves_out_nothing_real() {
        let (now, ttl, year) = (2_000_000_000, 3600, 31_536_000);
        let kept = |written: &[i64]| {
            let mut files: Vec<_> = written.iter().map(|&written| Stored { written, detectors: Vec::new() }).collect();
            retain_recent(&mut files, now, ttl);
            files.iter().map(|file| file.written).collect::<Vec<_>>()
        };
        assert_eq!(kept(&[now - 10, now + year]), [now - 10, now - 10 - ttl], "one from the future counts last");
        assert_eq!(kept(&[now - year, now + year]), [now - year, now - year - ttl], "however old the real one is");
        assert_eq!(kept(&[now + 5, now - 10, now - 7200]), [now + 5, now - 10], "clocks differ a little");
        assert_eq!(kept(&[now + year, now + 2 * year]), [now + year, now + 2 * year], "the clock was set back");
        assert_eq!(kept(&[i64::MAX, 0, i64::MIN]), [-ttl, 0]);
        assert!(kept(&[]).is_empty());
    }

    #[test]
    fn the_freshest_real_state_survives_one_from_the_future() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::open(dir.path(), 1).unwrap();
        fs::write(dir.path().join("qualm-2.state"), encoded(&saved("a", 2, 0), 1, now_seconds() + 31_536_000)).unwrap();
        fs::write(dir.path().join("qualm-3.state"), encoded(&saved("a", 3, 0), 1, i64::MAX)).unwrap();
        for _start in 0..2 {
            file.write(&saved("a", 1, 5)).unwrap();
            let read = file.read_all(TTL);
            let known: Vec<u64> = read[0].1.iter().flat_map(|slice| slice.identities.clone()).collect();
            assert!([1, 2, 3].iter().all(|identity| known.contains(identity)), "{known:?}");
            let real = read[0].1.iter().find(|slice| slice.identities[0] == 1).unwrap();
            assert_eq!(real.identities[1], 77, "what all know is known best by the one whose time is real");
        }
        assert!(file.remaining_states().1 <= now_seconds());
    }

    #[test]
    fn a_directory_that_was_removed_is_made_again() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("state");
        let file = StateFile::open(&dir, 1).unwrap();
        file.write(&saved("a", 1, 0)).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        file.write(&saved("a", 2, 0)).unwrap();
        let other = StateFile::open(&dir, 2).unwrap();
        assert_eq!(
            (other.path(), other.seed()),
            (dir.join("qualm-2.state").as_path(), 1),
            "lock and seed are there too"
        );
        assert_eq!(other.read_all(TTL), saved("a", 2, 0));
        drop(other);
        // Others have begun anew there.
        fs::remove_dir_all(&dir).unwrap();
        let _other = StateFile::open(&dir, 3).unwrap();
        assert!(file.write(&saved("a", 2, 0)).unwrap_err().to_string().contains("another process'"));
    }

    #[test]
    fn links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("target"), "precious").unwrap();
        for name in ["qualm.state", "qualm.state.new", "qualm-2.state"] {
            std::os::unix::fs::symlink("target", at(name)).unwrap();
        }
        let file = StateFile::open(dir.path(), 1).unwrap();
        assert_eq!(file.read_all(TTL), []);
        assert!(at("qualm.state.new").is_symlink());
        file.write(&saved("a", 1, 0)).unwrap();
        assert_eq!(fs::read_to_string(at("target")).unwrap(), "precious");
        assert_eq!(file.read_all(TTL), saved("a", 1, 0));
        for name in ["qualm.seed", "qualm-2.lock"] {
            let _none = fs::remove_file(at(name));
            std::os::unix::fs::symlink("target", at(name)).unwrap();
            let error = StateFile::open(dir.path(), 1).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("symbolic link"), "{error}");
            fs::remove_file(at(name)).unwrap();
            fs::write(at("qualm.seed"), "1").unwrap();
        }
        assert_eq!(fs::read_to_string(at("target")).unwrap(), "precious");
    }

    #[test]
    fn a_last_state_that_cannot_be_written_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("state");
        let writer = Writer::start(StateFile::open(&dir, 1).unwrap());
        fs::remove_dir_all(&dir).unwrap();
        fs::write(&dir, "a file").unwrap();
        let error = writer.close(saved("a", 1, 0)).unwrap_err().to_string();
        assert!(error.contains("qualm.state"), "{error}");
    }

    #[test]
    fn the_writer_ends_with_the_last_state_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let writer = Writer::start(StateFile::open(dir.path(), 1).unwrap());
        for identity in 1..100 {
            writer.write_soon(saved("a", identity, 0));
        }
        writer.close(saved("a", 1000, 0)).unwrap();
        assert_eq!(StateFile::open(dir.path(), 1).unwrap().read_all(TTL), saved("a", 1000, 0));
        let mut left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort_unstable();
        assert_eq!(left, ["qualm.lock", "qualm.seed", "qualm.state"], "nothing else is left behind");
    }

    #[test]
    fn a_directory_that_cannot_be_used_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for error in [StateFile::open(file.path(), 1).unwrap_err(), check(file.path()).unwrap_err()] {
            let error = error.to_string();
            assert!(error.contains(&file.path().display().to_string()) && error.contains("[state] dir"), "{error}");
        }
        let dir = tempfile::tempdir().unwrap();
        check(&dir.path().join("not/yet")).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "looking makes nothing");
        fs::write(dir.path().join("qualm.seed"), "x").unwrap();
        assert_eq!(StateFile::open(dir.path(), 5).unwrap().seed(), 5, "a seed that is none is set aside");
        assert!(dir.path().join("qualm.seed.damaged").exists());
    }
}
