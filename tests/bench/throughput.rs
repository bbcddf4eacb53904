//! How many lines go through in a second.

use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pipe::{SpliceFlags, splice};

use crate::Effort;
use crate::cpus::Cpus;
use crate::place::Place;
use crate::table::{Row, Wanted, median};

/// Heads of ten fields each: a thousand series.
const HEADS: usize = 100;

/// Rounds of lines before the first comes again, at its old time: 32 MiB, which no cache holds.
const ROUNDS: usize = 1000;

/// What is written at a time: as much as qualm reads at most.
const WRITE: usize = 1 << 20;

/// What the reader asks for at a time.
const READ: usize = 1 << 20;

/// Bytes that a line with a score is longer by, at least.
const SCORED: f64 = 30.0;

/// A selection that no line meets, and one that every line does.
const NOTHING: &str = "[[detector]]\nselect = { measurement = \"absent\" }\n";
const EVERYTHING: &str = "[[detector]]\nselect = { measurement = \"cpu\" }\nmin_samples = 30\n";

/// Lines, over and over.
struct Input {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
}

/// What is written at once: whole lines, so that the writer can stop behind any of them.
struct Piece {
    bytes: Range<usize>,
    lines: u64,
}

/// What was written.
#[derive(Default, Clone, Copy)]
struct Written {
    bytes: u64,
    lines: u64,
}

/// What went through.
#[derive(Debug, Clone, Copy)]
struct Flow {
    /// A second.
    lines: f64,
    bytes: f64,
    /// Bytes that each line became longer by.
    added: f64,
    /// Nanoseconds that the program itself was at work for a line, in the kernel and outside.
    busy: f64,
}

pub(crate) fn measure(place: &Place, effort: Effort) -> Vec<Row> {
    let input = Input::new();
    // Compiles the detector and keeps it, so that no run does.
    push(&mut place.qualm(EVERYTHING), &input, Duration::from_millis(10));
    vec![
        unselected(place, effort, &input),
        python(place, effort, &input),
        python_live(place, effort, &input),
        telegraf(place, effort, &input),
    ]
}

fn unselected(place: &Place, effort: Effort, input: &Input) -> Row {
    let turns = by_turns(effort, || {
        let (ours, cat) = (&mut place.qualm(NOTHING), &mut place.cat());
        (push(ours, input, effort.push), push(cat, input, effort.push))
    });
    let alone = median((0..effort.pushes).map(|_| bare_pipe(input, effort.push / 4)).collect());
    let cat = turns.beside.bytes;
    let note = if alone < 2.0 * cat { ", which holds both back" } else { "" };
    Row::ratio(
        "lines that nothing selects",
        turns.ours.to_string(),
        format!("cat: {} (our writer and reader alone: {:.1} GB/s{note})", turns.beside, alone / 1e9),
        turns.ratio,
        Wanted::AtLeast(0.5),
    )
}

fn python(place: &Place, effort: Effort, input: &Input) -> Row {
    let what = "scored lines, 1,000 series, beside Python";
    scored(what, "EWMA z-score in Python", || place.python(), place, effort, input, Wanted::AtLeast(10.0))
}

/// For information: a Python processor as it has to be to work in Telegraf, where a line that waits in a buffer for
/// others is late. (Ours writes whenever it has read what there is.)
fn python_live(place: &Place, effort: Effort, input: &Input) -> Row {
    let what = "the same, flushed line by line";
    let program = || {
        place.python().map(|mut python| {
            python.env("EWMA_FLUSH", "line");
            python
        })
    };
    scored(what, "EWMA z-score in Python", program, place, effort, input, Wanted::Nothing)
}

fn telegraf(place: &Place, effort: Effort, input: &Input) -> Row {
    let what = "scored lines, 1,000 series, beside Telegraf's code";
    scored(
        what,
        "its parser and serializer, one goroutine",
        || place.telegraf(),
        place,
        effort,
        input,
        Wanted::AtLeast(3.0),
    )
}

fn scored(
    what: &str,
    name: &str,
    program: impl Fn() -> Result<Command, &'static str>,
    place: &Place,
    effort: Effort,
    input: &Input,
    wanted: Wanted,
) -> Row {
    let mut program = match program() {
        Ok(program) => program,
        Err(why) => return Row::missing(what, why),
    };
    let turns = by_turns(effort, || {
        (push(&mut place.qualm(EVERYTHING), input, effort.push), push(&mut program, input, effort.push))
    });
    let ours = format!("{}; {:.2} M field rows/s", turns.ours, turns.ours.lines * 10.0 / 1e6);
    let mut row = Row::ratio(what, ours, format!("{name}: {}", turns.beside), turns.ratio, wanted);
    if turns.ours.added < SCORED {
        eprintln!("most lines came back without a score");
        row.is_unsound();
    }
    row
}

/// Two programs' figures, taken by turns.
struct Turns {
    ours: Flow,
    beside: Flow,
    /// The median of the pairs' ratios.
    ratio: f64,
}

fn by_turns(effort: Effort, mut pair: impl FnMut() -> (Flow, Flow)) -> Turns {
    let (ours, beside): (Vec<_>, Vec<_>) = (0..effort.pushes).map(|_| pair()).unzip();
    let ratios = ours.iter().zip(&beside).map(|(ours, beside): (&Flow, &Flow)| ours.lines / beside.lines);
    Turns { ratio: median(ratios.collect()), ours: Flow::median(&ours), beside: Flow::median(&beside) }
}

impl Input {
    fn new() -> Self {
        let mut cpus = Cpus::new(HEADS);
        let mut bytes = Vec::new();
        (0..ROUNDS).for_each(|_| cpus.round(&mut bytes));
        let mut pieces = vec![Piece { bytes: 0..0, lines: 0 }];
        let mut at = 0;
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            if pieces.last().is_some_and(|piece| piece.bytes.len() + line.len() > WRITE) {
                pieces.push(Piece { bytes: at..at, lines: 0 });
            }
            at += line.len();
            if let Some(piece) = pieces.last_mut() {
                piece.bytes.end = at;
                piece.lines += 1;
            }
        }
        Self { bytes, pieces }
    }

    /// Writes the lines over and over until the time is up.
    fn write(&self, mut to: impl Write, time: Duration) -> Written {
        let start = Instant::now();
        let mut written = Written::default();
        let pieces = self.pieces.iter().cycle();
        for Piece { bytes, lines } in pieces.take_while(|_| start.elapsed() < time) {
            to.write_all(&self.bytes[bytes.clone()]).expect("the program reads all of its input");
            written.bytes += bytes.len() as u64;
            written.lines += lines;
        }
        written
    }
}

impl Flow {
    fn median(flows: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| median(flows.iter().map(figure).collect());
        Self {
            lines: of(|flow| flow.lines),
            bytes: of(|flow| flow.bytes),
            added: of(|flow| flow.added),
            busy: of(|flow| flow.busy),
        }
    }
}

impl std::fmt::Display for Flow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { lines, bytes, added: _, busy } = self;
        write!(f, "{:.0} k lines/s, {:.2} GB/s, {:.2} µs of CPU a line", lines / 1e3, bytes / 1e9, busy / 1e3)
    }
}

/// Pushes lines through a program for about so long. It is timed from its first byte out, so that its start does not
/// count, to its last.
fn push(command: &mut Command, input: &Input, time: Duration) -> Flow {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    let stdin = child.stdin.take().expect("stdin is piped");
    let stdout = child.stdout.take().expect("stdout is piped");
    let (written, (out, span)) = thread::scope(|scope| {
        let writer = scope.spawn(move || input.write(stdin, time));
        let drained = drain(stdout);
        (writer.join().expect("the writer ends"), drained)
    });
    let busy = busy(&child);
    assert!(child.wait().expect("the program ends").success(), "{command:?} failed");
    let (bytes, lines, seconds) = (written.bytes as f64, written.lines as f64, span.as_secs_f64());
    Flow {
        lines: lines / seconds,
        bytes: bytes / seconds,
        added: (out as f64 - bytes) / lines,
        busy: busy.as_nanos() as f64 / lines,
    }
}

/// Throws away all that comes, uncopied, and returns the number of bytes and the time between the first and the last.
fn drain(from: impl std::os::fd::AsFd) -> (u64, Duration) {
    let nowhere = File::options().write(true).open("/dev/null").expect("/dev/null opens");
    let (mut bytes, mut first) = (0, None);
    loop {
        match splice(&from, None, &nowhere, None, READ, SpliceFlags::empty()) {
            Ok(0) => return (bytes, first.map_or(Duration::ZERO, |first: Instant| first.elapsed())),
            Ok(read) => bytes += read as u64,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("the pipe cannot be read: {error}"),
        }
        first.get_or_insert_with(Instant::now);
    }
}

/// Bytes a second from our writer to our reader, with nothing in between.
fn bare_pipe(input: &Input, time: Duration) -> f64 {
    let (reader, writer) = io::pipe().expect("a pipe can be made");
    thread::scope(|scope| {
        scope.spawn(move || input.write(writer, time));
        let (bytes, span) = drain(reader);
        bytes as f64 / span.as_secs_f64()
    })
}

/// How long a program, which has closed its output, was at work: its own time and the kernel's for it.
fn busy(child: &Child) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    // Behind the name, which may hold anything, in parentheses.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10) // as Linux counts for its users, whatever it counts inside
}
