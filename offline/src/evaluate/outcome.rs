//! Evaluates files, with notes and provenance.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use qualm_contract::ModelFactory;
use serde_json::{Value, json};

use super::evaluation::{assess, passes};
use super::labels::{self, Labels};
use super::report::Page;
use super::score::Scored;
use super::{Evaluation, NetworkAlone, Settings, evaluate, networks, terminal};
use crate::progress::Progress;
use crate::subject::{self, Subject};
use crate::table::Table;

/// How many alarms are listed.
const MAX_ALARMS: usize = 20;

/// The options of an evaluation.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where scores come from.
    pub scores: Scores,
    /// Where labels come from, if there are any.
    pub labels: Option<LabelSource>,
    /// This many rows before and after an event count as part of it.
    pub tolerance: usize,
    /// Whether perturbed rows are scored as well.
    pub robustness: bool,
    /// The seed of all randomness.
    pub seed: u64,
}

/// Where scores come from.
#[derive(Debug, Clone)]
pub enum Scores {
    /// A model scores the input.
    Bundle {
        /// The model: a bundle's directory or .qualm file.
        bundle: PathBuf,
        /// The history: CSV with a time column (.csv), line protocol (.lp), or JSON lines (.jsonl).
        input: PathBuf,
        /// The measurement of a CSV or JSON file; by default that of the bundle's first feature.
        measurement: Option<String>,
    },
    /// A file has them, as `qualm replay --scores` writes it.
    File(PathBuf),
}

/// Where labels come from.
#[derive(Debug, Clone)]
pub enum LabelSource {
    /// A CSV file.
    File(PathBuf),
    /// A column of the input, which is a CSV file.
    Column(String),
}

/// Why there is no evaluation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bundle or the history cannot be used.
    #[error(transparent)]
    Subject(#[from] subject::Error),
    /// Labels or scores cannot be used.
    #[error(transparent)]
    Labels(#[from] labels::Error),
    /// There is nothing to score.
    #[error("{}: there is no row in it", .0.display())]
    Empty(PathBuf),
    /// The detector refuses the rows.
    #[error("{}: {source}", bundle.display())]
    Detector {
        /// The bundle.
        bundle: PathBuf,
        /// Why.
        source: qualm_contract::Error,
    },
}

/// An evaluation with its notes and provenance.
#[derive(Debug)]
pub struct Outcome {
    /// What was evaluated.
    pub title: String,
    /// The results.
    pub evaluation: Evaluation,
    table: Table,
    labels: Option<Vec<bool>>,
    notes: Vec<String>,
    provenance: Vec<(String, String)>,
}

/// Evaluates files; `factory` opens a bundle. Calls `progress` with the number of rows that have been scored, and of all.
///
/// # Errors
///
/// Which file cannot be used, why, and what to do.
pub fn evaluate_files(options: &Options, factory: &dyn ModelFactory, progress: Progress<'_>) -> Result<Outcome, Error> {
    match &options.scores {
        Scores::Bundle { bundle, input, measurement } => {
            let subject = Subject::read(bundle, input, measurement.as_deref(), factory)?;
            of_bundle(options, subject, bundle, input, progress)
        }
        Scores::File(path) => of_scores(options, path),
    }
}

fn of_bundle(
    options: &Options,
    mut subject: Subject,
    bundle: &Path,
    input: &Path,
    progress: Progress<'_>,
) -> Result<Outcome, Error> {
    let labels = labels_of(options, input, &subject.table)?;
    let settings = Settings { references: subject.references(), robustness: options.robustness, ..settings(options) };
    let failed = |source| Error::Detector { bundle: bundle.to_owned(), source };
    let alone = networks::each_alone(&subject.bundle).map_err(failed)?;
    let plain = Settings { robustness: false, ..settings.clone() };
    let once = passes(labels.is_some(), &plain);
    let all = (passes(labels.is_some(), &settings) + once * alone.len()) * subject.table.len();
    let done = Cell::new(0);
    let scored = |rows: usize| {
        done.set(done.get() + rows as u64);
        progress(done.get(), all as u64);
    };
    let Subject { detector, table, .. } = &mut subject;
    let mut evaluation = evaluate(&mut **detector, table, labels.as_deref(), &settings, &scored).map_err(failed)?;
    for (network, mut detector) in alone {
        let its = evaluate(&mut *detector, table, labels.as_deref(), &plain, &scored).map_err(failed)?;
        evaluation.networks.push(NetworkAlone { network: network.name(), figures: its.figures() });
    }
    let mut provenance = subject.provenance();
    provenance.extend(described(options));
    Ok(Outcome { title: subject.title(), evaluation, labels, notes: subject.notes(), provenance, table: subject.table })
}

fn of_scores(options: &Options, path: &Path) -> Result<Outcome, Error> {
    let (table, scores) = labels::read_scores(path)?;
    if table.is_empty() {
        return Err(Error::Empty(path.to_owned()));
    }
    let labels = labels_of(options, path, &table)?;
    let scored = Scored { scores, ..Scored::default() };
    let evaluation = assess(&table, scored, labels.as_deref(), &settings(options));
    let mut provenance = vec![("scores".to_owned(), path.display().to_string())];
    provenance.extend(described(options));
    let title = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Outcome { title, evaluation, table, labels, notes: Vec::new(), provenance })
}

/// The labels of the rows in `table`, which were read from `input`.
fn labels_of(options: &Options, input: &Path, table: &Table) -> Result<Option<Vec<bool>>, labels::Error> {
    let Some(source) = &options.labels else { return Ok(None) };
    let labels = match source {
        LabelSource::File(path) => Labels::read(path)?,
        LabelSource::Column(column) => Labels::read_column(input, column)?,
    };
    labels.of(table).map(Some)
}

fn settings(options: &Options) -> Settings {
    Settings { seed: options.seed, tolerance: options.tolerance, alarms: MAX_ALARMS, ..Settings::default() }
}

/// The provenance from the options.
fn described(options: &Options) -> Vec<(String, String)> {
    let labels = match &options.labels {
        Some(LabelSource::File(path)) => path.display().to_string(),
        Some(LabelSource::Column(column)) => format!("column {column}"),
        None => "none".to_owned(),
    };
    let mut out = vec![("labels".to_owned(), labels)];
    if matches!(options.scores, Scores::Bundle { .. }) {
        out.push(("seed".to_owned(), options.seed.to_string()));
    }
    out.push(("evaluated by".to_owned(), format!("qualm {}", env!("CARGO_PKG_VERSION"))));
    out
}

impl Outcome {
    /// The report as an HTML page.
    #[must_use]
    pub fn html(&self) -> String {
        let Self { title, evaluation, table, labels, notes, provenance } = self;
        Page { title, evaluation, table, labels: labels.as_deref(), notes, provenance }.html()
    }

    /// All of it as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let provenance: serde_json::Map<_, _> =
            self.provenance.iter().map(|(what, value)| (what.clone(), json!(value))).collect();
        json!({
            "title": self.title,
            "notes": self.notes,
            "figures": self.evaluation.figures(),
            "evaluation": self.evaluation,
            "provenance": provenance,
        })
    }

    /// The most important results as text for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        terminal::text(&self.title, &self.evaluation, &self.notes)
    }
}
