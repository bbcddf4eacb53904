//! What a detector would have called ordinary, and how it is written.

use std::io::Write as _;

use qualm_contract::Band;

use crate::incident::OVER;

/// The steps in which a band is told: a thousandth of its width, or up to ten times less. Nobody sees more of it in a plot, and
/// each digit costs storage in every row.
const STEPS: f64 = 1e3;

/// Powers of ten that doubles hold exactly, which makes a rounded number the double that is nearest to its digits.
const EXACT: f64 = 22.0;

/// What is known of a band: each number, rounded, with the name of its field or gauge.
pub fn named_limits(band: Band) -> impl Iterator<Item = (&'static str, f64)> {
    let Band { expected, lower, upper } = band;
    // Mostly nothing is known, and this is asked of every event.
    let power = if band.is_known() { libm::floor(libm::log10((upper - lower) / STEPS)) } else { 0.0 };
    let rounded = move |value: f64| {
        let at = libm::pow(10.0, power.abs());
        let rounded = if power < 0.0 { libm::round(value * at) / at } else { libm::round(value / at) * at };
        // A band without a width, or one that is too wide or too narrow for this, is told as it is.
        if power.abs() <= EXACT && rounded.is_finite() { rounded + 0.0 } else { value }
    };
    let known = [("anomaly_expected", expected), ("anomaly_lower", lower), ("anomaly_upper", upper)];
    known.into_iter().filter(|(_, value)| value.is_finite()).map(move |(name, value)| (name, rounded(value)))
}

/// What a series' bands are measured in: its values' own unit or, of a counter, that per second. Detectors do not say which,
/// but no ordinary value lies outside of a band of its own unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unit {
    is_rate: bool,
}

impl Unit {
    /// The band of the series' next row, to be drawn around its value: nothing is known where it is not of that.
    pub fn around(&mut self, value: f64, score: f64, band: Band) -> Band {
        if score <= OVER && band.is_known() {
            self.is_rate = value < band.lower || value > band.upper;
        }
        if self.is_rate { Band::UNKNOWN } else { band }
    }
}

/// Appends a number with the fewest digits that read back as it.
pub fn write_number(out: &mut Vec<u8>, value: f64) {
    // Writing to memory does not fail.
    let _infallible = match value.abs() {
        0.0 | 1e-5..1e15 => write!(out, "{value}"),
        _ => write!(out, "{value:e}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(expected: f64, lower: f64, upper: f64) -> String {
        let mut out = Vec::new();
        for (name, value) in named_limits(Band { expected, lower, upper }) {
            out.extend_from_slice(format!("{name}=").as_bytes());
            write_number(&mut out, value);
            out.push(b' ');
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn digits_go_by_the_width() {
        let third = 1.0 / 3.0;
        assert_eq!(told(third, 0.0, 1.0), "anomaly_expected=0.333 anomaly_lower=0 anomaly_upper=1 ");
        assert_eq!(
            told(1e9 + third, 1e9, 1e9 + 2.0 * third),
            "anomaly_expected=1000000000.3333 anomaly_lower=1000000000 anomaly_upper=1000000000.6667 "
        );
        assert_eq!(
            told(1234.567, -98765.4, 98765.4),
            "anomaly_expected=1200 anomaly_lower=-98800 anomaly_upper=98800 "
        );
        assert_eq!(told(-1e-9, -1e-6, 1e-6), "anomaly_expected=-1e-9 anomaly_lower=-1e-6 anomaly_upper=1e-6 ");
        assert_eq!(told(-0.0, -1.0, 1.0), "anomaly_expected=0 anomaly_lower=-1 anomaly_upper=1 ");
    }

    #[test]
    fn the_band_of_a_rate_is_not_drawn_around_a_counter() {
        let (mut unit, band) = (Unit::default(), Band { expected: 5.0, lower: f64::NAN, upper: 9.0 });
        let mut is_drawn = |value, score| unit.around(value, score, band).is_known();
        assert!(is_drawn(4.0, 0.1) && is_drawn(1000.0, 2.0) && is_drawn(1000.0, 0.7), "an anomaly is outside");
        assert!(!is_drawn(1000.0, 0.1) && !is_drawn(1010.0, 2.0) && !is_drawn(1020.0, f64::NAN), "a counter");
        assert!(is_drawn(4.0, 0.5), "it is none any more");
    }

    #[test]
    fn what_cannot_be_rounded_is_told_as_it_is_and_what_is_not_known_is_not() {
        let third = 1.0 / 3.0;
        assert_eq!(
            told(third, third, third),
            "anomaly_expected=0.3333333333333333 anomaly_lower=0.3333333333333333 anomaly_upper=0.3333333333333333 "
        );
        assert_eq!(told(0.5e300, -1e300, 1e300), "anomaly_expected=5e299 anomaly_lower=-1e300 anomaly_upper=1e300 ");
        assert_eq!(told(f64::NAN, f64::NAN, third), "anomaly_upper=0.3333333333333333 ");
        assert_eq!(told(f64::INFINITY, f64::NAN, f64::NEG_INFINITY), "");
    }
}
