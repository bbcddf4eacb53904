//! The rows of a time window, in order of time.
//!
//! Responses are ordered by series, and with Flux each field comes alone. So a window is held in memory, sorted by time, and
//! the fields of one series and time become one line.

use std::collections::HashMap;
use std::io::{self, Write};

use super::Error;
use super::lines::{NotRepresentable, put_head};

/// The memory for a window. One that needs more is halved.
const MAX_BYTES: usize = 256 << 20;

/// Why a window is incomplete.
#[derive(Debug)]
pub(super) enum Stop {
    /// It exceeds [`MAX_BYTES`].
    Full,
    /// The server failed.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The number of a series, in order of appearance.
pub(super) type Id = u32;

/// Some fields of a line, in `bytes`.
#[derive(Debug, Clone, Copy)]
struct Piece {
    time: i64,
    series: Id,
    length: u32,
    start: usize,
}

/// The rows of a time window.
#[derive(Debug, Default)]
pub(super) struct Slice {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    heads: Vec<Vec<u8>>,
    ids: HashMap<Vec<u8>, Id>,
    /// Rows that line protocol cannot represent.
    pub(super) left_out: u64,
}

impl Slice {
    /// The series of a measurement and its tags.
    pub(super) fn series<'a>(
        &mut self,
        measurement: &str,
        tags: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Id, NotRepresentable> {
        let mut head = Vec::new();
        put_head(&mut head, measurement, tags)?;
        if let Some(&id) = self.ids.get(&head) {
            return Ok(id);
        }
        let id = self.heads.len() as Id;
        self.heads.push(head.clone());
        self.ids.insert(head, id);
        Ok(id)
    }

    /// Adds fields (`key=value,...`) of a series at a time; without fields, nothing is added.
    pub(super) fn push(&mut self, series: Id, time: i64, fields: &[u8]) -> Result<(), Stop> {
        if fields.is_empty() {
            return Ok(());
        }
        if self.bytes.len() + fields.len() + self.pieces.len() * size_of::<Piece>() > MAX_BYTES {
            return Err(Stop::Full);
        }
        self.pieces.push(Piece { time, series, length: fields.len() as u32, start: self.bytes.len() });
        self.bytes.extend_from_slice(fields);
        Ok(())
    }

    /// The bytes of all fields.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Removes the rows, but keeps the numbers of the series, so that their order stays the same in the next window.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.pieces.clear();
        self.left_out = 0;
    }

    /// Writes the lines in order of time, and returns their number.
    pub(super) fn write(&mut self, out: &mut impl Write) -> io::Result<u64> {
        self.pieces.sort_by_key(|piece| (piece.time, piece.series)); // stable: fields stay in their order
        let mut rows = 0;
        for pieces in self.pieces.chunk_by(|one, other| (one.time, one.series) == (other.time, other.series)) {
            out.write_all(&self.heads[pieces[0].series as usize])?;
            for (at, piece) in pieces.iter().enumerate() {
                out.write_all(if at == 0 { b" " } else { b"," })?;
                out.write_all(&self.bytes[piece.start..][..piece.length as usize])?;
            }
            writeln!(out, " {}", pieces[0].time)?;
            rows += 1;
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_one_series_and_time_become_one_line_in_order_of_time() {
        let mut slice = Slice::default();
        let one = slice.series("m", [("host", "a")]).unwrap();
        let two = slice.series("m", [("host", "b")]).unwrap();
        assert_eq!(slice.series("m", [("host", "a"), ("none", "")]), Ok(one));
        for (series, time, fields) in
            [(two, 1, "x=1"), (one, 2, "x=2"), (one, 1, "x=3"), (one, 2, "y=4,z=5"), (one, 3, "")]
        {
            slice.push(series, time, fields.as_bytes()).unwrap();
        }
        let mut out = Vec::new();
        assert_eq!(slice.write(&mut out).unwrap(), 3);
        assert_eq!(String::from_utf8(out).unwrap(), "m,host=a x=3 1\nm,host=b x=1 1\nm,host=a x=2,y=4,z=5 2\n");
    }
}
