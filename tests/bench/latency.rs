//! How much later a line arrives: a thousand lines a second, one at a time, there and back.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Effort;
use crate::cpus::Cpus;
use crate::place::Place;
use crate::table::{Row, Wanted, median};

/// Heads of ten fields each, and rounds of them that come before anything is timed.
const HEADS: usize = 100;
const WARM_UP: usize = 50;

/// Each program gets a line each millisecond; the other's turn lies halfway between.
const TURN: Duration = Duration::from_micros(500);

const CONFIG: &str = "[[detector]]\nselect = { measurement = \"cpu\" }\nmin_samples = 30\n";

pub(crate) fn measure(place: &Place, effort: Effort) -> Vec<Row> {
    let mut lines = Lines::new();
    let mut programs = [Program::start(place.qualm(CONFIG)), Program::start(place.cat())];
    for _ in 0..WARM_UP * HEADS {
        let line = lines.following();
        for program in &mut programs {
            program.round_trip(line);
        }
    }
    let rounds: Vec<_> = (0..effort.rounds).map(|_| round(&mut programs, &mut lines, effort.lines)).collect();
    let row = |what: &str, part: usize, wanted| {
        let of = |program: usize| median(rounds.iter().map(|round| round[program][part]).collect());
        let ratio = median(rounds.iter().map(|round| round[0][part] / round[1][part]).collect());
        Row::ratio(what, format!("{:.0} µs", of(0)), format!("cat: {:.0} µs", of(1)), ratio, wanted)
    };
    vec![
        row("there and back at 1,000 lines/s, p50", 0, Wanted::Nothing),
        row("there and back at 1,000 lines/s, p99", 1, Wanted::AtMost(3.0)),
    ]
}

/// Both programs' p50 and p99 over so many lines, in microseconds.
fn round(programs: &mut [Program; 2], lines: &mut Lines, count: usize) -> [[f64; 2]; 2] {
    let mut times = [Vec::with_capacity(count), Vec::with_capacity(count)];
    let mut due = Instant::now();
    for _ in 0..count {
        let line = lines.following();
        for (program, times) in programs.iter_mut().zip(&mut times) {
            // After a stall the schedule starts anew: lines in a bunch would be another load.
            due = (due + TURN).max(Instant::now());
            thread::sleep(due.saturating_duration_since(Instant::now()));
            times.push(program.round_trip(line).as_secs_f64() * 1e6);
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        [times[count / 2], times[count * 99 / 100]]
    })
}

/// A program with both its ends.
#[derive(Debug)]
struct Program {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    buffer: Vec<u8>,
}

impl Program {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let stdin = child.stdin.take().expect("stdin is piped");
        let stdout = child.stdout.take().expect("stdout is piped");
        Self { child, stdin, stdout, buffer: vec![0; 4096] }
    }

    /// Sends a line and waits until it is back.
    fn round_trip(&mut self, line: &[u8]) -> Duration {
        let start = Instant::now();
        self.stdin.write_all(line).expect("the program reads");
        let mut filled = 0;
        while !self.buffer[..filled].ends_with(b"\n") {
            let read = self.stdout.read(&mut self.buffer[filled..]).expect("the program writes");
            assert!(read > 0, "the program ended");
            filled += read;
        }
        start.elapsed()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// Lines without end, one at a time.
struct Lines {
    cpus: Cpus,
    round: Vec<u8>,
    at: usize,
}

impl Lines {
    fn new() -> Self {
        Self { cpus: Cpus::new(HEADS), round: Vec::new(), at: 0 }
    }

    fn following(&mut self) -> &[u8] {
        if self.at == self.round.len() {
            self.round.clear();
            self.cpus.round(&mut self.round);
            self.at = 0;
        }
        let start = self.at;
        let length = self.round[start..].iter().position(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        self.at += length;
        &self.round[start..start + length]
    }
}
