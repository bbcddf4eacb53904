//! How often and how soon drift is reported of streams whose drift is known, and how often of those that have none.
//!
//! ```text
//! cargo run --release -p qualm-drift --example synthetic                  # tables, on streams that defaults were not chosen on
//! cargo run --release -p qualm-drift --example synthetic -- stationary    # 30 runs of a million rows in which nothing drifts, 10 more with incidents
//! cargo run --release -p qualm-drift --example synthetic -- tune          # a choice of defaults, on other streams
//! cargo run --release -p qualm-drift --example synthetic -- cost          # what a row costs
//! ```
//!
//! A row has four features, comes every ten seconds, and has Mahalanobis' distance as its score. Five days are training. After
//! five more the first two features drift, or none does. Correlation is what tests of single features cannot see: only the score
//! can tell.

mod random;
mod run;
mod stream;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use qualm_drift::{Live, Options, Reference};
use run::{Outcome, run};
use stream::{Drift, Kind};

/// Kinds that defaults were chosen on, with seeds of their own.
const TUNING: [Kind; 4] = [Kind::White, Kind::Autoregressive(0.99), Kind::Poisson(3.0), Kind::Incidents];
/// All kinds. The figures are of other seeds.
const KINDS: [(Kind, &str); 8] = [
    (Kind::White, "white noise ¹"),
    (Kind::Autoregressive(0.9), "AR(1), 0.9"),
    (Kind::Autoregressive(0.99), "AR(1), 0.99 ¹"),
    (Kind::Seasonal, "daily season"),
    (Kind::Poisson(3.0), "Poisson, mean 3 ¹"),
    (Kind::Poisson(0.5), "Poisson, mean 0.5"),
    (Kind::HeavyTails, "Student's t, 3"),
    (Kind::Incidents, "AR(1), 0.9, incidents ¹"),
];
const DRIFTS: [(Drift, &str); 9] = [
    (Drift::Nothing, "none"),
    (Drift::Mean(0.5), "mean by 0.5"),
    (Drift::Mean(1.0), "mean by 1"),
    (Drift::Mean(2.0), "mean by 2"),
    (Drift::Slow, "mean by 2 in 10 days"),
    (Drift::Deviation(1.5), "deviation × 1.5"),
    (Drift::Deviation(2.0), "deviation × 2"),
    (Drift::Shape, "shape"),
    (Drift::Correlation, "correlation"),
];
const BEFORE: usize = 5;
const AFTER: usize = 15;

fn main() {
    match std::env::args().nth(1).as_deref() {
        None => tables(10, 1000),
        Some("stationary") => stationary(),
        Some("tune") => tune(),
        Some("cost") => cost(),
        Some(other) => eprintln!("{other} is none of stationary, tune and cost"),
    }
}

/// Runs with as many seeds.
fn runs(kind: Kind, drift: Drift, seeds: std::ops::Range<u64>, options: &Options) -> Vec<Outcome> {
    seeds.map(|seed| run(kind, drift, seed, BEFORE, AFTER, options)).collect()
}

fn detected(outcomes: &[Outcome]) -> (f64, Option<f64>) {
    let mut delays: Vec<f64> = outcomes.iter().filter_map(|outcome| outcome.delay).collect();
    delays.sort_unstable_by(f64::total_cmp);
    (delays.len() as f64 / outcomes.len() as f64, delays.get(delays.len() / 2).copied())
}

fn tables(seeds: u64, first: u64) {
    let options = Options::default();
    println!(
        "Share of {seeds} runs in which drift is reported within {AFTER} days of its begin, and after how many (median).\n"
    );
    println!("| {} | reported before |", KINDS.iter().fold("drift".to_owned(), |line, (_, name)| line + " | " + name));
    println!("|---|{}---|", "---|".repeat(KINDS.len()));
    for (drift, name) in DRIFTS {
        let (mut line, mut early) = (name.to_owned(), 0);
        for (at, (kind, _)) in KINDS.into_iter().enumerate() {
            let start = first + 100 * at as u64;
            let outcomes = runs(kind, drift, start..start + seeds, &options);
            early += outcomes.iter().filter(|outcome| outcome.early).count();
            let (share, delay) = detected(&outcomes);
            let delay = delay.map_or(String::new(), |delay| format!(", {delay:.1} d"));
            let _ = write!(line, " | {:.0} %{delay}", 100.0 * share);
        }
        println!("| {line} | {early} of {} |", seeds * KINDS.len() as u64);
    }
    println!("\n¹ Defaults were chosen on this kind, with other seeds.");
}

fn stationary() {
    let days = 1_000_000_usize.div_ceil(stream::DAY);
    let reported = |kind: Kind, name: &str, seed: u64| {
        let first = run(kind, Drift::Nothing, seed, 0, days, &Options::default()).first;
        if let Some((day, what)) = &first {
            println!("{name}, seed {seed}: on day {day:.1}: {what}");
        }
        usize::from(first.is_some())
    };
    // The last kind is that with incidents.
    let (kinds, incidents) = (&KINDS[..KINDS.len() - 1], KINDS[KINDS.len() - 1]);
    let of = |(kind, name): (Kind, &str), seed| reported(kind, name, seed);
    let count: usize = kinds.iter().cycle().zip(7000..7030).map(|(kind, seed)| of(*kind, seed)).sum();
    println!("without incidents, {count} of 30 runs of {days} days each reported drift where there was none");
    let count: usize = (7100..7110).map(|seed| of(incidents, seed)).sum();
    println!("with incidents, {count} of 10");
}

fn tune() {
    println!(
        "| factor | sustained | early, of runs | stationary | mean 0.5 | mean 1 | deviation × 1.5 | shape |\n|---|---|---|---|---|---|---|---|"
    );
    for factor in [2.0, 2.5, 3.0] {
        for sustained in [3, 5, 9] {
            let options = Options { factor, sustained, ..Options::default() };
            let drifts = [Drift::Mean(0.5), Drift::Mean(1.0), Drift::Deviation(1.5), Drift::Shape];
            let (mut early, mut all, mut cells) = (0, 0, String::new());
            for drift in drifts {
                for kind in TUNING {
                    let outcomes = runs(kind, drift, 1..6, &options);
                    early += outcomes.iter().filter(|outcome| outcome.early).count();
                    all += outcomes.len();
                    let (share, delay) = detected(&outcomes);
                    let _ = write!(cells, " {:.0} % {:.1} d;", 100.0 * share, delay.unwrap_or(f64::NAN));
                }
                cells += " |";
            }
            let mut wrong = String::new();
            for kind in TUNING {
                let outcomes = (1..9).map(|seed| run(kind, Drift::Nothing, seed, 0, 116, &options));
                let _ = write!(wrong, " {}", outcomes.filter(|outcome| outcome.first.is_some()).count());
            }
            println!("| {factor} | {sustained} | {early} of {all} | {wrong} of 8 |{cells}");
        }
    }
}

fn cost() {
    println!("| features | ns per row | per row and feature | ms per end of a block |\n|---|---|---|---|");
    for features in [1, 4, 16, 64, 256] {
        let rows = 2 * stream::DAY;
        let mut random = random::Random::new(1);
        let values: Vec<f64> = (0..rows * features).map(|_| random.normal()).collect();
        let times: Vec<i64> = (0..rows as i64).map(|row| row * 10_000_000_000).collect();
        let scores: Vec<f64> = (0..rows).map(|_| random.normal().abs() / 3.0).collect();
        let options = Options::default();
        let reference =
            Reference::new(&times, &values, features, &scores, options.window).expect("there are as many of each");
        let mut live = Live::new(Arc::new(reference), options);
        let (mut ends, mut slow, mut count) = (0.0_f64, 0.0_f64, 0);
        let repeats = (4_000_000 / values.len()).max(2);
        let start = Instant::now();
        for repeat in 0..repeats {
            for (row, score) in scores.iter().enumerate() {
                // A clock is asked at ends of blocks alone.
                let time = (repeat * rows + row) as i64 * 10_000_000_000;
                let before = (row % (stream::DAY / 8) == 0).then(Instant::now);
                if live.observe(time, &values[row * features..(row + 1) * features], *score) {
                    slow += before.map_or(0.0, |before| before.elapsed().as_secs_f64());
                    count += 1;
                    ends = ends.max(f64::from(count));
                }
            }
        }
        let all = (repeats * rows) as f64;
        let row = (start.elapsed().as_secs_f64() - slow) / all * 1e9;
        println!("| {features} | {row:.0} | {:.1} | {:.2} |", row / (features + 1) as f64, slow / ends.max(1.0) * 1e3);
    }
}
