//! Of several fields with one key the last one counts. Whether a key came before is told by a bit of its hash, mostly: only
//! where that is set are the fields looked through.

use crate::line::{Field, Value};

/// From this many fields on looking through them costs too much: they are sorted at the end.
const MANY: usize = 256;

/// The keys of an event's fields.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// A set of the keys' hashes.
    bits: [u64; 16],
}

impl Seen {
    /// Takes a field in: its key, which begins at `at` in `event`, and its value.
    #[inline]
    pub(crate) fn put(&mut self, event: &[u8], fields: &mut Vec<Field>, key: &[u8], at: usize, value: Value) {
        let (value, boolean) = match value {
            Value::Number(value) => (value, false),
            Value::Boolean(value) => (f64::from(u8::from(value)), true),
            Value::Text if fields.is_empty() => return, // nothing came before it that it could take the place of
            Value::Text => (f64::NAN, false),
        };
        let hash = hash(key);
        let (word, bit) = (usize::from(hash >> 6), 1 << (hash & 63));
        let field = Field { key: at as u32, key_len: key.len() as u32, boolean, value };
        if fields.len() >= MANY {
            fields.push(field); // what is text is sorted out at the end
        } else if self.bits[word] & bit != 0 {
            put_again(event, fields, key, field);
        } else if !value.is_nan() {
            self.bits[word] |= bit;
            fields.push(field);
        }
    }

    /// Ends an event.
    pub(crate) fn finish(event: &[u8], fields: &mut Vec<Field>) {
        if fields.len() >= MANY {
            let place = |field: &Field| std::cmp::Reverse(field.key);
            fields.sort_unstable_by(|a, b| a.key(event).cmp(b.key(event)).then(place(a).cmp(&place(b))));
            fields.dedup_by(|later, kept| later.key(event) == kept.key(event));
            fields.retain(|field| !field.value.is_nan());
            fields.sort_unstable_by_key(|field| field.key);
        }
    }
}

/// Takes a field in whose key came before, or one with the same hash.
#[cold]
#[inline(never)]
fn put_again(event: &[u8], fields: &mut Vec<Field>, key: &[u8], field: Field) {
    match fields.iter().position(|before| before.key(event) == key) {
        Some(at) if field.value.is_nan() => {
            fields.remove(at);
        }
        Some(at) => fields[at] = field,
        None if field.value.is_nan() => {}
        None => fields.push(field),
    }
}

/// Ten bits that differ between most keys that come together: those differ in their last bytes or in their length.
fn hash(key: &[u8]) -> u16 {
    let tail = match key {
        [.., a, b, c, d] => u32::from_le_bytes([*a, *b, *c, *d]),
        _ => key.iter().fold(0, |tail, &byte| tail << 8 | u32::from(byte)),
    };
    ((tail ^ key.len() as u32).wrapping_mul(0x9e37_79b1) >> 22) as u16
}
