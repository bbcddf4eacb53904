//! Line protocol, unchanged.

use std::io::{BufRead, Read as _};

use qualm_pipeline::pipeline::MAX_EVENT;
use qualm_pipeline::{Grammar, line};

use super::{Fault, History, Row};

/// A line number, and the event that begins there.
type Event<'a> = (u64, &'a [u8]);

/// The events of a file: all lines that are neither empty nor comments.
pub(crate) struct Events<R> {
    reader: R,
    /// Bytes of the current event.
    held: Vec<u8>,
    line: u64,
}

impl<R: BufRead> Events<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, held: Vec::new(), line: 1 }
    }

    /// The next event with its line end, and the line where it begins. After an error no further event can be found.
    pub(crate) fn next(&mut self) -> Result<Option<Event<'_>>, (u64, Fault)> {
        let Self { reader, held, line } = self;
        let mut begins;
        loop {
            held.clear();
            // Reads lines until the event is complete: only a string with a line break spans several.
            loop {
                let before = held.len();
                let room = (MAX_EVENT + 1).saturating_sub(before) as u64;
                let read = reader.by_ref().take(room).read_until(b'\n', held);
                read.map_err(|error| (*line, error.into()))?;
                if held.len() > MAX_EVENT {
                    return Err((*line, Fault::LongLine));
                }
                if held.len() == before {
                    break;
                }
                // An incomplete event is in a string, which only a quote ends: without one, there is no need to parse.
                let may_end = before == 0 || held[before..].contains(&b'"');
                if may_end && line::event_end(held, Grammar::Telegraf).is_some() {
                    break;
                }
            }
            if held.is_empty() {
                return Ok(None);
            }
            begins = *line;
            *line += line::count_newlines(held) as u64;
            let event = held.trim_ascii_start();
            if !event.is_empty() && event[0] != b'#' {
                break;
            }
        }
        Ok(Some((begins, held.trim_ascii_start())))
    }
}

pub(crate) struct Lp<R> {
    events: Events<R>,
}

impl<R: BufRead> Lp<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { events: Events::new(reader) }
    }
}

impl<R: BufRead> History for Lp<R> {
    fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Row>, (u64, Fault)> {
        let Some((_, event)) = self.events.next()? else { return Ok(None) };
        let mut fields = Vec::new();
        let body = line::read_event(event, &mut fields);
        out.extend_from_slice(event);
        if !event.ends_with(b"\n") {
            out.push(b'\n');
        }
        Ok(Some(Row { time: body.ok().and_then(|(_, body)| body.time), has_line: true }))
    }

    fn columns(&self) -> Option<&[String]> {
        None
    }
}
