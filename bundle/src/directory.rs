//! A bundle as a directory.
//!
//! The directory is opened once and its files are opened relative to it, so that all are of one bundle even while another
//! replaces it. Kubernetes mounts a `ConfigMap` or a `Secret` as links into a directory that the link `..data` leads to, and
//! exchanges that link: there, that directory is the bundle. If the directory was replaced during the read, it is read again.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::thread;
use std::time::Duration;

use qualm_system::untrusted::clean;
use rustix::fs::{AtFlags, Dir, Mode, OFlags, open, openat, statat};
use rustix::io::Errno;

use crate::error::Fault;
use crate::files::Files;

/// How often a directory is read if it is replaced each time.
const ATTEMPTS: u32 = 50;

/// The link of a mounted `ConfigMap` or `Secret` that leads to its files.
const MOUNTED: &str = "..data";

/// Reads the files, without validating their contents.
pub(crate) fn read(path: &Path) -> Result<Files, Fault> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let mounted = mounted(path);
        // The link of a mount must lead to a directory, not to another link.
        let (named, at, flags) = match &mounted {
            Some(target) => (path.join(MOUNTED), path.join(target), OFlags::NOFOLLOW),
            None => (path.to_owned(), path.to_owned(), OFlags::empty()),
        };
        let directory = match open(&at, OFlags::DIRECTORY | OFlags::CLOEXEC | flags, Mode::empty()) {
            Ok(directory) => File::from(directory),
            // Exchanged since the link was read.
            Err(Errno::NOENT) if mounted.is_some() && attempt < ATTEMPTS => continue,
            Err(error) => return Err(std::io::Error::from(error).into()),
        };
        let result = read_open(&directory);
        // If the directory was being removed, some files may be missing.
        if attempt == ATTEMPTS || is_still(&named, &directory) {
            return result;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// The target of a mount's link, if there is one and it leads to a directory beside it.
fn mounted(path: &Path) -> Option<PathBuf> {
    let target = fs::read_link(path.join(MOUNTED)).ok()?;
    let mut parts = target.components();
    let beside = matches!((parts.next(), parts.next()), (Some(Component::Normal(name)), None)
        if name.as_encoded_bytes().starts_with(b".."));
    beside.then_some(target)
}

/// Whether `path` still leads to the directory. While it is open, its inode number is not reused.
fn is_still(path: &Path, directory: &File) -> bool {
    let number = |file: &fs::Metadata| (file.dev(), file.ino());
    matches!((fs::metadata(path), directory.metadata()), (Ok(now), Ok(then)) if number(&now) == number(&then))
}

fn read_open(directory: &File) -> Result<Files, Fault> {
    if statat(directory, "bundle.toml", AtFlags::empty()).is_err_and(|error| error == Errno::NOENT) {
        let what = "it is missing, so this is no bundle; `qualm train` makes one, and `qualm plugin pack FILE.wasm --out DIR` of a \
                    plugin that is built"
            .to_owned();
        return Err(Fault::File { file: "bundle.toml".to_owned(), what });
    }
    let mut files = Files::default();
    for entry in Dir::read_from(directory).map_err(std::io::Error::from)? {
        let entry = entry.map_err(std::io::Error::from)?;
        let name = entry.file_name().to_string_lossy();
        if name == "." || name == ".." {
            continue;
        }
        let bad = |what: String| Fault::File { file: clean(&name), what };
        // NONBLOCK: do not wait for the writer of a pipe. NOFOLLOW: do not leave the directory.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(directory, entry.file_name(), flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::LOOP) => return Err(bad("it is a symbolic link; copy the file itself".to_owned())),
            Err(error) => return Err(Fault::Read { file: clean(&name), source: error.into() }),
        };
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(bad("it is no plain file".to_owned()));
        }
        files.read(&name, about.len(), file)?;
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::{Bundle, testing};

    #[test]
    fn invalid_files_are_named() {
        let root = tempfile::tempdir().unwrap();
        let bundle = testing::bundle(1);
        let damaged = |name: &str, damage: &dyn Fn(&Path)| {
            let directory = root.path().join(name);
            bundle.write(&directory).unwrap();
            damage(&directory);
            Bundle::read(&directory).unwrap_err().to_string()
        };
        for (error, what) in [
            (
                damaged("foreign", &|d| fs::write(d.join("notes.txt"), "x").unwrap()),
                "notes.txt: a bundle has no such file",
            ),
            (damaged("unlisted", &|d| fs::write(d.join("detector.wasm"), "x").unwrap()), "does not list detector.wasm"),
            (damaged("folder", &|d| fs::create_dir(d.join("detector.wasm")).unwrap()), "detector.wasm: it is no plain"),
            (
                damaged("missing", &|d| fs::remove_file(d.join("model.safetensors")).unwrap()),
                "model.safetensors: it is missing",
            ),
            (
                damaged("changed", &|d| fs::write(d.join("model.safetensors"), "x").unwrap()),
                "model.safetensors: its SHA-256",
            ),
            (
                damaged("link", &|d| {
                    fs::rename(d.join("model.safetensors"), root.path().join("elsewhere")).unwrap();
                    symlink(root.path().join("elsewhere"), d.join("model.safetensors")).unwrap();
                }),
                "model.safetensors: it is a symbolic link",
            ),
            (
                damaged("pipe", &|d| {
                    let pipe = d.join("detector.wasm");
                    rustix::fs::mknodat(rustix::fs::CWD, pipe, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
                }),
                "detector.wasm: it is no plain file",
            ),
            (
                damaged("large", &|d| {
                    File::options().write(true).open(d.join("bundle.toml")).unwrap().set_len(1 << 40).unwrap();
                }),
                "bundle.toml: its 1099511627776 bytes are more",
            ),
            (
                damaged("sources", &|d| {
                    fs::remove_file(d.join("bundle.toml")).unwrap();
                    fs::create_dir(d.join("src")).unwrap();
                }),
                "bundle.toml: it is missing, so this is no bundle; `qualm train` makes one, and `qualm plugin pack",
            ),
            (Bundle::read(&root.path().join("unlisted/bundle.toml")).unwrap_err().to_string(), "name the directory"),
            (Bundle::read(&root.path().join("none")).unwrap_err().to_string(), "none: No such file"),
        ] {
            assert!(error.contains(what), "{error}, and not {what}");
        }
        // A link to the directory is followed.
        let link = root.path().join("current");
        bundle.write(&root.path().join("v1")).unwrap();
        symlink("v1", &link).unwrap();
        assert_eq!(Bundle::read(&link).unwrap(), bundle);
    }

    /// As the kubelet does it: a new directory, and a new link to it that replaces the old one.
    fn mount(at: &Path, bundle: &Bundle, stamp: &str) {
        let files = at.join(stamp);
        fs::create_dir_all(&files).unwrap();
        for (name, bytes) in bundle.files() {
            fs::write(files.join(name), bytes).unwrap();
            if !at.join(name).is_symlink() {
                symlink(Path::new(MOUNTED).join(name), at.join(name)).unwrap();
            }
        }
        symlink(stamp, at.join("..data_tmp")).unwrap();
        let old = fs::read_link(at.join(MOUNTED));
        fs::rename(at.join("..data_tmp"), at.join(MOUNTED)).unwrap();
        if let Ok(old) = old {
            fs::remove_dir_all(at.join(old)).unwrap();
        }
    }

    #[test]
    fn a_mounted_config_map_is_a_bundle_and_its_exchange_is_one_change() {
        let root = tempfile::tempdir().unwrap();
        let at = root.path().join("cpu");
        let bundles = [testing::bundle(1), testing::bundle(2)];
        mount(&at, &bundles[0], "..2024_0");
        assert_eq!(Bundle::read(&at).unwrap(), bundles[0]);
        let done = std::sync::atomic::AtomicBool::new(false);
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let read = Bundle::read(&at).unwrap();
                    assert!(bundles.contains(&read), "the one or the other");
                }
            });
            for turn in 1..=100 {
                mount(&at, &bundles[turn % 2], &format!("..2024_{turn}"));
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            reader.join().unwrap();
        });
        let mut watch = crate::watch::Watch::on([at.clone()]);
        let source = crate::source::Source::Path(at.clone());
        let mut fetcher = crate::source::Fetcher::new(source, Duration::from_secs(1)).unwrap();
        let version = |fetched| match fetched {
            crate::source::Fetched::New(bundle) => Some(bundle.manifest.version),
            crate::source::Fetched::Unchanged => None,
        };
        assert_eq!(version(fetcher.poll().unwrap()), Some(1));
        mount(&at, &bundles[1], "..2025_1");
        assert!(watch.wait(Duration::from_secs(20)));
        assert_eq!(version(fetcher.poll().unwrap()), Some(2));
        assert_eq!(version(fetcher.poll().unwrap()), None);
    }

    #[test]
    fn a_data_link_elsewhere_is_no_mount() {
        let root = tempfile::tempdir().unwrap();
        testing::bundle(1).write(&root.path().join("elsewhere")).unwrap();
        for target in ["../elsewhere", "elsewhere", "..", "/"] {
            let at = root.path().join("cpu");
            testing::bundle(2).write(&at).unwrap();
            symlink(target, at.join(MOUNTED)).unwrap();
            assert!(Bundle::read(&at).unwrap_err().to_string().contains("..data"), "{target}");
            fs::remove_dir_all(at).unwrap();
        }
    }
}
