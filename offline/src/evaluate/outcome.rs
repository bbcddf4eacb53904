//! An evaluation of what lies in files, and what belongs beside it.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use qualm_contract::ModelFactory;
use serde_json::{Value, json};

use super::evaluation::{assess, passes};
use super::labels::{self, Labels};
use super::report::Page;
use super::score::Scored;
use super::{Evaluation, Settings, evaluate, terminal};
use crate::progress::Progress;
use crate::subject::{self, Subject};
use crate::table::Table;

/// Alarms that are listed.
const MAX_ALARMS: usize = 20;

/// What is evaluated, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whose scores.
    pub scores: Scores,
    /// Which rows are incidents, where that is known.
    pub labels: Option<LabelSource>,
    /// So many rows before and behind an incident count as part of it, when incidents are held against alarms.
    pub tolerance: usize,
    /// Whether rows that are made worse on purpose are scored too.
    pub robustness: bool,
    /// The seed of all randomness.
    pub seed: u64,
}

/// Where scores come from.
#[derive(Debug, Clone)]
pub enum Scores {
    /// A model gives them.
    Bundle {
        /// The model: a bundle's directory or .qualm file.
        bundle: PathBuf,
        /// The history: CSV with a time column (.csv), line protocol (.lp), or JSON lines (.jsonl).
        input: PathBuf,
        /// What the metrics of a CSV or JSON file are called; by default what the bundle's first feature is of.
        measurement: Option<String>,
    },
    /// They are there already, in a file as `qualm replay --scores` writes it.
    File(PathBuf),
}

/// Where labels come from.
#[derive(Debug, Clone)]
pub enum LabelSource {
    /// A CSV file of their own.
    File(PathBuf),
    /// This column of the input, a CSV file.
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

/// An evaluation and what belongs beside it.
#[derive(Debug)]
pub struct Outcome {
    /// What was evaluated.
    pub title: String,
    /// All that there is to say.
    pub evaluation: Evaluation,
    table: Table,
    labels: Option<Vec<bool>>,
    notes: Vec<String>,
    provenance: Vec<(String, String)>,
}

/// Evaluates, with this factory where a model is to score. Calls `progress` with the rows that have been scored, and with how
/// many there will be.
///
/// # Errors
///
/// What cannot be used, where, and what to do.
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
    let labels = match &options.labels {
        Some(LabelSource::File(path)) => Some(Labels::read(path)?.of(&subject.table)?),
        Some(LabelSource::Column(column)) => Some(Labels::read_column(input, column)?.of(&subject.table)?),
        None => None,
    };
    let settings = Settings { references: subject.references(), robustness: options.robustness, ..settings(options) };
    let all = passes(labels.is_some(), &settings) * subject.table.len();
    let done = Cell::new(0);
    let scored = |rows: usize| {
        done.set(done.get() + rows as u64);
        progress(done.get(), all as u64);
    };
    let evaluation = evaluate(&mut *subject.detector, &subject.table, labels.as_deref(), &settings, &scored)
        .map_err(|source| Error::Detector { bundle: bundle.to_owned(), source })?;
    let mut provenance = subject.provenance();
    provenance.extend(described(options));
    Ok(Outcome { title: subject.title(), evaluation, labels, notes: subject.notes(), provenance, table: subject.table })
}

fn of_scores(options: &Options, path: &Path) -> Result<Outcome, Error> {
    let (table, scores) = labels::read_scores(path)?;
    if table.is_empty() {
        return Err(Error::Empty(path.to_owned()));
    }
    let labels = match &options.labels {
        Some(LabelSource::File(path)) => Some(Labels::read(path)?.of(&table)?),
        Some(LabelSource::Column(column)) => Some(Labels::read_column(path, column)?.of(&table)?),
        None => None,
    };
    let scored = Scored { scores, ..Scored::default() };
    let evaluation = assess(&table, scored, labels.as_deref(), &settings(options));
    let mut provenance = vec![("scores".to_owned(), path.display().to_string())];
    provenance.extend(described(options));
    let title = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Outcome { title, evaluation, table, labels, notes: Vec::new(), provenance })
}

fn settings(options: &Options) -> Settings {
    Settings { seed: options.seed, tolerance: options.tolerance, alarms: MAX_ALARMS, ..Settings::default() }
}

/// What of the provenance the user set.
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
    /// The report, one HTML page.
    #[must_use]
    pub fn html(&self) -> String {
        let Self { title, evaluation, table, labels, notes, provenance } = self;
        Page { title, evaluation, table, labels: labels.as_deref(), notes, provenance }.html()
    }

    /// All of it, for machines.
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

    /// What matters most, for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        terminal::text(&self.title, &self.evaluation, &self.notes)
    }
}
