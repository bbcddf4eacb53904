//! A time whose rows are left out of training.

use std::str::FromStr;

use jiff::Timestamp;

/// A time during which what is measured is not ordinary: from the first nanosecond until before the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its first nanosecond since 1970.
    pub from: i64,
    /// The first that is no longer in it.
    pub until: i64,
}

/// A text is no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no time window; write one like 2026-01-31T22:00:00Z/2026-02-01T02:00:00Z")]
pub struct NoWindow(String);

impl Window {
    /// Whether a time, in nanoseconds since 1970, is in it.
    #[must_use]
    pub fn contains(&self, time: i64) -> bool {
        (self.from..self.until).contains(&time)
    }
}

impl FromStr for Window {
    type Err = NoWindow;

    /// Two times with a slash between, as ISO 8601 has intervals.
    fn from_str(text: &str) -> Result<Self, NoWindow> {
        let none = || NoWindow(text.to_owned());
        let (from, until) = text.split_once('/').ok_or_else(none)?;
        let time = |text: &str| {
            let time: Timestamp = text.trim().parse().map_err(|_| none())?;
            i64::try_from(time.as_nanosecond()).map_err(|_| none())
        };
        let window = Self { from: time(from)?, until: time(until)? };
        if window.from < window.until { Ok(window) } else { Err(none()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_two_times() {
        let window: Window = "2026-01-31T22:00:00Z/2026-02-01T02:00:00Z".parse().unwrap();
        assert_eq!(window.until - window.from, 4 * 3_600_000_000_000);
        assert!(window.contains(window.from) && !window.contains(window.until));
        for text in ["2026-01-31T22:00:00Z", "2026-02-01T02:00:00Z/2026-01-31T22:00:00Z", "a/b", ""] {
            assert_eq!(text.parse::<Window>(), Err(NoWindow(text.to_owned())));
        }
    }
}
