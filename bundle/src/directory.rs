//! A bundle as a directory.
//!
//! The directory is opened once and its files are opened in it, so that they are all of one bundle even while another is
//! put in its place. One that went away under our eyes is read again: what replaced it is there already.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, open, openat, statat};

use crate::bundle::Fault;
use crate::clean::clean;
use crate::files::Files;

/// How often a directory is read that is replaced again and again.
const ATTEMPTS: u32 = 50;

/// Reads the files, without a look at what is in them.
pub(crate) fn read(path: &Path) -> Result<Files, Fault> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let directory =
            File::from(open(path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(std::io::Error::from)?);
        let result = read_open(&directory);
        // Of one that was being removed, some files may be missing.
        if attempt == ATTEMPTS || is_still(path, &directory) {
            return result;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Whether the directory is still the one that `path` leads to. As long as it is open, no other has its number.
fn is_still(path: &Path, directory: &File) -> bool {
    let number = |file: &fs::Metadata| (file.dev(), file.ino());
    matches!((fs::metadata(path), directory.metadata()), (Ok(now), Ok(then)) if number(&now) == number(&then))
}

fn read_open(directory: &File) -> Result<Files, Fault> {
    if statat(directory, "bundle.toml", AtFlags::empty()).is_err() {
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
        // Not waiting for the other end of a pipe; not following links out of the directory.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match openat(directory, entry.file_name(), flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::LOOP) => return Err(bad("it is a symbolic link; copy the file itself".to_owned())),
            Err(error) => return Err(bad(error.to_string())),
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
    fn what_does_not_belong_there_is_named() {
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
        // By way of a link to the directory, all is well.
        let link = root.path().join("current");
        bundle.write(&root.path().join("v1")).unwrap();
        symlink("v1", &link).unwrap();
        assert_eq!(Bundle::read(&link).unwrap(), bundle);
    }
}
