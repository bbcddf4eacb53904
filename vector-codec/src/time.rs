//! Times as Vector writes them in JSON: RFC 3339, `2026-08-01T12:00:00.25Z`. It is written here so that
//! the component needs no calendar crate.

use std::io::Write as _;

const SECOND: i64 = 1_000_000_000;

/// Nanoseconds since 1970; `None` if it is no such time, or out of range for 64 bits (before 1677, after 2262).
pub(super) fn parse_time(text: &[u8]) -> Option<i64> {
    let (date, rest) = text.split_at_checked(19)?;
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b't' | b' ', h1, h2, b':', i1, i2, b':', s1, s2] = date
    else {
        return None;
    };
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?);
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[i1, i2])?, number(&[s1, s2])?);
    // A leap second is the 60th of its minute.
    if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    if !(1..=days_of_month(year, month)).contains(&day) {
        return None;
    }
    let (fraction, zone) = match rest.strip_prefix(b".") {
        Some(rest) => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            (&rest[..digits], &rest[digits..])
        }
        None => (&[][..], rest),
    };
    let mut nanos = number(&fraction[..fraction.len().min(9)])?;
    for _ in fraction.len()..9 {
        nanos *= 10;
    }
    let offset = match *zone {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[h1, h2])?, number(&[m1, m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let ahead = hours * 60 + minutes;
            if sign == b'-' { -ahead } else { ahead }
        }
        _ => return None,
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + (minute - offset) * 60 + second;
    seconds.checked_mul(SECOND)?.checked_add(nanos)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, &digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. Years begin in March, so that a leap day is their last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + day_of_year - 719_468
}

fn days_of_month(year: i64, month: i64) -> i64 {
    let next = if month < 12 { days(year, month + 1, 1) } else { days(year + 1, 1, 1) };
    next - days(year, month, 1)
}

/// Appends a time in its shortest form.
pub(super) fn write_time(out: &mut Vec<u8>, time: i64) {
    let (seconds, nanos) = (time.div_euclid(SECOND), time.rem_euclid(SECOND));
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // The year is estimated from its mean length, a little early, and then corrected.
    let mut year = 1970 + (day * 400 - 800).div_euclid(146_097);
    while days(year + 1, 1, 1) <= day {
        year += 1;
    }
    let month = (2..=12).take_while(|&month| days(year, month, 1) <= day).last().unwrap_or(1);
    let day = day - days(year, month, 1) + 1;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    // Writing to memory does not fail.
    let _infallible = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if nanos > 0 {
        let _infallible = write!(out, ".{nanos:09}");
    }
    out.push(b'Z');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, time) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-08-01T12:00:00.25Z", Some(1_785_585_600_250_000_000)),
            ("2026-08-01T14:30:00.250+02:30", Some(1_785_585_600_250_000_000)),
            ("2024-02-29t00:00:00.1234567891z", Some(1_709_164_800_123_456_789)),
            ("1969-12-31T23:59:59.999999999Z", Some(-1)),
            ("2016-12-31T23:59:60Z", Some(1_483_228_800_000_000_000)),
            ("2300-01-01T00:00:00Z", None),
            ("0001-01-01T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-08-01T24:00:00Z", None),
            ("2026-02-31T00:00:00Z", None),
            ("2023-02-29T00:00:00Z", None),
            ("1900-02-29T00:00:00Z", None),
            ("2000-02-29T00:00:00Z", Some(951_782_400_000_000_000)),
            ("2026-04-31T00:00:00Z", None),
            ("2026-12-31T00:00:00Z", Some(1_798_675_200_000_000_000)),
            ("2026-12-32T00:00:00Z", None),
            ("2026-08-00T00:00:00Z", None),
            ("2026-08-01T12:00:00+24:00", None),
            ("2026-08-01T12:00:00+00:60", None),
            ("2026-08-01T12:00:00", None),
            ("2026-08-01", None),
            ("+12026-08-01T12:00:00Z", None),
            ("2026-08-01T12:00:00.25+0230", None),
            ("", None),
        ] {
            assert_eq!(parse_time(text.as_bytes()), time, "{text}");
        }
    }

    #[test]
    fn times_are_written_as_they_are_read() {
        for time in [0, -1, 1, i64::MAX, i64::MIN + 1_000_000_000, 1_709_164_800_123_456_789, 951_782_400_000_000_000] {
            let mut out = Vec::new();
            write_time(&mut out, time);
            assert_eq!(parse_time(&out), Some(time), "{}", String::from_utf8_lossy(&out));
        }
        // Every day of four hundred years, and the last second of each.
        for day in -100_000..46_097 {
            for time in [day * 86_400 * SECOND, (day + 1) * 86_400 * SECOND - SECOND] {
                let mut out = Vec::new();
                write_time(&mut out, time);
                assert_eq!(parse_time(&out), Some(time), "{}", String::from_utf8_lossy(&out));
            }
        }
        let mut out = Vec::new();
        write_time(&mut out, 1_785_585_600_250_000_000);
        assert_eq!(out, b"2026-08-01T12:00:00.250000000Z");
    }
}
