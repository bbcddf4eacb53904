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
    /// Has no value yet.
    #[default]
    New,
    /// Has never fallen.
    Unknown,
    Level,
    Counter,
}

/// What is known of a series' values as they come. Packed, so that a series fits into four cache lines.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(Rust, packed(2))]
pub(crate) struct Counter {
    /// The last value.
    last: f64,
    /// Since the beginning or the last fall, up to `MANY_RISES`.
    rises: u8,
    kind: Kind,
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
        Self { last: 0.0, rises: 0, kind: Kind::New }
    }

    /// No value yet, and known to be one.
    pub(crate) const KNOWN: Self = Self { last: f64::NAN, rises: RISES, kind: Kind::Counter };

    /// Whether there was no value yet.
    pub(crate) fn is_new(self) -> bool {
        self.kind == Kind::New
    }

    /// The last value.
    pub(crate) fn last(self) -> Option<f64> {
        (self.kind != Kind::New && !self.last.is_nan()).then_some(self.last)
    }

    /// Whether it is known to be one.
    pub(crate) fn counts_up(self) -> bool {
        self.kind == Kind::Counter
    }

    /// Takes in a value, so many seconds after the one before.
    pub(crate) fn read(&mut self, seconds: f64, value: f64) -> Reading {
        let before = *self;
        self.last = value;
        if before.kind == Kind::New {
            self.kind = if value < 0.0 { Kind::Level } else { Kind::Unknown };
            return Reading::Level;
        }
        if value < 0.0 || value < before.last {
            let small = (0.0..=RESET * before.last).contains(&value);
            let reset = before.kind == Kind::Counter && before.rises >= RISES && small;
            self.rises = 0;
            self.kind = if reset { Kind::Counter } else { Kind::Level };
            return match before.kind {
                _ if reset => Reading::Nothing,
                Kind::Counter => Reading::Other,
                Kind::New | Kind::Unknown | Kind::Level => Reading::Level,
            };
        }
        if value > before.last {
            self.rises = before.rises.saturating_add(1);
        }
        match before.kind {
            Kind::Counter if seconds > 0.0 && before.last().is_some() => Reading::Rate((value - before.last) / seconds),
            Kind::Counter => Reading::Nothing,
            Kind::Unknown if self.rises >= RISES => self.becomes_counter(),
            Kind::Level if self.rises == MANY_RISES => self.becomes_counter(),
            Kind::New | Kind::Unknown | Kind::Level => Reading::Level,
        }
    }

    fn becomes_counter(&mut self) -> Reading {
        self.kind = Kind::Counter;
        Reading::Other
    }

    /// Appends the fields, little-endian.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let Self { last, rises, kind } = self;
        out.extend(last.to_le_bytes());
        out.extend([rises, kind as u8]);
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(crate) fn read_back(bytes: &mut &[u8]) -> Option<Self> {
        let last = f64::from_le_bytes(take(bytes)?);
        let [rises, kind] = take(bytes)?;
        let kind = [Kind::New, Kind::Unknown, Kind::Level, Kind::Counter].into_iter().find(|&one| one as u8 == kind)?;
        last.is_finite().then_some(Self { last, rises, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of one value a second.
    fn readings(values: impl IntoIterator<Item = f64>) -> Vec<Reading> {
        let mut counter = Counter::new();
        values.into_iter().map(|value| counter.read(1.0, value)).collect()
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
        (0..=64).for_each(|at| _ = counter.read(1.0, f64::from(at)));
        assert_eq!(counter.read(0.0, 70.0), Reading::Nothing);
        assert_eq!(counter.read(2.0, 80.0), Reading::Rate(5.0));
    }
}
