//! `qualm plugin check`: checks whether a plugin implements the contract.

mod cost;
mod details;
mod prepare;
mod repeats;
mod report;
mod scale;
mod shape;
mod source;
mod state;
mod subject;
mod training;
mod values;

use std::path::PathBuf;

use clap::Args;
use indicatif::ProgressBar;
use qualm_sandbox::Sandbox;
use qualm_sandbox::inspect::ComponentError;
use serde_json::{Map, Value};

use super::Error;
use crate::progress::progress_bar;
use crate::stdout::print_text;
use prepare::{Request, prepare};
use report::{Outcome, Report};
use subject::Subject;

/// A check.
type Check = fn(&Subject) -> Outcome;

/// The check of plugins that export `details`, which comes first.
const DETAILS_CHECK: (&str, Check) = ("details", details::agrees);

/// The checks of every plugin that opens, by name.
const CHECKS: [(&str, Check); 22] = [
    ("description", shape::description),
    ("shapes", shape::shapes),
    ("one row", shape::single),
    ("empty batch", shape::empty),
    ("bad shapes", shape::mismatched),
    ("many series", shape::many),
    ("missing values", values::missing),
    ("extreme values", values::extreme),
    ("odd times", values::times),
    ("determinism", repeats::deterministic),
    ("batches", repeats::batches),
    ("save, restore", state::continues),
    ("bad state", state::refuses),
    ("forget", repeats::forget),
    ("ordinary scores", scale::ordinary),
    ("warm-up", scale::warm_up),
    ("a jump", scale::jump),
    ("start", cost::start),
    ("speed", cost::speed),
    ("memory", cost::growth),
    ("series that go", cost::churn),
    ("per series", cost::per_series),
];

const EXAMPLES: &str = "\
Examples:
  qualm plugin check mine.wasm
  qualm plugin check mine.wasm --parameters '{\"half_life\": 60}'
  qualm plugin check mine.wasm --features 5        one that is trained, on rows of 5 values
  qualm plugin check mine.wasm --model model.bin --json

Without --model, a plugin that exports `training` is trained on rows that are made up, and any
other opens with what --parameters says. Rows are the same every time. A slow plugin is given
fewer, so that it ends within about a minute; each line says how many. What is a `note` is for you
to judge. Exit codes: 0 it keeps the contract, 1 something failed, 2 it is no plugin.";

/// The options of `qualm plugin check`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The component
    #[arg(value_name = "FILE.wasm")]
    component: PathBuf,

    /// The model to open it with, whatever bytes it takes
    #[arg(long, value_name = "FILE", conflicts_with = "parameters")]
    model: Option<PathBuf>,

    /// How many values a row has: those of the table to train on, or else what it must say of itself
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    features: Option<u32>,

    /// What is set of it, as a JSON object
    #[arg(long, value_name = "JSON", value_parser = object)]
    parameters: Option<Map<String, Value>>,

    /// Print the checks as JSON
    #[arg(long)]
    json: bool,
}

/// A text is no JSON object.
#[derive(Debug, thiserror::Error)]
#[error("it must be a JSON object, such as '{{\"name\": 1}}': {0}")]
struct NoObject(#[from] serde_json::Error);

fn object(text: &str) -> Result<Map<String, Value>, NoObject> {
    Ok(serde_json::from_str(text)?)
}

/// Why a plugin cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The file is no component, or none of a detector.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// A parameter is of a type that training does not take.
    #[error("--parameters: `{name}` is {value}; training takes numbers, texts, true and false")]
    Parameter {
        /// Its name.
        name: String,
        /// What it is set to.
        value: Value,
    },
}

pub(super) fn run(options: &Options, sandbox: &Sandbox) -> Result<(), Error> {
    let read = |path: &PathBuf| std::fs::read(path).map_err(|source| Error::Read { path: path.clone(), source });
    let request = Request {
        component: read(&options.component)?,
        model: options.model.as_ref().map(read).transpose()?,
        features: options.features.map(|features| features as usize),
        parameters: options.parameters.clone().unwrap_or_default(),
    };
    let place = options.component.display();
    let failed = |source| Error::Check { path: options.component.clone(), source };
    let report = run_checks(&request, sandbox).map_err(failed)?;
    print_text(&if options.json { format!("{}\n", report.to_json()) } else { report.to_text() })
        .map_err(Error::Print)?;
    match report.failed() {
        0 => Ok(()),
        failed => Err(Error::ChecksFailed { place: place.to_string(), failed }),
    }
}

/// Opens the plugin, and runs all checks.
///
/// # Errors
///
/// Where it is no plugin, or a parameter cannot be set.
fn run_checks(request: &Request, sandbox: &Sandbox) -> Result<Report, CheckError> {
    let bar = checks_bar();
    let mut report = Report::default();
    bar.set_message("compiles");
    let subject = prepare(request, sandbox, &mut report)?;
    if let Some(subject) = subject {
        for (name, check) in subject.has_details().then_some(DETAILS_CHECK).into_iter().chain(CHECKS) {
            bar.set_message(name);
            report.add(name, check(&subject));
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok(report)
}

fn checks_bar() -> ProgressBar {
    let bar = progress_bar(CHECKS.len() as u64, "{wide_bar} {pos}/{len} {msg}");
    if !bar.is_hidden() {
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
    }
    bar
}

#[cfg(test)]
mod tests;
