//! Counts of the events that reach each of a few distances, a byte each.
//!
//! Up to 16 events a count is exact. Beyond, its steps grow, and it takes one with a probability (Morris, Counting Large
//! Numbers of Events in Small Registers, CACM 1978), by a hash of the series' clock. So 64 events are counted to a tenth, while
//! their number itself scatters by an eighth.

use super::record::take;

/// Levels that are counted: 2, 4, 8, … 128 scales. A smaller distance than the first is ordinary.
pub(super) const LEVELS: usize = 7;
pub(super) const MIN_DISTANCE: f32 = 2.0;
/// The weight of an event. A reported one has less.
pub(super) const EVENT: u8 = 4;

/// Codes below `EXACT` are the number itself; beyond, 2^`DIGITS` codes double it.
const EXACT: u8 = 64;
const DIGITS: u32 = 5;

/// The events of siblings at each level, in units of 1/[`EVENT`], and the share of them that counts as a series' own.
#[derive(Clone, Copy, Debug)]
pub(super) struct SiblingCounts<'a> {
    pub(super) counts: &'a [u16; LEVELS],
    pub(super) share: f64,
}

/// The events that reach each level, in units of 1/[`EVENT`], as codes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Counts([u8; LEVELS]);

impl Counts {
    pub(super) const fn new() -> Self {
        Self([0; LEVELS])
    }

    /// Adds an event that crosses these levels, at the row `clock`.
    pub(super) fn add_event(&mut self, levels: std::ops::Range<usize>, event_weight: u8, clock: u16) {
        for code in &mut self.0[levels] {
            *code = code.saturating_add(steps(*code, event_weight, clock));
        }
    }

    /// Subtracts a part of an event that was added.
    pub(super) fn subtract_event(&mut self, levels: std::ops::Range<usize>, part: u8, clock: u16) {
        for code in &mut self.0[levels] {
            *code = code.saturating_sub(steps(*code, part, clock));
        }
    }

    /// Halves all counts.
    pub(super) fn halve_counts(&mut self) {
        self.0 = self.0.map(|code| encode(decode(code) / 2));
    }

    /// The decoded counts.
    pub(super) fn numbers(self) -> [u16; LEVELS] {
        self.0.map(decode)
    }

    /// The events that reach each level, with those of siblings.
    pub(super) fn events(self, sibling_counts: Option<SiblingCounts<'_>>) -> [f64; LEVELS] {
        let event = 1.0 / f64::from(EVENT);
        let mut events = self.numbers().map(|count| f64::from(count) * event);
        if let Some(SiblingCounts { counts, share }) = sibling_counts {
            for (own, theirs) in events.iter_mut().zip(counts) {
                *own += f64::from(*theirs) * event * share;
            }
        }
        events
    }

    /// Appends the fields.
    pub(super) fn write_state(self, out: &mut Vec<u8>) {
        out.extend(self.0);
    }

    /// Reads the fields from the front.
    pub(super) fn read_state(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self(take(bytes)?))
    }
}

/// The steps of a code that add `amount` to its number, on average where steps are larger.
fn steps(code: u8, amount: u8, clock: u16) -> u8 {
    let step = if code < EXACT { 0 } else { ((code - EXACT) >> DIGITS) + 1 };
    // Multiplicative hashing (Knuth 6.4): its high bits are spread evenly over rows that are evenly spaced.
    let chance = u32::from(clock.wrapping_mul(40_503)) >> (16 - step);
    ((u32::from(amount) + chance) >> step) as u8
}

fn decode(code: u8) -> u16 {
    if code < EXACT {
        return code.into();
    }
    let (octave, digits) = ((code - EXACT) >> DIGITS, (code - EXACT) & 31);
    (32 + u16::from(digits)) << (octave + 1)
}

/// The code of the largest number up to this one.
fn encode(count: u16) -> u8 {
    if count < EXACT.into() {
        return count as u8;
    }
    let octave = (count.ilog2() - DIGITS - 1) as u8;
    EXACT + (octave << DIGITS) + ((count >> (octave + 1)) - 32) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_numbers_in_order_and_are_found_again() {
        for code in 0..=u8::MAX {
            assert_eq!(encode(decode(code)), code);
            assert!(code == 0 || decode(code) > decode(code - 1), "{code}");
            assert!(decode(code) % 2 == 1 || encode(decode(code) + 1) >= code, "{code}");
        }
        assert_eq!((decode(63), decode(64), decode(96), decode(255)), (63, 64, 128, 4032));
    }

    #[test]
    fn many_events_are_counted_to_a_tenth() {
        for every in [1, 7, 60, 64, 100, 1024] {
            for events in [10_u16, 64, 256, 900] {
                let mut counts = Counts::new();
                (1..=events).for_each(|event| counts.add_event(0..2, EVENT, event.wrapping_mul(every)));
                let counted = f32::from(decode(counts.0[0])) / f32::from(EVENT) / f32::from(events);
                assert!((0.9..1.1).contains(&counted), "{events} each {every} rows: {counted}");
                assert_eq!(counts.0[..3], [counts.0[0], counts.0[0], 0]);
            }
        }
    }

    #[test]
    fn what_is_taken_back_was_never_there_and_a_half_is_half() {
        let mut counts = Counts::new();
        (1..=8).for_each(|event| counts.add_event(0..LEVELS, EVENT, event));
        counts.subtract_event(2..4, 3, 9);
        assert_eq!(counts.0, [32, 32, 29, 29, 32, 32, 32]);
        counts.halve_counts();
        assert_eq!(counts.0, [16, 16, 14, 14, 16, 16, 16]);
    }

    #[test]
    fn a_count_that_is_full_stays_full() {
        let mut counts = Counts([u8::MAX; LEVELS]);
        counts.add_event(0..LEVELS, EVENT, u16::MAX);
        assert_eq!(counts.0, [u8::MAX; LEVELS]);
    }
}
