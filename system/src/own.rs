//! Files in directories that others may be able to write to: opened only where they are what they should be.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// Opens a plain file to read it: no link, no pipe, and of nobody but this user, root, or the directory's owner.
///
/// # Errors
///
/// As the system says, or what is wrong with it.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    checked(options.read(true), path)
}

/// Opens a plain file to lock it or to write to it, or makes it.
///
/// # Errors
///
/// As [`open`].
pub fn open_or_create(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    checked(options.create(true).truncate(false).write(true), path)
}

/// What is in such a file.
///
/// # Errors
///
/// As [`open`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The directory that a path's last part is in.
#[must_use]
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What opens no link, and does not wait for the other end of a pipe.
pub(crate) fn no_follow() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

fn checked(options: &mut std::fs::OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.custom_flags(no_follow()).open(path).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::LOOP) => io::Error::other("it is a symbolic link, which is not followed here; remove it"),
        _ => error,
    })?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("it is no plain file; remove it"));
    }
    check_owner(&about, &parent(path).metadata()?)?;
    Ok(file)
}

/// Whoever owns the directory can put anything there anyway; but where others may write to it, theirs is not ours.
fn check_owner(file: &Metadata, directory: &Metadata) -> io::Result<()> {
    let (own, owner) = (rustix::process::geteuid().as_raw(), file.uid());
    if owner == own || owner == 0 || owner == directory.uid() {
        return Ok(());
    }
    Err(io::Error::other(format!("it belongs to user {owner}, and not to user {own}; remove it, or change its owner")))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn links_and_pipes_are_refused_whatever_they_lead_to() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::write(at("target"), "precious").unwrap();
        symlink("target", at("link")).unwrap();
        symlink("nothing", at("dangling")).unwrap();
        mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert_eq!(read(&at("target")).unwrap(), b"precious");
        for (name, what) in [("link", "symbolic link"), ("dangling", "symbolic link"), ("pipe", "")] {
            let errors = [open(&at(name)).unwrap_err(), open_or_create(&at(name)).unwrap_err()];
            assert!(errors.iter().all(|error| error.to_string().contains(what)), "{name}: {errors:?}");
        }
        assert!(!at("nothing").exists());
    }

    #[test]
    fn what_belongs_to_somebody_else_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        fs::write(&path, "x").unwrap();
        if !rustix::process::geteuid().is_root() {
            return; // only root can give files away
        }
        let theirs = rustix::process::Uid::from_raw(12_345);
        rustix::fs::chownat(CWD, &path, Some(theirs), None, rustix::fs::AtFlags::empty()).unwrap();
        assert!(open(&path).unwrap_err().to_string().contains("user 12345"));
        rustix::fs::chownat(CWD, root.path(), Some(theirs), None, rustix::fs::AtFlags::empty()).unwrap();
        assert!(open(&path).is_ok(), "the directory's owner could put anything there");
    }
}
