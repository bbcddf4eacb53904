//! What the sandbox costs: the component's time to that of the same code compiled natively, batch for batch.
//!
//! Both run by turns, and the ratio is taken of each pair: a machine that is busy with something else slows down both.
//! Prints a Markdown table with the columns of the whole-process one (`tests/bench`), to stand above it.

use std::time::Instant;

use qualm_contract::Verdicts;
use support::batches::Batches;
use support::detectors;

mod support;

/// Pairs of turns, and the rows of each turn: some milliseconds.
const PAIRS: usize = 101;
const ROWS: usize = 64_000;

/// What the component's time may be of the native one, for batches of so many rows and more.
const MOST: f64 = 1.3;
const FROM: usize = 64;

/// Series in turn.
const SERIES: usize = 1000;

fn main() {
    println!("| what | ours | beside | ratio | wanted |\n|---|---|---|---|---|");
    for rows in [1, 16, 64, 256, 1000] {
        let (component, native, ratio) = measure(rows);
        let wanted = match ratio {
            _ if rows < FROM => String::new(),
            ..=MOST => format!("≤ {MOST}: met"),
            _ => format!("≤ {MOST}: MISSED"),
        };
        println!(
            "| streaming as a component, {rows} rows a batch | {component:.0} ns a row | native: {native:.0} ns a row | {ratio:.2} | {wanted} |"
        );
    }
}

/// Nanoseconds a row of the component, of the native detector, and their ratio: the median of each.
fn measure(rows: usize) -> (f64, f64, f64) {
    let (mut native, mut guest, mut verdicts) = (detectors::native(), detectors::component(), Verdicts::default());
    let (mut for_native, mut for_guest) = (Batches::new(SERIES, rows), Batches::new(SERIES, rows));
    let calls = ROWS.div_ceil(rows);
    let per_row = 1e9 / (calls * rows) as f64;
    let mut pairs = Vec::new();
    // The first pair warms both up.
    for pair in 0..=PAIRS {
        let start = Instant::now();
        for _ in 0..calls {
            detectors::observe_native(&mut *native, for_native.batch());
        }
        let between = Instant::now();
        for _ in 0..calls {
            detectors::observe_component(&mut guest, for_guest.batch(), &mut verdicts);
        }
        let (native, component) = (between - start, between.elapsed());
        if pair > 0 {
            pairs.push((component.as_secs_f64() * per_row, native.as_secs_f64() * per_row));
        }
    }
    let of = |figure: fn(&(f64, f64)) -> f64| median(pairs.iter().map(figure).collect());
    (of(|pair| pair.0), of(|pair| pair.1), of(|pair| pair.0 / pair.1))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
