//! `qualm warm`: history through the pipeline, and what it learns left where `execd` or `serve` will look for it, so that
//! the first live row is scored.
//!
//! 1. [`options`] says what a user may ask for, and for which way in it is;
//! 2. [`rows`] opens a file, an `InfluxDB` or a Prometheus, and hands on its rows as they will come live;
//! 3. [`order`] looks at what became of each row;
//! 4. [`progress`] keeps on disk how far it is, with what was learnt up to there.

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
use qualm::scoring::{Scoring, StartError, random};
use qualm::state::{self, Saved, StateFile};
use qualm_offline::history::feed::Feed;
use qualm_offline::history::retell::Retold;
use qualm_offline::{collect, history};
use qualm_pipeline::Counts;
use signal_hook::consts::{SIGINT, SIGTERM};

pub use self::options::{EXAMPLES, Options, Way};
use self::order::Order;
use self::progress::{Position, Progress, Tally};
use self::rows::{Bar, Rows};
pub use self::summary::Summary;
use crate::stdout::say;
use crate::text::time;

/// To keep progress takes no more than this share of the time.
const SHARE: u32 = 10;

/// Why nothing, or not all, was learnt.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nowhere to leave what is learnt.
    #[error(
        "the configuration has no [state] `dir`; name the directory where live runs are to look for what is learnt"
    )]
    NoState,
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] state::Error),
    /// What is left there would be of no use to whom it is meant for.
    #[error(
        "{} belongs to another user, who could not use what is left there: be that user, as in `sudo -u '#{uid}' qualm warm …`",
        dir.display()
    )]
    Owner {
        /// The directory.
        dir: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// What live metrics taught is there.
    #[error(
        "{} has what was learnt until {written}; to learn from history alone in its place, add --replace (what is there is then \
         set aside)",
        dir.display()
    )]
    There {
        /// Where.
        dir: PathBuf,
        /// When it was last written.
        written: String,
    },
    /// Another warm start was begun and not ended.
    #[error(
        "{} is a warm start from {of} that did not end, with other options, another configuration or a file that has changed \
         since: give the same to go on, or --restart to begin anew",
        path.display()
    )]
    Unfinished {
        /// Its file.
        path: PathBuf,
        /// From where.
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
    /// There is nothing to learn from.
    #[error(
        "there is nothing to learn: of {rows} rows none has a numeric field that the configuration selects; \
         `qualm execd --check` shows what is in force"
    )]
    Nothing {
        /// Rows that came.
        rows: u64,
    },
    /// The rows are in no order to learn from.
    #[error(
        "{backwards} of {rows} values are before the one before them in their series ({first}): detectors learn from what comes \
         in order of time. Sort the rows by time"
    )]
    Order {
        /// Values that are.
        backwards: u64,
        /// Of so many.
        rows: u64,
        /// The first of them.
        first: String,
    },
    /// A detector failed.
    #[error("a detector failed, so that it has not learnt all: {0}")]
    Failed(String),
    /// A signal asked to stop.
    #[error("stopped {at}; it is kept how far it is: the same command goes on from there (--restart begins anew)")]
    Stopped {
        /// Where.
        at: String,
    },
    /// Something cannot be written.
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

/// Learns from history, and prints what there was.
///
/// # Errors
///
/// Says what is wrong, and what to do.
pub fn run(options: &Options, config: &Config) -> Result<(), Error> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Whoever asks twice does not want to wait.
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let summary = warm(options, config, &stop)?;
    let text = if options.json { summary.for_machines() } else { summary.for_people(options) };
    say(&text).map_err(|source| Error::Write { path: "stdout".into(), source })
}

/// Learns from history until it ends or `stop` says so.
///
/// # Errors
///
/// As [`run`].
pub fn warm(options: &Options, config: &Config, stop: &AtomicBool) -> Result<Summary, Error> {
    let began = Instant::now();
    let way = options.way(config)?;
    let state = config.state.dir.as_deref().ok_or(Error::NoState)?;
    check_owner(state)?;
    let dir = way.dir(state);
    let file = StateFile::open_alone(&dir, random())?;
    spare(&file, options)?;
    let task = options.task(way, config);
    let changes = options.changes(way)?;
    let (before, saved) = match Progress::read(&file, &task, options.restart)? {
        Some((progress, saved)) => (Some(progress), saved),
        None => (None, Saved::new()),
    };
    let scoring = Scoring::start_from(config, file.seed(), &saved)?;
    if scoring.lost_state() {
        let path = progress::path(&file);
        return Err(Error::Unfinished { path, of: task.from });
    }
    let position = before.as_ref().map(|progress| progress.position);
    let rows = Rows::open(options, &scoring, position)?;
    let bar = Bar::new(&rows);
    let feed = Feed::new(Retold::new(rows, changes))?;
    let mut run = Run {
        progress: Progress { task, position: Position::default(), tally: Tally::default() },
        skipped: position.unwrap_or_default(),
        before: before.map(|progress| progress.tally).unwrap_or_default(),
        order: Order::default(),
        next_save: Instant::now() + config.state.interval,
        interval: config.state.interval,
        file,
        scoring,
        feed,
    };
    let learnt = run.learn(stop, &bar);
    drop(bar);
    let replaced = learnt.and_then(|()| run.finish(options)).inspect_err(|error| {
        if matches!(error, Error::Order { .. } | Error::Nothing { .. }) {
            progress::remove(&run.file); // there is nothing to go on with
        }
    })?;
    let Run { file, scoring, progress, order, before, .. } = run;
    Ok(Summary {
        tally: progress.tally,
        series: scoring.series() as u64,
        ready: order.ready().max(before.ready),
        resumed: position.is_some(),
        way: way.name(),
        state: file.path().to_owned(),
        replaced,
        out_of_order: order.first,
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// Refuses to leave files of one's own among those of another user: root may, and that user could not read them.
fn check_owner(dir: &Path) -> Result<(), Error> {
    let own = rustix::process::geteuid().as_raw();
    match fs::metadata(dir).map(|dir| dir.uid()) {
        Ok(uid) if uid != own => Err(Error::Owner { dir: dir.to_owned(), uid }),
        _ => Ok(()),
    }
}

/// Refuses to take the place of what was learnt live, unless that is asked for.
fn spare(file: &StateFile, options: &Options) -> Result<(), Error> {
    let (left, written) = file.remaining_states();
    if left.is_empty() || options.replace {
        return Ok(());
    }
    Err(Error::There { dir: file.dir().to_owned(), written: time(written.saturating_mul(1_000_000_000)) })
}

/// A warm start under way.
struct Run {
    file: StateFile,
    scoring: Scoring,
    feed: Feed<Retold<Rows>>,
    order: Order,
    progress: Progress,
    /// Where this run began, and what those before it had counted.
    skipped: Position,
    before: Tally,
    interval: Duration,
    next_save: Instant,
}

impl Run {
    fn learn(&mut self, stop: &AtomicBool, bar: &Bar) -> Result<(), Error> {
        loop {
            let Self { scoring, feed, order, .. } = self;
            let filled = feed.fill(scoring.input(), |_, _| {})?;
            scoring.run(filled, feed.now().max(0));
            scoring.verdicts().for_each(|verdict| order.see(&verdict));
            scoring.dropped_series().for_each(|(lane, series)| order.forget(lane, series));
            order.check(false)?;
            bar.set(feed.source().source());
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

    /// How far it is, where it can go on from there.
    fn position(&self) -> Option<Position> {
        let rows = self.feed.source().source();
        rows.position(self.feed.rows(), self.skipped)
    }

    fn count(&mut self) {
        let Counts { rows: values, malformed, .. } = self.scoring.counts();
        let told = self.feed.source();
        let own = Tally {
            rows: self.feed.rows(),
            values,
            malformed,
            backwards: self.order.backwards,
            scored_before: told.scored_before,
            verdicts: told.verdicts,
            untimed: told.untimed,
            left_out: told.source().left_out(),
            first: self.order.earliest,
            last: self.order.latest,
            ready: self.order.ready(),
        };
        self.progress.tally = self.before.and(&own);
    }

    /// Keeps how far it is.
    fn save(&mut self, position: Position) -> Result<Saved, Error> {
        let began = Instant::now();
        self.count();
        let saved = self.snapshot()?;
        self.progress.position = position;
        self.progress.write(&self.file, &saved)?;
        self.next_save = Instant::now() + self.interval.max(began.elapsed() * SHARE);
        Ok(saved)
    }

    fn snapshot(&mut self) -> Result<Saved, Error> {
        self.scoring.check_no_failures().map_err(Error::Failed)?;
        let saved = self.scoring.snapshot();
        self.scoring.check_no_failures().map_err(Error::Failed)?;
        Ok(saved)
    }

    /// Leaves what was learnt where it will be looked for. Whether something else had been there.
    fn finish(&mut self, options: &Options) -> Result<bool, Error> {
        self.count();
        self.order.check(true)?;
        if self.progress.tally.values == 0 {
            return Err(Error::Nothing { rows: self.progress.tally.rows });
        }
        // Should it not come to its place, it is not lost.
        let saved = match self.position() {
            Some(end) => self.save(end)?,
            None => self.snapshot()?,
        };
        if self.file.is_shared() {
            return Err(state::Error::Running(self.file.dir().to_owned()).into());
        }
        spare(&self.file, options)?;
        let (left, _) = self.file.remaining_states();
        for path in &left {
            let failed = |source| Error::Write { path: path.clone(), source };
            fs::rename(path, path.with_extension("state.replaced")).map_err(failed)?;
        }
        let failed = |source| Error::Write { path: self.file.path().to_owned(), source };
        self.file.write(&saved).map_err(failed)?;
        progress::remove(&self.file);
        Ok(!left.is_empty())
    }
}

/// The path as it is from wherever one looks.
fn absolute(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
