//! A line of text from the other side, which is not trusted: neither to be short, nor to be quick.

use std::io::{self, ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    /// It is too long.
    #[error("a line is longer than {0} bytes")]
    TooLong(usize),
    /// It took too long.
    #[error("there was no whole line within {0:?}")]
    Late(Duration),
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads lines of at most so many bytes.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    stream: &'a UnixStream,
    most: usize,
    /// What was read, the lines that were returned excepted.
    buffer: Vec<u8>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(stream: &'a UnixStream, most: usize) -> Self {
        Self { stream, most, buffer: Vec::new() }
    }

    /// The next line, without its end. `None` at the end of the stream; what stands before it without an end is no line.
    pub(super) fn next(&mut self, timeout: Duration) -> Result<Option<Vec<u8>>, LineError> {
        let deadline = Instant::now() + timeout;
        let mut seen = 0;
        loop {
            if let Some(end) = self.buffer[seen..].iter().position(|&byte| byte == b'\n') {
                let rest = self.buffer.split_off(seen + end + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                return Ok(Some(line));
            }
            seen = self.buffer.len();
            if seen > self.most {
                return Err(LineError::TooLong(self.most));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(LineError::Late(timeout));
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut part = [0; 4096];
            match self.stream.read(&mut part) {
                Ok(0) => return Ok(None),
                Ok(read) => self.buffer.extend_from_slice(&part[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(LineError::Late(timeout)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
