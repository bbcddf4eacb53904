//! Metrics as Telegraf's `cpu` input writes them: the same in every run.

use std::io::Write as _;

/// The fields of one line.
const FIELDS: [&str; 10] =
    ["user", "system", "idle", "nice", "iowait", "irq", "softirq", "steal", "guest", "guest_nice"];

/// Processors of a host.
const PROCESSORS: usize = 8;

/// When the first round was measured, and the time between two: nanoseconds.
const START: i64 = 1_700_000_000_000_000_000;
const STEP: i64 = 10_000_000_000;

/// Some processors, measured over and over.
#[derive(Debug)]
pub(crate) struct Cpus {
    heads: usize,
    time: i64,
    random: u64,
}

impl Cpus {
    /// So many processors that have not been measured yet. Each is one line a round, and one series a field.
    pub(crate) fn new(heads: usize) -> Self {
        Self { heads, time: START, random: 1 }
    }

    /// Appends a round: a line for each processor, all of the same time, ten seconds after the last.
    pub(crate) fn round(&mut self, out: &mut Vec<u8>) {
        for head in 0..self.heads {
            self.line(head, out);
        }
        self.time += STEP;
    }

    fn line(&mut self, head: usize, out: &mut Vec<u8>) {
        let (processor, host) = (head % PROCESSORS, head / PROCESSORS);
        let _infallible = write!(out, "cpu,cpu=cpu{processor},host=web-{host:06}");
        // Telegraf divides two numbers of clock ticks: values with 15 and more digits are the rule.
        let ticks = 990 + self.draw(20);
        for (at, field) in FIELDS.into_iter().enumerate() {
            let separator = if at == 0 { ' ' } else { ',' };
            let share = if field == "idle" { ticks - 60 - self.draw(40) } else { 1 + self.draw(9) };
            let percent = 100.0 * share as f64 / ticks as f64;
            let _infallible = write!(out, "{separator}usage_{field}={percent}");
        }
        let _infallible = writeln!(out, " {}", self.time);
    }

    /// A number below `limit` (Knuth's MMIX generator).
    fn draw(&mut self, limit: u64) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % limit
    }
}
