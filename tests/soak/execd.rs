//! `qualm execd` over pipes, as Telegraf runs it: one process after another.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use qualm_tests::config::quoted;
use qualm_tests::{Site, fixtures};
use rustix::process::Signal;

use crate::check::{Check, Counts, Kind};
use crate::faults::{Models, OF_FILES, of_files, pause, signal};

/// Lines that are written at once, and how often.
const BATCH: u64 = 200;
const EVERY: Duration = Duration::from_millis(40);

/// How long a process runs.
const LIFE: Duration = Duration::from_secs(45);

/// How long a reader is suspended.
const STALL: Duration = Duration::from_secs(3);

/// How long a writer pauses within a line: longer than qualm holds an incomplete line.
const HALT: Duration = Duration::from_millis(1500);

/// After this a line is late.
const LATE: Duration = Duration::from_secs(1);

pub(crate) const LINES: Kind = Kind { line, number, is_ours: |line| line.starts_with("anomaly,") };

/// Metrics for each detector; every hundredth line is no line protocol, one in ten thousand is longer than any buffer.
fn line(n: u64) -> String {
    let (host, value, time) = (n / 8 % 10, fixtures::noise(n), 1_700_000_000_000_000_000 + n / 80 * 1_000_000_000);
    let value = if n.is_multiple_of(5000) { value * 100.0 } else { value };
    match n % 8 {
        _ if n % 10_000 == 9_999 => format!("long text=\"{}\",n={n}i {time}\n", "0123456789".repeat(120_000)),
        _ if n % 100 == 99 => format!("broken,host=h{host}, value={value},n={n}i {time}\n"),
        0 => format!("cpu,cpu=cpu-total,host=h{host} usage_user={value},n={n}i {time}\n"),
        1 => format!("mem,host=h{host} used_percent={value},n={n}i {time}\n"),
        2 => format!("odd,host=h{host} value={value},n={n}i {time}\n"),
        3 => format!("text,host=h{host} state=\"n=1i is \\\"fine\\\"\",n={n}i {time}\n"),
        _ => format!("load,host=h{host},disk=d{} value={value},n={n}i {time}\n", n % 8),
    }
}

fn number(line: &str) -> Option<u64> {
    let (_, behind) = line.rsplit_once(",n=")?;
    behind[..behind.find('i')?].parse().ok()
}

/// The shared state of a process' threads.
#[derive(Debug, Default)]
struct Shared {
    /// When lines from a number on were written.
    written: Mutex<VecDeque<(u64, Instant)>>,
    /// Requests to the reader to pause once, and to the writer to pause within a line once.
    stall: AtomicBool,
    halt: AtomicBool,
    stop: AtomicBool,
    next: AtomicU64,
}

pub(crate) fn run(qualm: &Path, end: Instant, seed: u64) -> Counts {
    let site = Site::new();
    let (mut rng, mut models) = (Rng::with_seed(seed), Models::new(&site));
    let state = site.path("state");
    let text = format!("{}[state]\ndir = {}\ninterval = \"1s\"\n", models.config(), quoted(&state));
    let config = site.write("qualm.toml", text);
    let mut check = Check::new(LINES, Counts::new("execd", false));
    let mut sent = 0;
    while Instant::now() < end {
        let mut child = Command::new(qualm)
            .args(["execd", "--config", &config.to_string_lossy()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let shared = Shared { next: AtomicU64::new(sent), ..Shared::default() };
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut more_faults = Vec::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                write(&mut stdin, &shared);
                drop(stdin); // the end of the input
            });
            scope.spawn(|| read(stdout, &mut check, &shared));
            let life = (Instant::now() + LIFE).min(end);
            while Instant::now() < life {
                thread::sleep(pause(&mut rng));
                more_faults.push(fault(&mut rng, &mut models, &child, &state, &shared));
            }
            shared.stop.store(true, Ordering::Relaxed);
        });
        sent = shared.next.into_inner();
        more_faults.push("restarts");
        for name in more_faults {
            *check.counts.faults.entry(name).or_default() += 1;
        }
        let status = child.wait().expect("it ends");
        assert!(status.success(), "execd ended with {status}");
    }
    check.finish(sent)
}

fn fault(rng: &mut Rng, models: &mut Models, child: &Child, state: &Path, shared: &Shared) -> &'static str {
    match rng.u8(..9) {
        which @ ..OF_FILES => of_files(which, rng, models, 200, state),
        5 => {
            shared.stall.store(true, Ordering::Relaxed);
            "slow readers"
        }
        6 => {
            shared.halt.store(true, Ordering::Relaxed);
            "half lines"
        }
        _ => {
            let signals = [(Signal::HUP, "SIGHUP"), (Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")];
            let (which, name) = signals[rng.usize(..signals.len())];
            signal(child.id(), which);
            name
        }
    }
}

/// Writes lines until it is stopped.
fn write(stdin: &mut impl Write, shared: &Shared) {
    while !shared.stop.load(Ordering::Relaxed) {
        let next = shared.next.load(Ordering::Relaxed);
        let text: String = (next..next + BATCH).map(line).collect();
        shared.written.lock().expect("nobody panicked").push_back((next, Instant::now()));
        // Half of the lines are written in two pieces.
        let middle = if next.is_multiple_of(2 * BATCH) { text.len() / 2 } else { 0 };
        let halt = if shared.halt.swap(false, Ordering::Relaxed) { HALT } else { Duration::ZERO };
        for piece in [&text[..middle], &text[middle..]] {
            stdin.write_all(piece.as_bytes()).expect("it reads on");
            thread::sleep(EVERY / 2 + halt);
        }
        shared.next.store(next + BATCH, Ordering::Relaxed);
    }
}

/// Reads lines until the end.
fn read(stdout: impl Read, check: &mut Check, shared: &Shared) {
    let mut out = BufReader::with_capacity(1 << 20, stdout);
    let (mut line, mut woke) = (Vec::new(), Instant::now());
    loop {
        if shared.stall.swap(false, Ordering::Relaxed) {
            thread::sleep(STALL);
            woke = Instant::now();
        }
        line.clear();
        if out.read_until(b'\n', &mut line).expect("stdout can be read") == 0 {
            return;
        }
        let next = check.take(&line);
        let mut written = shared.written.lock().expect("nobody panicked");
        while written.get(1).is_some_and(|(first, _)| *first < next) {
            written.pop_front();
        }
        let waited = written.front().map_or(Duration::ZERO, |(_, at)| at.max(&woke).elapsed());
        check.counts.late += u64::from(waited > LATE);
    }
}
