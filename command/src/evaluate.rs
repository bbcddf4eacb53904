//! `qualm evaluate`: the quality of a model or of scores.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use qualm_contract::ModelFactory;
use qualm_offline::evaluate::require::Requirement;
use qualm_offline::evaluate::{self, LabelSource, Outcome, Scores};

use crate::progress::progress_bar;
use crate::stdout::print_text;

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

/// The options of `qualm evaluate`.
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

/// Why there is no evaluation, or none that meets its requirements.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bundle, the history, the labels or an option cannot be used.
    #[error(transparent)]
    Evaluate(#[from] evaluate::Error),
    /// The report or stdout cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Figures are out of the bounds of `--require`.
    #[error("not good enough: {}", .0.join("; "))]
    RequirementsNotMet(Vec<String>),
}

/// Evaluates a model that `factory` opens, writes the report, and prints the figures.
///
/// # Errors
///
/// As [`Error`] lists them.
pub fn run(options: &Options, factory: &dyn ModelFactory) -> Result<(), Error> {
    let bar = progress_bar(0, "{wide_bar} {human_pos}/{human_len} rows, {eta} left");
    let outcome = evaluate::evaluate_files(&options.into(), factory, &|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let write_error = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Write { path, source }
    };
    if let Some(path) = &options.html {
        fs::write(path, outcome.html()).map_err(write_error(path))?;
    }
    let text = if options.json { format!("{}\n", outcome.json()) } else { to_text(&outcome, options.html.as_deref()) };
    print_text(&text).map_err(write_error(Path::new("stdout")))?;
    let figures = outcome.evaluation.figures();
    let unmet: Vec<String> = options.require.iter().filter_map(|required| required.check(&figures)).collect();
    if unmet.is_empty() { Ok(()) } else { Err(Error::RequirementsNotMet(unmet)) }
}

impl From<&Options> for evaluate::Options {
    fn from(options: &Options) -> Self {
        let scores = match (&options.scores, &options.bundle, &options.input) {
            (None, Some(bundle), Some(input)) => Scores::Bundle {
                bundle: bundle.clone(),
                input: input.clone(),
                measurement: options.measurement.clone(),
            },
            (scores, ..) => Scores::File(scores.clone().unwrap_or_default()),
        };
        let file = options.labels.clone().map(LabelSource::File);
        Self {
            scores,
            labels: file.or_else(|| options.label_column.clone().map(LabelSource::Column)),
            tolerance: options.tolerance,
            robustness: !options.no_robustness,
            seed: options.seed,
        }
    }
}

fn to_text(outcome: &Outcome, html: Option<&Path>) -> String {
    let mut out = outcome.text();
    if let Some(path) = html {
        let _infallible = write!(out, "\nthe report is in {}\n", path.display());
    } else {
        out += "\n--html FILE makes a report, with plots and what each figure means\n";
    }
    out
}
