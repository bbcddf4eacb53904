//! Durations in configuration and options: `30s`, `1h30m`, `7d`.

use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo};
use serde::de::{self, Deserialize as _, Deserializer};
use serde::ser::Serializer;

/// A text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no duration; write one like \"30s\", \"5m\" or \"1h\"")]
pub struct Error {
    /// The text.
    pub text: String,
}

/// Reads one.
///
/// # Errors
///
/// If it is none; the message has an example.
pub fn parse(text: &str) -> Result<Duration, Error> {
    let span: Option<Span> = text.parse().ok();
    let duration = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    duration.and_then(|duration| Duration::try_from(duration).ok()).ok_or_else(|| Error { text: text.to_owned() })
}

/// Formats one, such as `72h`.
#[must_use]
pub fn friendly(duration: Duration) -> String {
    SignedDuration::try_from(duration).map_or_else(|_| format!("{duration:?}"), |duration| format!("{duration:#}"))
}

/// For serde's `deserialize_with` where there may be none.
///
/// # Errors
///
/// As [`parse`].
pub fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    deserialize(deserializer).map(Some)
}

/// For serde's `with` and `deserialize_with`.
///
/// # Errors
///
/// As [`parse`].
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

/// For serde's `with`.
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&friendly(*duration))
}
