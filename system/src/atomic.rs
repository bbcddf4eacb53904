//! Files that are there as a whole or not at all, also after a power cut.
//!
//! What is being written has a name of its own that begins with [`MARK`], and is locked for as long as its writer lives. So
//! what a writer that was killed has left behind can be recognized, and [swept](sweep).

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tempfile::{NamedTempFile, TempDir};
use tracing::{debug, info};

use crate::own;

/// How the names of unfinished files begin.
pub const MARK: &str = ".qualm-";

/// Writes a file that anybody may read, less the umask, or replaces it.
///
/// # Errors
///
/// As the file system says; what was there is then untouched, and nothing is left behind.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_with(path, 0o666, |file| file.write_all(bytes))
}

/// The same with what `fill` writes, and with this mode.
///
/// # Errors
///
/// As [`write()`], and as `fill` does.
pub fn write_with(path: &Path, mode: u32, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let parent = own::parent(path);
    let mut file = unfinished_file(parent, mode)?;
    fill(file.as_file_mut())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync(parent)
}

/// A new unfinished file in a directory, with this mode less the umask, which is not swept while it is open.
///
/// # Errors
///
/// As the file system says.
pub fn unfinished_file(dir: &Path, mode: u32) -> io::Result<NamedTempFile> {
    loop {
        let file = tempfile::Builder::new().prefix(MARK).permissions(Permissions::from_mode(mode)).tempfile_in(dir)?;
        if hold(file.as_file()) {
            return Ok(file);
        }
    }
}

/// The same for a directory, with what it is held by.
///
/// # Errors
///
/// As the file system says.
pub fn unfinished_dir(dir: &Path, mode: u32) -> io::Result<(TempDir, File)> {
    loop {
        let new = tempfile::Builder::new().prefix(MARK).permissions(Permissions::from_mode(mode)).tempdir_in(dir)?;
        match File::open(new.path()) {
            Ok(file) if hold(&file) => return Ok((new, file)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
}

/// Shows that whoever writes this file or directory lives. Whether it is still there: it may have been swept before. A file system
/// without locks cannot be swept, that is all.
fn hold(file: &File) -> bool {
    // Who sweeps has the lock for no longer than it takes to remove it.
    if let Err(error) = flock(file, FlockOperation::LockExclusive) {
        debug!("an unfinished file cannot be locked: {error}");
    }
    file.metadata().is_ok_and(|about| about.nlink() > 0)
}

/// Removes what killed writers have left in a directory: only what bears our mark, is this user's own, and that nobody is
/// at work on. A directory goes where it contains nothing but files of these `names`. Links are not followed. What cannot be
/// removed stays.
pub fn sweep(dir: &Path, names: &[&str]) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(MARK.as_bytes())
            && let Some(_held) = left(&entry)
        {
            match remove(&entry.path(), names) {
                Ok(()) => info!("{} is removed: whoever wrote it was killed", entry.path().display()),
                Err(error) => debug!("{} stays: {error}", entry.path().display()),
            }
        }
    }
}

/// An unfinished file or directory, locked, where it is our user's and has no writer any more.
fn left(entry: &fs::DirEntry) -> Option<File> {
    let file = File::options().read(true).custom_flags(own::no_follow()).open(entry.path()).ok()?;
    let about = file.metadata().ok()?;
    let ours = (about.is_file() || about.is_dir()) && about.uid() == rustix::process::geteuid().as_raw();
    (ours && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()).then_some(file)
}

/// Removes an unfinished file; or a directory, where there is nothing in it but these files.
fn remove(path: &Path, names: &[&str]) -> io::Result<()> {
    if !path.symlink_metadata()?.is_dir() {
        return fs::remove_file(path);
    }
    for name in names {
        match fs::remove_file(path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::remove_dir(path)
}

/// Makes sure that what was created or renamed in a directory stays so.
///
/// # Errors
///
/// As the file system says.
pub fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Puts a file or directory out of the way under a name that nobody looks for, and says under which.
///
/// # Errors
///
/// As the file system says.
pub fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(".bad");
    fs::rename(path, &name)?;
    Ok(name.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_a_killed_writer_left_is_swept_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir(at("elsewhere")).unwrap();
        for precious in ["elsewhere/bundle.toml", "qualm.state", ".else"] {
            fs::write(at(precious), "precious").unwrap();
        }
        fs::write(at(".qualm-left"), "half").unwrap();
        fs::create_dir(at(".qualm-dir")).unwrap();
        fs::write(at(".qualm-dir/bundle.toml"), "half").unwrap();
        fs::create_dir(at(".qualm-home")).unwrap();
        fs::write(at(".qualm-home/thesis.tex"), "precious").unwrap();
        symlink(at("elsewhere"), at(".qualm-link")).unwrap();
        fs::write(at(".qualm-busy"), "half").unwrap();
        let busy = File::open(at(".qualm-busy")).unwrap();
        hold(&busy);
        sweep(root.path(), &["bundle.toml"]);
        assert!(!at(".qualm-left").exists() && !at(".qualm-dir").exists());
        for stays in
            ["elsewhere/bundle.toml", "qualm.state", ".else", ".qualm-home/thesis.tex", ".qualm-link", ".qualm-busy"]
        {
            assert!(at(stays).exists(), "{stays}");
        }
        drop(busy);
        sweep(root.path(), &["bundle.toml"]);
        assert!(!at(".qualm-busy").exists());
    }

    #[test]
    fn nobody_sweeps_what_has_just_begun() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path();
        std::thread::scope(|scope| {
            let writers = [0, 1].map(|writer| {
                scope.spawn(move || {
                    for at in 0..300 {
                        write(&dir.join(format!("{writer}-{at}")), b"whole").unwrap();
                        let (new, _held) = unfinished_dir(dir, 0o700).unwrap();
                        fs::write(new.path().join("file"), b"whole").unwrap();
                    }
                })
            });
            while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                sweep(dir, &["file"]);
            }
        });
        assert_eq!(fs::read_dir(dir).unwrap().count(), 600);
    }

    #[test]
    fn what_fails_leaves_nothing_behind_and_links_are_replaced() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::write(at("target"), "precious").unwrap();
        symlink("target", at("file")).unwrap();
        let full = |file: &mut File| {
            file.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        };
        assert!(write_with(&at("file"), 0o600, full).is_err());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2, "nothing is left behind");
        write(&at("file"), b"new").unwrap();
        assert!(!at("file").is_symlink());
        assert_eq!(fs::read_to_string(at("target")).unwrap(), "precious");
    }
}
