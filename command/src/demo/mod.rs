//! `qualm demo`: scores two days of a real server's metrics, and shows the incidents that are found.

mod data;
mod findings;
mod passes;
mod plot;
mod report;
mod screen;

use std::io::{self, IsTerminal};

use clap::Args;
use qualm::StartError;
use qualm::config::{self, Config};

use crate::stdout::print_text;
use data::Recording;
use report::Report;
use screen::{Paint, Screen};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  qualm demo
  qualm demo --json | jq .incidents

It replays two days of a real server, a minute at a time, through the detector
that scores live metrics, in its default configuration. Four incidents in them
are labelled by experts; the labels never reach the detector. An incident is
caught if any line in it alarms: is_anomaly is 1 and the score above 1, as
where an incident of a metric begins or becomes worse. A false alarm is a
stretch of alarming lines (with less than 10 minutes between them) that
touches no labelled incident. What is added to a line is the time from giving
it to the pipeline to having it back.

The data is from the Server Machine Dataset (MIT licence). It is part of this
program: nothing is fetched, and nothing but compiled code is kept.";

/// The options of `qualm demo`.
#[derive(Debug, Args)]
pub struct Options {
    /// Print the figures as JSON
    #[arg(long)]
    pub json: bool,
}

/// Why the demo failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The default configuration is refused.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The detector does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The recording in the binary cannot be used.
    #[error("the demo's own data cannot be used: {0}")]
    Data(#[from] anyhow::Error),
    /// The detector failed, so that the figures would be wrong.
    #[error("the detector failed, so there is nothing true to show: {0}")]
    Failed(qualm::DetectorsFailed),
    /// Stdout cannot be written.
    #[error("cannot print: {0}")]
    Print(io::Error),
}

/// Replays the recording, and prints the findings.
///
/// # Errors
///
/// Where the detector fails or stdout cannot be written; that the reader closed the pipe is no error.
pub fn run(options: &Options) -> Result<(), Error> {
    let config = Config::parse("", "the default configuration")?;
    let recording = Recording::load()?;
    let report = Report::of(&recording, &config)?;
    let text = if options.json {
        format!("{:#}\n", report.to_json())
    } else {
        Screen { report: &report, width: width(), paint: Paint::new(has_colour()) }.to_string()
    };
    print_text(&text).map_err(Error::Print)
}

/// The terminal's width; 80 where it is unknown.
fn width() -> usize {
    match rustix::termios::tcgetwinsize(rustix::stdio::stdout()) {
        Ok(size) if size.ws_col > 0 => size.ws_col.into(),
        _ => 80,
    }
}

/// Whether stdout is a terminal with colours, and `NO_COLOR` is not set (<https://no-color.org>).
fn has_colour() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|value| value == "dumb");
    io::stdout().is_terminal() && !unwanted && !dumb
}
