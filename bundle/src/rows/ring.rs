//! Writes segments, within a size.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use qualm_system::atomic;

use super::{Rows, file, numbers, segment};

/// The segments of a detector's rows, to which newer ones are added.
#[derive(Debug)]
pub struct Ring {
    dir: PathBuf,
    /// The names of the values of a row.
    features: Vec<String>,
    /// The size of all segments together, at most.
    max_bytes: u64,
    /// Number and size of each segment, the oldest first.
    segments: VecDeque<(u64, u64)>,
}

impl Ring {
    /// Opens a directory of rows of these features, or creates one that only its owner can read.
    ///
    /// # Errors
    ///
    /// If it cannot be created or read, or is a link.
    pub fn open(dir: &Path, features: Vec<String>, max_bytes: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        if dir.is_symlink() {
            return Err(io::Error::other("it is a symbolic link, which is not followed here; remove it"));
        }
        atomic::sweep(dir, &[]);
        Ok(Self { dir: dir.to_owned(), features, max_bytes, segments: numbers(dir)?.into() })
    }

    /// The size of all segments together, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Writes rows as a segment, and removes the oldest ones where there is no room for it. Rows that alone are too large
    /// are not kept.
    ///
    /// # Errors
    ///
    /// As the file system says: the segment is not there then.
    pub fn write(&mut self, rows: &Rows) -> io::Result<()> {
        let bytes = segment::encode(rows, &self.features)?;
        let size = bytes.len() as u64;
        if rows.is_empty() || size > self.max_bytes {
            return Ok(());
        }
        while self.bytes() + size > self.max_bytes {
            let Some((oldest, _)) = self.segments.pop_front() else { break };
            match fs::remove_file(self.dir.join(file(oldest))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let next = self.segments.back().map_or(1, |(last, _)| last.wrapping_add(1));
        atomic::write_with(&self.dir.join(file(next)), 0o600, |file| file.write_all(&bytes))?;
        self.segments.push_back((next, size));
        Ok(())
    }
}
