//! `qualm evaluate`.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use qualm_bundle::stdout::say;
use qualm_contract::ModelFactory;
use serde_json::json;

use super::evaluation::{assess, passes};
use super::labels::{self, Labels};
use super::report::Page;
use super::require::Requirement;
use super::score::Scored;
use super::{Evaluation, Settings, evaluate, screen};
use crate::progress;
use crate::subject::{self, Subject};
use crate::table::Table;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  qualm evaluate --bundle models/host --input week.csv --labels incidents.csv --html report.html
  qualm evaluate --bundle models/host --input week.csv --label-column is_incident --json
  qualm evaluate --bundle models/host --input week.csv      no labels: anomalies are put in and looked for
  qualm evaluate --scores out.csv --labels incidents.csv    scores that `qualm replay` wrote
  qualm evaluate --scores out.csv --labels incidents.csv --require 'event_recall>=0.8'

Labels are a CSV file: a column `label` of 0 and 1, with a row for each row of
the input or a `time` to find it by; or time windows in the columns `start` and
`end` (the first time that is no longer in it), and `entity` (or `series`),
such as `host=a`, where a window is of one only.

A row counts for what it was called when it passed: that an incident was found
in one row does not make its other rows found. A row without a score raises no
alarm.";

/// What a user may ask for.
#[derive(Debug, Args)]
pub struct Options {
    /// The model: a bundle's directory or .qualm file
    #[arg(long, value_name = "BUNDLE", required_unless_present = "scores", requires = "input")]
    pub bundle: Option<PathBuf>,

    /// The history: CSV with a time column (.csv), line protocol (.lp), or JSON lines (.jsonl)
    #[arg(long, value_name = "FILE", requires = "bundle")]
    pub input: Option<PathBuf>,

    /// Scores that are there already, as `qualm replay --scores` writes them
    #[arg(long, value_name = "CSV", conflicts_with_all = ["bundle", "input", "no_robustness", "measurement", "seed"])]
    pub scores: Option<PathBuf>,

    /// Which rows are incidents
    #[arg(long, value_name = "CSV", conflicts_with = "label_column")]
    pub labels: Option<PathBuf>,

    /// The column of the input, a CSV file, that says which rows are incidents
    #[arg(long, value_name = "NAME", requires = "input")]
    pub label_column: Option<String>,

    /// So many rows before and behind an incident count as part of it, when incidents are held against alarms
    #[arg(long, value_name = "ROWS", default_value_t = 0)]
    pub tolerance: usize,

    /// Where to write the report, one HTML page
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    /// Print all as JSON
    #[arg(long)]
    pub json: bool,

    /// Fail (exit code 1) unless a figure is so much at least, or at most, such as `event_recall>=0.8` or
    /// `alarms_per_day<=2`; again for more
    #[arg(long, value_name = "BOUND")]
    pub require: Vec<Requirement>,

    /// Leave out the rows that are made worse on purpose
    #[arg(long)]
    pub no_robustness: bool,

    /// The seed of all randomness
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// What the metrics of a CSV or JSON file are called; by default what the bundle's first feature is of
    #[arg(long, value_name = "NAME")]
    pub measurement: Option<String>,
}

/// Alarms that are listed.
const ALARMS: usize = 20;

/// Why there is no evaluation, or none that is good enough.
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
    /// Something cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A figure is not what it must be.
    #[error("not good enough: {}", .0.join("; "))]
    Wanting(Vec<String>),
}

impl Error {
    /// The process's exit code: 1 where the model was found wanting or the outcome cannot be written, 2 where something
    /// cannot be used.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Wanting(_) | Self::Write { .. } => 1,
            _ => 2,
        }
    }
}

/// An evaluation and what belongs beside it.
struct Outcome {
    title: String,
    evaluation: Evaluation,
    table: Table,
    labels: Option<Vec<bool>>,
    notes: Vec<String>,
    provenance: Vec<(String, String)>,
}

/// Evaluates with this factory, writes the report, and prints what there is to say.
///
/// # Errors
///
/// What cannot be used, where, and what to do; and where a figure is not what it must be.
pub fn run(options: &Options, factory: &dyn ModelFactory) -> Result<(), Error> {
    let outcome = match (&options.scores, &options.bundle, &options.input) {
        (None, Some(bundle), Some(input)) => of_bundle(options, bundle, input, factory)?,
        (scores, ..) => of_scores(options, scores.as_deref().unwrap_or(Path::new("")))?,
    };
    let written = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Write { path, source }
    };
    if let Some(path) = &options.html {
        fs::write(path, outcome.html()).map_err(written(path))?;
    }
    let told = if options.json { outcome.json() } else { outcome.text(options.html.as_deref()) };
    say(&told).map_err(written(Path::new("stdout")))?;
    let figures = outcome.evaluation.figures();
    let wanting: Vec<String> = options.require.iter().filter_map(|required| required.check(&figures)).collect();
    if wanting.is_empty() { Ok(()) } else { Err(Error::Wanting(wanting)) }
}

fn of_bundle(options: &Options, bundle: &Path, input: &Path, factory: &dyn ModelFactory) -> Result<Outcome, Error> {
    let mut subject = Subject::read(bundle, input, options.measurement.as_deref(), factory)?;
    let labels = match (&options.labels, &options.label_column) {
        (Some(path), _) => Some(Labels::read(path)?.of(&subject.table)?),
        (None, Some(column)) => Some(Labels::read_column(input, column)?.of(&subject.table)?),
        (None, None) => None,
    };
    let settings =
        Settings { references: subject.references(), robustness: !options.no_robustness, ..settings(options) };
    let rows = passes(labels.is_some(), &settings) * subject.table.len();
    let bar = progress::bar(rows as u64, "{wide_bar} {human_pos}/{human_len} rows, {eta} left");
    let scored = |rows: usize| bar.inc(rows as u64);
    let evaluation = evaluate(&mut *subject.detector, &subject.table, labels.as_deref(), &settings, &scored)
        .map_err(|source| Error::Detector { bundle: bundle.to_owned(), source })?;
    bar.finish_and_clear();
    let mut provenance = subject.provenance();
    provenance.extend(described(options));
    Ok(Outcome { title: subject.title(), evaluation, labels, notes: subject.notes(), provenance, table: subject.table })
}

fn of_scores(options: &Options, path: &Path) -> Result<Outcome, Error> {
    let (table, scores) = labels::read_scores(path)?;
    if table.is_empty() {
        return Err(Error::Empty(path.to_owned()));
    }
    let labels = options.labels.as_deref().map(|path| Labels::read(path)?.of(&table)).transpose()?;
    let scored = Scored { scores, ..Scored::default() };
    let evaluation = assess(&table, scored, labels.as_deref(), &settings(options));
    let mut provenance = vec![("scores".to_owned(), path.display().to_string())];
    provenance.extend(described(options));
    let title = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Outcome { title, evaluation, table, labels, notes: Vec::new(), provenance })
}

fn settings(options: &Options) -> Settings {
    Settings { seed: options.seed, tolerance: options.tolerance, alarms: ALARMS, ..Settings::default() }
}

/// What of the provenance the user set.
fn described(options: &Options) -> Vec<(String, String)> {
    let labels = match (&options.labels, &options.label_column) {
        (Some(path), _) => path.display().to_string(),
        (None, Some(column)) => format!("column {column}"),
        (None, None) => "none".to_owned(),
    };
    let mut out = vec![("labels".to_owned(), labels)];
    if options.scores.is_none() {
        out.push(("seed".to_owned(), options.seed.to_string()));
    }
    out.push(("evaluated by".to_owned(), format!("qualm {}", env!("CARGO_PKG_VERSION"))));
    out
}

impl Outcome {
    fn html(&self) -> String {
        let Self { title, evaluation, table, labels, notes, provenance } = self;
        Page { title, evaluation, table, labels: labels.as_deref(), notes, provenance }.html()
    }

    fn json(&self) -> String {
        let provenance: serde_json::Map<_, _> =
            self.provenance.iter().map(|(what, value)| (what.clone(), json!(value))).collect();
        let told = json!({
            "title": self.title,
            "notes": self.notes,
            "figures": self.evaluation.figures(),
            "evaluation": self.evaluation,
            "provenance": provenance,
        });
        format!("{told}\n")
    }

    fn text(&self, html: Option<&Path>) -> String {
        let mut out = screen::text(&self.title, &self.evaluation, &self.notes);
        if let Some(path) = html {
            let _infallible = write!(out, "\nthe report is in {}\n", path.display());
        } else {
            out += "\n--html FILE makes a report, with plots and what each figure means\n";
        }
        out
    }
}
