//! Line protocol: events as they are.

use std::io::BufRead;

use qualm_stream::line;
use qualm_stream::pipeline::MAX_EVENT;

use super::{History, Row};

pub(super) struct Lp<R> {
    reader: R,
    /// Bytes that were read and belong to no event yet.
    held: Vec<u8>,
    line: u64,
}

impl<R: BufRead> Lp<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, held: Vec::new(), line: 1 }
    }
}

impl<R: BufRead> History for Lp<R> {
    fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Row>, (u64, String)> {
        let Self { reader, held, line } = self;
        loop {
            held.clear();
            // Lines until they are a whole event: all but those with a line break in a string are one.
            while line::event_end(held).is_none() {
                let before = held.len();
                reader.read_until(b'\n', held).map_err(|error| (*line, error.to_string()))?;
                if held.len() == before {
                    break;
                }
                if held.len() > MAX_EVENT {
                    return Err((
                        *line,
                        "a line is longer than 1 MiB; is a quote missing at the end of a text?".to_owned(),
                    ));
                }
            }
            if held.is_empty() {
                return Ok(None);
            }
            *line += line::count_newlines(held) as u64;
            let event = held.trim_ascii_start();
            if event.is_empty() || event[0] == b'#' {
                continue;
            }
            let mut fields = Vec::new();
            let body = line::head_end(event).map(|head| line::read_body(event, head, &mut fields));
            out.extend_from_slice(event);
            if !event.ends_with(b"\n") {
                out.push(b'\n');
            }
            return Ok(Some(Row { time: body.and_then(Result::ok).and_then(|body| body.time), has_line: true }));
        }
    }

    fn columns(&self) -> Option<&[String]> {
        None
    }
}
