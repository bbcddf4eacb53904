//! What plugins cost: LODA beside the same component built in and beside itself compiled natively; what a row costs in
//! Python and JavaScript; the Python one beside the same code in `CPython`, as Telegraf would run it; and starts.
//!
//! Prints Markdown and nothing else to stdout. Figures that stand beside one another were measured by turns. `--quick`
//! takes about a minute instead of some five.

use std::time::Instant;

use guests::Shop;

mod execd;
mod guests;
mod loda;
mod online;
mod rows;

/// How long to measure.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// Turns that each of those takes that are compared.
    turns: usize,
    /// Rows of a turn in the sandbox.
    rows: usize,
    /// How often a start is timed.
    starts: usize,
}

/// For figures to go by.
const FULL: Effort = Effort { turns: 31, rows: 16_000, starts: 15 };

/// To see that nothing is far off.
const QUICK: Effort = Effort { turns: 7, rows: 4_000, starts: 5 };

/// Rows of a call, or lines of a write.
const BATCHES: [usize; 3] = [1, 64, 1000];

fn main() {
    let effort = if std::env::args().any(|argument| argument == "--quick") { QUICK } else { FULL };
    let Some(shop) = Shop::open() else { return };
    loda::measure(&shop, effort);
    online::measure(&shop, effort);
    execd::measure(&shop, effort);
    guests::measure(&shop, effort);
}

/// Has several do their work by turns, so many times, the first of which does not count; returns nanoseconds a row for
/// each, turn by turn.
fn by_turns<const N: usize>(turns: usize, rows: usize, works: [&mut dyn FnMut(); N]) -> Vec<[f64; N]> {
    let mut figures = Vec::new();
    let mut works = works;
    for turn in 0..=turns {
        let mut figure = [0.0; N];
        for (figure, work) in figure.iter_mut().zip(&mut works) {
            let start = Instant::now();
            work();
            *figure = start.elapsed().as_nanos() as f64 / rows as f64;
        }
        if turn > 0 {
            figures.push(figure);
        }
    }
    figures
}

/// The median of what is made of each turn.
fn median<T>(turns: &[T], of: impl Fn(&T) -> f64) -> f64 {
    let mut figures: Vec<f64> = turns.iter().map(of).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
