//! How long health and metrics take while every core and every guest is busy: models that score without end, and a pipeline
//! that is given more than it can take.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Effort;
use crate::echo::Echo;
use crate::gauges::{Codec, Gauges};
use crate::place::{Place, judge};
use crate::score::Random;
use crate::table::{Row, Wanted};
use crate::wire::{Client, Drain, head, post};

/// Models: each is asked for scores of many rows, and of one, without a pause.
const MODELS: usize = 4;
const ROWS: [usize; 2] = [20_000, 1];

/// Connections that send events.
const SENDING: usize = 2;

/// What is asked for, and how often.
const PATHS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
const PAUSE: Duration = Duration::from_millis(2);

/// What all answers but one in a hundred may take, in milliseconds. The slowest is the machine's: it is so of bare hyper too.
const MAX_MS: f64 = 50.0;

pub(crate) fn measure(place: &Place, effort: Effort) -> Vec<Row> {
    let mut random = Random(1);
    let history = random.history();
    for model in 0..MODELS {
        place.train(&history, "detector = \"isolation-forest\"\n", "busy", &format!("m{model}"));
    }
    let drain = Drain::start();
    let server = place.serve_models("busy", &format!("[vector]\nforward = \"{}\"\n", drain.url()));
    let echo = Echo::start(3);
    let data: Vec<_> = (0..ROWS[0]).map(|_| random.row()).collect();
    let over = AtomicBool::new(false);
    let scored = AtomicUsize::new(0);
    let times = thread::scope(|scope| {
        for (model, rows) in (0..MODELS).flat_map(|model| ROWS.map(|rows| (model, rows))) {
            let body = format!("{{\"model\":\"m{model}\",\"data\":{:?},\"explain\":false}}", &data[..rows]);
            let request = post("/api/v1/score", Some("application/json"), body.as_bytes());
            let (over, scored, address) = (&over, &scored, server.address());
            scope.spawn(move || {
                let mut client = Client::connect(address);
                while !over.load(Ordering::Relaxed) {
                    client.ask(&[&request]);
                    scored.fetch_add(rows, Ordering::Relaxed);
                }
            });
        }
        for _ in 0..SENDING {
            let (over, address) = (&over, server.address());
            scope.spawn(move || {
                let (mut client, mut gauges) = (Client::connect(address), Gauges::new(Codec::NativeJson, 1_000));
                while !over.load(Ordering::Relaxed) {
                    let body = gauges.following();
                    client.ask(&[&head("/vector", None, body.len()), body]);
                }
            });
        }
        // Not before all are at it.
        while scored.load(Ordering::Relaxed) < MODELS * ROWS[0] {
            thread::sleep(PAUSE);
        }
        let mut clients = [server.address(), echo.address].map(Client::connect);
        let mut times = [const { Vec::new() }; PATHS.len() + 1];
        for turn in 0..effort.requests * (PATHS.len() + 1) {
            let which = turn % (PATHS.len() + 1);
            let (client, path) = match PATHS.get(which) {
                Some(path) => (&mut clients[0], *path),
                None => (&mut clients[1], "/"),
            };
            let begun = Instant::now();
            client.ask(&[format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()]);
            times[which].push(begun.elapsed().as_secs_f64() * 1e3);
            thread::sleep(PAUSE);
        }
        over.store(true, Ordering::Relaxed);
        times
    });
    let [ours @ .., beside] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times
    });
    let mut rows: Vec<_> = PATHS.into_iter().zip(&ours).map(|(path, times)| row(path, times, &beside)).collect();
    judge(&server, &mut rows);
    rows
}

fn row(path: &str, ours: &[f64], beside: &[f64]) -> Row {
    let at = |times: &[f64], share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let text = |times: &[f64]| {
        format!("p50 {:.2} ms, p99 {:.2} ms, slowest {:.2} ms", at(times, 0.5), at(times, 0.99), at(times, 1.0))
    };
    let what = format!("`GET {path}`, p99 of {}, every core and guest busy", ours.len());
    let (own, beside) = (text(ours), format!("bare hyper: {}", text(beside)));
    Row::figure(&what, own, beside, at(ours, 0.99), (Wanted::AtMost(MAX_MS), " ms", 1.0))
}
