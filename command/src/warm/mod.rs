//! `qualm warm`: runs history through the pipeline, and saves the state for `execd` or `serve`, so that the first live row is
//! scored.
//!
//! 1. [`options`] are those of the command, with the endpoint whose state is warmed;
//! 2. [`rows`] reads a file, an `InfluxDB` or a Prometheus, as live rows will be;
//! 3. [`order`] tracks each series' last row;
//! 4. [`progress`] saves the position with the state up to there.

mod options;
mod order;
mod progress;
mod rows;
mod summary;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use qualm::config::Config;
use qualm::state::{self, Saved, StateFile};
use qualm::{Pipeline, StartError, random_seed};
use qualm_offline::history::feed::Feed;
use qualm_offline::history::rewrite::Rewritten;
use qualm_offline::history::timestamp;
use qualm_offline::{collect, history};
use qualm_pipeline::Counts;
use signal_hook::consts::{SIGINT, SIGTERM};

pub use self::options::{EXAMPLES, Endpoint, Options};
use self::order::Order;
use self::progress::{Position, Progress, Tally};
use self::rows::{HistoryRows, RowsProgress};
pub use self::summary::Summary;
use crate::stdout::print_text;

/// Saving takes at most one part in so many of the time.
const SAVE_SHARE: u32 = 10;

/// Why history was not learnt, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No state directory is configured.
    #[error(
        "the configuration has no [state] `dir`; name the directory where live runs are to look for what is learnt"
    )]
    NoState,
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] state::Error),
    /// The state directory belongs to another user, who could not read the files.
    #[error(
        "{} belongs to another user, who could not use what is left there: be that user, as in `sudo -u '#{uid}' qualm warm …`",
        dir.display()
    )]
    ForeignOwner {
        /// The directory.
        dir: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// There is a state that live metrics were learnt in.
    #[error(
        "{} has what was learnt until {written}; to learn from history alone in its place, add --replace (what is there is then \
         set aside)",
        dir.display()
    )]
    StateExists {
        /// The directory.
        dir: PathBuf,
        /// When it was last written.
        written: String,
    },
    /// Another warm start is unfinished.
    #[error(
        "{} is a warm start from {of} that did not end, with other options, another configuration or a file that has changed \
         since: give the same to go on, or --restart to begin anew",
        path.display()
    )]
    Unfinished {
        /// The file of its progress.
        path: PathBuf,
        /// Its file or server.
        of: String,
    },
    /// The file cannot be used.
    #[error(transparent)]
    History(#[from] history::Error),
    /// The server or an option cannot be used.
    #[error(transparent)]
    Collect(#[from] collect::Error),
    /// The detectors do not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// No row has a selected value.
    #[error(
        "there is nothing to learn: of {rows} rows none has a numeric field that the configuration selects; \
         `qualm execd --check` shows what is in force"
    )]
    NoValues {
        /// Rows of the history.
        rows: u64,
    },
    /// Too many rows are out of order.
    #[error(
        "{backwards} of {rows} values are before the one before them in their series ({first}): detectors learn from what comes \
         in order of time. Sort the rows by time"
    )]
    OutOfOrder {
        /// Values that are.
        backwards: u64,
        /// All values.
        rows: u64,
        /// The first that is.
        first: String,
    },
    /// A detector failed.
    #[error("a detector failed, so that it has not learnt all: {0}")]
    Failed(qualm::DetectorsFailed),
    /// A signal stopped it.
    #[error("stopped {at}; it is kept how far it is: the same command goes on from there (--restart begins anew)")]
    Stopped {
        /// The position.
        at: String,
    },
    /// A file or stdout cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The system refuses signals.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Learns from history, and prints a summary.
///
/// # Errors
///
/// What is wrong, and what to do.
pub fn run(options: &Options, config: &Config) -> Result<(), Error> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // A second signal ends the process at once.
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let summary = warm(options, config, &stop)?;
    let text = if options.json { summary.to_json() } else { summary.to_text(options) };
    print_text(&text).map_err(|source| Error::Write { path: "stdout".into(), source })
}

/// Learns from history until it ends or `stop` is set.
///
/// # Errors
///
/// As [`run`].
pub fn warm(options: &Options, config: &Config, stop: &AtomicBool) -> Result<Summary, Error> {
    let began = Instant::now();
    let endpoint = options.endpoint(config)?;
    let state = config.state.dir.as_deref().ok_or(Error::NoState)?;
    check_owner(state)?;
    let dir = endpoint.state_dir(state);
    let file = StateFile::open_alone(&dir, random_seed())?;
    check_replaceable(&file, options)?;
    let task = options.task(endpoint, config);
    let changes = options.changes(endpoint)?;
    let (before, saved) = match Progress::read(&file, &task, options.restart)? {
        Some((progress, saved)) => (Some(progress), saved),
        None => (None, Saved::new()),
    };
    let pipeline = Pipeline::start_from(config, file.seed(), &saved)?;
    if pipeline.lost_state() {
        let path = progress::path(&file);
        return Err(Error::Unfinished { path, of: task.from });
    }
    let position = before.as_ref().map(|progress| progress.position);
    let rows = HistoryRows::open(options, &pipeline, position)?;
    let bar = RowsProgress::new(&rows);
    let feed = Feed::new(Rewritten::new(rows, changes))?;
    let mut run = Run {
        progress: Progress { task, position: Position::default(), tally: Tally::default() },
        skipped: position.unwrap_or_default(),
        before: before.map(|progress| progress.tally).unwrap_or_default(),
        order: Order::default(),
        next_save: Instant::now() + config.state.interval,
        interval: config.state.interval,
        file,
        pipeline,
        feed,
    };
    let learnt = run.learn(stop, &bar);
    drop(bar);
    let replaced = learnt.and_then(|()| run.finish(options)).inspect_err(|error| {
        if matches!(error, Error::OutOfOrder { .. } | Error::NoValues { .. }) {
            progress::remove(&run.file); // to resume would end the same way
        }
    })?;
    let Run { file, pipeline, progress, order, before, .. } = run;
    Ok(Summary {
        tally: progress.tally,
        series: pipeline.series() as u64,
        ready: order.ready().max(before.ready),
        resumed: position.is_some(),
        endpoint: endpoint.name(),
        state: file.path().to_owned(),
        replaced,
        out_of_order: order.first,
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// Refuses to write into another user's directory: root can, and that user could not read the files.
fn check_owner(dir: &Path) -> Result<(), Error> {
    let own = rustix::process::geteuid().as_raw();
    match fs::metadata(dir).map(|dir| dir.uid()) {
        Ok(uid) if uid != own => Err(Error::ForeignOwner { dir: dir.to_owned(), uid }),
        _ => Ok(()),
    }
}

/// Refuses to replace a state without `--replace`.
fn check_replaceable(file: &StateFile, options: &Options) -> Result<(), Error> {
    let (states, written) = file.remaining_states();
    if states.is_empty() || options.replace {
        return Ok(());
    }
    Err(Error::StateExists {
        dir: file.dir().to_owned(),
        written: timestamp(written.saturating_mul(1_000_000_000)).to_string(),
    })
}

/// A running warm start.
struct Run {
    file: StateFile,
    pipeline: Pipeline,
    feed: Feed<Rewritten<HistoryRows>>,
    order: Order,
    progress: Progress,
    /// The position where this run began, and the counts of those before it.
    skipped: Position,
    before: Tally,
    interval: Duration,
    next_save: Instant,
}

impl Run {
    fn learn(&mut self, stop: &AtomicBool, bar: &RowsProgress) -> Result<(), Error> {
        loop {
            let Self { pipeline, feed, order, .. } = self;
            let filled = feed.fill(pipeline.input(), |_, _| {})?;
            pipeline.run(filled, feed.now().max(0));
            pipeline.verdicts().for_each(|verdict| order.record(&verdict));
            pipeline.dropped_series().for_each(|(lane, series)| order.remove_series(lane, series));
            order.check(false)?;
            bar.update(feed.source().source());
            if feed.has_ended() {
                return Ok(());
            }
            let stops = stop.load(Ordering::Relaxed);
            if (stops || Instant::now() >= self.next_save)
                && let Some(position) = self.position()
            {
                self.save(position)?;
                if stops {
                    return Err(Error::Stopped { at: self.progress.tally.reached() });
                }
            }
        }
    }

    /// The position, where a run can resume from it.
    fn position(&self) -> Option<Position> {
        let rows = self.feed.source().source();
        rows.position(self.feed.rows(), self.skipped)
    }

    fn update_tally(&mut self) {
        let Counts { rows: values, malformed, .. } = self.pipeline.counts();
        let source = self.feed.source();
        let own = Tally {
            rows: self.feed.rows(),
            values,
            malformed,
            backwards: self.order.backwards,
            scored_before: source.scored_before,
            verdicts: source.verdicts,
            untimed: source.untimed,
            left_out: source.source().left_out(),
            first: self.order.earliest,
            last: self.order.latest,
            ready: self.order.ready(),
        };
        self.progress.tally = self.before.plus(&own);
    }

    /// Saves the position with the state.
    fn save(&mut self, position: Position) -> Result<Saved, Error> {
        let began = Instant::now();
        self.update_tally();
        let saved = self.snapshot()?;
        self.progress.position = position;
        self.progress.write(&self.file, &saved)?;
        self.next_save = Instant::now() + self.interval.max(began.elapsed() * SAVE_SHARE);
        Ok(saved)
    }

    fn snapshot(&mut self) -> Result<Saved, Error> {
        self.pipeline.check_no_failures().map_err(Error::Failed)?;
        let saved = self.pipeline.snapshot();
        self.pipeline.check_no_failures().map_err(Error::Failed)?;
        Ok(saved)
    }

    /// Writes the state where live runs read it. Returns whether it replaced another.
    fn finish(&mut self, options: &Options) -> Result<bool, Error> {
        self.update_tally();
        self.order.check(true)?;
        if self.progress.tally.values == 0 {
            return Err(Error::NoValues { rows: self.progress.tally.rows });
        }
        // If the state cannot be written, a next run resumes here.
        let saved = match self.position() {
            Some(end) => self.save(end)?,
            None => self.snapshot()?,
        };
        if self.file.is_shared() {
            return Err(state::Error::Running(self.file.dir().to_owned()).into());
        }
        check_replaceable(&self.file, options)?;
        let (states, _) = self.file.remaining_states();
        for path in &states {
            let failed = |source| Error::Write { path: path.clone(), source };
            fs::rename(path, path.with_extension("state.replaced")).map_err(failed)?;
        }
        let failed = |source| Error::Write { path: self.file.path().to_owned(), source };
        self.file.write(&saved).map_err(failed)?;
        progress::remove(&self.file);
        Ok(!states.is_empty())
    }
}

/// The absolute path; as it is where the file does not exist.
fn absolute(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
