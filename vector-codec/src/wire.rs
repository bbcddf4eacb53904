//! The part of protocol buffers' wire format that metrics need.

/// One field of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Field {
    pub(super) number: u64,
    pub(super) value: Value,
    /// The offsets of its beginning, its number included, and of its end.
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Integer(u64),
    /// Eight bytes.
    Fixed(u64),
    /// Four bytes, which are not used.
    Short,
    /// Bytes, a text or a message: its offsets.
    Bytes(usize, usize),
}

/// The bytes are no valid message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

/// Reads a message field by field.
#[derive(Debug, Clone)]
pub(super) struct Message<'a> {
    /// Up to where the message ends.
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Message<'a> {
    /// The message that lies at `start..end`; positions are counted from the beginning of `bytes`.
    #[inline]
    pub(super) fn new(bytes: &'a [u8], start: usize, end: usize) -> Self {
        Self { bytes: &bytes[..end], at: start }
    }

    /// The next field, if there is one.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Field>, Broken> {
        let start = self.at;
        if start >= self.bytes.len() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            2 => {
                let length = self.varint()?;
                let from = self.at;
                if length > (self.bytes.len() - from) as u64 {
                    return Err(Broken);
                }
                self.at += length as usize;
                Value::Bytes(from, self.at)
            }
            0 => Value::Integer(self.varint()?),
            1 => {
                let bytes = self.bytes[self.at..].first_chunk::<8>().ok_or(Broken)?;
                self.at += 8;
                Value::Fixed(u64::from_le_bytes(*bytes))
            }
            5 if self.bytes.len() - self.at >= 4 => {
                self.at += 4;
                Value::Short
            }
            _ => return Err(Broken), // groups, which are obsolete, and invalid types
        };
        if tag >> 3 == 0 {
            return Err(Broken);
        }
        Ok(Some(Field { number: tag >> 3, value, start, end: self.at }))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, Broken> {
        match self.bytes.get(self.at) {
            Some(&byte) if byte < 0x80 => {
                self.at += 1;
                Ok(byte.into())
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Broken> {
        let mut value = 0;
        for (place, &byte) in self.bytes[self.at..].iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                self.at += place + 1;
                return if place == 9 && byte > 1 { Err(Broken) } else { Ok(value) };
            }
        }
        Err(Broken)
    }
}

impl Value {
    /// A double.
    #[cfg(test)]
    pub(super) fn double(self) -> Option<f64> {
        if let Self::Fixed(bits) = self { Some(f64::from_bits(bits)) } else { None }
    }
}

/// Appends a number.
pub(super) fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes a number takes.
pub(super) fn varint_len(value: u64) -> usize {
    (u64::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read() {
        let mut bytes = vec![0x08, 0x96, 0x01]; // 1: 150
        bytes.extend(b"\xa2\x01\x04text");
        bytes.extend([0x19, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f]); // 3: 1.5
        bytes.extend([0x25, 1, 2, 3, 4]);
        let mut message = Message::new(&bytes, 0, bytes.len());
        let mut next = || message.next().unwrap().map(|field| (field.number, field.value, field.start, field.end));
        assert_eq!(next(), Some((1, Value::Integer(150), 0, 3)));
        assert_eq!(next(), Some((20, Value::Bytes(6, 10), 3, 10)));
        let (number, value, ..) = next().unwrap();
        assert_eq!((number, value.double()), (3, Some(1.5)));
        assert_eq!(next(), Some((4, Value::Short, 19, 24)));
        assert_eq!(next(), None);
    }

    #[test]
    fn what_is_no_message_is_broken() {
        for bytes in [
            &[0x80][..],
            &[0x08],
            &[0x0a, 5, 1],
            &[0x0b],
            &[0x0c],
            &[0x0e],
            &[0x00, 1],
            &[0x25, 1, 2],
            &[0x09, 1, 2],
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0],
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ] {
            assert_eq!(Message::new(bytes, 0, bytes.len()).next(), Err(Broken), "{bytes:x?}");
        }
    }

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = vec![0x08];
            write_varint(&mut bytes, value);
            assert_eq!(bytes.len() - 1, varint_len(value));
            let field = Message::new(&bytes, 0, bytes.len()).next().unwrap().unwrap();
            assert_eq!(field.value, Value::Integer(value));
        }
    }
}
