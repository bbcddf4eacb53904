//! `qualm models`: what models a running process has, and which of them are to score.

use std::io;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use qualm::config;
use qualm::rollout::{Counts, Model, Report};
use qualm_bundle::duration::friendly;
use serde::Serialize;

use crate::configuration;
use crate::control::{self, ClientError, Listed, Name, Outcome, Reply, Request};
use crate::stdout::print_text;
use crate::text;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  qualm models list --config qualm.toml               which models score, and how candidates in shadow compare
  qualm models promote vitals --config qualm.toml     let the candidate of `vitals` take over now
  qualm models rollback vitals --config qualm.toml    give it up, or go back to the model before
  qualm models list --socket /var/lib/qualm/control.sock --json

It asks a running `qualm execd` or `qualm serve`, at [control] `socket` of its configuration (by default `control.sock` in
the state directory), and must run as the same user.";

/// The options of `qualm models`.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say which models there are, and how a candidate in shadow compares with the one that scores
    List(Process),
    /// Let a candidate in shadow take over now; it is watched then
    Promote(Change),
    /// Give up a candidate in shadow, or go back to the model before
    Rollback(Change),
}

/// Where the running process is asked.
#[derive(Debug, Args)]
struct Process {
    /// The configuration of the running process, which says where its socket is
    #[arg(long, value_name = "FILE", required_unless_present = "socket")]
    config: Option<PathBuf>,

    /// The socket, over the configuration's
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,

    /// Print the reply as JSON
    #[arg(long)]
    json: bool,
}

/// What is to be changed.
#[derive(Debug, Args)]
struct Change {
    /// The detector, as it is called in the configuration; it may be left out where only one can be meant
    #[arg(value_name = "DETECTOR")]
    detector: Option<String>,

    /// The pipeline: execd, vector or influxdb; all that can, if left out
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,

    #[command(flatten)]
    process: Process,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// There is no socket.
    #[error("{} names no socket, and no `[state] dir` for one beside a `model`; name it with --socket", .0.display())]
    NoSocket(PathBuf),
    /// The process cannot be asked.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The process refused.
    #[error("{0}")]
    Refused(String),
    /// Stdout cannot be written.
    #[error("stdout: {0}")]
    Print(#[from] io::Error),
}

/// Asks the running process, and prints its reply.
///
/// # Errors
///
/// Where it cannot be asked, or refuses.
pub fn run(options: &Options) -> Result<(), Error> {
    let (name, process, detector, pipeline) = match &options.command {
        Command::List(process) => (Name::List, process, None, None),
        Command::Promote(Change { detector, pipeline, process }) => {
            (Name::Promote, process, detector.clone(), pipeline.clone())
        }
        Command::Rollback(Change { detector, pipeline, process }) => {
            (Name::Rollback, process, detector.clone(), pipeline.clone())
        }
    };
    let reply = control::ask(&process.path()?, &Request { command: name, detector, pipeline })?;
    match &reply {
        Reply::Models(models) => print(process.json, models, || models.iter().map(to_text).collect()),
        Reply::Outcome { done, refused } if done.is_empty() => {
            Err(Error::Refused(refused.iter().map(line).collect::<Vec<_>>().join("; ")))
        }
        Reply::Outcome { done, refused } => {
            print(process.json, &reply, || done.iter().chain(refused).map(|outcome| line(outcome) + "\n").collect())
        }
        Reply::Error(what) => Err(Error::Refused(what.clone())),
    }
}

impl Process {
    fn path(&self) -> Result<PathBuf, Error> {
        if let Some(path) = &self.socket {
            return Ok(path.clone());
        }
        let config = configuration::read(self.config.as_deref())?;
        config.control_socket().ok_or_else(|| Error::NoSocket(self.config.clone().unwrap_or_default()))
    }
}

fn print(json: bool, reply: &impl Serialize, text: impl FnOnce() -> String) -> Result<(), Error> {
    Ok(print_text(&if json { format!("{}\n", serde_json::json!(reply)) } else { text() })?)
}

fn line(Outcome { pipeline, detector, what }: &Outcome) -> String {
    match detector {
        Some(detector) => format!("{pipeline}, detector `{detector}`: {what}"),
        None => format!("{pipeline}: {what}"),
    }
}

fn to_text(Listed { pipeline, entry }: &Listed) -> String {
    let mut rows = vec![(
        "scores",
        entry.model.as_ref().map_or_else(|| entry.mode.clone(), |model| format!("{}, {}", shown(model), entry.mode)),
    )];
    match &entry.rollout {
        None => rows.push(("rollout", "immediate".to_owned())),
        Some(report) => rollout(report, &mut rows),
    }
    if entry.can_roll_back {
        rows.push(("rollback", "is possible".to_owned()));
    }
    let rows: Vec<_> = rows.into_iter().map(|(name, what)| vec![name.to_owned(), what]).collect();
    format!("{} ({pipeline})\n{}", entry.detector, text::table(&rows))
}

fn rollout(report: &Report, rows: &mut Vec<(&'static str, String)>) {
    let Counts { promotions, rollbacks, rejections } = report.counts;
    let since = friendly(std::time::Duration::from_secs(report.seconds));
    let in_shadow = report.shadow.as_ref().map_or_else(
        || "nothing in shadow".to_owned(),
        |model| format!("{} in shadow, for {since}, with {} of memory", shown(model), text::bytes(report.memory)),
    );
    rows.push(("rollout", format!("{}: {in_shadow}", report.state.name())));
    if report.shadow.is_some() {
        let number = |number: Option<f64>| number.map_or_else(|| "unknown".to_owned(), text::number);
        rows.push(("rows", format!("{} scored by both", report.rows)));
        rows.push(("incidents", format!("{}, and in shadow {}", report.alarms, report.shadow_alarms)));
        let Report { anomalous, shadow_anomalous, .. } = report;
        rows.push(("within them", format!("{anomalous} rows, and in shadow {shadow_anomalous}")));
        rows.push(("agreement", format!("{} of the anomalies of either", number(report.agreement))));
        rows.push(("correlation", format!("{} of the scores' ranks", number(report.correlation))));
        rows.push(("failures", format!("{}, and in shadow {}", report.failures, report.shadow_failures)));
        rows.push(("cost", format!("{} times that of the other", number(report.cost))));
        rows.push(("bounds", report.out_of_bounds.clone().unwrap_or_else(|| "within".to_owned())));
    }
    rows.push(("so far", format!("{promotions} promoted, {rollbacks} rolled back, {rejections} given up")));
}

fn shown(Model { name, version, kind }: &Model) -> String {
    format!("{name} version {version} ({kind})")
}
