//! `qualm execd`: Telegraf's external processor. Line protocol on stdin, the same with scores on stdout.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FileType;
use rustix::io::Errno;
use signal_hook::consts::{SIGINT, SIGTERM};
use tracing::{info, warn};

use crate::clock::now;
use crate::scoring::Scoring;

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

/// From now on only the end of the input ends this process: Telegraf closes our stdin when it stops, and a signal before
/// that, such as the Ctrl-C that its whole process group gets, must not cost the metrics that are on their way. A person
/// at a terminal can still interrupt it.
///
/// # Errors
///
/// As the system says.
pub fn ignore_signals() -> io::Result<()> {
    if !io::stdin().is_terminal() {
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
        }
    }
    Ok(())
}

/// Scores stdin to stdout until it ends.
///
/// # Errors
///
/// Where stdin cannot be read or stdout cannot be written. Bad input is no error.
pub fn run(mut scoring: Scoring) -> io::Result<()> {
    if io::stdin().is_terminal() {
        info!("reading line protocol from the terminal; Ctrl-D ends it");
    }
    let result = pump(&mut scoring, rustix::stdio::stdin(), rustix::stdio::stdout());
    info!("{}", scoring.summary());
    if let Some(why) = scoring.why_nothing() {
        info!("NOTICE: {why}");
    }
    scoring.close();
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

fn pump(scoring: &mut Scoring, stdin: BorrowedFd<'_>, stdout: BorrowedFd<'_>) -> io::Result<()> {
    // Since when the event that is held lacks its end.
    let mut held: Option<Instant> = None;
    loop {
        let patience = held.map_or(Duration::MAX, |since| HOLD.saturating_sub(since.elapsed()));
        if wait(stdin, PollFlags::IN, scoring.leisure().min(patience))? {
            match rustix::io::read(stdin, scoring.input()) {
                Ok(0) => break,
                Ok(read) => {
                    let out = scoring.run(read, now());
                    let same = held.filter(|_| out.is_empty());
                    write(stdout, out)?;
                    held = scoring.holds().then(|| same.unwrap_or_else(Instant::now));
                }
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if held.is_some_and(|since| since.elapsed() >= HOLD) {
            warn!("a line lacks its end; what there is of it passes as it is");
            write(stdout, scoring.let_go())?;
            held = None;
        }
        scoring.tend();
    }
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
