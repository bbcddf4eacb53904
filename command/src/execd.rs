//! `qualm execd`: Telegraf's external processor. Scores line protocol from stdin to stdout.

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

use qualm::config::Http;
use qualm::{Pipeline, now, state};

use crate::configuration;
use crate::control::{self, Hub};
use crate::failure::Failure;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
In telegraf.conf:
  [[processors.execd]]
    command = [\"qualm\", \"execd\", \"--config\", \"/etc/qualm/qualm.toml\"]

Each line comes out as it came in, with `anomaly_score` and `is_anomaly` behind its fields. It ends when stdin does.";

/// The options of `qualm execd`.
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

/// How long an incomplete line is held before its bytes pass unscored: a writer that works completes it at once.
const MAX_HOLD: Duration = Duration::from_secs(1);

/// How long to wait at the end for a reader of stdout that makes no progress.
const STDOUT_DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// The same for a reader of the log.
const LOG_DRAIN_TIMEOUT: Duration = Duration::from_millis(200);

/// The delay between the end of both streams and that of the process: Telegraf logs an error where it sees the latter first.
const EXIT_DELAY: Duration = Duration::from_millis(20);

/// The ignored signals, with a flag each that the handler sets.
#[derive(Debug, Default)]
struct Signals(Vec<(&'static str, Arc<AtomicBool>)>);

impl Signals {
    /// From now on only the end of stdin ends this process: Telegraf closes it when it stops. A signal before that, such as the
    /// Ctrl-C that its process group gets or a SIGHUP that reloads its configuration, must not lose metrics in flight. At a
    /// terminal Ctrl-C still ends it, and the input ends with the terminal.
    fn ignore() -> io::Result<Self> {
        state::ignore_file_size_signal()?;
        let mut signals = vec![("SIGHUP", SIGHUP)];
        if !io::stdin().is_terminal() {
            signals.extend([("SIGINT", SIGINT), ("SIGTERM", SIGTERM)]);
        }
        let mut this = Self::default();
        for (name, signal) in signals {
            let received = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(signal, Arc::clone(&received))?;
            this.0.push((name, received));
        }
        Ok(this)
    }

    /// Logs those that were received since the last call.
    fn log_received(&self) {
        for (name, received) in &self.0 {
            if received.swap(false, Ordering::Relaxed) {
                info!("{name} is ignored: only the end of stdin ends this process");
            }
        }
    }
}

/// Scores stdin to stdout until it ends; or checks the configuration.
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
    let mut pipeline = Pipeline::start(&config)?;
    serve_view(&config.http, &mut pipeline);
    let hub = Arc::new(Hub::default());
    if config.control_socket().is_some() {
        pipeline.obey(hub.register("execd"));
    }
    let _until_the_end = control::listen(&config, &hub);
    Ok(score(pipeline, &signals)?)
}

/// Serves metrics and the live page, where `[http] listen` is set.
#[cfg(feature = "serve")]
fn serve_view(http: &Http, pipeline: &mut Pipeline) {
    use qualm::view::View;

    let Some(listen) = http.listen else { return };
    let view = Arc::new(View::new("execd"));
    pipeline.watch(Arc::clone(&view));
    // Metrics are scored even where this fails.
    if let Err(error) = crate::serve::observe::serve_view(http, listen, view) {
        error!("[http] `listen`: {error}. Nothing is served");
    }
}

/// Logs an error where `[http] listen` is set.
#[cfg(not(feature = "serve"))]
fn serve_view(http: &Http, _: &mut Pipeline) {
    if http.listen.is_some() {
        error!("[http] `listen`: this qualm was built without the feature `serve`. Nothing is served");
    }
}

/// Scores stdin to stdout until it ends.
fn score(mut pipeline: Pipeline, signals: &Signals) -> io::Result<()> {
    if io::stdin().is_terminal() {
        info!("reading line protocol from the terminal; Ctrl-D ends it");
    }
    let result = pump(&mut pipeline, signals, rustix::stdio::stdin(), rustix::stdio::stdout());
    info!("{}", pipeline.summary());
    if let Some(why) = pipeline.why_unscored() {
        info!("NOTICE: {why}");
    }
    // The metrics are written: a failed save does not fail the process.
    if let Err(error) = pipeline.close() {
        error!("{error}. What was learnt since it was last saved is lost");
    }
    result
}

/// Waits until all output is read, and closes stdout, then stderr.
pub fn drain_streams() {
    let Ok(nothing) = File::options().write(true).open("/dev/null") else { return };
    let (stdout, stderr) = (rustix::stdio::stdout(), rustix::stdio::stderr());
    if is_pipe(stdout) {
        drain(stdout, STDOUT_DRAIN_TIMEOUT);
        let _still_open = rustix::stdio::dup2_stdout(&nothing);
    }
    if is_pipe(stderr) {
        drain(stderr, LOG_DRAIN_TIMEOUT);
        let _still_open = rustix::stdio::dup2_stderr(&nothing);
        std::thread::sleep(EXIT_DELAY);
    }
}

fn pump(pipeline: &mut Pipeline, signals: &Signals, stdin: BorrowedFd<'_>, stdout: BorrowedFd<'_>) -> io::Result<()> {
    // Since when an incomplete line is held.
    let mut held: Option<Instant> = None;
    // Whether what was written last ends an event, so that lines of our own may follow.
    let mut at_end = true;
    let terminal = io::stdin().is_terminal();
    loop {
        let timeout = held.map_or(Duration::MAX, |since| MAX_HOLD.saturating_sub(since.elapsed()));
        if wait(stdin, PollFlags::IN, pipeline.idle_timeout().min(timeout))? {
            match rustix::io::read(stdin, pipeline.input()) {
                Ok(0) => break,
                Ok(read) => {
                    let out = pipeline.run(read, now());
                    let same = held.filter(|_| out.is_empty());
                    write(stdout, out)?;
                    at_end = out.last().map_or(at_end, |last| *last == b'\n');
                    held = pipeline.has_partial_event().then(|| same.unwrap_or_else(Instant::now));
                }
                Err(Errno::INTR | Errno::AGAIN) => {}
                // The terminal is closed.
                Err(Errno::IO) if terminal => break,
                Err(error) => return Err(error.into()),
            }
        }
        if held.is_some_and(|since| since.elapsed() >= MAX_HOLD) {
            warn!("a line lacks its end; what there is of it passes as it is");
            write(stdout, pipeline.release_partial_event())?;
            (held, at_end) = (None, false);
        }
        signals.log_received();
        pipeline.run_between_batches();
        if at_end {
            write(stdout, pipeline.drift_lines(now()))?;
        }
    }
    signals.log_received();
    write(stdout, pipeline.finish(now()))
}

/// Waits until a stream is ready or the time is over. Returns whether it is ready.
fn wait(stream: BorrowedFd<'_>, events: PollFlags, timeout: Duration) -> io::Result<bool> {
    let mut ready = [PollFd::from_borrowed_fd(stream, events)];
    let timeout = Timespec { tv_sec: timeout.as_secs().min(3600) as i64, tv_nsec: timeout.subsec_nanos().into() };
    match poll(&mut ready, Some(&timeout)) {
        Ok(count) => Ok(count > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Writes all bytes, also where the parent process made the stream non-blocking.
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

/// Waits until the reader of a pipe has read everything, or makes no progress for `timeout`. Telegraf stops reading when this
/// process exits, even what is in the pipe.
fn drain(pipe: BorrowedFd<'_>, timeout: Duration) {
    let mut last = (u64::MAX, Instant::now());
    while let Ok(left) = rustix::io::ioctl_fionread(pipe) {
        let closed = wait(pipe, PollFlags::empty(), Duration::ZERO).unwrap_or(true);
        if left == 0 || closed || last.1.elapsed() > timeout {
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
