//! The entity and the interval of an event, by which vectors and anomaly rates are counted.

use crate::line;

/// The most bytes of an entity's tags, which are stored for each entity; an event with more belongs to none.
pub(crate) const MAX_TAGS_LENGTH: usize = 1 << 10;

/// How far before its entity's interval an event may be and still count as late, in nanoseconds. An earlier one means that a
/// clock was set back, or was once wrong.
const MAX_LATENESS: i64 = 3_600_000_000_000;

/// The same for intervals of this length.
pub(crate) fn max_lateness(interval: i64) -> i64 {
    MAX_LATENESS.max(interval.saturating_mul(2))
}

/// The beginning of the interval of a time: nanoseconds, counted from 1970. With length 0, each time is an interval.
pub(crate) fn interval_start(time: i64, interval: i64) -> i64 {
    if interval > 0 { time.saturating_sub(time.rem_euclid(interval)) } else { time }
}

/// The tags of this head with these keys, as in line protocol: `,host=a`. Missing ones are omitted.
pub(crate) fn tags(head: &[u8], keys: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    for key in keys {
        let mut tags = line::head_parts(head).skip(1).filter_map(line::tag);
        let tag = tags.find(|(k, _)| line::unescape(k).as_ref() == key.as_bytes());
        if let Some((key, value)) = tag.filter(|(_, value)| !value.is_empty()) {
            out.extend([b",", key, b"=", value].concat());
        }
    }
    out
}
