//! Formats figures for reports.

use std::time::Duration;

/// Stands for a missing figure.
pub(crate) const NONE: &str = "–";

/// A share in per cent, to three digits.
pub(crate) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| NONE.to_owned(), |share| format!("{} %", number(share * 100.0, 3)))
}

/// A figure from 0 to 1, to three decimals.
pub(crate) fn figure(figure: Option<f64>) -> String {
    figure.map_or_else(|| NONE.to_owned(), |figure| format!("{figure:.3}"))
}

/// A number with this many significant digits.
pub(crate) fn number(number: f64, digits: usize) -> String {
    if number == 0.0 || !number.is_finite() {
        return number.abs().to_string();
    }
    let magnitude = number.abs().log10().floor() as i32;
    if !(-4..7).contains(&magnitude) {
        return format!("{number:.*e}", digits - 1);
    }
    let decimals = (digits as i32 - 1 - magnitude).max(0) as usize;
    let text = format!("{number:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A number to three significant digits, if there is one.
pub(crate) fn known(of: Option<f64>) -> String {
    of.map_or_else(|| NONE.to_owned(), |known| number(known, 3))
}

/// A round number, shortened: `20k`, `4M`.
pub(crate) fn short(round: f64) -> String {
    // The least number for a unit, the unit, and its letter.
    let units = [(1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")];
    match units.into_iter().find(|(from, ..)| (*from..1e15).contains(&round.abs())) {
        Some((_, unit, letter)) => format!("{}{letter}", number(round / unit, 4)),
        None => number(round, 4),
    }
}

/// A duration, in one or two units.
pub(crate) fn seconds(seconds: f64) -> String {
    let unit = match seconds {
        ..120.0 => 1,
        ..172_800.0 => 60,
        _ => 3600,
    };
    let whole = (seconds / f64::from(unit)).round() as u64 * unit as u64;
    if seconds > 0.0 && seconds < 1.0 {
        return format!("{} s", number(seconds, 2));
    }
    qualm_bundle::duration::friendly(Duration::from_secs(whole))
}

/// The duration of an alarm.
pub(crate) fn lasted(rows: u64, time: f64) -> String {
    if rows > 1 { seconds(time) } else { "a moment".to_owned() }
}

/// The number with `one` or, unless it is 1, `many`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// A number with narrow spaces between its thousands.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && digits.len() > 4 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_significant_digits() {
        let formatted = [0.0, 1.0, 0.123_456, 12_345.678, -2.5, 1e9, 1.5e-7, f64::NAN].map(|one| number(one, 3));
        assert_eq!(formatted, ["0", "1", "0.123", "12346", "-2.5", "1.00e9", "1.50e-7", "NaN"]);
        assert_eq!([2e4, -4e7, 0.5, -5.0, 1e-9].map(short), ["20k", "-40M", "0.5", "-5", "1.000e-9"]);
        assert_eq!([percent(Some(0.012_345)), percent(None), figure(Some(0.5))], ["1.23 %", "–", "0.500"]);
        assert_eq!([0.5, 90.0, 3600.0, 200_000.0].map(seconds), ["0.5 s", "1m 30s", "1h", "56h"]);
        assert_eq!([count(1, "row", "rows"), count(12_345, "row", "rows")], ["1 row", "12\u{202f}345 rows"]);
    }
}
