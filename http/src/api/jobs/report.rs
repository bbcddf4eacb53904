//! Reports of the processes, and their public part.

use std::collections::BTreeMap;
use std::path::Path;

use qualm_system::untrusted::shortened;
use serde::{Deserialize, Serialize};

/// The most findings in a report, the worst.
const MAX_FINDINGS: usize = 100;

/// The most characters of a text in a report.
const MAX_TEXT_CHARS: usize = 500;

/// The report of a validation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Validation {
    /// `ok`, `warning` or `bad`.
    pub verdict: String,
    /// Rows.
    pub rows: u64,
    /// The first time.
    pub from: Option<String>,
    /// The last time.
    pub until: Option<String>,
    /// The findings, the worst first.
    pub findings: Vec<Finding>,
    /// Findings that are left out here.
    pub more: usize,
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Finding {
    /// The check that found it.
    pub check: String,
    /// `warning` or `bad`.
    pub verdict: String,
    /// What was found.
    pub what: String,
    /// What to do.
    pub advice: String,
    /// The column.
    pub column: Option<String>,
    /// The line of the first, or the worst.
    pub line: Option<u64>,
    /// How often it was found.
    pub count: u64,
}

/// The report of a training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Training {
    /// The rows of each part.
    pub rows: Parts,
    /// Warnings for whoever uses the model.
    pub warnings: Vec<String>,
}

/// The number of rows of each part.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Parts {
    /// For training.
    pub train: u64,
    /// For the threshold.
    pub validation: u64,
    /// For the evaluation.
    pub test: u64,
}

/// The report of an evaluation.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub struct Evaluation {
    /// By name.
    pub figures: Figures,
    /// Notes for whoever uses the model.
    pub notes: Vec<String>,
}

/// Figures by name; null where there is none.
pub type Figures = BTreeMap<String, Option<f64>>;

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What is wrong.
    pub error: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Validation {
    /// Reads what `validate --json` printed.
    pub(super) fn read(json: &[u8]) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Report {
            verdict: String,
            rows: u64,
            from: Option<String>,
            until: Option<String>,
            checks: Vec<Check>,
        }
        #[derive(Deserialize)]
        struct Check {
            findings: Vec<Finding>,
        }
        let Report { verdict, rows, from, until, checks } = serde_json::from_slice(json)?;
        let mut findings: Vec<_> = checks.into_iter().flat_map(|check| check.findings).collect();
        findings.sort_by_key(|finding| finding.verdict != "bad");
        let more = findings.len().saturating_sub(MAX_FINDINGS);
        findings.truncate(MAX_FINDINGS);
        for finding in &mut findings {
            finding.advice = for_uploaders(&finding.advice);
        }
        Ok(Self { verdict, rows, from, until, findings, more })
    }

    /// Why the data are not fit to train on, if they are not.
    pub(super) fn fault(&self) -> Option<Fault> {
        let worst = self.findings.first().filter(|_| self.verdict == "bad")?;
        let line = worst.line.map_or_else(String::new, |line| format!("line {line}: "));
        let column = worst.column.as_ref().map_or_else(String::new, |column| format!("column `{column}`: "));
        let hint = format!("{}; `validation` has all that was found", worst.advice);
        Some(Fault {
            error: format!("the data are not fit to train on: {line}{column}{}", worst.what),
            hint: Some(hint),
        })
    }
}

impl Training {
    /// Reads what `train --json` printed.
    pub(super) fn read(json: &[u8]) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Outcome {
            rows: Parts,
            warnings: Vec<String>,
        }
        let Outcome { rows, warnings } = serde_json::from_slice(json)?;
        Ok(Self { rows, warnings })
    }
}

impl Evaluation {
    /// Reads what `evaluate --json` printed.
    pub(super) fn read(json: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(json)
    }
}

/// An advice without the options of a command that uploaders do not use.
fn for_uploaders(advice: &str) -> String {
    let advice =
        advice.replace(", leave the column out, or tolerate it with --max-missing", ", or leave the column out");
    advice.replace(" (--min-rows)", "")
}

/// The last line of a command's log with an error, without the path of `dir`, in which it worked.
pub(super) fn last_error_line(log: &str, dir: &Path) -> Option<String> {
    let dir = dir.to_string_lossy();
    let log = log.replace(&format!("{dir}/"), "").replace(&*dir, ".");
    let last = log.lines().rfind(|line| line.starts_with("E! "))?;
    let last = last.trim_start_matches("E! ").trim_start_matches("qualm: ");
    Some(shortened(last, MAX_TEXT_CHARS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_reported_in_the_uploaders_words() {
        let json = br#"{"file":"upload.csv","verdict":"bad","rows":2,"from":null,"until":null,"checks":[
            {"check":"missing","verdict":"warning","findings":[{"check":"missing","verdict":"warning","kind":"missing",
              "measurement":"m","column":"cpu","series":null,"count":1,"line":null,"what":"50 % of its values are missing",
              "advice":"collect what is missing, leave the column out, or tolerate it with --max-missing"}]},
            {"check":"schema","verdict":"bad","findings":[{"check":"schema","verdict":"bad","kind":"text",
              "measurement":"m","column":"cpu","series":null,"count":1,"line":3,"what":"text where numbers are",
              "advice":"leave it empty where it is missing"}]}],"series":[],"columns":[]}"#;
        let validation = Validation::read(json).unwrap();
        assert_eq!(validation.findings[1].advice, "collect what is missing, or leave the column out");
        let fault = validation.fault().unwrap();
        assert_eq!(fault.error, "the data are not fit to train on: line 3: column `cpu`: text where numbers are");
        assert!(fault.hint.unwrap().starts_with("leave it empty"));
        assert!(Validation::read(b"{}").is_err());
    }

    #[test]
    fn the_last_error_line_is_found() {
        let log = "W! qualm: slow\nE! qualm: upload.csv:3: `x` is no number\x1b[2J\n";
        let dir = Path::new("/var/lib/models/.jobs/x");
        assert_eq!(last_error_line(log, dir).unwrap(), "upload.csv:3: `x` is no number\u{fffd}[2J");
        assert_eq!(last_error_line("thread main panicked", dir), None);
        let log = "E! no room at path \"/var/lib/models/.jobs/x/.tmp1\", in /var/lib/models/.jobs/x";
        assert_eq!(last_error_line(log, dir).unwrap(), "no room at path \".tmp1\", in .");
    }
}
