//! The results of the checks.

use std::path::Path;

use jiff::Timestamp;
use qualm_system::untrusted::shortened;
use serde::Serialize;

use super::data::Data;
use super::profile::Profile;
use super::timing::SeriesTiming;
use crate::history::timestamp;

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing was found.
    Ok,
    /// Something should be reviewed.
    Warning,
    /// The data cannot be trained on.
    Bad,
}

/// The checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// Header, columns and rows are valid.
    Schema,
    /// Values are plausible.
    Ranges,
    /// Few values are missing.
    Missing,
    /// Rows are unique, and in order of time.
    Duplicates,
    /// There are few outliers.
    Outliers,
    /// The data can be trained on.
    Statistics,
}

impl Check {
    /// All checks, in the order of the report.
    pub const ALL: [Self; 6] =
        [Self::Schema, Self::Ranges, Self::Missing, Self::Duplicates, Self::Outliers, Self::Statistics];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::Ranges => "ranges",
            Self::Missing => "missing",
            Self::Duplicates => "duplicates",
            Self::Outliers => "outliers",
            Self::Statistics => "statistics",
        }
    }
}

impl Verdict {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }
}

/// Something that a check found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// Its severity.
    pub verdict: Verdict,
    /// Its kind, as one word.
    pub kind: &'static str,
    /// The measurement, if it is about one.
    pub measurement: Option<String>,
    /// The column, if it is about one.
    pub column: Option<String>,
    /// The series, if it is about one.
    pub series: Option<String>,
    /// How often it occurs.
    pub count: u64,
    /// The line of the first, or worst, occurrence.
    pub line: Option<u64>,
    /// The description.
    pub what: String,
    /// The remedy.
    pub advice: &'static str,
}

impl Finding {
    /// A finding about the whole file.
    pub(super) fn new(check: Check, verdict: Verdict, kind: &'static str, what: String, advice: &'static str) -> Self {
        let (measurement, column, series) = (None, None, None);
        Self { check, verdict, kind, measurement, column, series, count: 1, line: None, what, advice }
    }

    /// Of a column.
    pub(super) fn of(self, column: &Profile) -> Self {
        Self { series: Some(column.series.clone()), ..self.of_column(&column.measurement, &column.column) }
    }

    /// Of a column of all series.
    pub(super) fn of_column(self, measurement: &str, column: &str) -> Self {
        Self { measurement: Some(measurement.to_owned()), column: Some(column.to_owned()), ..self }
    }

    /// Of a series.
    pub(super) fn of_series(self, timing: &SeriesTiming) -> Self {
        Self { measurement: Some(timing.measurement.clone()), series: Some(timing.series.clone()), ..self }
    }

    /// With the number of occurrences, and the line of the first or worst.
    pub(super) fn times(self, count: u64, line: Option<u64>) -> Self {
        Self { count, line, ..self }
    }
}

/// The results of all checks.
#[derive(Debug, Serialize)]
pub struct Report {
    pub(super) file: String,
    verdict: Verdict,
    pub(super) rows: u64,
    pub(super) from: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) checks: Vec<CheckResult>,
    pub(super) series: Vec<SeriesTiming>,
    pub(super) columns: Vec<Profile>,
}

/// The result of one check.
#[derive(Debug, Serialize)]
pub(super) struct CheckResult {
    pub(super) check: Check,
    pub(super) verdict: Verdict,
    pub(super) findings: Vec<Finding>,
}

impl Report {
    pub(super) fn new(
        file: &Path,
        data: &Data,
        columns: Vec<Profile>,
        series: Vec<SeriesTiming>,
        findings: &[Finding],
    ) -> Self {
        let checks: Vec<CheckResult> = Check::ALL
            .into_iter()
            .map(|check| {
                let mut findings: Vec<_> = findings.iter().filter(|finding| finding.check == check).cloned().collect();
                findings.sort_by_key(|finding| std::cmp::Reverse((finding.verdict, finding.count)));
                let verdict = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok);
                CheckResult { check, verdict, findings }
            })
            .collect();
        Self {
            file: file.display().to_string(),
            verdict: checks.iter().map(|outcome| outcome.verdict).max().unwrap_or(Verdict::Ok),
            rows: data.rows(),
            from: series.iter().filter_map(|timing| timing.first).min().map(timestamp),
            until: series.iter().filter_map(|timing| timing.last).max().map(timestamp),
            checks,
            series,
            columns,
        }
    }

    /// The worst verdict of all checks.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// All findings, the worst of each check first.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.checks.iter().flat_map(|outcome| &outcome.findings)
    }

    /// The checks with a worse verdict than `tolerated`, as text.
    #[must_use]
    pub fn failed_checks(&self, tolerated: Verdict) -> String {
        let worse = self.checks.iter().filter(|outcome| outcome.verdict > tolerated);
        let named = worse.map(|outcome| format!("{} is {}", outcome.check.name(), outcome.verdict.name()));
        named.collect::<Vec<_>>().join(", ")
    }

    /// The report as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings and numbers always serialise.
        serde_json::to_string(self).map_or_else(|_| String::new(), |text| text + "\n")
    }
}

/// A text from a file, shortened and without control characters.
pub(super) fn shown(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    shortened(text.trim(), MAX_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_text_has_no_control_characters() {
        assert_eq!(shown(" \u{1b}[2Jcpu\n"), "\u{fffd}[2Jcpu");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), 61);
    }
}
