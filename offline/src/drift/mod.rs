//! Drift of history against what a bundle's training rows looked like.
//!
//! All rows are compared at once; and as they would have come in live, window after window, to see when drift began.

mod json;
mod terminal;
mod verdict;
mod windows;
pub(crate) mod words;

pub use windows::{Causes, InWindows, Sustained};

pub(crate) use verdict::verdict;

use std::path::PathBuf;

use qualm_bundle::reference::ReferenceFile;
use qualm_contract::ModelFactory;
use qualm_drift::{FeatureReport, Live, Options as Rules, Report, State, compare_table};

use crate::evaluate::report::drift::Page;
use crate::evaluate::score;
use crate::subject::{self, Subject};
use crate::table::Table;

/// The options of a comparison.
#[derive(Debug, Clone)]
pub struct Options {
    /// The model: a bundle's directory or .qualm file.
    pub bundle: PathBuf,
    /// The history: CSV with a time column (.csv), line protocol (.lp), or JSON lines (.jsonl).
    pub input: PathBuf,
    /// The measurement of a CSV or JSON file; by default that of the bundle's first feature.
    pub measurement: Option<String>,
    /// How many of the five tests must vote for drift of a feature; by default 3.
    pub consensus: Option<usize>,
}

/// Why nothing can be compared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bundle or the history cannot be used.
    #[error(transparent)]
    Subject(#[from] subject::Error),
    /// The bundle does not say what its training rows looked like.
    #[error(
        "{}: drift is unknown, for it does not say what its training rows looked like: train it again with this qualm", .0.display()
    )]
    Unknown(PathBuf),
    /// The detector refuses the rows.
    #[error("{}: {source}", bundle.display())]
    Detector {
        /// The bundle.
        bundle: PathBuf,
        /// Why.
        source: qualm_contract::Error,
    },
    /// The rows are not of the bundle's features.
    #[error(transparent)]
    Rows(#[from] qualm_drift::Error),
}

/// History compared with training.
#[derive(Debug)]
pub struct Outcome {
    /// The bundle's name and version.
    pub title: String,
    /// All rows at once.
    pub report: Report,
    /// Window after window, eight times in each.
    pub timeline: Vec<Moment>,
    /// The rows.
    pub table: Table,
    /// The score of each.
    pub scores: Vec<f64>,
    /// What they are compared with.
    pub reference: ReferenceFile,
    /// What counts as drift.
    pub rules: Rules,
    /// Caveats.
    pub notes: Vec<String>,
    /// Names and values.
    pub provenance: Vec<(String, String)>,
}

/// What was found of the rows of a window.
#[derive(Debug, Clone)]
pub struct Moment {
    /// The time of the row behind it.
    pub time: i64,
    /// Whether there is drift, sustained.
    pub state: State,
    /// Of each feature, and behind them of the score.
    pub columns: Vec<ColumnMoment>,
    /// The share of rows that were reported.
    pub alarm_rate: Option<f64>,
    /// Whether that drifts.
    pub alarms_drift: bool,
}

/// What was found of a feature, or of the score, in a window.
#[derive(Debug, Clone, Copy)]
pub struct ColumnMoment {
    /// The mean; `None` without values.
    pub mean: Option<f64>,
    /// How many tests vote for drift.
    pub votes: usize,
    /// Whether it drifts, sustained.
    pub drifts: bool,
    /// What of it drifts, sustained, that the five tests do not see.
    pub besides: Option<&'static str>,
}

impl ColumnMoment {
    fn of_feature(report: &FeatureReport) -> Self {
        let FeatureReport { live, votes, drifted, .. } = report;
        Self { mean: live.mean, votes: *votes, drifts: *drifted, besides: besides_tests(report) }
    }

    fn of_score(report: &Report) -> Self {
        let quantiles = report.errors_drift();
        let column = Self::of_feature(&report.score);
        let besides = quantiles.then_some("median or 95 % quantile");
        Self { drifts: column.drifts || quantiles, besides: besides.or(column.besides), ..column }
    }
}

/// What of a column drifts that the five tests do not see.
fn besides_tests(report: &FeatureReport) -> Option<&'static str> {
    let missing = report.missing.drifted.then_some("missing values");
    missing.or(report.beyond.drifted.then_some("values that training hardly had"))
}

/// Compares history with a bundle's reference. `factory` opens the bundle, whose detector scores the history.
///
/// # Errors
///
/// Which file cannot be used, why, and what to do.
pub fn drift(options: &Options, factory: &dyn ModelFactory) -> Result<Outcome, Error> {
    let Options { bundle: path, input, measurement, consensus } = options;
    let mut subject = Subject::read(path, input, measurement.as_deref(), factory)?;
    let reference = subject.bundle.reference.clone().ok_or_else(|| Error::Unknown(path.clone()))?;
    let scores =
        score::batch(&mut *subject.detector, subject.table.features(), subject.table.batch(0..subject.table.len()))
            .map_err(|source| Error::Detector { bundle: path.clone(), source })?;
    let rules = Rules::default();
    let rules = Rules { window: reference.window, consensus: consensus.unwrap_or(rules.consensus), ..rules };
    let report = compare_table(&reference.reference, &subject.table.values, &scores, &rules)?;
    let timeline = timeline(&reference, &subject.table, &scores, rules.clone());
    let manifest = &subject.bundle.manifest;
    let title = format!("{} version {}", manifest.name, manifest.version);
    let (notes, provenance) = (subject.notes(), subject.provenance());
    Ok(Outcome { title, report, timeline, table: subject.table, scores, reference, rules, notes, provenance })
}

fn timeline(reference: &ReferenceFile, table: &Table, scores: &[f64], rules: Rules) -> Vec<Moment> {
    let mut live = Live::new(reference.reference.clone(), rules);
    let mut timeline = Vec::new();
    let rows = table.values.chunks_exact(table.features());
    for ((time, values), score) in table.times.iter().zip(rows).zip(scores) {
        if live.observe(*time, values, *score) && live.report().state != State::Learning {
            timeline.push(Moment::new(*time, live.report()));
        }
    }
    timeline
}

impl Moment {
    fn new(time: i64, report: &Report) -> Self {
        let features = report.features.iter().map(ColumnMoment::of_feature);
        Self {
            time,
            state: report.state,
            columns: features.chain([ColumnMoment::of_score(report)]).collect(),
            alarm_rate: report.alarm_rate.live,
            alarms_drift: report.alarm_rate.drifted,
        }
    }

    /// How many features drift, sustained.
    #[must_use]
    pub fn features_drifting(&self) -> usize {
        self.features().iter().filter(|feature| feature.drifts).count()
    }

    /// How many features have as many votes as this, sustained or not.
    #[must_use]
    pub fn features_voting(&self, consensus: usize) -> usize {
        self.features().iter().filter(|feature| feature.votes >= consensus).count()
    }

    fn features(&self) -> &[ColumnMoment] {
        self.columns.split_last().map_or(&[], |(_, features)| features)
    }
}

impl Outcome {
    /// Whether there is drift of anything, of all rows together or sustained in some windows.
    #[must_use]
    pub fn drifts(&self) -> bool {
        self.report.state == State::Drifting || self.began().is_some()
    }

    /// Whether a feature drifts, of all rows together or in some windows.
    #[must_use]
    pub fn feature_drifts(&self, feature: usize) -> bool {
        self.report.features[feature].drifted || self.in_windows(feature).sustained.is_some()
    }

    /// Whether the score drifts, likewise.
    #[must_use]
    pub fn score_drifts(&self) -> bool {
        self.report.scores_drift() || self.in_windows(self.report.features.len()).sustained.is_some()
    }

    /// Whether the rate of alarms drifts, likewise.
    #[must_use]
    pub fn alarms_drift(&self) -> bool {
        self.report.alarm_rate.drifted || self.alarms_in_windows().is_some()
    }

    /// When drift was first sustained, had the rows come in live.
    #[must_use]
    pub fn began(&self) -> Option<i64> {
        self.timeline.iter().find(|moment| moment.state == State::Drifting).map(|moment| moment.time)
    }

    /// The features in the order of how much they moved: those that drift come first, by the most votes that they had; then, as
    /// all others, by the largest ratio of an effect to its level, of all rows together.
    #[must_use]
    pub fn ranked(&self) -> Vec<usize> {
        let rank = |feature: usize| {
            let report = &self.report.features[feature];
            let votes = self.in_windows(feature).most_votes.unwrap_or(0).max(report.votes);
            let votes = if self.feature_drifts(feature) { 1 + votes } else { 0 };
            (votes, largest_ratio(report))
        };
        let mut order: Vec<(usize, (usize, f64))> = (0..self.report.features.len()).map(|at| (at, rank(at))).collect();
        order.sort_by(|(_, one), (_, other)| other.0.cmp(&one.0).then(other.1.total_cmp(&one.1)));
        order.into_iter().map(|(feature, _)| feature).collect()
    }

    /// All as text for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        terminal::text(self)
    }

    /// All as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        json::json(self)
    }

    /// The report as an HTML page.
    #[must_use]
    pub fn html(&self) -> String {
        Page(self).html()
    }
}

/// The largest of a feature's effects, each as a multiple of what it must exceed.
fn largest_ratio(report: &FeatureReport) -> f64 {
    let tests = report.tests.iter().map(|test| test.statistic / test.level);
    let others = [&report.missing, &report.beyond].map(|of| of.effect / of.level);
    tests.chain(others).filter(|ratio| !ratio.is_nan()).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests;
