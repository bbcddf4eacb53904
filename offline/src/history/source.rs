//! An open file of history: its format, and how far it has been read.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Error, Fault};

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    Jsonl,
    Lp,
}

/// An open file.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) format: Format,
    pub(crate) reader: BufReader<Counted>,
    /// Bytes in the file.
    pub(crate) size: u64,
    pub(crate) read: Position,
}

impl Source {
    /// Opens a file; its extension gives the format.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|error| Error::new(path, error))?;
        let size = file.metadata().map_err(|error| Error::new(path, error))?.len();
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let format = match ending.as_str() {
            "csv" => Format::Csv,
            "jsonl" | "ndjson" => Format::Jsonl,
            "lp" | "line" | "influx" => Format::Lp,
            "gz" | "zst" | "xz" => return Err(Error::new(path, Fault::Compressed)),
            _ => return Err(Error::new(path, Fault::Extension)),
        };
        let read = Position::default();
        let reader = BufReader::with_capacity(1 << 20, Counted { inner: file, read: read.clone() });
        Ok(Self { format, reader, size, read })
    }
}

/// How many bytes have been read, for a progress bar.
#[derive(Debug, Clone, Default)]
pub(crate) struct Position(Arc<AtomicU64>);

impl Position {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A file that counts what is read.
#[derive(Debug)]
pub(crate) struct Counted {
    inner: File,
    read: Position,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.0.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
