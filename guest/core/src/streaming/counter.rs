//! Whether a series is a counter, whose values say nothing but how fast they rise.
//!
//! A counter is known by whole numbers that have never fallen and have risen many times since the series began. From then
//! on its rate is looked at, and the series learns anew. That it falls is a reset; where it falls again soon, it was none.

use super::record::take;

/// Rises that make a counter, and that one must have between two resets.
const RISES: u8 = 64;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Kind {
    /// Has never fallen.
    #[default]
    Unknown,
    Level,
    Counter,
}

/// What is known of a series' values as they come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Counter {
    /// The last value, and when it came.
    last: f64,
    time_ns: i64,
    /// Since the beginning or the last reset, up to `RISES`.
    rises: u8,
    kind: Kind,
    begun: bool,
}

/// What to look at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reading {
    /// The value itself.
    Level,
    /// The rate, per second.
    Rate(f64),
    /// Nothing: a reset, or a clock that stood still.
    Nothing,
    /// Another thing than until now.
    Other,
}

impl Counter {
    /// Nothing known yet.
    pub(crate) const fn new() -> Self {
        Self { last: 0.0, time_ns: 0, rises: 0, kind: Kind::Unknown, begun: false }
    }

    /// Takes in a value.
    pub(crate) fn read(&mut self, time_ns: i64, value: f64) -> Reading {
        if self.kind == Kind::Level {
            return Reading::Level;
        }
        let before = std::mem::replace(self, Self { last: value, time_ns, begun: true, ..*self });
        let (rises, falls) = (value > before.last && before.begun, value < before.last && before.begun);
        if falls || !is_whole(value) {
            let reset = self.kind == Kind::Counter && before.rises == RISES && is_whole(value);
            if reset {
                self.rises = 0;
                return Reading::Nothing;
            }
            self.kind = Kind::Level;
            return if before.kind == Kind::Counter { Reading::Other } else { Reading::Level };
        }
        self.rises = (before.rises + u8::from(rises)).min(RISES);
        match before.kind {
            Kind::Counter => {
                let seconds = time_ns.saturating_sub(before.time_ns) as f64 * 1e-9;
                if seconds > 0.0 { Reading::Rate((value - before.last) / seconds) } else { Reading::Nothing }
            }
            _ if self.rises == RISES => {
                self.kind = Kind::Counter;
                Reading::Other
            }
            _ => Reading::Level,
        }
    }

    /// Appends the fields, little-endian.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let Self { last, time_ns, rises, kind, begun } = self;
        out.extend(last.to_le_bytes());
        out.extend(time_ns.to_le_bytes());
        out.extend([rises, kind as u8, u8::from(begun)]);
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(crate) fn read_back(bytes: &mut &[u8]) -> Option<Self> {
        let (last, time_ns) = (f64::from_le_bytes(take(bytes)?), i64::from_le_bytes(take(bytes)?));
        let [rises, kind, begun] = take(bytes)?;
        let kind = [Kind::Unknown, Kind::Level, Kind::Counter].into_iter().find(|&one| one as u8 == kind)?;
        (last.is_finite() && rises <= RISES && begun <= 1).then_some(Self {
            last,
            time_ns,
            rises,
            kind,
            begun: begun == 1,
        })
    }
}

fn is_whole(value: f64) -> bool {
    value >= 0.0 && value.fract() == 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of one value a second.
    fn readings(values: impl IntoIterator<Item = f64>) -> Vec<Reading> {
        let mut counter = Counter::new();
        values.into_iter().zip(0..).map(|(value, at)| counter.read(at * 1_000_000_000, value)).collect()
    }

    #[test]
    fn what_rises_for_long_is_a_counter() {
        let readings = readings((0..100).map(|at| f64::from(at) * 10.0));
        assert!(readings[..64].iter().all(|&one| one == Reading::Level));
        assert_eq!(readings[64], Reading::Other);
        assert!(readings[65..].iter().all(|&one| one == Reading::Rate(10.0)));
    }

    #[test]
    fn a_reset_is_nothing_and_two_in_short_order_make_a_level() {
        let rising = |from: u32, to: u32| (from..to).map(f64::from);
        let seen = readings(rising(0, 70).chain(rising(0, 70)).chain([5.0, 6.0, 3.0, 4.0]));
        assert_eq!(seen[70..72], [Reading::Nothing, Reading::Rate(1.0)]);
        assert_eq!(seen[140..], [Reading::Nothing, Reading::Rate(1.0), Reading::Other, Reading::Level]);
    }

    #[test]
    fn what_has_fallen_or_is_no_whole_number_is_a_level() {
        for begin in [[2.0, 1.0], [0.5, 1.0], [-1.0, 0.0]] {
            let seen = readings(begin.into_iter().chain((2..200).map(f64::from)));
            assert!(seen.iter().all(|&one| one == Reading::Level), "{begin:?}");
        }
    }

    #[test]
    fn what_stands_is_no_counter_and_a_clock_that_stands_gives_no_rate() {
        assert!(readings([5.0; 500]).iter().all(|&one| one == Reading::Level));
        let mut counter = Counter::new();
        (0..=64).for_each(|at| _ = counter.read(at * 1_000_000_000, at as f64));
        assert_eq!(counter.read(64_000_000_000, 70.0), Reading::Nothing);
        assert_eq!(counter.read(66_000_000_000, 80.0), Reading::Rate(5.0));
    }
}
