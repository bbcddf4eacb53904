//! Events by HTTP in and by HTTP back: what one costs in CPU time, which is what is left of a core for others.

use std::time::{Duration, Instant};

use qualm_tests::Server;
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

use crate::Effort;
use crate::busy::busy;
use crate::gauges::{Codec, EVENTS, Gauges};
use crate::place::{Place, judge};
use crate::table::{Row, Wanted, median};
use crate::vector::{self, Vector, Way};
use crate::wire::{Client, Drain, head};

/// Bodies before anything is timed: each series then has the hundred values that it is not scored without.
const WARM_UP: usize = 120;

/// The share of events that are scored once that is over, at least.
const SCORED: f64 = 0.5;

/// How many times as many events as Vector itself is to go through on one core.
const WANTED: Wanted = Wanted::AtLeast(5.0);

/// One that events are pushed through.
#[derive(Debug)]
struct Runner {
    name: &'static str,
    gauges: Gauges,
    work: Work,
    turns: Vec<Turn>,
}

#[derive(Debug)]
enum Work {
    Qualm {
        server: Server,
        client: Client,
    },
    Vector {
        vector: Vector,
        client: Client,
    },
    /// `serde_json` on one thread of ours.
    Parse,
}

#[derive(Debug, Clone, Copy)]
struct Turn {
    /// Microseconds of CPU that an event took.
    cpu: f64,
    /// Events a second, one body after another.
    events: f64,
}

/// What is measured of qualm: a name, the codec, series, and the configuration beside `[vector]`.
const OURS: [(&str, Codec, usize, &str); 6] = [
    ("native_json, 1,000 series", Codec::NativeJson, 1_000, ""),
    ("native_json, 10 series", Codec::NativeJson, 10, ""),
    ("native, 1,000 series", Codec::Native, 1_000, ""),
    ("native, 10 series", Codec::Native, 10, ""),
    ("native_json, verdicts as tags, 1,000 series", Codec::NativeJson, 1_000, "verdicts = \"tags\"\n"),
    ("native_json, nothing selected", Codec::NativeJson, 1_000, NOTHING),
];

const NOTHING: &str = "[[detector]]\nselect = { measurement = \"absent\" }\n";

/// Microseconds that Vector's own sink and source took for an event when they were measured for the contract with it, by
/// either codec. For where `VECTOR_BIN` is none, or one that was built to be tested and not to be quick.
const KNOWN: [f64; 2] = [6.7, 6.3];

const PARSE: &str = "serde_json to a tree";
const THROUGH: [&str; 2] = ["Vector, native_json", "Vector, native"];
const IN: [&str; 2] = ["Vector's source, native_json", "Vector's source, native"];
const AROUND: [&str; 2] = ["Vector around, native_json", "Vector around, native"];

pub(crate) fn measure(place: &Place, effort: Effort) -> Vec<Row> {
    let mut runners: Vec<_> = OURS.into_iter().map(|ours| Runner::qualm(place, ours)).collect();
    runners.push(Runner {
        name: PARSE,
        gauges: Gauges::new(Codec::NativeJson, 1_000),
        work: Work::Parse,
        turns: vec![],
    });
    if let Some(binary) = vector::binary() {
        for (at, codec) in [Codec::NativeJson, Codec::Native].into_iter().enumerate() {
            let url = Drain::start().url();
            let mut add = |name, way| {
                let vector = Vector::start(&binary, place, codec, way);
                let client = Client::connect(vector.address);
                let work = Work::Vector { vector, client };
                runners.push(Runner { name, gauges: Gauges::new(codec, 1_000), work, turns: vec![] });
            };
            add(THROUGH[at], Way::Through(&url));
            add(IN[at], Way::In);
            add(AROUND[at], Way::Around);
        }
    }
    for runner in &mut runners {
        runner.push(|count, _| count < WARM_UP);
    }
    for _ in 0..effort.pushes {
        for runner in &mut runners {
            let turn = runner.push(|_, elapsed| elapsed < effort.push);
            runner.turns.push(turn);
        }
    }
    rows(&runners)
}

fn rows(runners: &[Runner]) -> Vec<Row> {
    let named = |name: &str| runners.iter().find(|runner| runner.name == name);
    let mut rows = Vec::new();
    for (runner, (_, codec, series, toml)) in runners.iter().zip(OURS) {
        let at = usize::from(codec == Codec::Native);
        let mut beside = Vec::new();
        if toml.is_empty() {
            let known = Turn { cpu: KNOWN[at], events: 0.0 };
            beside.push(("Vector's sink and source, as known", vec![known; runner.turns.len()], WANTED));
        }
        if let (true, 1_000, Some(around), Some(taken)) = (toml.is_empty(), series, named(AROUND[at]), named(IN[at])) {
            beside.push(("Vector's sink and source, here", less(around, taken), WANTED));
        }
        if let (true, 1_000, Some(through)) = (toml.is_empty(), series, named(THROUGH[at])) {
            beside.push(("Vector from source to sink, here", through.turns.clone(), WANTED));
        }
        if let (Codec::NativeJson, Some(parse)) = (codec, named(PARSE)) {
            beside.push((PARSE, parse.turns.clone(), Wanted::Nothing));
        }
        let mut of_runner: Vec<_> = beside.into_iter().map(|beside| row(runner, beside)).collect();
        if let Work::Qualm { server, .. } = &runner.work {
            judge(server, &mut of_runner);
            let of = |name: &str| server.metric(name, "pipeline=\"vector\"");
            let (scored, rows) = (of("qualm_detector_scored_rows_total"), of("qualm_detector_rows_total"));
            if scored < SCORED * rows {
                eprintln!("{}: only {scored} of {rows} rows were scored", runner.name);
                of_runner.iter_mut().for_each(Row::is_unsound);
            }
        }
        rows.extend(of_runner);
    }
    if vector::binary().is_none() {
        rows.push(Row::missing("shape A beside Vector itself", "VECTOR_BIN is not set"));
    }
    rows
}

fn row(ours: &Runner, (name, theirs, wanted): (&str, Vec<Turn>, Wanted)) -> Row {
    let of = |turns: &[Turn], figure: fn(&Turn) -> f64| median(turns.iter().map(figure).collect());
    let (cpu, their_cpu) = (of(&ours.turns, |turn| turn.cpu), of(&theirs, |turn| turn.cpu));
    let ratios = ours.turns.iter().zip(&theirs).map(|(ours, theirs)| theirs.cpu / ours.cpu);
    Row::ratio(
        &format!("shape A, {}", ours.name),
        format!(
            "{:.0} k events/s on one core, {cpu:.2} µs of CPU an event ({:.0} k/s with one sender)",
            1e3 / cpu,
            of(&ours.turns, |turn| turn.events) / 1e3
        ),
        format!("{name}: {:.0} k events/s, {their_cpu:.2} µs", 1e3 / their_cpu),
        median(ratios.collect()),
        wanted,
    )
}

/// What one does more than the other.
fn less(one: &Runner, other: &Runner) -> Vec<Turn> {
    let turns = one.turns.iter().zip(&other.turns);
    turns.map(|(one, other)| Turn { cpu: one.cpu - other.cpu, events: one.events }).collect()
}

impl Runner {
    fn qualm(place: &Place, (name, codec, series, toml): (&'static str, Codec, usize, &str)) -> Self {
        let drain = Drain::start();
        let server = place.serve(&format!("[vector]\nforward = \"{}\"\n{toml}", drain.url()));
        let client = Client::connect(server.address());
        Self { name, gauges: Gauges::new(codec, series), work: Work::Qualm { server, client }, turns: vec![] }
    }

    /// Pushes bodies through, one after another, while `more` says so of their number and the time.
    fn push(&mut self, more: impl Fn(usize, Duration) -> bool) -> Turn {
        let (before, start) = (self.work.busy(), Instant::now());
        let mut bodies = 0;
        while more(bodies, start.elapsed()) {
            self.work.body(self.gauges.following());
            bodies += 1;
        }
        let (span, events) = (start.elapsed().as_secs_f64(), (bodies * EVENTS) as f64);
        let cpu = (self.work.busy() - before) * 1e6 / events;
        Turn { cpu, events: events / span }
    }
}

impl Work {
    /// Seconds of CPU that it took so far.
    fn busy(&self) -> f64 {
        match self {
            Self::Qualm { server, .. } => busy(server.pid()),
            Self::Vector { vector, .. } => busy(vector.pid()),
            Self::Parse => {
                let time = clock_gettime(ClockId::ThreadCPUTime);
                time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
            }
        }
    }

    fn body(&mut self, body: &[u8]) {
        match self {
            Self::Qualm { client, .. } => drop(client.ask(&[&head("/vector", None, body.len()), body])),
            Self::Vector { client, .. } => drop(client.ask(&[&head("/", None, body.len()), body])),
            Self::Parse => {
                let lines = body.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
                let trees = lines.map(|line| serde_json::from_slice::<Value>(line).expect("it is JSON"));
                assert_eq!(trees.map(std::hint::black_box).count(), EVENTS);
            }
        }
    }
}
