//! Whether a series is a counter, of which only the rate matters.
//!
//! A counter is recognised by numbers from 0 on, with or without decimals, that have never fallen and have risen many times.
//! From then on its rate is scored, and the series starts again. A fall to a small share of the value is a reset. A series that
//! falls otherwise, or again soon, is a level until it has risen many more times without a fall: a service may be started twice
//! in an hour.

use super::record::take;

/// Rises that make a counter, and that must lie between two resets.
const RISES: u8 = 64;
/// Rises that make a counter of a series that has fallen.
const MANY_RISES: u8 = u8::MAX;
/// The largest share of the last value to which a reset falls.
const RESET: f64 = 0.25;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Kind {
    /// No value yet.
    #[default]
    New,
    /// It has never fallen.
    Unknown,
    Level,
    Counter,
}

/// The kind of a series, and what it follows from. Packed, so that a series fits into four cache lines.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(Rust, packed(2))]
pub(crate) struct Counter {
    /// The last value.
    last_value: f64,
    /// Rises since the beginning or the last fall, up to `MANY_RISES`.
    rises: u8,
    kind: Kind,
}

/// What to score of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reading {
    /// The value itself.
    Value,
    /// The rate, per second.
    Rate(f64),
    /// Nothing: a reset, or a clock that stood still.
    Skip,
    /// Nothing, and the series starts again: it has turned from a level to a counter, or back.
    KindChanged,
}

impl Counter {
    /// Without values.
    pub(crate) const fn new() -> Self {
        Self { last_value: 0.0, rises: 0, kind: Kind::New }
    }

    /// A counter without values.
    pub(crate) const KNOWN: Self = Self { last_value: f64::NAN, rises: RISES, kind: Kind::Counter };

    /// Whether it has had no value.
    pub(crate) fn is_new(self) -> bool {
        self.kind == Kind::New
    }

    /// The last value.
    pub(crate) fn last_value(self) -> Option<f64> {
        (self.kind != Kind::New && !self.last_value.is_nan()).then_some(self.last_value)
    }

    /// Whether it is recognised as a counter.
    pub(crate) fn is_counter(self) -> bool {
        self.kind == Kind::Counter
    }

    /// Reads a value, `seconds` after the one before.
    pub(crate) fn read_value(&mut self, seconds: f64, value: f64) -> Reading {
        let before = *self;
        self.last_value = value;
        if before.kind == Kind::New {
            self.kind = if value < 0.0 { Kind::Level } else { Kind::Unknown };
            return Reading::Value;
        }
        if value < 0.0 || value < before.last_value {
            let is_reset_value = (0.0..=RESET * before.last_value).contains(&value);
            let reset = before.kind == Kind::Counter && before.rises >= RISES && is_reset_value;
            self.rises = 0;
            self.kind = if reset { Kind::Counter } else { Kind::Level };
            return match before.kind {
                _ if reset => Reading::Skip,
                Kind::Counter => Reading::KindChanged,
                Kind::New | Kind::Unknown | Kind::Level => Reading::Value,
            };
        }
        if value > before.last_value {
            self.rises = before.rises.saturating_add(1);
        }
        match before.kind {
            Kind::Counter if seconds > 0.0 && before.last_value().is_some() => {
                Reading::Rate((value - before.last_value) / seconds)
            }
            Kind::Counter => Reading::Skip,
            Kind::Unknown if self.rises >= RISES => self.becomes_counter(),
            Kind::Level if self.rises == MANY_RISES => self.becomes_counter(),
            Kind::New | Kind::Unknown | Kind::Level => Reading::Value,
        }
    }

    fn becomes_counter(&mut self) -> Reading {
        self.kind = Kind::Counter;
        Reading::KindChanged
    }

    /// Appends the fields, little-endian.
    pub(crate) fn write_state(self, out: &mut Vec<u8>) {
        let Self { last_value, rises, kind } = self;
        out.extend(last_value.to_le_bytes());
        out.extend([rises, kind as u8]);
    }

    /// Reads the fields from the front; `None` where one is impossible.
    pub(crate) fn read_state(bytes: &mut &[u8]) -> Option<Self> {
        let last_value = f64::from_le_bytes(take(bytes)?);
        let [rises, kind] = take(bytes)?;
        let kind = [Kind::New, Kind::Unknown, Kind::Level, Kind::Counter].into_iter().find(|&one| one as u8 == kind)?;
        last_value.is_finite().then_some(Self { last_value, rises, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of one value a second.
    fn readings(values: impl IntoIterator<Item = f64>) -> Vec<Reading> {
        let mut counter = Counter::new();
        values.into_iter().map(|value| counter.read_value(1.0, value)).collect()
    }

    #[test]
    fn what_rises_for_long_is_a_counter() {
        let readings = readings((0..100).map(|at| f64::from(at) * 10.0));
        assert!(readings[..64].iter().all(|&one| one == Reading::Value));
        assert_eq!(readings[64], Reading::KindChanged);
        assert!(readings[65..].iter().all(|&one| one == Reading::Rate(10.0)));
    }

    #[test]
    fn a_reset_is_nothing_and_two_in_short_order_make_a_level() {
        let rising = |from: u32, to: u32| (from..to).map(f64::from);
        let seen = readings(rising(0, 70).chain(rising(0, 70)).chain([5.0, 6.0, 3.0, 4.0]));
        assert_eq!(seen[70..72], [Reading::Skip, Reading::Rate(1.0)]);
        assert_eq!(seen[140..], [Reading::Skip, Reading::Rate(1.0), Reading::KindChanged, Reading::Value]);
    }

    #[test]
    fn what_has_fallen_is_a_level() {
        for begin in [[2.0, 1.0], [5.5, 1.25], [-1.0, 0.0]] {
            let seen = readings(begin.into_iter().chain((2..250).map(f64::from)));
            assert!(seen.iter().all(|&one| one == Reading::Value), "{begin:?}");
        }
    }

    #[test]
    fn decimals_make_a_counter_too_and_a_sawtooth_none() {
        let seconds = readings((0..100).map(|at| f64::from(at) * 0.37));
        assert!(matches!(seconds[99], Reading::Rate(_)));
        let sawtooth = readings((0..1000).map(|at| 30.0 + f64::from(at % 80)));
        assert_eq!(sawtooth[80..82], [Reading::KindChanged, Reading::Value]);
        assert!(sawtooth[82..].iter().all(|&one| one == Reading::Value));
    }

    #[test]
    fn what_has_fallen_is_a_counter_again_after_many_more_rises() {
        let seen = readings([5.0, 3.0].into_iter().chain((4..400).map(f64::from)));
        assert_eq!(seen.iter().position(|&one| one == Reading::KindChanged), Some(1 + 255));
        assert_eq!(seen[257], Reading::Rate(1.0));
    }

    #[test]
    fn what_stands_is_no_counter_and_a_clock_that_stands_gives_no_rate() {
        assert!(readings([5.0; 500]).iter().all(|&one| one == Reading::Value));
        let mut counter = Counter::new();
        (0..=64).for_each(|at| _ = counter.read_value(1.0, f64::from(at)));
        assert_eq!(counter.read_value(0.0, 70.0), Reading::Skip);
        assert_eq!(counter.read_value(2.0, 80.0), Reading::Rate(5.0));
    }
}
