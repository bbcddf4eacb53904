//! Line protocol, as Telegraf and InfluxDB's clients write it: an event is a line, its verdict further fields.

use std::ops::Range;

use memchr::memchr;

use crate::field::Field;
use crate::format::{EntityRate, EventFields, EventKind, EventVerdict, Format, VectorVerdict};
use crate::grammar::{Grammar, is_space};
use crate::line::{self, Refusal};
use crate::splice;

/// Line protocol.
#[derive(Debug)]
pub struct Lines {
    /// The unit of times, in nanoseconds; `None` if the magnitude of each gives it.
    unit: Option<i64>,
    /// Where the head of the current event ends.
    head_end: usize,
    /// The grammar of the program that reads the output.
    grammar: Grammar,
}

impl Default for Lines {
    /// Lines for Telegraf, with times in nanoseconds.
    fn default() -> Self {
        Self::of(Grammar::Telegraf)
    }
}

impl Lines {
    /// Lines of this grammar, with times in nanoseconds.
    #[must_use]
    pub fn of(grammar: Grammar) -> Self {
        Self { unit: Some(1), head_end: 0, grammar }
    }

    /// Sets the unit of times, in nanoseconds, at least 1: InfluxDB's clients may write milliseconds. With `None` the magnitude
    /// of each time gives its unit, as in InfluxDB 3.
    pub fn set_unit(&mut self, unit: Option<i64>) {
        self.unit = unit.map(|unit| unit.max(1));
    }

    /// Whether each event of a body has a time, so that InfluxDB has the same after it was written twice. An event that is not
    /// read (malformed, or scored already) counts as one without.
    #[must_use]
    pub fn all_have_times(grammar: Grammar, body: &[u8]) -> bool {
        let (mut lines, mut fields, mut at) = (Self::of(grammar), Vec::new(), 0);
        while at < body.len() {
            let event = at..lines.event_end(&body[at..]).map_or(body.len(), |end| at + end);
            at = event.end;
            let kind = match lines.classify_event(body, event.clone()) {
                EventKind::Metric(head) => lines.confirm_head(body, event.clone(), head),
                kind => kind,
            };
            let has_time = match kind {
                EventKind::Other => true,
                EventKind::Metric(_) => {
                    lines.read_fields(body, event, 0, &mut fields).is_ok_and(|read| read.time.is_some())
                }
                EventKind::Malformed | EventKind::Unknown => false,
            };
            if !has_time {
                return false;
            }
        }
        true
    }
}

/// The unit of a time, in nanoseconds, by its magnitude: seconds and so on until the year 2128, as InfluxDB 3 guesses.
fn guess_unit(time: i64) -> i64 {
    match time.unsigned_abs() {
        0..5_000_000_000 => 1_000_000_000,
        5_000_000_000..5_000_000_000_000 => 1_000_000,
        5_000_000_000_000..5_000_000_000_000_000 => 1_000,
        _ => 1,
    }
}

impl Format for Lines {
    /// The offset after its last field.
    type Place = usize;

    fn event_end(&self, bytes: &[u8]) -> Option<usize> {
        line::event_end(bytes, self.grammar)
    }

    fn skip_event(&mut self, _: &[u8]) {}

    /// After the next newline. (If that is within a string longer than the longest event, the rest is taken for an event. A
    /// closing quote, which may never arrive, would be no better.)
    fn next_event_start(&mut self, bytes: &[u8]) -> Option<usize> {
        memchr(b'\n', bytes).map(|newline| newline + 1)
    }

    fn begin_run(&mut self) {}

    fn classify_event(&mut self, buffer: &[u8], event: Range<usize>) -> EventKind {
        let start = event.start + indent_length(&buffer[event.clone()]);
        let event = &buffer[start..event.end];
        if let [] | [b'\n' | b'#', ..] | b"\r\n" = event {
            return EventKind::Other; // blank, or a comment
        }
        let guess = line::head_guess(event).or_else(|| self.grammar.head_end(event));
        let Some(head_end) = guess else { return EventKind::Malformed };
        self.head_end = start + head_end;
        EventKind::Metric(start..self.head_end)
    }

    fn confirm_head(&mut self, buffer: &[u8], event: Range<usize>, head: Range<usize>) -> EventKind {
        let Some(length) = self.grammar.head_end(&buffer[head.start..event.end]) else { return EventKind::Malformed };
        self.head_end = head.start + length;
        EventKind::Metric(head.start..self.head_end)
    }

    fn read_fields(
        &mut self,
        buffer: &[u8],
        event: Range<usize>,
        _: i64,
        fields: &mut Vec<Field>,
    ) -> Result<EventFields<usize>, Refusal> {
        let body = line::read_body(&buffer[event.clone()], self.head_end - event.start, self.grammar, fields)?;
        let time = body.time.map(|time| time.saturating_mul(self.unit.unwrap_or_else(|| guess_unit(time))));
        Ok(EventFields { base: event.start, time, place: event.start + body.fields_end })
    }

    fn text<'a>(&'a self, buffer: &'a [u8]) -> &'a [u8] {
        buffer
    }

    fn splice_at(place: usize) -> usize {
        place
    }

    fn write_verdict(&self, out: &mut Vec<u8>, _: &[u8], _: usize, verdict: &EventVerdict<'_>) {
        splice::write_verdict(out, verdict);
    }

    fn write_vector_verdict<'a>(
        &self,
        out: &mut Vec<u8>,
        verdict: &VectorVerdict<'_>,
        names: &(impl Iterator<Item = &'a str> + Clone),
    ) {
        splice::write_vector_verdict(
            out,
            &VectorVerdict { time: verdict.time.div_euclid(self.unit.unwrap_or(1)), ..*verdict },
            names,
        );
    }

    fn write_anomaly_rate(&self, out: &mut Vec<u8>, rate: &EntityRate<'_>) {
        splice::write_anomaly_rate(out, &EntityRate { time: rate.time.div_euclid(self.unit.unwrap_or(1)), ..*rate });
    }
}

fn indent_length(event: &[u8]) -> usize {
    event.iter().take_while(|&&byte| is_space(byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_with_an_event_without_time_differs_each_time() {
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
    fn the_magnitude_of_a_time_gives_its_unit() {
        let now = 1_700_000_000_123_456_789_i64;
        for (unit, least) in [(1_000_000_000, 0), (1_000_000, 5_000_000_000), (1_000, 5_000_000_000_000)] {
            assert_eq!([now / unit, -now / unit, least].map(guess_unit), [unit; 3]);
            assert_ne!(guess_unit(5 * 1_000_000_000_000_000_000 / unit), unit);
        }
        assert_eq!([now, i64::MIN, i64::MAX].map(guess_unit), [1; 3]);
        let mut lines = Lines::default();
        lines.set_unit(None);
        for (time, expected) in
            [("1700000000", 1_700_000_000_000_000_000), ("1700000000123", 1_700_000_000_123_000_000)]
        {
            let line = format!("m v=1 {time}");
            lines.classify_event(line.as_bytes(), 0..line.len());
            let read = lines.read_fields(line.as_bytes(), 0..line.len(), 0, &mut Vec::new()).unwrap();
            assert_eq!(read.time, Some(expected));
        }
    }
}
