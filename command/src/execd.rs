//! `qualm execd`: Telegraf's external processor. Line protocol on stdin, the same with scores on stdout.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FileType;
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tracing::{error, info, warn};

use qualm::clock::now;
use qualm::config::Http;
use qualm::scoring::Scoring;
use qualm::state;

use crate::configuration;
use crate::failure::Failure;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
In telegraf.conf:
  [[processors.execd]]
    command = [\"qualm\", \"execd\", \"--config\", \"/etc/qualm/qualm.toml\"]

Each line comes out as it came in, with `anomaly_score` and `is_anomaly` behind its fields. It ends when stdin does.";

/// What a user may ask for.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The configuration; without it every numeric field is scored
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Read the configuration, start the detectors, print what is in force, and exit
    #[arg(long)]
    pub check: bool,

    /// Log more
    #[arg(long)]
    pub debug: bool,
}

/// How long an event may lack its end before its bytes are passed on as they are: a writer that is alive finishes its
/// line at once.
const HOLD: Duration = Duration::from_secs(1);

/// How long to wait, at the end, for a reader that takes nothing more.
const DRAIN: Duration = Duration::from_secs(30);

/// How long to wait for one that reads no more of the log.
const DRAIN_LOG: Duration = Duration::from_millis(200);

/// How long Telegraf gets, at the end, to see that both our streams have ended before it sees that we have: it complains
/// of a pipe that is closed under its reader.
const GOODBYE: Duration = Duration::from_millis(20);

/// The signals that have come since they were last looked at.
#[derive(Debug, Default)]
struct Signals(Vec<(&'static str, Arc<AtomicBool>)>);

impl Signals {
    /// From now on only the end of the input ends this process: Telegraf closes our stdin when it stops, and a signal before
    /// that, such as the Ctrl-C that its whole process group gets or a SIGHUP that is meant for its configuration, must not
    /// cost the metrics that are on their way. A person at a terminal can still interrupt it; when the terminal goes away,
    /// so does the input.
    fn ignore() -> io::Result<Self> {
        state::ignore_file_size_signal()?;
        let mut signals = vec![("SIGHUP", SIGHUP)];
        if !io::stdin().is_terminal() {
            signals.extend([("SIGINT", SIGINT), ("SIGTERM", SIGTERM)]);
        }
        let mut this = Self::default();
        for (name, signal) in signals {
            let came = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(signal, Arc::clone(&came))?;
            this.0.push((name, came));
        }
        Ok(this)
    }

    /// Says of those that came what they do: nothing.
    fn tell(&self) {
        for (name, came) in &self.0 {
            if came.swap(false, Ordering::Relaxed) {
                info!("{name} is ignored: only the end of stdin ends this process");
            }
        }
    }
}

/// Scores stdin to stdout until it ends, as the configuration says; or checks the configuration.
///
/// # Errors
///
/// Where the configuration cannot be used, stdin not be read or stdout not be written. Bad input is no error.
pub fn run(options: &Options) -> Result<(), Failure> {
    if options.check {
        return configuration::check(options.config.as_deref());
    }
    let signals = Signals::ignore()?;
    let config = configuration::read(options.config.as_deref())?;
    configuration::log_effective(&config, &["[vector]", "[influxdb]"]);
    let mut scoring = Scoring::start(&config)?;
    show(&config.http, &mut scoring);
    Ok(score(scoring, &signals)?)
}

/// Lets others see what goes on, where the configuration says so.
#[cfg(feature = "serve")]
fn show(http: &Http, scoring: &mut Scoring) {
    use qualm::view::View;

    let Some(listen) = http.listen else { return };
    let view = Arc::new(View::new("execd"));
    scoring.watch(Arc::clone(&view));
    // Metrics must flow, even if nobody can see how.
    if let Err(error) = crate::serve::observe::serve_view(http, listen, view) {
        error!("[http] `listen`: {error}. Nothing is served");
    }
}

/// There is nothing to serve it with.
#[cfg(not(feature = "serve"))]
fn show(http: &Http, _: &mut Scoring) {
    if http.listen.is_some() {
        error!("[http] `listen`: this qualm was built without the feature `serve`. Nothing is served");
    }
}

/// Scores stdin to stdout until it ends.
fn score(mut scoring: Scoring, signals: &Signals) -> io::Result<()> {
    if io::stdin().is_terminal() {
        info!("reading line protocol from the terminal; Ctrl-D ends it");
    }
    let result = pump(&mut scoring, signals, rustix::stdio::stdin(), rustix::stdio::stdout());
    info!("{}", scoring.summary());
    if let Some(why) = scoring.why_unscored() {
        info!("NOTICE: {why}");
    }
    // Telegraf has what it gave us, whatever comes of that.
    if let Err(error) = scoring.close() {
        error!("{error}. What was learnt since it was last saved is lost");
    }
    result
}

/// Waits until all that was written has been read, and lets go of stdout, then of stderr.
pub fn leave() {
    let Ok(nothing) = File::options().write(true).open("/dev/null") else { return };
    let (stdout, stderr) = (rustix::stdio::stdout(), rustix::stdio::stderr());
    if is_pipe(stdout) {
        drain(stdout, DRAIN);
        let _still_open = rustix::stdio::dup2_stdout(&nothing);
    }
    if is_pipe(stderr) {
        drain(stderr, DRAIN_LOG);
        let _still_open = rustix::stdio::dup2_stderr(&nothing);
        std::thread::sleep(GOODBYE);
    }
}

fn pump(scoring: &mut Scoring, signals: &Signals, stdin: BorrowedFd<'_>, stdout: BorrowedFd<'_>) -> io::Result<()> {
    // Since when the event that is held lacks its end.
    let mut held: Option<Instant> = None;
    let terminal = io::stdin().is_terminal();
    loop {
        let patience = held.map_or(Duration::MAX, |since| HOLD.saturating_sub(since.elapsed()));
        if wait(stdin, PollFlags::IN, scoring.idle_timeout().min(patience))? {
            match rustix::io::read(stdin, scoring.input()) {
                Ok(0) => break,
                Ok(read) => {
                    let out = scoring.run(read, now());
                    let same = held.filter(|_| out.is_empty());
                    write(stdout, out)?;
                    held = scoring.has_partial_event().then(|| same.unwrap_or_else(Instant::now));
                }
                Err(Errno::INTR | Errno::AGAIN) => {}
                // A terminal that went away has nothing more to say.
                Err(Errno::IO) if terminal => break,
                Err(error) => return Err(error.into()),
            }
        }
        if held.is_some_and(|since| since.elapsed() >= HOLD) {
            warn!("a line lacks its end; what there is of it passes as it is");
            write(stdout, scoring.release_partial_event())?;
            held = None;
        }
        signals.tell();
        scoring.run_between_batches();
    }
    signals.tell();
    write(stdout, scoring.finish(now()))
}

/// Waits until a stream is ready, at most so long. Whether it is.
fn wait(stream: BorrowedFd<'_>, what: PollFlags, patience: Duration) -> io::Result<bool> {
    let mut ready = [PollFd::from_borrowed_fd(stream, what)];
    let timeout = Timespec { tv_sec: patience.as_secs().min(3600) as i64, tv_nsec: patience.subsec_nanos().into() };
    match poll(&mut ready, Some(&timeout)) {
        Ok(count) => Ok(count > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Writes all of it, even where whoever started us made the stream one that does not wait.
fn write(stream: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(stream, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::AGAIN) => drop(wait(stream, PollFlags::OUT, Duration::MAX)?),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Waits until the reader of a pipe has taken all that was written to it, or takes nothing for so long. Telegraf stops
/// reading when we exit, even what is in the pipe.
fn drain(pipe: BorrowedFd<'_>, patience: Duration) {
    let mut last = (u64::MAX, Instant::now());
    while let Ok(left) = rustix::io::ioctl_fionread(pipe) {
        let gone = wait(pipe, PollFlags::empty(), Duration::ZERO).unwrap_or(true);
        if left == 0 || gone || last.1.elapsed() > patience {
            break;
        }
        if left != last.0 {
            last = (left, Instant::now());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn is_pipe(stream: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(stream).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}
