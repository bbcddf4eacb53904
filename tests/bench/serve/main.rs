//! The HTTP service, compared with bare hyper, Vector itself, and a plain parse.
//!
//! Prints one Markdown table and nothing else to stdout. As in the `process` bench, each figure stands beside one that was
//! measured in the same run, by turns. With `VECTOR_BIN` Vector is measured too. `--quick` takes about a minute
//! instead of some five, `--health` measures the latency of health checks only.

use std::process::ExitCode;
use std::time::Duration;

use place::Place;
use table::{Row, Table};

mod busy;
mod echo;
mod gauges;
mod health;
mod load;
mod memory;
mod place;
mod score;
mod shape_a;
#[path = "../table.rs"]
mod table;
mod vector;
mod wire;

/// How long to measure.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// Requests in a round of latencies, and rounds.
    requests: usize,
    rounds: usize,
    /// How long a throughput is taken, and how often.
    push: Duration,
    pushes: usize,
    /// Bodies whose memory is looked at, and connections.
    bodies: usize,
    connections: usize,
}

/// For figures to go by.
const FULL: Effort =
    Effort { requests: 5_000, rounds: 9, push: Duration::from_secs(2), pushes: 5, bodies: 100, connections: 1_000 };

/// To see that nothing is far off.
const QUICK: Effort = Effort { requests: 1_000, rounds: 3, push: Duration::from_millis(500), pushes: 3, ..FULL };

fn main() -> ExitCode {
    if let Some(length) = echo::asked_for() {
        return echo::serve(length);
    }
    let effort = if std::env::args().any(|argument| argument == "--quick") { QUICK } else { FULL };
    let Some(qualm) = qualm_tests::tools::qualm() else {
        return ExitCode::FAILURE;
    };
    let place = Place::new(qualm);
    let mut rows: Vec<Row> = Vec::new();
    if std::env::args().any(|argument| argument == "--health") {
        print!("{}", Table(health::measure(&place, effort)));
        return ExitCode::SUCCESS;
    }
    for measure in [score::measure, health::measure, shape_a::measure, memory::measure] {
        rows.extend(measure(&place, effort));
    }
    print!("{}", Table(rows));
    ExitCode::SUCCESS
}
