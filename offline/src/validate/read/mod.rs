//! Reads files to their end: faults are counted, and all other rows are kept.

mod csv;
mod jsonl;
mod lp;

use std::hash::{DefaultHasher, Hasher};
use std::path::Path;

use super::data::Data;
use super::report::shown;
use crate::history::Error;
use crate::history::source::{Format, Source};
use crate::progress::Progress;

/// Rows between two progress reports.
const ROWS: u64 = 4096;

/// Reads a file; `measurement` names the metrics of formats without measurements. Calls `progress` with the number of bytes
/// that have been read, and the file's size.
pub(super) fn read(path: &Path, measurement: &str, progress: Progress<'_>) -> Result<Data, Error> {
    let Source { format, reader, size, read } = Source::open(path)?;
    let mut data = Data::new();
    let mut rows = 0_u64;
    let mut step = || {
        rows += 1;
        if rows.is_multiple_of(ROWS) {
            progress(read.get(), size);
        }
    };
    match format {
        Format::Csv => csv::read(reader, measurement, &mut data, &mut step),
        Format::Jsonl => jsonl::read(reader, measurement, &mut data, &mut step),
        Format::Lp => lp::read(reader, &mut data, &mut step),
    }
    Ok(data)
}

/// A hash of a row, to find equal rows.
fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// An excerpt for a message.
fn excerpt(bytes: &[u8]) -> String {
    shown(&String::from_utf8_lossy(bytes))
}
