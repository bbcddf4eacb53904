//! Feeds history into a pipeline, as many rows at a time as its buffer holds.

use super::{Error, Input, Row};

/// A source of rows.
pub trait Source {
    /// Why reading fails.
    type Error;

    /// Appends the next row to `out` as a line of line protocol with its end. `None` after the last.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Row>, Self::Error>;

    /// Whether the last row begins a new time window, so that the rows before it must be passed on without it.
    fn begins_window(&self) -> bool {
        false
    }
}

impl Source for Input {
    type Error = Error;

    fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Row>, Error> {
        Self::next(self, out)
    }
}

impl<S: Source> Source for &mut S {
    type Error = S::Error;

    fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Row>, S::Error> {
        S::next(self, out)
    }

    fn begins_window(&self) -> bool {
        S::begins_window(self)
    }
}

/// A source that is read one row ahead, because only then is it known whether the row fits.
#[derive(Debug)]
pub struct Feed<S> {
    source: S,
    pending: Option<Row>,
    /// The line of the pending row, if it has one.
    line: Vec<u8>,
    rows: u64,
    now: i64,
}

impl<S: Source> Feed<S> {
    /// Reads the first row.
    ///
    /// # Errors
    ///
    /// As [`Source::next`].
    pub fn new(mut source: S) -> Result<Self, S::Error> {
        let mut line = Vec::new();
        let pending = source.next(&mut line)?;
        Ok(Self { source, pending, line, rows: 0, now: i64::MIN })
    }

    /// Copies the lines of the next rows into `room`, as many as fit or come before a new [window](Source::begins_window), and
    /// returns how many bytes they take: 0 if no row has a line. Calls `on_row` with each row and the latest time so far.
    ///
    /// # Errors
    ///
    /// As [`Source::next`].
    ///
    /// # Panics
    ///
    /// If `room` is too small for a single line, which is at most `MAX_EVENT` long.
    pub fn fill(&mut self, room: &mut [u8], mut on_row: impl FnMut(&Row, i64)) -> Result<usize, S::Error> {
        let Self { source, pending, line, rows, now } = self;
        let mut filled = 0;
        while let Some(row) = *pending {
            if filled > 0 && filled + line.len() > room.len() {
                break;
            }
            *now = row.time.map_or(*now, |time| time.max(*now));
            if row.has_line {
                room[filled..][..line.len()].copy_from_slice(line);
                filled += line.len();
            }
            *rows += 1;
            on_row(&row, *now);
            line.clear();
            *pending = source.next(line)?;
            if source.begins_window() {
                break;
            }
        }
        Ok(filled)
    }

    /// Whether all rows have been passed on.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.pending.is_none()
    }

    /// The number of rows passed on.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Their latest time, in nanoseconds since 1970; `i64::MIN` before the first.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.now
    }

    /// The source, of which one more row has been read than was passed on.
    #[must_use]
    pub fn source(&self) -> &S {
        &self.source
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// Rows with lines of four bytes: every third begins a window, every fifth has no line.
    struct Lines(i64, i64);

    impl Source for Lines {
        type Error = Infallible;

        fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Row>, Infallible> {
            if self.0 == self.1 {
                return Ok(None);
            }
            self.0 += 1;
            let has_line = self.0 % 5 != 0;
            if has_line {
                out.extend_from_slice(b"abc\n");
            }
            Ok(Some(Row { time: Some(self.0), has_line }))
        }

        fn begins_window(&self) -> bool {
            self.0 % 3 == 1
        }
    }

    #[test]
    fn each_row_is_passed_on_once_up_to_the_next_window() {
        let mut feed = Feed::new(Lines(0, 10)).unwrap();
        let (mut rows, mut filled, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        let mut room = [0; 9];
        while !feed.has_ended() {
            filled.push(feed.fill(&mut room, |row, now| rows.push((row.time.unwrap(), now))).unwrap());
            ends.push(feed.rows());
        }
        assert_eq!(rows, (1..=10).map(|row| (row, row)).collect::<Vec<_>>());
        assert_eq!(ends, [2, 3, 6, 8, 9, 10]);
        assert_eq!(filled, [8, 4, 8, 8, 4, 0]);
    }
}
