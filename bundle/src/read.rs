//! Reading a bundle, from a directory or packed.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::Path;

use crate::bundle::Bundle;
use crate::error::{Error, Fault};
use crate::files::{self, Files};
use crate::{archive, directory};

impl Bundle {
    /// Reads a directory or a packed bundle.
    ///
    /// # Errors
    ///
    /// Names the file that is invalid, and why.
    pub fn read(path: &Path) -> Result<Self, Error> {
        read_files(path).and_then(Self::from_files).map_err(|fault| fault.at(path.display()))
    }

    /// Reads the bytes of a packed bundle.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn unpack(packed: &[u8]) -> Result<Self, Fault> {
        Self::from_files(archive::unpack(packed)?)
    }

    /// The version of a bundle that replaces the one at `path`: one more than its, or 1 if there is none.
    #[must_use]
    pub fn next_version(path: &Path) -> u64 {
        Self::read(path).map_or(1, |old| old.manifest.version + 1)
    }
}

/// The files of a directory or a packed bundle.
///
/// # Errors
///
/// If there is no bundle, or one of its files cannot be read or does not belong in one.
pub fn read_files(path: &Path) -> Result<Files, Fault> {
    let file = fs::metadata(path)?;
    if file.is_dir() {
        return directory::read(path);
    }
    if !file.is_file() {
        return Err(Fault::Io(io::Error::other("it is neither a directory nor a file")));
    }
    if path.ends_with(files::MANIFEST) {
        return Err(Fault::Io(io::Error::other("it is a part of a bundle; name the directory that it is in")));
    }
    let mut file = File::open(path)?;
    let mut magic = [0; 4];
    if file.read_exact(&mut magic).is_ok() && &magic == b"\0asm" {
        let what = "it is a plugin, not yet a bundle; `qualm plugin pack FILE --out DIR` makes one of it";
        return Err(Fault::Io(io::Error::other(what)));
    }
    file.rewind()?;
    archive::unpack(file)
}
