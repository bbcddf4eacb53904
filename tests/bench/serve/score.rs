//! How long `POST /api/v1/score` takes for one row of twelve features, at a thousand requests a second.

use std::fmt::Write as _;

use crate::Effort;
use crate::busy::busy;
use crate::echo::Echo;
use crate::load::{Load, be_punctual};
use crate::place::{Place, judge};
use crate::table::{Row, Wanted, median};
use crate::wire::{Client, post};

const FEATURES: usize = 12;

/// Rows that a model is made of, and rows that are asked for, over and over.
const LEARNT: usize = 5_000;
const ASKED: usize = 97;

/// Each row for itself: with the shipped parameters the first row of a series is what others are compared with.
const SPEC: &str = "detector = \"pca-mahalanobis\"\n[parameters]\nbaseline = 0\nmemory = 1\n";

/// What an answer may take, in milliseconds.
const MAX_MS: f64 = 1.0;

/// Both servers' figures of one round.
#[derive(Debug)]
struct Turn {
    p50: f64,
    p99: f64,
    /// Microseconds of CPU that a request took.
    cpu: f64,
    times: Vec<f64>,
}

pub(crate) fn measure(place: &Place, effort: Effort) -> Vec<Row> {
    let mut random = Random(1);
    place.train(&random.history(), SPEC, "models", "host");
    let qualm = place.serve_models("models", "");
    let requests: Vec<_> = (0..ASKED).map(|_| request(&random.row())).collect();
    let answer = Client::connect(qualm.address()).ask(&[&requests[0]]);
    let echo = Echo::start(answer.len());
    let mut loads = [(qualm.pid(), Load::on(qualm.address())), (echo.pid(), Load::on(echo.address))];
    be_punctual();
    for (_, load) in &mut loads {
        load.run(&requests, effort.requests / 5);
    }
    let mut all = [Vec::new(), Vec::new()];
    for round in 0..effort.rounds * 2 {
        // Ours first, then the other one first.
        let which = (round / 2 + round) % 2;
        let (pid, load) = &mut loads[which];
        all[which].push(turn(*pid, load, &requests, effort.requests));
    }
    let mut rows = rows(&all);
    judge(&qualm, &mut rows);
    rows
}

fn turn(pid: u32, load: &mut Load, requests: &[Vec<u8>], count: usize) -> Turn {
    let before = busy(pid);
    let times = load.run(requests, count);
    let cpu = (busy(pid) - before) * 1e6 / count as f64;
    Turn { p50: quantile(&times, 0.5), p99: quantile(&times, 0.99), cpu, times }
}

fn rows([ours, beside]: &[Vec<Turn>; 2]) -> Vec<Row> {
    let texts = |of: fn(&Turn) -> f64| {
        let figure = |turns: &[Turn]| median(turns.iter().map(of).collect());
        let ratios = ours.iter().zip(beside).map(|(ours, beside)| of(ours) / of(beside));
        (figure(ours), figure(beside), median(ratios.collect()))
    };
    let named = |what: &str| format!("{what}: one row of {FEATURES} features at 1,000 requests/s");
    let row = |what: &str, of: fn(&Turn) -> f64, wanted: Wanted| {
        let (ours, beside, ratio) = texts(of);
        let beside = format!("bare hyper: {beside:.3} ms");
        Row::figure(&named(what), format!("{ours:.3} ms"), beside, ours, (wanted, " ms", 1.0)).beside(ratio)
    };
    let all = |turns: &[Turn]| {
        let mut times: Vec<_> = turns.iter().flat_map(|turn| &turn.times).copied().collect();
        times.sort_by(f64::total_cmp);
        quantile(&times, 0.999)
    };
    let (late, late_beside) = (all(ours), all(beside));
    let (cpu, cpu_beside, cpu_ratio) = texts(|turn| turn.cpu);
    vec![
        row("p50", |turn| turn.p50, Wanted::Nothing),
        row("p99", |turn| turn.p99, Wanted::AtMost(MAX_MS)),
        Row::ratio(
            &named("p99.9"),
            format!("{late:.3} ms"),
            format!("bare hyper: {late_beside:.3} ms"),
            late / late_beside,
            Wanted::Nothing,
        ),
        Row::ratio(
            &named("CPU"),
            format!("{cpu:.0} µs"),
            format!("bare hyper: {cpu_beside:.0} µs"),
            cpu_ratio,
            Wanted::Nothing,
        ),
    ]
}

/// Of some figures in ascending order, the one that such a share of them lies below.
fn quantile(figures: &[f64], share: f64) -> f64 {
    figures[((figures.len() - 1) as f64 * share) as usize]
}

fn request(row: &[f64]) -> Vec<u8> {
    post("/api/v1/score", Some("application/json"), format!("{{\"model\":\"host\",\"data\":[{row:?}]}}").as_bytes())
}

/// Rows whose features go together (Knuth's MMIX generator).
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn row(&mut self) -> Vec<f64> {
        let load = self.draw() * 40.0;
        (1..=FEATURES).map(|feature| load * feature as f64 + self.draw() * 5.0).collect()
    }

    fn draw(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1_u32 << 31)
    }

    pub(crate) fn history(&mut self) -> String {
        let mut text = "time".to_owned();
        for feature in 0..FEATURES {
            let _infallible = write!(text, ",f{feature}");
        }
        for row in 0..LEARNT {
            let _infallible = write!(text, "\n{}", 1_700_000_000 + 10 * row);
            for value in self.row() {
                let _infallible = write!(text, ",{value}");
            }
        }
        text + "\n"
    }
}
