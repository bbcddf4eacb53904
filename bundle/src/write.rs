//! Writing a bundle atomically.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use qualm_system::{atomic, own};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tempfile::TempDir;

use crate::bundle::Bundle;
use crate::error::{Error, Fault};
use crate::files;

impl Bundle {
    /// Writes the packed bundle to a file, or replaces it.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write_packed(&self, path: &Path) -> Result<(), Error> {
        target(path)
            .and_then(|target| atomic::write(&target, &self.pack()))
            .map_err(|error| Fault::Io(error).at(path.display()))
    }

    /// Writes the bundle as a directory, or replaces one that is a bundle: a concurrent reader gets either.
    ///
    /// # Errors
    ///
    /// If it cannot be written, or there is something else.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        self.try_write(path).map_err(|error| Fault::Io(error).at(path.display()))
    }

    fn try_write(&self, path: &Path) -> io::Result<()> {
        let target = target(path)?;
        let (new, _held) = self.write_beside(&target)?;
        if target.symlink_metadata().is_ok() {
            check_replaceable(&target)?;
        }
        match renameat_with(CWD, new.path(), CWD, &target, RenameFlags::NOREPLACE) {
            Ok(()) => drop(new.keep()), // renamed, so not to be removed
            Err(Errno::EXIST) => replace(new, &target)?,
            // Not supported by the file system, such as NFS.
            Err(Errno::INVAL | Errno::NOSYS) => replace_in_two_steps(new, &target)?,
            Err(error) => return Err(error.into()),
        }
        atomic::sync(own::parent(&target))
    }

    /// Writes the files to a new directory beside `target`, which is marked as in use while the file is open.
    fn write_beside(&self, target: &Path) -> io::Result<(TempDir, File)> {
        fs::create_dir_all(own::parent(target))?;
        let (new, held) = atomic::unfinished_dir(own::parent(target), 0o777)?;
        for (name, bytes) in self.files() {
            let mut file = File::create_new(new.path().join(name))?;
            file.write_all(bytes)?;
            file.sync_all()?;
        }
        atomic::sync(new.path())?;
        Ok((new, held))
    }
}

/// The path to write to, with a link resolved.
fn target(path: &Path) -> io::Result<PathBuf> {
    let path: PathBuf = path.components().collect(); // without a trailing slash, which would follow a link
    if path.is_symlink() { fs::canonicalize(&path) } else { Ok(path) }
}

/// Exchanges the two, and removes the old one.
fn replace(new: TempDir, target: &Path) -> io::Result<()> {
    match renameat_with(CWD, new.path(), CWD, target, RenameFlags::EXCHANGE) {
        Ok(()) => remove(&new.keep()),
        Err(Errno::INVAL | Errno::NOSYS) => replace_in_two_steps(new, target),
        Err(error) => Err(error.into()),
    }
}

/// For file systems without an exchange: for an instant, neither is there.
fn replace_in_two_steps(new: TempDir, target: &Path) -> io::Result<()> {
    let (aside, _held) = atomic::unfinished_dir(own::parent(target), 0o700)?;
    let old = aside.path().join("old");
    let was_there = match fs::rename(target, &old) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    if let Err(error) = fs::rename(new.path(), target) {
        if was_there {
            fs::rename(&old, target)?;
        }
        return Err(error);
    }
    drop(new.keep());
    if was_there { remove(&old) } else { Ok(()) }
}

/// Checks that the directory is a bundle, complete or not, or empty.
fn check_replaceable(target: &Path) -> io::Result<()> {
    let refuse = |what: String| Err(io::Error::other(format!("{what}; it is not replaced: name another directory")));
    if !target.is_dir() {
        return refuse("it is a file".to_owned());
    }
    let names: Vec<_> = fs::read_dir(target)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
    match names.iter().find(|name| !files::NAMES.iter().any(|known| name == known)) {
        Some(foreign) => refuse(format!("it has {} in it, so it is no bundle", foreign.to_string_lossy())),
        None if !names.is_empty() && !names.iter().any(|name| name == files::MANIFEST) => {
            refuse(format!("it has no {} in it, so it is no bundle", files::MANIFEST))
        }
        None => Ok(()),
    }
}

/// Removes a bundle's directory, unless it has other files.
fn remove(directory: &PathBuf) -> io::Result<()> {
    for name in files::NAMES {
        match fs::remove_file(directory.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::remove_dir(directory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::*;
    use crate::testing;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_bundle_is_written_read_and_replaced() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("cpu");
        let (first, second) = (testing::bundle(1), testing::bundle(2));
        first.write(&path).unwrap();
        assert_eq!(Bundle::read(&path).unwrap(), first);
        second.write(&path).unwrap();
        assert_eq!(Bundle::read(&path).unwrap(), second);
        assert_eq!(names(root.path()), ["cpu"], "nothing is left behind");
        assert_eq!(names(&path), ["bundle.toml", "golden.safetensors", "model.safetensors"]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o444;
        assert_eq!((mode(&path), mode(&path.join("bundle.toml"))), (0o444, 0o444), "others may read it");

        // An empty directory is replaced, and a link stays a link.
        fs::create_dir(root.path().join("empty")).unwrap();
        symlink("empty", root.path().join("link")).unwrap();
        first.write(&root.path().join("link/")).unwrap();
        assert_eq!(Bundle::read(&root.path().join("empty")).unwrap(), first);
        assert!(root.path().join("link").is_symlink());
        second.write_packed(&root.path().join("2.qualm")).unwrap();
        symlink("2.qualm", root.path().join("link.qualm")).unwrap();
        first.write_packed(&root.path().join("link.qualm")).unwrap();
        assert!(root.path().join("link.qualm").is_symlink());
        assert_eq!(Bundle::read(&root.path().join("2.qualm")).unwrap(), first);
    }

    #[test]
    fn parent_directories_are_created() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/cpu");
        testing::bundle(1).write(&path).unwrap();
        assert_eq!(Bundle::read(&path).unwrap(), testing::bundle(1));
    }

    #[test]
    fn only_bundles_are_replaced() {
        let root = tempfile::tempdir().unwrap();
        let bundle = testing::bundle(1);
        let refused = |path: PathBuf| bundle.write(&path).unwrap_err().to_string();
        fs::write(root.path().join("file"), "precious").unwrap();
        fs::create_dir(root.path().join("home")).unwrap();
        fs::write(root.path().join("home/thesis.tex"), "precious").unwrap();
        fs::create_dir(root.path().join("half")).unwrap();
        fs::write(root.path().join("half/model.safetensors"), "precious").unwrap();
        assert!(refused(root.path().join("file")).contains("it is a file; it is not replaced"));
        assert!(refused(root.path().join("home")).contains("it has thesis.tex in it, so it is no bundle"));
        assert!(refused(root.path().join("half")).contains("it has no bundle.toml in it"));
        assert!(refused(root.path().join("file/below")).contains("exists"), "what should be a directory is a file");
        assert_eq!(names(root.path()), ["file", "half", "home"], "nothing is left behind");
        assert_eq!(fs::read_to_string(root.path().join("home/thesis.tex")).unwrap(), "precious");
    }

    #[test]
    fn without_an_exchange_it_is_replaced_as_well() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("cpu");
        for version in 1..=2 {
            let bundle = testing::bundle(version);
            replace_in_two_steps(bundle.write_beside(&path).unwrap().0, &path).unwrap();
            assert_eq!(Bundle::read(&path).unwrap(), bundle);
        }
        assert_eq!(names(root.path()), ["cpu"]);
    }

    #[test]
    fn a_concurrent_reader_gets_the_old_or_the_new_bundle() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("cpu");
        let packed = root.path().join("cpu.qualm");
        let bundles = [testing::bundle(1), testing::bundle(2)];
        bundles[0].write(&path).unwrap();
        bundles[0].write_packed(&packed).unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut reads = [0_u32; 2];
                while !done.load(Ordering::Relaxed) {
                    for path in [&path, &packed] {
                        let read = Bundle::read(path).unwrap();
                        let which = bundles.iter().position(|bundle| *bundle == read);
                        reads[which.expect("one of the two, whole")] += 1;
                    }
                }
                reads
            });
            for turn in 1..=200 {
                bundles[turn % 2].write(&path).unwrap();
                bundles[turn % 2].write_packed(&packed).unwrap();
            }
            done.store(true, Ordering::Relaxed);
            let reads = reader.join().unwrap();
            assert!(reads.iter().all(|&reads| reads > 0), "{reads:?}");
        });
        assert_eq!(names(root.path()), ["cpu", "cpu.qualm"]);
    }
}
