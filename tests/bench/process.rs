//! The binary as a whole, beside what one would have in its place: `cat`, a Python processor, Telegraf's own parser
//! and serializer.
//!
//! Prints one Markdown table and nothing else to stdout. Every figure stands beside one that was measured in the same
//! run, by turns, so that a slow or busy machine changes both; targets are set for the ratio where there is one.
//! `--quick` takes less than a minute instead of some five.

use std::process::ExitCode;
use std::time::Duration;

use place::Place;
use table::{Row, Table};

mod cpus;
mod latency;
mod live;
mod memory;
mod place;
mod start;
mod table;
mod throughput;

/// How long to measure.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// How long a throughput is taken, and how often.
    push: Duration,
    pushes: usize,
    /// Lines in a round of latencies, and rounds.
    lines: usize,
    rounds: usize,
    /// How often a start is timed.
    starts: usize,
}

/// For figures to go by.
const FULL: Effort = Effort { push: Duration::from_secs(3), pushes: 7, lines: 2_000, rounds: 9, starts: 31 };

/// To see that nothing is far off.
const QUICK: Effort = Effort { push: Duration::from_millis(500), pushes: 3, lines: 1_000, rounds: 3, starts: 7 };

fn main() -> ExitCode {
    let effort = if std::env::args().any(|argument| argument == "--quick") { QUICK } else { FULL };
    let Some(qualm) = qualm_tests::tools::qualm() else {
        return ExitCode::FAILURE;
    };
    let place = Place::new(qualm);
    let mut rows = Vec::new();
    for measure in [throughput::measure, latency::measure, start::measure, memory::measure] {
        let mut measured = measure(&place, effort);
        for complaint in place.complaints() {
            eprintln!("qualm said: {complaint}");
            measured.iter_mut().for_each(Row::is_unsound);
        }
        rows.extend(measured);
    }
    print!("{}", Table(rows));
    ExitCode::SUCCESS
}
