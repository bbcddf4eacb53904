//! `qualm drift`: whether history still looks like what a model was trained on.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use clap::Args;
use qualm_contract::ModelFactory;
use qualm_offline::drift;

use crate::stdout::print_text;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  qualm drift --model models/host --input last-week.csv
  qualm drift --model models/host --input last-week.lp --html drift.html     distributions then and now, as a page
  qualm drift --model models/host --input last-week.csv --json | jq .drifts

Each feature and the score are compared with training by five tests: Kolmogorov-Smirnov, population stability index,
Wasserstein, Jensen-Shannon, chi-square. Three votes make drift: of all rows together, or in windows of the rows as they
would have come in live (as long as `drift_window` in training, a day by default). What windows of the training rows
differed by among themselves, such as night and day, is no drift.

The exit code is 1 where there is drift.";

/// The options of `qualm drift`.
#[derive(Debug, Args)]
pub struct Options {
    /// The model: a bundle's directory or .qualm file
    #[arg(long, value_name = "BUNDLE", alias = "bundle")]
    pub model: PathBuf,

    /// The history: CSV with a time column (.csv), line protocol (.lp), or JSON lines (.jsonl)
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,

    /// How many of the five tests must vote for drift of a feature
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=5))]
    pub consensus: Option<u8>,

    /// Where to write the report, one HTML page
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    /// Print all as JSON
    #[arg(long)]
    pub json: bool,

    /// What the metrics of a CSV or JSON file are called; by default what the bundle's first feature is of
    #[arg(long, value_name = "NAME")]
    pub measurement: Option<String>,
}

/// Why there is no comparison, or none without drift.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bundle, the history or an option cannot be used.
    #[error(transparent)]
    Drift(#[from] drift::Error),
    /// The report or stdout cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is drift.
    #[error("there is drift; retrain the model on newer history (`qualm train`, `qualm retrain`)")]
    Drifts,
}

/// Compares history with a model's training rows, writes the report, and prints the figures. `factory` opens the model.
///
/// # Errors
///
/// As [`Error`] lists them.
pub fn run(options: &Options, factory: &dyn ModelFactory) -> Result<(), Error> {
    let outcome = drift::drift(&options.into(), factory)?;
    let write_error = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Write { path, source }
    };
    if let Some(path) = &options.html {
        fs::write(path, outcome.html()).map_err(write_error(path))?;
    }
    let text = if options.json {
        format!("{}\n", outcome.json())
    } else {
        let mut text = outcome.text();
        if let Some(path) = &options.html {
            let _infallible = writeln!(text, "the report is in {}", path.display());
        } else {
            text += "--html FILE makes a report, with plots\n";
        }
        text
    };
    print_text(&text).map_err(write_error(Path::new("stdout")))?;
    if outcome.drifts() { Err(Error::Drifts) } else { Ok(()) }
}

impl From<&Options> for drift::Options {
    fn from(options: &Options) -> Self {
        let Options { model, input, measurement, consensus, .. } = options;
        let consensus = consensus.map(usize::from);
        Self { bundle: model.clone(), input: input.clone(), measurement: measurement.clone(), consensus }
    }
}
