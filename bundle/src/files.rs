//! The files of a bundle as bytes, before they are parsed.
//!
//! The reader of a directory or an archive passes each file's name and claimed size; name and size are checked here, before a
//! byte of it is read.

use std::collections::BTreeMap;
use std::io::Read;

use qualm_system::untrusted::clean;

use crate::error::Fault;

/// The manifest.
pub const MANIFEST: &str = "bundle.toml";
/// The signature of [`MANIFEST`].
pub const SIGNATURE: &str = "bundle.toml.minisig";
/// The model that the detector is opened with.
pub const MODEL: &str = "model.safetensors";
/// Golden rows with their scores.
pub const GOLDEN: &str = "golden.safetensors";
/// What the training rows looked like, for detecting drift.
pub const REFERENCE: &str = "reference.safetensors";
/// The component of a plugin.
pub const COMPONENT: &str = "detector.wasm";

/// All files that a bundle may have, in the order in which they are packed.
pub const NAMES: [&str; 6] = [MANIFEST, SIGNATURE, MODEL, GOLDEN, REFERENCE, COMPONENT];

/// The largest size of a bundle, all files together, and of a packed one.
pub const MAX_BUNDLE_BYTES: u64 = 256 << 20;
/// The largest size of the manifest.
pub const MAX_MANIFEST_BYTES: u64 = 1 << 20;
/// The largest size of the signature, which has four short lines.
pub const MAX_SIGNATURE_BYTES: u64 = 16 << 10;

/// The files that have been read.
#[derive(Debug, Default)]
pub struct Files(BTreeMap<&'static str, Vec<u8>>);

impl Files {
    /// Reads a file of this name and size.
    pub(crate) fn read(&mut self, name: &str, size: u64, from: impl Read) -> Result<(), Fault> {
        let bad = |what: String| Fault::File { file: clean(name), what };
        let Some(known) = NAMES.into_iter().find(|known| *known == name) else {
            return Err(bad(format!("a bundle has no such file, only {}", NAMES.join(", "))));
        };
        if self.0.contains_key(known) {
            return Err(bad("it is there twice".to_owned()));
        }
        let max = match known {
            MANIFEST => MAX_MANIFEST_BYTES,
            SIGNATURE => MAX_SIGNATURE_BYTES,
            _ => MAX_BUNDLE_BYTES - self.size(),
        };
        if size > max {
            return Err(bad(format!("its {size} bytes are more than the {max} that it may have")));
        }
        let mut bytes = Vec::new(); // grows with what is there, not with what is claimed
        from.take(size).read_to_end(&mut bytes).map_err(|source| Fault::Read { file: clean(name), source })?;
        if bytes.len() as u64 != size {
            return Err(bad(format!("it ends after {} of its {size} bytes", bytes.len())));
        }
        self.0.insert(known, bytes);
        Ok(())
    }

    /// Takes out a file that a bundle must have.
    pub(crate) fn take(&mut self, name: &'static str) -> Result<Vec<u8>, Fault> {
        let missing = || Fault::File { file: name.to_owned(), what: "it is missing".to_owned() };
        self.0.remove(name).ok_or_else(missing)
    }

    /// Takes out a file that a bundle may have.
    pub(crate) fn take_if_there(&mut self, name: &'static str) -> Option<Vec<u8>> {
        self.0.remove(name)
    }

    /// The number of files.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Their total size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.values().map(|bytes| bytes.len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unexpected_and_oversized_files_are_refused() {
        let mut files = Files::default();
        files.read(MODEL, 3, &b"abc"[..]).unwrap();
        for (name, size, what) in [
            ("model.bin", 1, "model.bin: a bundle has no such file"),
            ("../bundle.toml", 1, "no such file"),
            ("", 0, "no such file"),
            (MODEL, 3, "it is there twice"),
            (MANIFEST, MAX_MANIFEST_BYTES + 1, "bytes are more than the 1048576"),
            (SIGNATURE, u64::MAX, "bytes are more than"),
            (GOLDEN, MAX_BUNDLE_BYTES - 2, "bytes are more than"),
            (GOLDEN, 7, "golden.safetensors: it ends after 6 of its 7 bytes"),
        ] {
            let fault = files.read(name, size, &b"golden"[..]).unwrap_err().to_string();
            assert!(fault.contains(what), "{fault}");
        }
        assert_eq!(files.take(MODEL).unwrap(), b"abc");
        assert!(files.take(MODEL).unwrap_err().to_string().contains("it is missing"));
    }
}
