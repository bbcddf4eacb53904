//! The report as text for a terminal: the worst findings first, and those of several series once.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::time::Duration;

use qualm_bundle::duration::friendly;

use super::report::{Check, Finding, Report, Verdict, shown};

/// How many findings are listed.
const MAX_FINDINGS: usize = 40;

impl Report {
    /// The report as text for a terminal.
    #[must_use]
    pub fn to_table(&self) -> String {
        let mut text = self.summary();
        text += "\n";
        for outcome in &self.checks {
            let count = match folded(outcome.findings.iter()).len() {
                0 if outcome.check == Check::Outliers => self.farthest(),
                0 => String::new(),
                1 => "1 finding".to_owned(),
                count => format!("{count} findings"),
            };
            let line = format!("  {:<8}  {:<10}  {count}", outcome.verdict.name(), outcome.check.name());
            let _infallible = writeln!(text, "{}", line.trim_end());
        }
        let mut findings = folded(self.findings());
        findings.sort_by_key(|(finding, _)| (std::cmp::Reverse(finding.verdict), finding.check));
        if !findings.is_empty() {
            text += "\n";
        }
        let counted = self.measurements() > 1;
        let rows: Vec<_> =
            findings.iter().take(MAX_FINDINGS).map(|(finding, others)| cells(finding, *others, counted)).collect();
        let wide = rows.iter().map(|(place, _)| place.chars().count()).max().unwrap_or_default();
        for ((finding, _), (place, what)) in findings.iter().zip(rows) {
            let (verdict, check) = (finding.verdict.name(), finding.check.name());
            let _infallible = writeln!(text, "  {verdict:<8}  {check:<10}  {place:<wide$}  {what}");
            let _infallible = writeln!(text, "  {:22}{:wide$}  -> {}", "", "", finding.advice);
        }
        if findings.len() > MAX_FINDINGS {
            let _infallible =
                writeln!(text, "\n  and {} more findings (--json has all)", findings.len() - MAX_FINDINGS);
        }
        text += match self.verdict() {
            Verdict::Ok => "\nIt is fit to train on.\n",
            Verdict::Warning => "\nIt can be trained on; see the warnings.\n",
            Verdict::Bad => "\nIt is not fit to train on.\n",
        };
        text
    }

    fn summary(&self) -> String {
        let names: BTreeSet<_> = self.columns.iter().map(|column| (&column.measurement, &column.column)).collect();
        let mut text =
            format!("{}: {}, {}", self.file, counted(self.rows, "row"), counted(names.len() as u64, "column"));
        if self.series.len() > 1 {
            let _infallible = write!(text, ", {}", counted(self.series.len() as u64, "series"));
        }
        if self.measurements() > 1 {
            let _infallible = write!(text, " of {} measurements", self.measurements());
        }
        if let (Some(from), Some(until)) = (&self.from, &self.until) {
            let _infallible = write!(text, "\n{from} to {until}");
        }
        let longest = self.series.iter().max_by_key(|timing| timing.rows);
        if let Some(step) = longest.and_then(|timing| timing.step_seconds) {
            let _infallible = write!(text, ", each {}", seconds(step));
        }
        text + "\n"
    }

    /// The farthest outlier, if any.
    fn farthest(&self) -> String {
        let far = self.columns.iter().filter_map(|column| Some((column, column.farthest?)));
        let farthest = far.max_by(|(_, one), (_, other)| one.spreads.total_cmp(&other.spreads));
        farthest.map_or_else(String::new, |(column, far)| {
            format!(
                "farthest: {} = {} in line {}, {:.0} spreads",
                shown(&column.column),
                far.value,
                far.line,
                far.spreads
            )
        })
    }

    fn measurements(&self) -> usize {
        self.series.iter().map(|timing| &timing.measurement).collect::<BTreeSet<_>>().len()
    }
}

/// The findings, of those that differ only in their series the worst, with the number of the others.
fn folded<'a>(findings: impl Iterator<Item = &'a Finding>) -> Vec<(&'a Finding, usize)> {
    let mut folded: Vec<(&Finding, usize)> = Vec::new();
    let mut places = HashMap::new();
    for finding in findings {
        let what = (finding.check as u8, finding.kind, &finding.measurement, &finding.column);
        if let Some(&at) = places.get(&what) {
            let (kept, others): &mut (&Finding, usize) = &mut folded[at];
            *others += 1;
            if (finding.verdict, finding.count) > (kept.verdict, kept.count) {
                *kept = finding;
            }
        } else {
            places.insert(what, folded.len());
            folded.push((finding, 0));
        }
    }
    folded
}

/// The place and the text of a finding.
fn cells(finding: &Finding, others: usize, many_measurements: bool) -> (String, String) {
    let measurement = finding.measurement.as_deref().filter(|_| many_measurements);
    let parts: Vec<String> = measurement.into_iter().chain(finding.column.as_deref()).map(shown).collect();
    let place = if parts.is_empty() { "the file".to_owned() } else { parts.join(" ") };
    let mut what = finding.what.clone();
    let series = finding.series.as_deref().filter(|series| series.contains(',')).map(shown);
    match (series, others) {
        (Some(series), 0) => {
            let _infallible = write!(what, " ({series})");
        }
        (Some(series), others) => {
            let _infallible = write!(what, " ({series}, and {others} more series)");
        }
        (None, _) => {}
    }
    (place, what)
}

/// `1 row`, `2 rows`.
fn counted(count: u64, what: &str) -> String {
    let end = if count == 1 || what.ends_with('s') { "" } else { "s" };
    format!("{count} {what}{end}")
}

/// Formats seconds as a duration.
pub(super) fn seconds(seconds: f64) -> String {
    let duration = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    if duration.as_secs() > 10 { friendly(Duration::from_secs(duration.as_secs())) } else { friendly(duration) }
}
