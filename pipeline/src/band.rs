//! How bands are written.

use std::io::Write as _;

use qualm_contract::Band;

use crate::incident::INCIDENT_END_SCORE;

/// The precision of a band: a thousandth of its width, or up to ten times finer. More is not visible in a plot, and each
/// digit costs storage in every row.
const WIDTH_STEPS: f64 = 1e3;

/// The largest power of ten that a double holds exactly. Up to it a rounded number is the double nearest to its digits.
const MAX_EXACT_POWER: f64 = 22.0;

/// The known numbers of a band, rounded, each with the name of its field or gauge.
pub fn named_limits(band: Band) -> impl Iterator<Item = (&'static str, f64)> {
    let Band { expected, lower, upper } = band;
    // This runs for every event, most of which have no band.
    let power = if band.is_known() { libm::floor(libm::log10((upper - lower) / WIDTH_STEPS)) } else { 0.0 };
    let rounded = move |value: f64| {
        let at = libm::pow(10.0, power.abs());
        let rounded = if power < 0.0 { libm::round(value * at) / at } else { libm::round(value / at) * at };
        // A band without a width, or one that is too wide or too narrow, is not rounded.
        if power.abs() <= MAX_EXACT_POWER && rounded.is_finite() { rounded + 0.0 } else { value }
    };
    let known = [("anomaly_expected", expected), ("anomaly_lower", lower), ("anomaly_upper", upper)];
    known.into_iter().filter(|(_, value)| value.is_finite()).map(move |(name, value)| (name, rounded(value)))
}

/// The unit of a series' bands: that of its values or, for a counter, that per second. Detectors do not give it, but no
/// ordinary value is outside a band of its own unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unit {
    is_rate: bool,
}

impl Unit {
    /// The band of the series' next row in the unit of its value; unknown if the unit differs.
    pub fn around(&mut self, value: f64, score: f64, band: Band) -> Band {
        if score <= INCIDENT_END_SCORE && band.is_known() {
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

    fn written(expected: f64, lower: f64, upper: f64) -> String {
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
        assert_eq!(written(third, 0.0, 1.0), "anomaly_expected=0.333 anomaly_lower=0 anomaly_upper=1 ");
        assert_eq!(
            written(1e9 + third, 1e9, 1e9 + 2.0 * third),
            "anomaly_expected=1000000000.3333 anomaly_lower=1000000000 anomaly_upper=1000000000.6667 "
        );
        assert_eq!(
            written(1234.567, -98765.4, 98765.4),
            "anomaly_expected=1200 anomaly_lower=-98800 anomaly_upper=98800 "
        );
        assert_eq!(written(-1e-9, -1e-6, 1e-6), "anomaly_expected=-1e-9 anomaly_lower=-1e-6 anomaly_upper=1e-6 ");
        assert_eq!(written(-0.0, -1.0, 1.0), "anomaly_expected=0 anomaly_lower=-1 anomaly_upper=1 ");
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
    fn what_cannot_be_rounded_is_written_in_full_and_what_is_unknown_is_not() {
        let third = 1.0 / 3.0;
        assert_eq!(
            written(third, third, third),
            "anomaly_expected=0.3333333333333333 anomaly_lower=0.3333333333333333 anomaly_upper=0.3333333333333333 "
        );
        assert_eq!(written(0.5e300, -1e300, 1e300), "anomaly_expected=5e299 anomaly_lower=-1e300 anomaly_upper=1e300 ");
        assert_eq!(written(f64::NAN, f64::NAN, third), "anomaly_upper=0.3333333333333333 ");
        assert_eq!(written(f64::INFINITY, f64::NAN, f64::NEG_INFINITY), "");
    }
}
