//! How many events reach each of a few distances, in a byte each.
//!
//! Up to 16 events a count is exact. Beyond, its steps grow, and one is taken as often as chance wants it (Morris, Counting
//! Large Numbers of Events in Small Registers, CACM 1978), which the series' clock throws. So 64 events are counted to a
//! tenth, where their number itself scatters by an eighth.

use super::curve::Curve;
use super::record::take;
use super::tuning::Tuning;

/// Levels that are counted: 2, 4, 8, … 128 scales. Nearer than the first nothing is rare.
pub(super) const LEVELS: usize = 7;
pub(super) const LEAST: f32 = 2.0;
/// What an event counts. One that was reported counts less.
pub(super) const EVENT: u8 = 4;

/// Codes below this are the number itself; then so many codes double it.
const EXACT: u8 = 64;
const DIGITS: u32 = 5;

/// What siblings lend: the events that they counted at each level, in units of 1/[`EVENT`], of which this share counts here too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lent<'a> {
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

    /// An event that crosses some levels, when the series' clock is at `clock`.
    pub(super) fn add(&mut self, levels: std::ops::Range<usize>, counting: u8, clock: u16) {
        for code in &mut self.0[levels] {
            *code = code.saturating_add(steps(*code, counting, clock));
        }
    }

    /// Takes back a part of what was added.
    pub(super) fn take_back(&mut self, levels: std::ops::Range<usize>, part: u8, clock: u16) {
        for code in &mut self.0[levels] {
            *code = code.saturating_sub(steps(*code, part, clock));
        }
    }

    /// Halves all counts.
    pub(super) fn halve(&mut self) {
        self.0 = self.0.map(|code| encode(decode(code) / 2));
    }

    /// What the codes stand for.
    pub(super) fn numbers(self) -> [u16; LEVELS] {
        self.0.map(decode)
    }

    /// How events fall with distance, after so many rows, those that siblings lend among them.
    pub(super) fn curve(self, rows: f64, lent: Option<Lent<'_>>, t: &Tuning) -> Curve {
        let event = 1.0 / f64::from(EVENT);
        let mut counted = self.numbers().map(|count| f64::from(count) * event);
        if let Some(Lent { counts, share }) = lent {
            for (own, theirs) in counted.iter_mut().zip(counts) {
                *own += f64::from(*theirs) * event * share;
            }
        }
        Curve::new(counted, rows, t)
    }

    /// Appends the fields.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        out.extend(self.0);
    }

    /// Takes the fields back off the front.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self(take(bytes)?))
    }
}

/// The steps of a code that add so much to its number: on average just that, where its steps are larger.
fn steps(code: u8, much: u8, clock: u16) -> u8 {
    let step = if code < EXACT { 0 } else { ((code - EXACT) >> DIGITS) + 1 };
    // Multiplicative hashing (Knuth 6.4): its high bits are spread evenly over rows that are evenly spaced.
    let chance = u32::from(clock.wrapping_mul(40_503)) >> (16 - step);
    ((u32::from(much) + chance) >> step) as u8
}

fn decode(code: u8) -> u16 {
    if code < EXACT {
        return code.into();
    }
    let (octave, digits) = ((code - EXACT) >> DIGITS, (code - EXACT) & 31);
    (32 + u16::from(digits)) << (octave + 1)
}

/// The code of the largest number that is not above this one.
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
                (1..=events).for_each(|event| counts.add(0..2, EVENT, event.wrapping_mul(every)));
                let counted = f32::from(decode(counts.0[0])) / f32::from(EVENT) / f32::from(events);
                assert!((0.9..1.1).contains(&counted), "{events} each {every} rows: {counted}");
                assert_eq!(counts.0[..3], [counts.0[0], counts.0[0], 0]);
            }
        }
    }

    #[test]
    fn what_is_taken_back_was_never_there_and_a_half_is_half() {
        let mut counts = Counts::new();
        (1..=8).for_each(|event| counts.add(0..LEVELS, EVENT, event));
        counts.take_back(2..4, 3, 9);
        assert_eq!(counts.0, [32, 32, 29, 29, 32, 32, 32]);
        counts.halve();
        assert_eq!(counts.0, [16, 16, 14, 14, 16, 16, 16]);
    }

    #[test]
    fn a_count_that_is_full_stays_full() {
        let mut counts = Counts([u8::MAX; LEVELS]);
        counts.add(0..LEVELS, EVENT, u16::MAX);
        assert_eq!(counts.0, [u8::MAX; LEVELS]);
    }
}
