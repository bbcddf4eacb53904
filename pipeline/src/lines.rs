//! Line protocol, as Telegraf and InfluxDB's clients write it: an event is a line, its verdict more fields of it.

use std::ops::Range;

use memchr::memchr;

use crate::format::{EntityRate, EventVerdict, Format, Opened, Reading, VectorVerdict};
use crate::grammar::Grammar;
use crate::line::{self, Field, Refusal};
use crate::splice;

/// Line protocol.
#[derive(Debug)]
pub struct Lines {
    /// What its times count, in nanoseconds; none where each tells it by its size.
    unit: Option<i64>,
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
        Self { unit: Some(1), head_end: 0, grammar }
    }

    /// From now on times count this many nanoseconds, 1 at least: InfluxDB's clients may write milliseconds, for one. With
    /// none each time tells by its size what it counts, as InfluxDB 3 has it.
    pub fn set_unit(&mut self, unit: Option<i64>) {
        self.unit = unit.map(|unit| unit.max(1));
    }

    /// Whether each event of a whole body tells its time, so that InfluxDB has the same after the body came twice. Of what
    /// is not read (malformed, or scored already) that is not known.
    #[must_use]
    pub fn all_have_times(grammar: Grammar, body: &[u8]) -> bool {
        let (mut lines, mut fields, mut at) = (Self::of(grammar), Vec::new(), 0);
        while at < body.len() {
            let event = at..lines.end(&body[at..]).map_or(body.len(), |end| at + end);
            at = event.end;
            let opened = match lines.open(body, event.clone()) {
                Opened::Metric(head) => lines.confirm(body, event.clone(), head),
                opened => opened,
            };
            let told = match opened {
                Opened::Other => true,
                Opened::Metric(_) => lines.read(body, event, 0, &mut fields).is_ok_and(|read| read.time.is_some()),
                Opened::Malformed | Opened::Unknown => false,
            };
            if !told {
                return false;
            }
        }
        true
    }
}

/// What a time counts, in nanoseconds, told by its size: seconds and the like until the year 2128, as InfluxDB 3 guesses.
fn guessed(time: i64) -> i64 {
    match time.unsigned_abs() {
        0..5_000_000_000 => 1_000_000_000,
        5_000_000_000..5_000_000_000_000 => 1_000_000,
        5_000_000_000_000..5_000_000_000_000_000 => 1_000,
        _ => 1,
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
        let time = body.time.map(|time| time.saturating_mul(self.unit.unwrap_or_else(|| guessed(time))));
        Ok(Reading { base: event.start, time, place: event.start + body.fields_end })
    }

    fn text<'a>(&'a self, buffer: &'a [u8]) -> &'a [u8] {
        buffer
    }

    fn splice_at(place: usize) -> usize {
        place
    }

    fn write(&self, out: &mut Vec<u8>, _: &[u8], _: usize, told: &EventVerdict<'_>) {
        splice::write(out, told);
    }

    fn write_vector<'a>(
        &self,
        out: &mut Vec<u8>,
        told: &VectorVerdict<'_>,
        names: &(impl Iterator<Item = &'a str> + Clone),
    ) {
        splice::write_event(out, &VectorVerdict { time: told.time.div_euclid(self.unit.unwrap_or(1)), ..*told }, names);
    }

    fn write_rate(&self, out: &mut Vec<u8>, told: &EntityRate<'_>) {
        splice::write_rate(out, &EntityRate { time: told.time.div_euclid(self.unit.unwrap_or(1)), ..*told });
    }
}

fn indent(event: &[u8]) -> usize {
    event.iter().take_while(|&&byte| line::is_space(byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_with_an_event_that_tells_no_time_is_another_each_time() {
        let all = |body: &str| Lines::all_have_times(Grammar::Influxdb, body.as_bytes());
        for body in ["", "m v=1 5", "m v=1 5\n\n# m v=1\nm,a=b\\ c s=\"x\ny\",t=t -5\r\n", "m s=\"x\" 0\n"] {
            assert!(all(body), "{body}");
        }
        for body in ["m v=1", "m v=1 5\nm v=1\nm v=1 5\n", "m v=1 \n", "m v= 5\n", "nonsense\n", "m anomaly_score=1 5"]
        {
            assert!(!all(body), "{body}");
        }
    }

    #[test]
    fn a_time_without_a_unit_tells_it_by_its_size() {
        let now = 1_700_000_000_123_456_789_i64;
        for (unit, least) in [(1_000_000_000, 0), (1_000_000, 5_000_000_000), (1_000, 5_000_000_000_000)] {
            assert_eq!([now / unit, -now / unit, least].map(guessed), [unit; 3]);
            assert_ne!(guessed(5 * 1_000_000_000_000_000_000 / unit), unit);
        }
        assert_eq!([now, i64::MIN, i64::MAX].map(guessed), [1; 3]);
        let mut lines = Lines::default();
        lines.set_unit(None);
        for (time, expected) in
            [("1700000000", 1_700_000_000_000_000_000), ("1700000000123", 1_700_000_000_123_000_000)]
        {
            let line = format!("m v=1 {time}");
            lines.open(line.as_bytes(), 0..line.len());
            let read = lines.read(line.as_bytes(), 0..line.len(), 0, &mut Vec::new()).unwrap();
            assert_eq!(read.time, Some(expected));
        }
    }
}
