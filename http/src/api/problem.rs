//! Error answers: what is wrong, where, and what to do.

use std::fmt;

use qualm_system::untrusted::shortened;
use serde::Serialize;

/// The most characters of a request's text in an error.
const MAX_SHOWN_CHARS: usize = 100;

/// Why a request is refused, or failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Problem {
    /// The status of the answer.
    #[serde(skip)]
    pub status: u16,
    /// What is wrong.
    pub error: String,
    /// Which part of the request, such as `data[3].cpu`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Where in the body: the line, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Where in the line, in bytes, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// After how many seconds to try again; also the header `retry-after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

impl Problem {
    /// A problem with this status.
    pub fn new(status: u16, error: impl Into<String>) -> Self {
        let (field, hint, line, column, retry_after) = (None, None, None, None, None);
        Self { status, error: error.into(), field, hint, line, column, retry_after }
    }

    /// Malformed JSON, with its place.
    #[must_use]
    pub fn of_json(error: &serde_json::Error) -> Self {
        let place = format!(" at line {} column {}", error.line(), error.column());
        let what = error.to_string();
        let what = what.strip_suffix(&place).unwrap_or(&what);
        let (line, column) = (Some(error.line() as u32), Some(error.column().max(1) as u32)); // 0 is where a line ends
        Self { line, column, ..Self::new(400, format!("the body is no JSON: {what}")) }
    }

    /// A part of the request that cannot be used.
    pub fn of_field(field: impl Into<String>, error: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(422, error) }
    }

    /// With what to do.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// With what to do, if that is known.
    #[must_use]
    pub fn maybe_hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }

    /// With the time until a retry.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    /// The body of the answer.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        // Texts and numbers can always be written as JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{field}: {}", self.error),
            None => f.write_str(&self.error),
        }
    }
}

/// A text of the request for an error: short, and without control characters.
pub(crate) fn shown(text: &str) -> String {
    shortened(text, MAX_SHOWN_CHARS)
}

/// What to do about a name that is not known.
pub(crate) fn did_you_mean<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    /// The least similarity of two names, from 0 to 1, for a hint.
    const MIN_SIMILARITY: f64 = 0.7;
    /// Comparing takes time, and a request may name anything.
    const MAX_WRONG_CHARS: usize = 200;
    if wrong.len() > MAX_WRONG_CHARS {
        return None;
    }
    let candidates = known.take(1000).map(|name| (strsim::jaro(name, wrong), name));
    let (similarity, nearest) = candidates.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (similarity >= MIN_SIMILARITY).then(|| format!("did you mean `{}`?", shown(nearest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_json_is_reported_with_its_place() {
        let error = serde_json::from_str::<serde_json::Value>("{\n  \"a\": x\n}").unwrap_err();
        let problem = Problem::of_json(&error);
        assert_eq!((problem.status, problem.line, problem.column), (400, Some(2), Some(8)));
        assert_eq!(problem.error, "the body is no JSON: expected value");
        let text = String::from_utf8(problem.hint("close it").to_json()).unwrap();
        assert_eq!(text, r#"{"error":"the body is no JSON: expected value","hint":"close it","line":2,"column":8}"#);
    }

    #[test]
    fn the_nearest_name_is_offered() {
        let near = |wrong| did_you_mean(wrong, ["host-vitals", "pipeline"].into_iter());
        assert_eq!(near("host-vitls").unwrap(), "did you mean `host-vitals`?");
        assert_eq!(near("zzz"), None);
        assert_eq!(near(&"host-vitals".repeat(1000)), None);
    }

    #[test]
    fn shown_texts_are_short_and_clean() {
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), 101);
        assert_eq!(shown("a\u{1b}b"), "a\u{fffd}b");
    }
}
