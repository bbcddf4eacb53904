//! Line protocol, as Telegraf and InfluxDB's clients write it: an event is a line, its verdict more fields of it.

use std::ops::Range;

use memchr::memchr;

use crate::format::{Format, Opened, Reading, Told, ToldRate, ToldVector};
use crate::grammar::Grammar;
use crate::line::{self, Field, Refusal};
use crate::splice;

/// Line protocol.
#[derive(Debug)]
pub struct Lines {
    /// What its times count, in nanoseconds.
    unit: i64,
    /// Where the head of the event at hand ends.
    head_end: usize,
    /// Who reads them again.
    grammar: Grammar,
}

impl Default for Lines {
    /// Telegraf's, with times in nanoseconds.
    fn default() -> Self {
        Self::of(Grammar::Telegraf)
    }
}

impl Lines {
    /// Lines that this reader takes, with times in nanoseconds.
    #[must_use]
    pub fn of(grammar: Grammar) -> Self {
        Self { unit: 1, head_end: 0, grammar }
    }

    /// From now on times count this many nanoseconds, 1 at least: InfluxDB's clients may write milliseconds, for one.
    pub fn set_unit(&mut self, unit: i64) {
        self.unit = unit.max(1);
    }
}

impl Format for Lines {
    /// Behind its last field.
    type Place = usize;

    fn end(&self, bytes: &[u8]) -> Option<usize> {
        line::event_end(bytes, self.grammar)
    }

    fn give_up(&mut self, _: &[u8]) {}

    /// Behind the next newline. (Where that stands in a string that is longer than an event may be, what follows is taken
    /// for an event. A closing quote that may never come is no better sign.)
    fn resume(&mut self, bytes: &[u8]) -> Option<usize> {
        memchr(b'\n', bytes).map(|newline| newline + 1)
    }

    fn begin(&mut self) {}

    fn open(&mut self, buffer: &[u8], event: Range<usize>) -> Opened {
        let start = event.start + indent(&buffer[event.clone()]);
        let event = &buffer[start..event.end];
        if let [] | [b'\n' | b'#', ..] | b"\r\n" = event {
            return Opened::Other; // blank, or a comment
        }
        let guess = line::head_guess(event).or_else(|| self.grammar.head_end(event));
        let Some(head_end) = guess else { return Opened::Malformed };
        self.head_end = start + head_end;
        Opened::Metric(start..self.head_end)
    }

    fn confirm(&mut self, buffer: &[u8], event: Range<usize>, head: Range<usize>) -> Opened {
        let Some(length) = self.grammar.head_end(&buffer[head.start..event.end]) else { return Opened::Malformed };
        self.head_end = head.start + length;
        Opened::Metric(head.start..self.head_end)
    }

    fn read(
        &mut self,
        buffer: &[u8],
        event: Range<usize>,
        _: i64,
        fields: &mut Vec<Field>,
    ) -> Result<Reading<usize>, Refusal> {
        let body = line::read_body(&buffer[event.clone()], self.head_end - event.start, self.grammar, fields)?;
        let time = body.time.map(|time| time.saturating_mul(self.unit));
        Ok(Reading { base: event.start, time, place: event.start + body.fields_end })
    }

    fn text<'a>(&'a self, buffer: &'a [u8]) -> &'a [u8] {
        buffer
    }

    fn splice_at(place: usize) -> usize {
        place
    }

    fn write(&self, out: &mut Vec<u8>, _: &[u8], _: usize, told: &Told<'_>) {
        splice::write(out, told);
    }

    fn write_vector<'a>(
        &self,
        out: &mut Vec<u8>,
        told: &ToldVector<'_>,
        names: &(impl Iterator<Item = &'a str> + Clone),
    ) {
        splice::write_event(out, &ToldVector { time: told.time.div_euclid(self.unit), ..*told }, names);
    }

    fn write_rate(&self, out: &mut Vec<u8>, told: &ToldRate<'_>) {
        splice::write_rate(out, &ToldRate { time: told.time.div_euclid(self.unit), ..*told });
    }
}

fn indent(event: &[u8]) -> usize {
    event.iter().take_while(|&&byte| line::is_space(byte)).count()
}
