//! What a row costs the plugins in Python and JavaScript, and how long the longest call takes.

use std::time::Instant;

use qualm_contract::{Verdicts, Wanted};
use qualm_pipeline::Rows;
use qualm_sandbox::Guest;

use crate::guests::Shop;
use crate::loda::score;
use crate::rows::{SERIES, STEP, Values};
use crate::{BATCHES, Effort, by_turns, median};

/// A sixtieth of a day: of as many of these `leak` makes up its mind.
pub(crate) const BLOCK: i64 = 24 * 60 * 1_000_000_000;

/// Rounds of all series, that far apart, until both plugins score.
pub(crate) const WARM_UP: usize = 120;

/// Rounds that are looked at for the longest call: a block and more.
const ROUNDS: usize = 150;

pub(crate) fn measure(shop: &Shop, effort: Effort) {
    println!("\n| rows a call | leak, in Python | flatline, in JavaScript |\n|---|---|---|");
    let [mut leak, mut flatline] = ["leak", "flatline"].map(|name| Warm::new(shop.plugin(name).start()));
    for rows in BATCHES {
        let calls = (effort.rows / rows).max(1);
        let (leak_rows, flatline_rows) =
            (leak.batches(rows, calls * (effort.turns + 1)), flatline.batches(rows, calls * (effort.turns + 1)));
        let (mut leak_rows, mut flatline_rows) = (leak_rows.chunks(calls), flatline_rows.chunks(calls));
        let turns = by_turns(
            effort.turns,
            calls * rows,
            [&mut || score(&mut leak.guest, leak_rows.next().unwrap_or_default()), &mut || {
                score(&mut flatline.guest, flatline_rows.next().unwrap_or_default());
            }],
        );
        let [python, javascript] = [0, 1].map(|at| median(&turns, |turn| turn[at]) / 1e3);
        println!("| {rows} | {python:.2} µs a row | {javascript:.2} µs |");
    }
    let [leak, flatline] = [&mut leak, &mut flatline].map(Warm::longest);
    println!("| 1000, the longest call of {ROUNDS} | {leak:.1} ms | {flatline:.1} ms |");
}

/// A guest that scores each row.
struct Warm {
    guest: Guest,
    values: Values,
}

impl Warm {
    fn new(mut guest: Guest) -> Self {
        let mut values = Values::new();
        let rounds: Vec<Rows> = (0..WARM_UP).map(|_| values.batch(SERIES, BLOCK)).collect();
        score(&mut guest, &rounds);
        let mut verdicts = Verdicts::default();
        guest.score_batch(values.batch(SERIES, STEP).batch(), Wanted::SCORES, &mut verdicts).expect("it scores");
        assert!(!verdicts.scores.iter().any(|score| score.is_nan()), "it still warms up");
        Self { guest, values }
    }

    fn batches(&mut self, rows: usize, calls: usize) -> Vec<Rows> {
        (0..calls).map(|_| self.values.batch(rows, STEP)).collect()
    }

    /// The longest call with a row of each series, in milliseconds.
    fn longest(&mut self) -> f64 {
        let calls = (0..ROUNDS).map(|_| {
            let batch = [self.values.batch(SERIES, STEP)];
            let start = Instant::now();
            score(&mut self.guest, &batch);
            start.elapsed().as_secs_f64() * 1e3
        });
        calls.fold(0.0, f64::max)
    }
}
