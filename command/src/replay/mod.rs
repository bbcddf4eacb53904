//! `qualm replay`: scores history with the pipeline of live metrics.

mod feedback;
mod scores;
mod series;

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use qualm::config::Config;
use qualm::{Pipeline, StartError};
use qualm_bundle::secret::Secret;
use qualm_contract::{Band, Reason};
use qualm_offline::evaluate::feedback::Feedback;
use qualm_offline::evaluate::labels::{self, Labels};
use qualm_offline::history::feed::Feed;
use qualm_offline::history::{self, Input};
use qualm_pipeline::Counts;
use qualm_pipeline::pipeline::Verdict;
use serde::Serialize;
use serde_json::json;
use tracing::warn;

use self::scores::ScoresFile;
use self::series::ReplayedSeries;
use crate::progress::{BYTES_TEMPLATE, progress_bar};
use crate::stdout::print_text;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  qualm replay --input history.csv --scores scores.csv     first column `time`, each other one a metric
  qualm replay --input metrics.lp --config qualm.toml
  qualm replay --input metrics.jsonl --json
  qualm replay --input history.csv --model models/host --scores scores.csv
  qualm replay --input history.csv --labels incidents.csv --html why.html      hit, missed, false alarms, and why

SCORES has a row for each row of the input: its time, a score for each column (for each detector, where the input is
no CSV or a detector scores vectors), and last `score`, the largest of them. A cell is empty while nothing is scored. The
score of a vector stands in the row that brought its last value. With `band = true` in the configuration each column has four
more: `COLUMN expected`, `COLUMN lower`, `COLUMN upper` and, of an anomaly, `COLUMN reason`.

LABELS is a CSV file of incidents: the columns `start` and `end` (the first time that is no longer in it) and, where an
incident is of one series only, `series`; or a column `label` of 0 and 1, with a row for each row of the input or a `time`
to find it by. It may be the input itself: then its column `label` is no series. A series is called what its column is;
of line protocol and JSON, like `cpu,host=a usage_user`; of vectors, after their entity, like `host=a`.

An event is a run of labelled rows of a series. It is hit if any row in it alarms; a run of rows that alarm and touch no
event is a false alarm. Rows alarm that have `is_anomaly=1`: those of an incident, from the row that reports it (after
`direction`, `min_deviation`, `expected_range`, `sustained` and `cooldown`) until it ends.";

/// The options of `qualm replay`.
#[derive(Debug, Args)]
pub struct Options {
    /// The history: line protocol (.lp), CSV with a time column (.csv), or JSON lines (.jsonl)
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,

    /// Where to write the scores, as CSV; `-` for stdout
    #[arg(long, value_name = "FILE")]
    pub scores: Option<PathBuf>,

    /// The configuration; without it every numeric field is scored
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Score with this model alone: a bundle's path or URL
    #[arg(long, value_name = "BUNDLE", conflicts_with = "config", value_parser = Secret::parse_address)]
    pub model: Option<Secret>,

    /// What the metrics of a CSV or JSON file are called; by default `replay` or, with --model, what the model wants
    #[arg(long, value_name = "NAME")]
    pub measurement: Option<String>,

    /// Known incidents: print what of them was hit, what was missed, and what was a false alarm
    #[arg(long, value_name = "LABELS")]
    pub labels: Option<PathBuf>,

    /// Where to write the same with plots, one HTML page
    #[arg(long, value_name = "FILE", requires = "labels")]
    pub html: Option<PathBuf>,

    /// Print all as JSON
    #[arg(long)]
    pub json: bool,
}

/// Why a replay failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The history cannot be used.
    #[error(transparent)]
    History(#[from] history::Error),
    /// The detectors do not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The labels cannot be used.
    #[error(transparent)]
    Labels(#[from] labels::Error),
    /// The scores or the page cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An output is an input.
    #[error("{} is an input; name another file for {option}", path.display())]
    IsInput {
        /// The file.
        path: PathBuf,
        /// The option that names it.
        option: &'static str,
    },
    /// A detector failed, so that scores are missing.
    #[error("a detector failed, so these scores are incomplete: {0}")]
    Failed(qualm::DetectorsFailed),
}

/// The counts of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// Rows of the input.
    pub rows: u64,
    /// Lines that got a score.
    pub scored: u64,
    /// Lines that are anomalies.
    pub anomalous: u64,
    /// Incidents that were reported, each once, however many lines it lasts.
    pub incidents: u64,
    /// Lines that are not line protocol.
    pub malformed: u64,
    /// Values that were given to a detector.
    pub values: u64,
    /// The duration.
    pub seconds: f64,
}

/// Replays, writes the scores, and prints a summary.
///
/// # Errors
///
/// As [`Error`] lists them.
pub fn run(options: &Options, config: &Config) -> Result<(), Error> {
    let to_stdout = options.scores.as_deref() == Some(Path::new("-"));
    check_outputs(options)?;
    let labels = options.labels.as_deref().map(Labels::read).transpose()?;
    let mut pipeline = Pipeline::start_offline(config)?;
    let measurement = options.measurement.as_deref().or_else(|| pipeline.measurement()).unwrap_or("replay").to_owned();
    let mut input = Input::open(&options.input, &measurement)?;
    let bar = progress_bar(input.size, BYTES_TEMPLATE);
    let columns = columns(&pipeline, &input, config);
    let banded = config.detector.iter().any(|detector| detector.band);
    let failed = |source| Error::Write { path: options.scores.clone().unwrap_or_default(), source };
    let mut scores =
        options.scores.as_deref().map(|path| ScoresFile::create(path, &columns, banded)).transpose().map_err(failed)?;
    let mut kept = options.labels.as_deref().map(|labels| {
        let by_column = input.columns().is_some() && !pipeline.joins();
        ReplayedSeries::new(config, &pipeline, by_column, same_file(labels, &options.input).then_some("label"))
    });
    let observe = |verdict: &Verdict<'_>, row| {
        if let Some(kept) = &mut kept {
            kept.add(verdict, row);
        }
    };
    let summary = replay(&mut input, &mut pipeline, &columns, observe, |batch| {
        bar.set_position(batch.position);
        scores.as_mut().map_or(Ok(()), |scores| scores.write(batch)).map_err(failed)
    })?;
    bar.finish_and_clear();
    scores.map_or(Ok(()), ScoresFile::finish).map_err(failed)?;
    let feedback = match (labels, kept) {
        (Some(labels), Some(kept)) => Some(feedback::evaluate(options, &labels, &kept.finish())?),
        _ => None,
    };
    if to_stdout {
        return Ok(()); // stdout has the scores
    }
    let text = if options.json {
        summary.to_json(feedback.as_ref())
    } else {
        summary.to_text(options, &measurement, feedback.as_ref())
    };
    print_text(&text).map_err(|source| Error::Write { path: "stdout".into(), source })
}

/// Refuses an output that is an input.
fn check_outputs(options: &Options) -> Result<(), Error> {
    let Options { input, labels, scores, html, .. } = options;
    for (written, option) in [(scores, "--scores"), (html, "--html")] {
        let read = [Some(input), labels.as_ref()].into_iter().flatten();
        if let Some(written) = written.as_ref().filter(|written| read.clone().any(|read| same_file(written, read))) {
            return Err(Error::IsInput { path: written.clone(), option });
        }
    }
    Ok(())
}

fn same_file(one: &Path, other: &Path) -> bool {
    let file = |path| fs::metadata(path).map(|file| (file.dev(), file.ino()));
    matches!((file(one), file(other)), (Ok(one), Ok(other)) if one == other)
}

/// A scored batch.
#[derive(Debug)]
pub struct Batch<'a> {
    /// The time of each row of the input.
    pub times: &'a [i64],
    /// The scores, by row.
    pub cells: &'a [Cell],
    /// The bytes of the input that are read.
    pub position: u64,
}

/// A score of a row.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    /// The row of the batch.
    pub row: usize,
    /// The column of the input where it has columns, else the detector.
    pub column: usize,
    /// The score, NaN for none.
    pub score: f64,
    /// Why it is an anomaly, where it is one.
    pub reason: Reason,
    /// The expected value with its limits, where bands are on.
    pub band: Band,
}

/// The columns of the scores: those of the input, or the detectors.
#[must_use]
pub fn columns(pipeline: &Pipeline, input: &Input, config: &Config) -> Vec<String> {
    let names = config.detector.iter().map(|detector| detector.name.clone());
    input.columns().filter(|_| !pipeline.joins()).map_or_else(|| names.collect(), <[String]>::to_vec)
}

/// Rows that are held back where detectors score vectors: a row's score may come with a later row that completes its vector.
const HELD_ROWS: usize = 4096;

/// Replays `input`. Calls `observe` for each row of each series with the row of the input, counted from 0; then `write` with
/// the batch. `columns` are those of the scores.
///
/// # Errors
///
/// As `write`; and where the input or a detector cannot be used.
pub fn replay(
    input: &mut Input,
    pipeline: &mut Pipeline,
    columns: &[String],
    mut observe: impl FnMut(&Verdict<'_>, u64),
    mut write: impl FnMut(&Batch<'_>) -> Result<(), Error>,
) -> Result<Summary, Error> {
    let held = if pipeline.joins() { HELD_ROWS } else { 0 };
    let by_field = !pipeline.joins() && input.columns().is_some();
    let began = Instant::now();
    // Of the rows held: their times; the row of each event, the first of which has the number `first`; scores.
    let (mut times, mut events, mut cells) = (Vec::new(), Vec::new(), Vec::<Cell>::new());
    let mut first = pipeline.counts().events;
    let mut feed = Feed::new(input)?;
    let mut backwards = 0_u64;
    loop {
        let filled = feed.fill(pipeline.input(), |row, now| {
            backwards += u64::from(row.time.is_some_and(|time| time < now));
            events.extend(row.has_line.then_some(times.len()));
            times.push(row.time.unwrap_or(now));
        })?;
        let ended = feed.has_ended();
        pipeline.run(filled, feed.now().max(0));
        let written = feed.rows() - times.len() as u64;
        for verdict in pipeline.verdicts() {
            let key = qualm_pipeline::line::unescape(verdict.key);
            let column = if by_field {
                columns.iter().position(|column| column.as_bytes() == key.as_ref())
            } else {
                Some(verdict.lane)
            };
            // A vector completed after its row was written has no row any more.
            let row = verdict.event.checked_sub(first).and_then(|at| events.get(at as usize));
            observe(&verdict, written + row.map_or(0, |&row| row as u64));
            if let (Some(column), Some(&row)) = (column, row) {
                let Verdict { score, reason, band, .. } = verdict;
                cells.push(Cell { row, column, score, reason, band });
            }
        }
        cells.sort_by_key(|cell| cell.row); // stable, and nearly sorted: by detector, then by row
        let done = times.len() - if ended { 0 } else { held.min(times.len()) };
        let scored = cells.partition_point(|cell| cell.row < done);
        write(&Batch { times: &times[..done], cells: &cells[..scored], position: feed.source().position() })?;
        let dropped = events.partition_point(|&row| row < done);
        first += dropped as u64;
        times.drain(..done);
        events.drain(..dropped);
        cells.drain(..scored);
        for row in events.iter_mut().chain(cells.iter_mut().map(|cell| &mut cell.row)) {
            *row -= done;
        }
        if ended {
            break;
        }
    }
    if backwards > 0 {
        warn!("{backwards} rows go back in time: their scores mean little; sort the rows by time");
    }
    pipeline.check_no_failures().map_err(Error::Failed)?;
    let Counts { scored, anomalous, incidents, malformed, rows: values, .. } = pipeline.counts();
    let rows = feed.rows();
    Ok(Summary { rows, scored, anomalous, incidents, malformed, values, seconds: began.elapsed().as_secs_f64() })
}

impl Summary {
    fn to_json(self, feedback: Option<&Feedback>) -> String {
        let mut all = json!(self);
        if let Some(feedback) = feedback {
            all["feedback"] = json!(feedback);
        }
        format!("{all}\n")
    }

    fn to_text(self, options: &Options, measurement: &str, feedback: Option<&Feedback>) -> String {
        let Self { rows, scored, anomalous, incidents, malformed, values, seconds } = self;
        let malformed = if malformed > 0 { format!(", {malformed} malformed") } else { String::new() };
        let mut text = format!(
            "{rows} rows, {scored} scored, {anomalous} anomalous, {incidents} incidents{malformed}; {values} values in {seconds:.2} s ({:.2} million a second)\n",
            values as f64 / seconds / 1e6
        );
        if values == 0 && rows > 0 {
            text += "nothing in it is selected; what has no measurement of its own is called ";
            let _infallible = writeln!(text, "`{measurement}` (--measurement)");
        } else if scored == 0 && rows > 0 {
            text += "nothing is scored: each series first needs `min_samples` values\n";
        }
        if let Some(path) = &options.scores {
            let _infallible = writeln!(text, "scores are in {}", path.display());
        }
        if let Some(feedback) = feedback {
            text += &feedback.text();
            let _infallible = match &options.html {
                Some(path) => writeln!(text, "\nthe page is in {}", path.display()),
                None => writeln!(text, "\n--html FILE makes a page, with plots that show why"),
            };
        }
        text
    }
}
