//! Parses times.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// A text is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no time; write 2024-01-31T12:00:00Z, 2024-01-31 12:00:00, or seconds since 1970")]
pub struct BadTime {
    /// The text.
    pub text: String,
}

/// Parses RFC 3339, `YYYY-MM-DD hh:mm:ss` (as UTC), or an epoch in seconds, milli-, micro- or nanoseconds (the unit follows
/// from its magnitude: seconds until the year 5138), as nanoseconds since 1970.
///
/// # Errors
///
/// If it is none of these.
pub fn parse(text: &str) -> Result<i64, BadTime> {
    epoch(text).or_else(|| calendar(text)).ok_or_else(|| BadTime { text: text.to_owned() })
}

/// Nanoseconds since 1970 as a time: jiff's range holds all of them.
#[must_use]
pub fn timestamp(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or_default()
}

fn calendar(text: &str) -> Option<i64> {
    let zoned = text.parse::<Timestamp>().ok();
    let plain = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    i64::try_from(zoned.or_else(plain)?.as_nanosecond()).ok()
}

fn epoch(text: &str) -> Option<i64> {
    if let Ok(whole) = text.parse::<i64>() {
        return whole.checked_mul(nanoseconds_in_one(whole.unsigned_abs() as f64));
    }
    if text.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
        let nanoseconds = number * nanoseconds_in_one(number.abs()) as f64;
        return (nanoseconds.abs() < 9.2e18).then_some(nanoseconds as i64);
    }
    None
}

/// Nanoseconds in the unit of an epoch of this magnitude.
fn nanoseconds_in_one(epoch: f64) -> i64 {
    match epoch {
        ..1e11 => 1_000_000_000,
        1e11..1e14 => 1_000_000,
        1e14..1e17 => 1_000,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spelling_is_read() {
        let noon = 1_706_702_400_000_000_000;
        for text in [
            "2024-01-31T12:00:00Z",
            "2024-01-31T13:00:00+01:00",
            "2024-01-31 12:00:00",
            "2024-01-31T12:00:00",
            "1706702400",
            "1706702400000",
            "1706702400000000",
            "1706702400000000000",
            "1706702400.0",
            "2024-01-31T12:00:00.000000000Z",
        ] {
            assert_eq!(parse(text), Ok(noon), "{text}");
        }
        assert_eq!(parse("-1"), Ok(-1_000_000_000));
        assert_eq!(parse("1.5"), Ok(1_500_000_000));
        for text in ["", "soon", "1e300", "2024-13-01", "2024-02-31 12:00:00", "2023-02-29T12:00:00Z", "NaN", "12:00"] {
            assert!(parse(text).unwrap_err().to_string().contains(text), "{text}");
        }
    }
}
