//! `qualm explain`: how much each feature contributes to a row's score.

use std::io;

use clap::Args;
use qualm_contract::ModelFactory;
use qualm_offline::explain::{self, Explanation, RowSelection};
use qualm_offline::history::parse_time;
use serde_json::json;

use crate::stdout::print_text;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  qualm explain --bundle models/host --input week.csv                    the five most anomalous moments
  qualm explain --bundle models/host --input week.csv --at '2024-01-31 12:00:00'
  qualm explain --bundle models/host --input week.csv --row 1441 --json

A contribution is in the detector's own units; a share is that of the size of all of them.";

/// The options of `qualm explain`.
#[derive(Debug, Args)]
pub struct Options {
    /// The model: a bundle's directory or .qualm file
    #[arg(long, value_name = "BUNDLE")]
    pub bundle: std::path::PathBuf,

    /// The history: CSV with a time column (.csv), line protocol (.lp), or JSON lines (.jsonl)
    #[arg(long, value_name = "FILE")]
    pub input: std::path::PathBuf,

    /// Explain the rows of this time or, where there is none, of the time closest to it
    #[arg(long, value_name = "TIME", value_parser = parse_time, conflicts_with_all = ["row", "top"])]
    pub at: Option<i64>,

    /// Explain this row, counted from 1 as `qualm evaluate` does
    #[arg(long, value_name = "N", conflicts_with = "top")]
    pub row: Option<usize>,

    /// Explain so many rows with the largest scores, one of each alarm
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub top: usize,

    /// Print all as JSON
    #[arg(long)]
    pub json: bool,

    /// What the metrics of a CSV or JSON file are called; by default what the bundle's first feature is of
    #[arg(long, value_name = "NAME")]
    pub measurement: Option<String>,
}

/// Why nothing was explained or printed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bundle, the history or an option cannot be used.
    #[error(transparent)]
    Explain(#[from] explain::Error),
    /// The explanation cannot be printed.
    #[error("stdout: {0}")]
    Print(io::Error),
}

/// Scores history with a model that `factory` opens, and prints explanations.
///
/// # Errors
///
/// As [`Error`] lists them.
pub fn run(options: &Options, factory: &dyn ModelFactory) -> Result<(), Error> {
    let explained = explain::explain(&options.into(), factory)?;
    let text = if options.json {
        format!("{}\n", json!(explained))
    } else {
        explained.rows.iter().map(Explanation::text).collect::<Vec<_>>().join("\n")
    };
    print_text(&text).map_err(Error::Print)
}

impl From<&Options> for explain::Options {
    fn from(options: &Options) -> Self {
        let Options { bundle, input, at, row, top, measurement, .. } = options;
        let rows = match (*row, *at) {
            (Some(row), _) => RowSelection::Row(row),
            (None, Some(time)) => RowSelection::At(time),
            (None, None) => RowSelection::Top(*top),
        };
        Self { bundle: bundle.clone(), input: input.clone(), rows, measurement: measurement.clone() }
    }
}
