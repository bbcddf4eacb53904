//! What came of the checks, for people and for machines.

use serde_json::{Value, json};

/// A check that found nothing wanting: what it measured.
#[derive(Debug)]
pub(super) struct Found {
    measured: String,
    /// Whether it is only worth knowing, and neither right nor wrong.
    note: bool,
    figures: Vec<(&'static str, f64)>,
}

impl Found {
    pub(super) fn ok(measured: impl Into<String>) -> Self {
        Self { measured: measured.into(), note: false, figures: Vec::new() }
    }

    pub(super) fn note(measured: impl Into<String>) -> Self {
        Self { note: true, ..Self::ok(measured) }
    }

    /// With other words.
    pub(super) fn says(self, measured: String) -> Self {
        Self { measured, ..self }
    }

    /// With a number for machines.
    pub(super) fn figure(mut self, name: &'static str, figure: f64) -> Self {
        self.figures.push((name, figure));
        self
    }
}

/// Why a check failed, in a sentence, and what was measured until then.
#[derive(Debug)]
pub(super) struct Fault {
    measured: String,
    reason: String,
}

impl Fault {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { measured: String::new(), reason: reason.into() }
    }

    pub(super) fn measured(self, measured: impl Into<String>) -> Self {
        Self { measured: measured.into(), ..self }
    }
}

impl<E: std::error::Error> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::new(error.to_string())
    }
}

pub(super) type Outcome = Result<Found, Fault>;

/// All checks so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    rows: Vec<(&'static str, Outcome)>,
}

impl Report {
    pub(super) fn add(&mut self, check: &'static str, outcome: Outcome) {
        self.rows.push((check, outcome));
    }

    /// Adds what a step came to, which others build upon.
    pub(super) fn step<T>(&mut self, check: &'static str, step: Result<(T, Found), Fault>) -> Option<T> {
        let (made, outcome) = match step {
            Ok((made, found)) => (Some(made), Ok(found)),
            Err(fault) => (None, Err(fault)),
        };
        self.add(check, outcome);
        made
    }

    pub(super) fn failed(&self) -> usize {
        self.rows.iter().filter(|(_, outcome)| outcome.is_err()).count()
    }

    /// What failed, by name.
    #[cfg(test)]
    pub(super) fn failures(&self) -> Vec<(&'static str, &str)> {
        self.rows
            .iter()
            .filter_map(|(check, outcome)| outcome.as_ref().err().map(|fault| (*check, fault.reason.as_str())))
            .collect()
    }

    pub(super) fn for_people(&self) -> String {
        let width = self.rows.iter().map(|(check, _)| check.len()).max().unwrap_or(0);
        let mut text = String::new();
        for (check, outcome) in &self.rows {
            let (mark, told) = match outcome {
                Ok(Found { note: false, measured, .. }) => ("ok", measured.clone()),
                Ok(Found { note: true, measured, .. }) => ("note", measured.clone()),
                Err(Fault { measured, reason }) if measured.is_empty() => ("failed", reason.clone()),
                Err(Fault { measured, reason }) => ("failed", format!("{measured}: {reason}")),
            };
            text += format!("  {mark:<6}  {check:<width$}  {told}").trim_end();
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
            Ok(Found { measured, note, figures }) => {
                let outcome = if *note { "note" } else { "ok" };
                let figures: serde_json::Map<_, _> =
                    figures.iter().map(|(name, figure)| ((*name).to_owned(), json!(figure))).collect();
                json!({ "check": check, "outcome": outcome, "measured": measured, "figures": figures })
            }
            Err(Fault { measured, reason }) => {
                json!({ "check": check, "outcome": "failed", "measured": measured, "reason": reason })
            }
        };
        json!({ "good": self.failed() == 0, "checks": self.rows.iter().map(row).collect::<Vec<_>>() })
    }
}

/// A size that people can read.
pub(super) fn size(bytes: usize) -> String {
    match bytes {
        0..0x10_0000 => format!("{:.0} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}
