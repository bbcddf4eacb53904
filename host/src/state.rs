//! What the detectors learnt, on disk: whole or not at all.
//!
//! Each process writes a file of its own and reads everybody's: with aggregators Telegraf starts two processes, and which
//! of them comes first is chance. What a process reads and never sees again ages out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use rustix::fs::FlockOperation;
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use crate::sandbox::supervisor::Slice;

/// The file's first bytes: who wrote it, and which layout follows.
const MAGIC: &[u8; 16] = b"qualm state  v1\n";

/// Processes that may share a directory: Telegraf starts two, one of them behind its aggregators.
const MOST_PROCESSES: u32 = 16;

/// What the detectors knew: each one's name, and its state.
pub type Saved = Vec<(String, Vec<Arc<Slice>>)>;

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
    /// Every file in it is in use.
    #[error("the state directory {} is in use by {MOST_PROCESSES} other processes; name another under [state] dir", .0.display())]
    InUse(PathBuf),
}

/// A state file that is this process' own for as long as it lives.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    seed: u64,
    /// Locked; the kernel lets go of it however the process ends.
    _lock: File,
}

impl StateFile {
    /// Takes the first state file in `dir` that no other process has: `qualm.state`, or `qualm-2.state` and so on.
    /// `seed` is the directory's from now on, unless it has one.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be used, or too many others use it.
    pub fn open(dir: &Path, seed: u64) -> Result<Self, Error> {
        let failed = |source| Error::Directory { dir: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(failed)?;
        let seed = common_seed(dir, seed).map_err(failed)?;
        for process in 1..=MOST_PROCESSES {
            let name = if process == 1 { "qualm".to_owned() } else { format!("qualm-{process}") };
            let lock = dir.join(format!("{name}.lock"));
            let lock = OpenOptions::new().create(true).truncate(false).write(true).open(lock).map_err(failed)?;
            match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    let path = dir.join(format!("{name}.state"));
                    if process > 1 {
                        info!("another process uses {}; this one keeps its state in {}", dir.display(), path.display());
                    }
                    return Ok(Self { path, seed, _lock: lock });
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {}
                Err(error) => return Err(failed(error.into())),
            }
        }
        Err(Error::InUse(dir.to_owned()))
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

    /// What all processes with this directory knew, unless longer ago than `most_age`; the newest last.
    #[must_use]
    pub fn read_all(&self, most_age: Duration) -> Saved {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let files = fs::read_dir(dir).into_iter().flatten().filter_map(|entry| {
            let path = entry.ok()?.path();
            let written = fs::metadata(&path).ok()?.modified().ok()?;
            let old = SystemTime::now().duration_since(written).is_ok_and(|age| age > most_age);
            (path.extension()? == "state" && !old).then_some((written, path))
        });
        let mut files: Vec<_> = files.collect();
        files.sort();
        files.iter().filter_map(|(_, path)| self.read(path)).flatten().collect()
    }

    /// What is in a state file. One that is not there is a fresh start; one that is damaged is set aside, with a warning,
    /// and is one too.
    fn read(&self, path: &Path) -> Option<Saved> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                warn!("the state in {} cannot be read: {error}; starting afresh", path.display());
                return None;
            }
        };
        let saved = decode(&bytes, self.seed);
        if saved.is_none() {
            let aside = path.with_extension("state.damaged");
            let kept = fs::rename(path, &aside).map_or_else(
                |error| format!("it cannot be set aside: {error}"),
                |()| format!("it is set aside as {}", aside.display()),
            );
            warn!("the state in {} is damaged, or of another version; starting afresh, {kept}", path.display());
        }
        saved
    }

    /// Writes the state, whole or not at all.
    ///
    /// # Errors
    ///
    /// As the file system says; the old state is then untouched.
    pub fn write(&self, saved: &Saved) -> io::Result<()> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(&encode(saved, self.seed))?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }
}

/// Writes state in the background: a disk may take its time, the pipeline may not.
#[derive(Debug)]
pub struct Writer {
    queue: Option<SyncSender<Saved>>,
    thread: Option<JoinHandle<()>>,
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
            let mut failing = false;
            for saved in due {
                let result = file.write(&saved);
                if let (Err(error), false) = (&result, failing) {
                    warn!("the state cannot be written to {}: {error}; it will be tried again", file.path().display());
                }
                failing = result.is_err();
            }
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
    pub fn close(mut self, saved: Saved) {
        if let Some(queue) = self.queue.take() {
            let _ended = queue.send(saved);
        }
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            warn!("the thread that writes state has failed; the last state may be lost");
        }
    }
}

/// The seed that the processes of a directory have in common: `own`, if there is none yet.
fn common_seed(dir: &Path, own: u64) -> io::Result<u64> {
    let path = dir.join("qualm.seed");
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    write!(file, "{own:016x}")?;
    file.as_file().sync_all()?;
    // Whoever comes first has put it there whole; everybody reads what is there.
    match file.persist_noclobber(&path) {
        Ok(_) => return Ok(own),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.error),
    }
    let text = fs::read_to_string(&path)?;
    u64::from_str_radix(text.trim(), 16).map_err(|_| {
        io::Error::other(format!("{} is no seed; remove it, and the state with it, to start afresh", path.display()))
    })
}

fn encode(saved: &Saved, seed: u64) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    put(&mut out, seed);
    put(&mut out, saved.len() as u64);
    for (name, slices) in saved {
        put_bytes(&mut out, name.as_bytes());
        put(&mut out, slices.len() as u64);
        for slice in slices {
            let Slice { identities, state } = &**slice;
            put(&mut out, identities.len() as u64);
            for identity in identities {
                put(&mut out, *identity);
            }
            put_bytes(&mut out, state);
        }
    }
    let digest = Sha256::digest(&out);
    out.extend_from_slice(&digest);
    out
}

fn put(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn decode(bytes: &[u8], seed: u64) -> Option<Saved> {
    let (body, digest) = bytes.split_last_chunk::<32>()?;
    if Sha256::digest(body).as_slice() != digest {
        return None;
    }
    let mut rest = body.strip_prefix(MAGIC)?;
    if take(&mut rest)? != seed {
        return None;
    }
    let mut saved = Vec::new();
    for _ in 0..take(&mut rest)? {
        let name = String::from_utf8(take_bytes(&mut rest)?.to_vec()).ok()?;
        let mut slices = Vec::new();
        for _ in 0..take(&mut rest)? {
            let count = take(&mut rest)?;
            let identities = (0..count).map(|_| take(&mut rest)).collect::<Option<_>>()?;
            let state = take_bytes(&mut rest)?.to_vec();
            slices.push(Arc::new(Slice { identities, state }));
        }
        saved.push((name, slices));
    }
    rest.is_empty().then_some(saved)
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let (number, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(u64::from_le_bytes(*number))
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take(rest)?).ok()?;
    let (bytes, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_hours(1);

    fn saved(identity: u64) -> Saved {
        let slice = Slice { identities: vec![identity, u64::MAX], state: b"state".to_vec() };
        vec![("cpu".to_owned(), vec![Arc::new(slice)]), ("all".to_owned(), Vec::new())]
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::open(dir.path(), 42).unwrap();
        assert_eq!(file.read_all(AGE), [], "a missing file is a fresh start");
        file.write(&saved(1)).unwrap();
        assert_eq!(file.read_all(AGE), saved(1));
        drop(file);
        let file = StateFile::open(dir.path(), 43).unwrap();
        assert_eq!((file.seed(), file.read_all(AGE)), (42, saved(1)));
        thread::sleep(Duration::from_millis(20));
        assert_eq!(file.read_all(Duration::from_millis(1)), [], "what is too old is left alone");
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::open(dir.path(), 42).unwrap();
        let whole = encode(&saved(1), 42);
        for damaged in
            [&whole[..whole.len() - 1], &whole[..10], b"", &[&whole[..], b"x"].concat(), &encode(&saved(1), 41)]
        {
            fs::write(file.path(), damaged).unwrap();
            assert_eq!(file.read_all(AGE), []);
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
        second.write(&saved(2)).unwrap();
        thread::sleep(Duration::from_millis(20));
        first.write(&saved(1)).unwrap();
        let both = [saved(2), saved(1)].concat();
        assert_eq!((first.read_all(AGE), second.read_all(AGE)), (both.clone(), both), "the newest last");
        drop(first);
        assert_eq!(StateFile::open(dir.path(), 3).unwrap().path(), dir.path().join("qualm.state"));
    }

    #[test]
    fn the_writer_ends_with_the_last_state_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let writer = Writer::start(StateFile::open(dir.path(), 1).unwrap());
        for identity in 0..100 {
            writer.write_soon(saved(identity));
        }
        writer.close(saved(1000));
        assert_eq!(StateFile::open(dir.path(), 1).unwrap().read_all(AGE), saved(1000));
    }

    #[test]
    fn a_directory_that_cannot_be_used_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = StateFile::open(file.path(), 1).unwrap_err().to_string();
        assert!(error.contains(&file.path().display().to_string()) && error.contains("[state] dir"), "{error}");
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("qualm.seed"), "x").unwrap();
        assert!(StateFile::open(dir.path(), 1).unwrap_err().to_string().contains("is no seed"));
    }
}
