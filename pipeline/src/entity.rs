//! Which entity an event belongs to, and which of its intervals: what vectors and anomaly rates are counted by.

use crate::line;

/// The longest text of an entity's tags; an event with a longer one belongs to none. It is kept for each entity.
pub(crate) const MOST_TAGS: usize = 1 << 10;

/// How far behind its entity's interval an event may be and still be taken for late, in nanoseconds: one that is further
/// behind means that a clock was put back, or once ran wild.
const MOST_LATE: i64 = 3_600_000_000_000;

/// The same for an interval of this length.
pub(crate) fn most_late(interval: i64) -> i64 {
    MOST_LATE.max(interval.saturating_mul(2))
}

/// When the interval begins that a time falls into: nanoseconds, counted from 1970; of length 0, each time is one.
pub(crate) fn interval_start(time: i64, interval: i64) -> i64 {
    if interval > 0 { time.saturating_sub(time.rem_euclid(interval)) } else { time }
}

/// The tags of this head that tell its entity, by `keys`, as they stand there: `,host=a`. One that it lacks is left out.
pub(crate) fn tags(head: &[u8], keys: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    for key in keys {
        let mut tags = line::head_parts(head).skip(1).filter_map(line::tag);
        let told = tags.find(|(k, _)| line::unescape(k).as_ref() == key.as_bytes());
        if let Some((key, value)) = told.filter(|(_, value)| !value.is_empty()) {
            out.extend([b",", key, b"=", value].concat());
        }
    }
    out
}
