//! Of several fields with one key the last one counts. A bit of a key's hash usually shows that it is new; only if the bit is
//! set, earlier fields are scanned.

use crate::field::{Field, Value};

/// With more fields a scan costs too much: they are sorted at the end.
const MAX_SCANNED_FIELDS: usize = 256;

/// The keys of an event's fields.
#[derive(Debug, Default)]
pub(crate) struct FieldDedup {
    /// A set of the keys' hashes.
    bits: [u64; 16],
}

impl FieldDedup {
    /// Adds a field: its key, which begins at `at` in `event`, and its value.
    #[inline]
    pub(crate) fn push_field(&mut self, event: &[u8], fields: &mut Vec<Field>, key: &[u8], at: usize, value: Value) {
        let (value, boolean) = match value {
            Value::Number(value) => (value, false),
            Value::Boolean(value) => (f64::from(u8::from(value)), true),
            Value::Text if fields.is_empty() => return, // there is no field that it could replace
            Value::Text => (f64::NAN, false),
        };
        let hash = hash(key);
        let (word, bit) = (usize::from(hash >> 6), 1 << (hash & 63));
        let field = Field { key: at as u32, key_len: key.len() as u32, boolean, value };
        if fields.len() >= MAX_SCANNED_FIELDS {
            fields.push(field); // texts are removed at the end
        } else if self.bits[word] & bit != 0 {
            replace_field(event, fields, key, field);
        } else if !value.is_nan() {
            self.bits[word] |= bit;
            fields.push(field);
        }
    }

    /// Ends an event.
    pub(crate) fn finish(event: &[u8], fields: &mut Vec<Field>) {
        if fields.len() >= MAX_SCANNED_FIELDS {
            let place = |field: &Field| std::cmp::Reverse(field.key);
            fields.sort_unstable_by(|a, b| a.key(event).cmp(b.key(event)).then(place(a).cmp(&place(b))));
            fields.dedup_by(|later, kept| later.key(event) == kept.key(event));
            fields.retain(|field| !field.value.is_nan());
            fields.sort_unstable_by_key(|field| field.key);
        }
    }
}

/// Adds a field whose key, or one with the same hash, came before.
#[cold]
#[inline(never)]
fn replace_field(event: &[u8], fields: &mut Vec<Field>, key: &[u8], field: Field) {
    match fields.iter().position(|before| before.key(event) == key) {
        Some(at) if field.value.is_nan() => {
            fields.remove(at);
        }
        Some(at) => fields[at] = field,
        None if field.value.is_nan() => {}
        None => fields.push(field),
    }
}

/// Ten bits of a hash that differ between most keys of an event: these differ in their last bytes or in length.
fn hash(key: &[u8]) -> u16 {
    let tail = match key {
        [.., a, b, c, d] => u32::from_le_bytes([*a, *b, *c, *d]),
        _ => key.iter().fold(0, |tail, &byte| tail << 8 | u32::from(byte)),
    };
    ((tail ^ key.len() as u32).wrapping_mul(0x9e37_79b1) >> 22) as u16
}
