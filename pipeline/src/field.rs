//! A field of an event.

/// A numeric or boolean field of an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field {
    /// Where its key starts, as an offset into the event.
    pub key: u32,
    /// The key's length in bytes, escapes included.
    pub key_len: u32,
    /// It is true or false, which is a number only to whoever asks for it by name.
    pub boolean: bool,
    /// Its value: of a boolean 0 or 1. Integers beyond 2⁵³ lose their last digits.
    pub value: f64,
}

impl Field {
    /// The field's key in `event`, the bytes it was read from.
    #[must_use]
    pub fn key<'a>(&self, event: &'a [u8]) -> &'a [u8] {
        &event[self.key as usize..][..self.key_len as usize]
    }
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value {
    Number(f64),
    Boolean(bool),
    Text,
}
