//! What trained detectors cost: in the component and natively, one row at a time and many, explained and not; and
//! scikit-learn's isolation forest on the same rows, where a Python that has it is given.
//!
//! `SKLEARN_PYTHON=… cargo bench -p qualm --bench trained`, as `make bench` does. All take turns in one run, on one thread,
//! and each figure is the median of its turns. Prints Markdown.

use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use qualm::{Backoff, Supervisor};
use qualm_contract::Verdicts;
use qualm_contract::{Batch, Detector, Wanted};
use qualm_core::linalg::as_matrix;
use qualm_core::trained::calibrate::Threshold;
use qualm_core::trained::{Rows as Training, Settings, Trained};
use qualm_core::{forest, pca, zscore};
use qualm_offline::train::{grid::Choice, kinds};
use qualm_pipeline::vector::{Feature, Shape, Transform};
use qualm_pipeline::{Lane, Pipeline, Rows, Selector};
use qualm_sandbox::{DetectorSpec, Guest, Limits, Running, Sandbox};

/// Rows to learn from and to score.
const ROWS: usize = 20_000;

/// Turns of each.
const TURNS: usize = 15;

/// Rows that a turn scores.
const TURN: usize = 8_000;

fn main() {
    let mut sklearn = std::env::var_os("SKLEARN_PYTHON").map(Sklearn::start);
    for features in [12, 38] {
        let values = rows(features);
        let series = vec![0; ROWS];
        let times: Vec<i64> = (0..ROWS as i64).collect();
        let all = Batch { series: &series, times: &times, values: &values };
        let train = Training::new(&values, features);
        if let Some(sklearn) = &mut sklearn {
            sklearn.fit(&values, features);
        }
        println!("\n{features} features; µs a row, and the component's time over the native one's\n");
        println!("| detector | rows a call | component | native | ratio | scikit-learn | scikit-learn / component |");
        println!("|---|---|---|---|---|---|---|");
        let plain = Settings { threshold: Threshold::FalseAlarmRate(1e-3), ..Settings::default() };
        let forest = forest::fit(train, all, &plain, &forest::Parameters::default());
        let shipped = |kind| kinds::fit(kind, &Choice::default(), train, all, Threshold::FalseAlarmRate(1e-3), 1);
        for (name, trained, beside) in [
            ("isolation-forest, as scikit-learn's", forest.expect("it is grown"), true),
            ("isolation-forest, as shipped", shipped(forest::KIND).expect("it is grown"), false),
            ("pca-mahalanobis, as shipped", shipped(pca::KIND).expect("it is fitted"), false),
            ("zscore", shipped(zscore::KIND).expect("it is fitted"), false),
        ] {
            let mut pair = Pair::start(&trained, features);
            for count in [1, 16, 64, 256, 1000, ROWS] {
                let (component, native) = pair.score(&values, count);
                let theirs = sklearn.as_mut().filter(|_| beside).map(|sklearn| sklearn.score(count));
                row(name, &count.to_string(), component, native, theirs);
            }
            let (component, native) = pair.explain(&values);
            row(name, "explaining one", component, native, None);
        }
        let native = median((0..5).map(|_| {
            timed(|| drop(black_box(forest::Forest::fit(as_matrix(&values, features), &forest::Parameters::default()))))
                * 1e3
        }));
        if let Some(sklearn) = &mut sklearn {
            let theirs = sklearn.ask("train") * 1e3;
            println!(
                "\ntraining a forest on {ROWS} rows: {native:.1} ms; scikit-learn: {theirs:.1} ms ({:.0} times)",
                theirs / native
            );
        }
    }
    pipelines();
}

/// Lines in, verdicts out: the whole way of vectors, whose features arrive ten a line.
fn pipelines() {
    println!(
        "\nwhole vectors through the pipeline, `pca-mahalanobis` in the component, a vector a second for each entity\n"
    );
    println!("| entities | features | µs a vector | ns a value |\n|---|---|---|---|");
    for (entities, features) in [(10, 40), (100, 10), (100, 20), (100, 40), (100, 80), (1000, 40)] {
        let values = rows(features);
        let (series, times) = (vec![0; ROWS], vec![0; ROWS]);
        let all = Batch { series: &series, times: &times, values: &values };
        let train = Training::new(&values, features);
        let trained = kinds::fit(pca::KIND, &Choice::default(), train, all, Threshold::FalseAlarmRate(1e-3), 1);
        let model = trained.expect("it is fitted").to_model();
        let limits = Limits { deadline: Duration::from_secs(10), ..Limits::default() };
        let spec =
            DetectorSpec::new(&Sandbox::new(None), qualm_components::DETECTOR, model, limits).expect("it compiles");
        let running = Running::start(spec, features).expect("it starts");
        let mut supervisors = [Supervisor::new("bench", Some(running), true, Backoff::default())];
        let feature = |at: usize| Feature {
            name: format!("f{at}"),
            measurement: format!("m{}", at / 10),
            field: format!("f{}", at % 10),
            tags: Vec::new(),
            transform: Transform::None,
        };
        let shape = Shape {
            features: (0..features).map(feature).collect(),
            entity: vec!["host".to_owned()],
            interval: 1_000_000_000,
        };
        let lane = Lane::vectors("bench", shape, Selector::default(), qualm_pipeline::Limits::default());
        let mut pipeline = Pipeline::new(vec![lane], 1);
        let mut turns = Vec::new();
        for step in 0..=(20_000 / entities).max(5) {
            let mut lines = Vec::new();
            for entity in 0..entities {
                for measurement in 0..features / 10 {
                    write!(lines, "m{measurement},host=host{entity} ").expect("to memory");
                    for field in 0..10 {
                        let value = values[(step * entities + entity) % ROWS * features + measurement * 10 + field];
                        write!(lines, "{}f{field}={value:.6}", if field > 0 { "," } else { "" }).expect("to memory");
                    }
                    writeln!(lines, " {}", step as i64 * 1_000_000_000).expect("to memory");
                }
            }
            // As it is read: what fits, up to a line's end.
            let mut rest = &lines[..];
            let mut took = 0.0;
            while !rest.is_empty() {
                let room = pipeline.input();
                let most = rest.len().min(room.len());
                let end = rest[..most].iter().rposition(|byte| *byte == b'\n').map_or(most, |at| at + 1);
                room[..end].copy_from_slice(&rest[..end]);
                rest = &rest[end..];
                took += timed(|| {
                    black_box(pipeline.run(end, 0, &mut supervisors).len());
                });
            }
            if step > 0 {
                turns.push(took / entities as f64);
            }
        }
        let took = median(turns.into_iter());
        println!("| {entities} | {features} | {:.2} | {:.0} |", took * 1e6, took * 1e9 / features as f64);
    }
}

fn row(name: &str, count: &str, component: f64, native: f64, theirs: Option<f64>) {
    let beside =
        theirs.map_or_else(|| " | |".to_owned(), |theirs| format!(" {theirs:.2} | {:.1} |", theirs / component));
    println!("| {name} | {count} | {component:.2} | {native:.2} | {:.2} |{beside}", component / native);
}

/// The same detector twice.
struct Pair {
    native: Box<dyn Detector>,
    component: Guest,
    features: usize,
}

impl Pair {
    fn start(trained: &Trained, features: usize) -> Self {
        let model = trained.to_model();
        let native = qualm_core::open(&model).expect("the model is good");
        let limits = Limits { deadline: Duration::from_secs(10), ..Limits::default() };
        let spec =
            DetectorSpec::new(&Sandbox::new(None), qualm_components::DETECTOR, model, limits).expect("it compiles");
        Self { native, component: Guest::start(&spec).expect("it starts"), features }
    }

    /// Microseconds a row of the component and natively.
    fn score(&mut self, values: &[f64], count: usize) -> (f64, f64) {
        let calls = if count == 1 { 1000 } else { (TURN / count).max(1) };
        let batches: Vec<Rows> = (0..calls).map(|call| self.batch(values, call, count)).collect();
        let per_row = 1e6 / (calls * count) as f64;
        self.observe(&batches, false, per_row)
    }

    /// Microseconds that it takes to explain an anomaly: with explanations, less without.
    fn explain(&mut self, values: &[f64]) -> (f64, f64) {
        // Far out, to one side and the other by turns, so that levels and changes are.
        let far = values.chunks_exact(self.features).enumerate().flat_map(|(row, values)| {
            let sign = if row / 100 % 2 == 0 { 40.0 } else { -40.0 };
            values.iter().map(move |value| value + sign)
        });
        let far: Vec<f64> = far.collect();
        let batches: Vec<Rows> = (0..4).map(|call| self.batch(&far, call, 100)).collect();
        let anomalies = batches.iter().map(|rows| {
            let batch = rows.batch();
            let scores = self.native.verdicts_of(batch, Wanted::SCORES).expect("the batch is good").scores;
            scores.iter().filter(|score| **score > 1.0).count()
        });
        let per_anomaly = 1e6 / anomalies.sum::<usize>() as f64;
        let plain = self.observe(&batches, false, per_anomaly);
        let explained = self.observe(&batches, true, per_anomaly);
        (explained.0 - plain.0, explained.1 - plain.1)
    }

    /// How long the component and the native detector take for some batches, times `unit`.
    fn observe(&mut self, batches: &[Rows], explain: bool, unit: f64) -> (f64, f64) {
        let (mut component, mut native, mut verdicts) = (Vec::new(), Vec::new(), Verdicts::default());
        for _ in 0..=TURNS {
            native.push(
                unit * timed(|| {
                    for rows in batches {
                        let batch = rows.batch();
                        black_box(
                            self.native
                                .verdicts_of(batch, Wanted { contributions: explain, bands: false })
                                .expect("the batch is good"),
                        );
                    }
                }),
            );
            component.push(
                unit * timed(|| {
                    for rows in batches {
                        verdicts.clear();
                        self.component
                            .score_batch(rows.batch(), Wanted { contributions: explain, bands: false }, &mut verdicts)
                            .expect("it works");
                        black_box(&verdicts);
                    }
                }),
            );
        }
        // The first turn warms up.
        (median(component.into_iter().skip(1)), median(native.into_iter().skip(1)))
    }

    fn batch(&self, values: &[f64], call: usize, count: usize) -> Rows {
        let mut rows = Rows::new(self.features);
        for row in 0..count {
            let at = (call * count + row) % ROWS;
            rows.add_vector((row % 100) as u32, 0, &values[at * self.features..][..self.features]);
        }
        rows
    }
}

/// Rows whose features go together in fours.
fn rows(features: usize) -> Vec<f64> {
    let mut state = 1_u64;
    let mut draw = || {
        let mut sum = 0.0;
        for _ in 0..4 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            sum += (state >> 40) as f64 / f64::from(1 << 24) - 0.5;
        }
        sum
    };
    let mut values = Vec::with_capacity(ROWS * features);
    for _ in 0..ROWS {
        let mut common = 0.0;
        for feature in 0..features {
            if feature % 4 == 0 {
                common = draw();
            }
            values.push(common + 0.5 * draw());
        }
    }
    values
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// A Python process that scores what it reads on its standard input.
struct Sklearn {
    _process: Child,
    ask: ChildStdin,
    answer: BufReader<ChildStdout>,
}

impl Sklearn {
    fn start(python: std::ffi::OsString) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/sklearn_forest.py");
        let mut process = Command::new(python)
            .arg(script)
            .env("OMP_NUM_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let ask = process.stdin.take().expect("it is piped");
        let answer = BufReader::new(process.stdout.take().expect("it is piped"));
        Self { _process: process, ask, answer }
    }

    /// Gives it the rows, which it also learns from.
    fn fit(&mut self, values: &[f64], features: usize) {
        writeln!(self.ask, "rows {ROWS} {features}").expect("it reads");
        for value in values {
            self.ask.write_all(&value.to_le_bytes()).expect("it reads");
        }
        self.ask("train");
    }

    /// Microseconds a row, so many at once.
    fn score(&mut self, count: usize) -> f64 {
        self.ask(&format!("score {count}")) * 1e6
    }

    fn ask(&mut self, what: &str) -> f64 {
        writeln!(self.ask, "{what}").and_then(|()| self.ask.flush()).expect("it reads");
        let mut line = String::new();
        self.answer.read_line(&mut line).expect("it answers");
        line.trim().parse().expect("a number of seconds")
    }
}
