//! Whether a series is a counter, whose values say nothing but how fast they rise.
//!
//! A counter is known by numbers from 0 on that have never fallen and have risen many times since the series began, whole ones
//! or with decimals (seconds of processor time). From then on its rate is looked at, and the series learns anew. That it
//! falls to next to nothing is a reset; where it falls otherwise, or again soon, it was none, until it has risen many more
//! times without a fall: a service may be started twice in an hour.

use super::record::take;

/// Rises that make a counter, and that one must have between two resets.
const RISES: u8 = 64;
/// Rises that make a counter of a series that has fallen.
const MANY_RISES: u8 = u8::MAX;
/// A counter that is reset begins again below this share of where it was.
const RESET: f64 = 0.25;

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
    /// Since the beginning or the last fall, up to `MANY_RISES`.
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

    /// No value yet, and known to be one.
    pub(crate) const KNOWN: Self = Self { kind: Kind::Counter, rises: RISES, ..Self::new() };

    /// Whether there was no value yet.
    pub(crate) fn is_new(self) -> bool {
        !self.begun
    }

    /// The last value.
    pub(crate) fn last(self) -> Option<f64> {
        self.begun.then_some(self.last)
    }

    /// Whether it is known to be one.
    pub(crate) fn counts_up(self) -> bool {
        self.kind == Kind::Counter
    }

    /// Takes in a value.
    pub(crate) fn read(&mut self, time_ns: i64, value: f64) -> Reading {
        let before = std::mem::replace(self, Self { last: value, time_ns, begun: true, ..*self });
        if value < 0.0 || (before.begun && value < before.last) {
            let small = (0.0..=RESET * before.last).contains(&value);
            let reset = before.kind == Kind::Counter && before.rises >= RISES && small;
            self.rises = 0;
            self.kind = if reset { Kind::Counter } else { Kind::Level };
            return match before.kind {
                _ if reset => Reading::Nothing,
                Kind::Counter => Reading::Other,
                Kind::Unknown | Kind::Level => Reading::Level,
            };
        }
        if before.begun && value > before.last {
            self.rises = before.rises.saturating_add(1);
        }
        match before.kind {
            Kind::Counter => {
                let seconds = time_ns.saturating_sub(before.time_ns) as f64 * 1e-9;
                if seconds > 0.0 && before.begun {
                    Reading::Rate((value - before.last) / seconds)
                } else {
                    Reading::Nothing
                }
            }
            Kind::Unknown if self.rises >= RISES => self.becomes_counter(),
            Kind::Level if self.rises == MANY_RISES => self.becomes_counter(),
            Kind::Unknown | Kind::Level => Reading::Level,
        }
    }

    fn becomes_counter(&mut self) -> Reading {
        self.kind = Kind::Counter;
        Reading::Other
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
        (last.is_finite() && begun <= 1).then_some(Self { last, time_ns, rises, kind, begun: begun == 1 })
    }
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
    fn what_has_fallen_is_a_level() {
        for begin in [[2.0, 1.0], [5.5, 1.25], [-1.0, 0.0]] {
            let seen = readings(begin.into_iter().chain((2..250).map(f64::from)));
            assert!(seen.iter().all(|&one| one == Reading::Level), "{begin:?}");
        }
    }

    #[test]
    fn decimals_make_a_counter_too_and_a_sawtooth_none() {
        let seconds = readings((0..100).map(|at| f64::from(at) * 0.37));
        assert!(matches!(seconds[99], Reading::Rate(_)));
        let sawtooth = readings((0..1000).map(|at| 30.0 + f64::from(at % 80)));
        assert_eq!(sawtooth[80..82], [Reading::Other, Reading::Level]);
        assert!(sawtooth[82..].iter().all(|&one| one == Reading::Level));
    }

    #[test]
    fn what_has_fallen_is_a_counter_again_after_many_more_rises() {
        let seen = readings([5.0, 3.0].into_iter().chain((4..400).map(f64::from)));
        assert_eq!(seen.iter().position(|&one| one == Reading::Other), Some(1 + 255));
        assert_eq!(seen[257], Reading::Rate(1.0));
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
