//! A bundle as one file, `NAME-VERSION.qualm`: a tar of its files, compressed with zstd.
//!
//! Packing is deterministic: the same bundle gives the same bytes. An archive is untrusted input: any entry but a plain file
//! with a known name is refused, and no more than the size limit is unpacked.

use std::io::{self, BufReader, Read};

use qualm_system::fault::is_of_system;
use qualm_system::untrusted::clean;
use tar::{Archive, EntryType, Header};
use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;

use crate::bundle::Bundle;
use crate::error::Fault;
use crate::files::{Files, MAX_BUNDLE_BYTES, NAMES};

/// The file extension of a packed bundle.
pub const EXTENSION: &str = "qualm";

/// The compression level: fixed, so that packing is deterministic.
const LEVEL: i32 = 9;

/// The largest window that a reader allocates: 2^27 bytes, as the `zstd` command does.
const WINDOW: u32 = 27;

/// The overhead of tar at most: a header and padding for each file, and the padded end.
const OVERHEAD: u64 = 1024 * NAMES.len() as u64 + 64 * 1024;

impl Bundle {
    /// The file name of the packed bundle.
    #[must_use]
    pub fn archive_name(&self) -> String {
        format!("{}-{}.{EXTENSION}", self.manifest.name, self.manifest.version)
    }

    /// The packed bundle.
    ///
    /// # Panics
    ///
    /// If memory runs out.
    #[must_use]
    pub fn pack(&self) -> Vec<u8> {
        // Writing to memory fails only where memory does.
        self.try_pack().expect("a bundle in memory can be packed into memory")
    }

    fn try_pack(&self) -> io::Result<Vec<u8>> {
        let mut encoder = Encoder::new(Vec::new(), LEVEL)?;
        encoder.include_checksum(true)?;
        let mut tar = tar::Builder::new(encoder);
        for (name, bytes) in self.files() {
            let mut header = Header::new_ustar();
            header.set_path(name)?;
            header.set_entry_type(EntryType::Regular);
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_cksum();
            tar.append(&header, bytes)?;
        }
        tar.into_inner()?.finish()
    }
}

/// Unpacks the files, without validating their contents.
pub(crate) fn unpack(packed: impl Read) -> Result<Files, Fault> {
    let damaged = |error: io::Error| {
        if is_of_system(&error) { Fault::Io(error) } else { Fault::Archive(error.to_string()) }
    };
    let mut decoder = Decoder::with_buffer(BufReader::new(packed)).map_err(damaged)?;
    decoder.window_log_max(WINDOW).map_err(damaged)?;
    let mut unpacked = decoder.take(MAX_BUNDLE_BYTES + OVERHEAD);
    let mut files = Files::default();
    // Raw: long names, sparse files and other tar extensions are then entries of another type, and so refused.
    for entry in Archive::new(&mut unpacked).entries().map_err(damaged)?.raw(true) {
        let entry = entry.map_err(damaged)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if kind != EntryType::Regular {
            let what = format!("it is no plain file but {kind:?}; `qualm bundle pack` makes archives that are right");
            return Err(Fault::File { file: clean(&name), what });
        }
        let size = entry.header().entry_size().map_err(damaged)?;
        files.read(&name, size, entry)?;
    }
    // The checksum stands at the end.
    io::copy(&mut unpacked, &mut io::sink()).map_err(damaged)?;
    if unpacked.limit() == 0 {
        return Err(Fault::Archive(format!("it unpacks to more than {MAX_BUNDLE_BYTES} bytes")));
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
