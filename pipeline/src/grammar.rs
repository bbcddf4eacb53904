//! The variants of line protocol. Output for Telegraf must be what its parser accepts; InfluxDB accepts a little more.

use memchr::memchr2;

/// The program that reads the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Grammar {
    /// Telegraf: `plugins/parsers/influx/machine.go.rl` in its source.
    #[default]
    Telegraf,
    /// InfluxDB: a backslash in a string may stand before anything, as in `"C:\temp"`, and a head ends at a space alone.
    Influxdb,
}

/// The end of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StringEnd {
    /// The offset after its closing quote.
    Closed(usize),
    /// It has an escape that the grammar does not allow, at this offset.
    Broken(usize),
    /// Its end has not arrived yet.
    Open,
}

impl Grammar {
    /// The length of the head (measurement and tags) of an event that starts with it. `None` if it is invalid or
    /// incomplete.
    #[must_use]
    pub fn head_end(self, event: &[u8]) -> Option<usize> {
        let mut at = 0;
        // In a measurement a backslash escapes any next byte.
        loop {
            match *event.get(at)? {
                b'\\' if self.is_forbidden(*event.get(at + 1)?) => return None,
                b'\\' => at += 2,
                b',' if at > 0 => break,
                byte if self.ends_head(byte) => return (at > 0).then_some(at),
                byte if byte == b',' || self.is_forbidden(byte) => return None,
                _ => at += 1,
            }
        }
        loop {
            let equals = self.tag_part_end(event, at + 1)?;
            if event[equals] != b'=' {
                return None;
            }
            at = self.tag_part_end(event, equals + 1)?;
            match event[at] {
                b',' => {}
                b'=' => return None,
                _ => return Some(at),
            }
        }
    }

    /// Where a tag's key or value that begins at `from` ends: at a comma, an equals sign, or the end of the head. A
    /// backslash escapes the next byte unless that is another backslash. `None` if it is empty.
    fn tag_part_end(self, event: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            match *event.get(at)? {
                b'\\' => match *event.get(at + 1)? {
                    b'\\' => at += 1,
                    byte if self.is_forbidden(byte) => return None,
                    _ => at += 2,
                },
                byte if matches!(byte, b',' | b'=') || self.ends_head(byte) => return (at > from).then_some(at),
                byte if self.is_forbidden(byte) => return None,
                _ => at += 1,
            }
        }
    }

    /// The end of the string that opens at `open`.
    pub(crate) fn string_end(self, bytes: &[u8], open: usize) -> StringEnd {
        let mut at = open + 1;
        loop {
            let Some(next) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) else {
                return StringEnd::Open;
            };
            at += next;
            if bytes[at] == b'"' {
                return StringEnd::Closed(at + 1);
            }
            match bytes.get(at + 1) {
                None => return StringEnd::Open,
                Some(b'"' | b'\\') => {}
                Some(_) if self == Self::Influxdb => {}
                Some(_) => return StringEnd::Broken(at + 1),
            }
            at += 2; // a backslash and what it escapes
        }
    }

    const fn ends_head(self, byte: u8) -> bool {
        match self {
            Self::Telegraf => is_space(byte),
            Self::Influxdb => byte == b' ',
        }
    }

    /// Whether a byte is invalid in a head, even after a backslash.
    const fn is_forbidden(self, byte: u8) -> bool {
        match self {
            Self::Telegraf => matches!(byte, b'\t'..=b'\r'),
            Self::Influxdb => byte == b'\n',
        }
    }
}

/// Whether a byte is white space within a line.
pub(crate) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0b | 0x0c)
}
