//! The files of a bundle as bytes, before anything is known of what is in them.
//!
//! Whoever reads them (a directory, an archive) says what a file is called and how large it claims to be; whether that is
//! a file that a bundle may have, and small enough, is decided here, before a byte of it is read.

use std::collections::BTreeMap;
use std::io::Read;

use crate::clean::clean;
use crate::error::Fault;

/// What a bundle says of itself.
pub const MANIFEST: &str = "bundle.toml";
/// The signature of [`MANIFEST`].
pub const SIGNATURE: &str = "bundle.toml.minisig";
/// What the detector receives.
pub const MODEL: &str = "model.safetensors";
/// Rows and the scores that they must get.
pub const GOLDEN: &str = "golden.safetensors";
/// The detector itself, where it is a plugin.
pub const COMPONENT: &str = "detector.wasm";

/// All that a bundle may have, in the order in which they stand in an archive.
pub const NAMES: [&str; 5] = [MANIFEST, SIGNATURE, MODEL, GOLDEN, COMPONENT];

/// The most bytes of a bundle, all files together; and the most of a packed one.
pub const MOST: u64 = 256 << 20;
/// The most bytes of the manifest.
pub const MOST_MANIFEST: u64 = 1 << 20;
/// The most bytes of the signature: it has four short lines.
pub const MOST_SIGNATURE: u64 = 16 << 10;

/// The files that have been read.
#[derive(Debug, Default)]
pub struct Files(BTreeMap<&'static str, Vec<u8>>);

impl Files {
    /// Reads a file of which it is known what it is called and how large it is.
    pub(crate) fn read(&mut self, name: &str, size: u64, from: impl Read) -> Result<(), Fault> {
        let bad = |what: String| Fault::File { file: clean(name), what };
        let Some(known) = NAMES.into_iter().find(|known| *known == name) else {
            return Err(bad(format!("a bundle has no such file, only {}", NAMES.join(", "))));
        };
        if self.0.contains_key(known) {
            return Err(bad("it is there twice".to_owned()));
        }
        let most = match known {
            MANIFEST => MOST_MANIFEST,
            SIGNATURE => MOST_SIGNATURE,
            _ => MOST - self.size(),
        };
        if size > most {
            return Err(bad(format!("its {size} bytes are more than the {most} that it may have")));
        }
        let mut bytes = Vec::new(); // grows with what is there, not with what is claimed
        from.take(size).read_to_end(&mut bytes).map_err(|source| Fault::Read { file: clean(name), source })?;
        if bytes.len() as u64 != size {
            return Err(bad(format!("it ends after {} of its {size} bytes", bytes.len())));
        }
        self.0.insert(known, bytes);
        Ok(())
    }

    /// Hands over a file that a bundle must have.
    pub(crate) fn take(&mut self, name: &'static str) -> Result<Vec<u8>, Fault> {
        let missing = || Fault::File { file: name.to_owned(), what: "it is missing".to_owned() };
        self.0.remove(name).ok_or_else(missing)
    }

    /// Hands over a file that a bundle may have.
    pub(crate) fn take_if_there(&mut self, name: &'static str) -> Option<Vec<u8>> {
        self.0.remove(name)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Their bytes, all together.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.values().map(|bytes| bytes.len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_bundle_may_have_is_read() {
        let mut files = Files::default();
        files.read(MODEL, 3, &b"abc"[..]).unwrap();
        for (name, size, what) in [
            ("model.bin", 1, "model.bin: a bundle has no such file"),
            ("../bundle.toml", 1, "no such file"),
            ("", 0, "no such file"),
            (MODEL, 3, "it is there twice"),
            (MANIFEST, MOST_MANIFEST + 1, "bytes are more than the 1048576"),
            (SIGNATURE, u64::MAX, "bytes are more than"),
            (GOLDEN, MOST - 2, "bytes are more than"),
            (GOLDEN, 7, "golden.safetensors: it ends after 6 of its 7 bytes"),
        ] {
            let fault = files.read(name, size, &b"golden"[..]).unwrap_err().to_string();
            assert!(fault.contains(what), "{fault}");
        }
        assert_eq!(files.take(MODEL).unwrap(), b"abc");
        assert!(files.take(MODEL).unwrap_err().to_string().contains("it is missing"));
    }
}
