//! The results of the checks, as text and as JSON.

use serde_json::{Value, json};

/// A check that passed: what it measured.
#[derive(Debug)]
pub(super) struct Passed {
    measured: String,
    /// Whether it is for information, and can neither pass nor fail.
    note: bool,
    figures: Vec<(&'static str, f64)>,
}

impl Passed {
    pub(super) fn ok(measured: impl Into<String>) -> Self {
        Self { measured: measured.into(), note: false, figures: Vec::new() }
    }

    pub(super) fn note(measured: impl Into<String>) -> Self {
        Self { note: true, ..Self::ok(measured) }
    }

    /// With another text.
    pub(super) fn with_text(self, measured: String) -> Self {
        Self { measured, ..self }
    }

    /// With a number for the JSON report.
    pub(super) fn figure(mut self, name: &'static str, figure: f64) -> Self {
        self.figures.push((name, figure));
        self
    }
}

/// A check that failed: why, and what it measured until then.
#[derive(Debug)]
pub(super) struct Failed {
    measured: String,
    reason: String,
}

impl Failed {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { measured: String::new(), reason: reason.into() }
    }

    pub(super) fn measured(self, measured: impl Into<String>) -> Self {
        Self { measured: measured.into(), ..self }
    }
}

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::new(error.to_string())
    }
}

pub(super) type Outcome = Result<Passed, Failed>;

/// The results so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    rows: Vec<(&'static str, Outcome)>,
}

impl Report {
    pub(super) fn add(&mut self, check: &'static str, outcome: Outcome) {
        self.rows.push((check, outcome));
    }

    /// Adds a check whose result others need.
    pub(super) fn add_step<T>(&mut self, check: &'static str, step: Result<(T, Passed), Failed>) -> Option<T> {
        let (result, outcome) = match step {
            Ok((result, passed)) => (Some(result), Ok(passed)),
            Err(failed) => (None, Err(failed)),
        };
        self.add(check, outcome);
        result
    }

    pub(super) fn failed(&self) -> usize {
        self.rows.iter().filter(|(_, outcome)| outcome.is_err()).count()
    }

    /// The failed checks by name, with their reasons.
    #[cfg(test)]
    pub(super) fn failures(&self) -> Vec<(&'static str, &str)> {
        self.rows
            .iter()
            .filter_map(|(check, outcome)| outcome.as_ref().err().map(|failed| (*check, failed.reason.as_str())))
            .collect()
    }

    pub(super) fn to_text(&self) -> String {
        let width = self.rows.iter().map(|(check, _)| check.len()).max().unwrap_or(0);
        let mut text = String::new();
        for (check, outcome) in &self.rows {
            let (mark, detail) = match outcome {
                Ok(Passed { note: false, measured, .. }) => ("ok", measured.clone()),
                Ok(Passed { note: true, measured, .. }) => ("note", measured.clone()),
                Err(Failed { measured, reason }) if measured.is_empty() => ("failed", reason.clone()),
                Err(Failed { measured, reason }) => ("failed", format!("{measured}: {reason}")),
            };
            text += format!("  {mark:<6}  {check:<width$}  {detail}").trim_end();
            text.push('\n');
        }
        text + &match self.failed() {
            0 => "It keeps the contract.\n".to_owned(),
            1 => "1 check failed.\n".to_owned(),
            failed => format!("{failed} checks failed.\n"),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let row = |(check, outcome): &(&'static str, Outcome)| match outcome {
            Ok(Passed { measured, note, figures }) => {
                let outcome = if *note { "note" } else { "ok" };
                let figures: serde_json::Map<_, _> =
                    figures.iter().map(|(name, figure)| ((*name).to_owned(), json!(figure))).collect();
                json!({ "check": check, "outcome": outcome, "measured": measured, "figures": figures })
            }
            Err(Failed { measured, reason }) => {
                json!({ "check": check, "outcome": "failed", "measured": measured, "reason": reason })
            }
        };
        json!({ "good": self.failed() == 0, "checks": self.rows.iter().map(row).collect::<Vec<_>>() })
    }
}

/// A size in KiB or MiB.
pub(super) fn size(bytes: usize) -> String {
    match bytes {
        0..0x10_0000 => format!("{:.0} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}
