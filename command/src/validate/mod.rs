//! `qualm validate`: checks whether history is fit to train on.

use std::io;
use std::path::PathBuf;

use clap::Args;
use qualm_offline::validate::{self, Verdict};

use crate::progress::{BYTES_TEMPLATE, progress_bar};
use crate::stdout::print_text;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  qualm validate --input history.csv
  qualm validate --input week.lp --max-missing 0.05 --strict
  qualm validate --input history.csv --expect 'usage_*=0..100' --expect 'temperature=-40..125'
  qualm validate --input metrics.jsonl --json | jq '.columns[] | select(.outliers > 0)'

Six checks: schema, ranges, missing, duplicates, outliers, statistics. Each is ok, a warning, or bad.
Exit code: 0; 1 where something is bad (with --strict: or a warning); 2 where the file cannot be read.";

/// The options of `qualm validate`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The history: line protocol (.lp), CSV with a time column (.csv), or JSON lines (.jsonl)
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,

    /// What the metrics of a CSV or JSON file are called; the file's name without its ending, if left out
    #[arg(long, value_name = "NAME")]
    pub measurement: Option<String>,

    /// The share of a column's values that may be missing
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    pub max_missing: f64,

    /// The share of a column's values that may lie beyond six spreads of its median
    #[arg(long, value_name = "SHARE", default_value_t = 0.02)]
    pub max_outliers: f64,

    /// Rows of a measurement that it takes to train
    #[arg(long, value_name = "ROWS", default_value_t = 500)]
    pub min_rows: u64,

    /// The range that columns must keep to; a glob names them
    #[arg(long, value_name = "COLUMN=FROM..TO", num_args = 1..)]
    pub expect: Vec<String>,

    /// Warnings are failures too
    #[arg(long)]
    pub strict: bool,

    /// Print the report as JSON, with every number
    #[arg(long)]
    pub json: bool,
}

/// Why a file is not valid.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read, or an option cannot be used.
    #[error(transparent)]
    Validate(#[from] validate::Error),
    /// It was read, and does not pass the checks.
    #[error("{} is not fit to train on: {what}", path.display())]
    ChecksFailed {
        /// The file.
        path: PathBuf,
        /// The checks that it does not pass.
        what: String,
    },
    /// The report cannot be printed.
    #[error("stdout: {0}")]
    Print(io::Error),
}

/// Checks a file and prints the report.
///
/// # Errors
///
/// Where it cannot be read; and, after printing, where a check failed.
pub fn run(options: &Options) -> Result<(), Error> {
    let bar = progress_bar(0, BYTES_TEMPLATE);
    let report = validate::validate(&options.into(), &|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    print_text(&if options.json { report.to_json() } else { report.to_table() }).map_err(Error::Print)?;
    let tolerated = if options.strict { Verdict::Ok } else { Verdict::Warning };
    if report.verdict() <= tolerated {
        return Ok(());
    }
    Err(Error::ChecksFailed { path: options.input.clone(), what: report.failed_checks(tolerated) })
}

impl From<&Options> for validate::Options {
    fn from(options: &Options) -> Self {
        let Options { input, measurement, max_missing, max_outliers, min_rows, expect, .. } = options.clone();
        Self { input, measurement, max_missing, max_outliers, min_rows, expect }
    }
}

#[cfg(test)]
mod tests;
