//! Recent rows of a detector with their scores, kept on disk to train its next model with.
//!
//! A directory of segments, each some thousand rows, compressed. A [`Ring`] writes them and removes the oldest, so that all
//! together stay within a size; [`Rows::read`] reads them. What a process that is killed had not written yet is lost.

mod ring;
mod segment;
mod window;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use qualm_system::own;

pub use ring::Ring;
pub use window::{NoWindow, Window};

/// The extension of a segment's file.
const EXTENSION: &str = "rows";

/// Rows of a detector, in columns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    /// When each was measured: nanoseconds since 1970.
    pub times: Vec<i64>,
    /// The entity of each, as an index of `entities`.
    pub series: Vec<u32>,
    /// The name of each entity: its tags as in line protocol, such as `host=a`.
    pub entities: Vec<String>,
    /// The values, row after row; NaN is missing.
    pub values: Vec<f64>,
    /// The score of each; NaN is not scored.
    pub scores: Vec<f64>,
}

/// Why no rows can be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A directory or file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no segment of such rows.
    #[error("{}: there are no rows of these features in it", .0.display())]
    Empty(PathBuf),
}

/// Rows that were read, and what could not be.
#[derive(Debug, Clone, Default)]
pub struct Read {
    /// The rows, in the order in which they were scored.
    pub rows: Rows,
    /// Segments that are damaged, and why.
    pub damaged: Vec<(PathBuf, String)>,
}

impl Rows {
    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Removes all rows and names, and keeps the memory.
    pub fn clear(&mut self) {
        let Self { times, series, entities, values, scores } = self;
        times.clear();
        series.clear();
        entities.clear();
        values.clear();
        scores.clear();
    }

    /// Reads all segments in a directory whose rows have these features. Segments of other features are ignored: they are of
    /// an earlier model.
    ///
    /// # Errors
    ///
    /// If the directory or a file cannot be read, or has no such rows.
    pub fn read(dir: &Path, features: &[String]) -> Result<Read, Error> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io { path, source }
        };
        let mut out = Read::default();
        let mut places = HashMap::new();
        for (number, _) in numbers(dir).map_err(failed(dir))? {
            let path = dir.join(file(number));
            match segment::decode(&own::read(&path).map_err(failed(&path))?, features) {
                Ok(Some(rows)) => out.rows.append(&rows, &mut places),
                Ok(None) => {}
                Err(why) => out.damaged.push((path, why.to_string())),
            }
        }
        if out.rows.is_empty() { Err(Error::Empty(dir.to_owned())) } else { Ok(out) }
    }

    /// Adds rows whose entities have numbers of their own.
    fn append(&mut self, other: &Self, places: &mut HashMap<String, u32>) {
        let number = |name: &String| {
            *places.entry(name.clone()).or_insert_with(|| {
                self.entities.push(name.clone());
                self.entities.len() as u32 - 1
            })
        };
        let numbers: Vec<u32> = other.entities.iter().map(number).collect();
        self.times.extend(&other.times);
        self.series.extend(other.series.iter().map(|series| numbers[*series as usize]));
        self.values.extend(&other.values);
        self.scores.extend(&other.scores);
    }
}

/// The file name of a segment.
fn file(number: u64) -> String {
    format!("{number:010}.{EXTENSION}")
}

/// The segments in a directory, the oldest first: their numbers and sizes in bytes.
fn numbers(dir: &Path) -> io::Result<Vec<(u64, u64)>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(EXTENSION)?.strip_suffix('.')?.parse().ok());
        if let Some(number) = number.filter(|number| *name == *file(*number)) {
            numbers.push((number, entry.metadata()?.len()));
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests;
