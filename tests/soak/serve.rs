//! `qualm serve`, with a retrying sender in front of each endpoint, and a server behind each.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use qualm_tests::config::quoted;
use qualm_tests::{Server, Sink, Site, events, free_port, http};
use rustix::process::Signal;

use crate::check::{Check, Counts, Kind};
use crate::execd::LINES;
use crate::faults::{Models, OF_FILES, of_files, pause, signal};

/// Lines of a body, and how often one is sent.
const BATCH: u64 = 500;
const EVERY: Duration = Duration::from_millis(100);

/// The time until a body is sent again.
const AGAIN: Duration = Duration::from_millis(50);

/// After this a line is late: the time from its first sending to its arrival behind qualm.
const LATE: Duration = Duration::from_secs(1);

const EVENTS: Kind = Kind { line: |n| events::events(n..n + 1), number: events::number, is_ours: events::is_verdict };

/// A path through qualm: its endpoint, and the server behind.
struct Way {
    kind: Kind,
    name: &'static str,
    path: &'static str,
    upstream: Sink,
    stop: AtomicBool,
}

impl Way {
    fn new(name: &'static str, path: &'static str, kind: Kind) -> Self {
        Self { kind, name, path, upstream: Sink::start(), stop: AtomicBool::new(false) }
    }

    /// Sends bodies one after another, each until it is accepted, and checks the lines that arrive.
    fn run(&self, address: SocketAddr) -> Counts {
        let mut check = Check::new(self.kind, Counts::new(self.name, true));
        let mut next = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let body: String = (next..next + BATCH).map(self.kind.line).collect();
            let began = Instant::now();
            while !self.is_taken(address, body.as_bytes()) {
                thread::sleep(AGAIN);
            }
            next += BATCH;
            check.counts.late += if began.elapsed() > LATE { BATCH } else { 0 };
            for sent in self.upstream.drain_sent().into_iter().filter(|sent| sent.status == 200) {
                check.take(&sent.body);
            }
            thread::sleep(EVERY.saturating_sub(began.elapsed()));
        }
        check.finish(next)
    }

    /// Sends a body, and returns whether it is accepted.
    fn is_taken(&self, address: SocketAddr, body: &[u8]) -> bool {
        match http::send(address, "POST", self.path, &[], body) {
            Ok(answer) if answer.status / 100 == 2 => true,
            // No server, a truncated answer, or a request to try again.
            Err(_) => false,
            Ok(answer) if matches!(answer.status, 0 | 429 | 500 | 502 | 503) => false,
            Ok(answer) => panic!("{}: {} {}", self.name, answer.status, answer.text()),
        }
    }
}

pub(crate) fn run(qualm: &Path, end: Instant, seed: u64) -> Vec<Counts> {
    let site = Site::new();
    let (mut rng, mut models) = (Rng::with_seed(seed), Models::new(&site));
    let state = site.path("state");
    let address = free_port();
    let influxdb = Way::new("InfluxDB", "/write?db=soak", LINES);
    let vector = Way::new("Vector", "/vector", EVENTS);
    let text = format!(
        "{}[state]\ndir = {}\ninterval = \"1s\"\n[http]\nlisten = \"{address}\"\nmax_body = \"16MiB\"\n\
         [influxdb]\nforward = \"{}\"\ntimeout = \"2s\"\n[vector]\nforward = \"{}\"\ntimeout = \"2s\"\n",
        models.config(),
        quoted(&state),
        influxdb.upstream.url(),
        vector.upstream.url()
    );
    let config = site.write("qualm.toml", text);
    let start = || Server::start(qualm, &config, &[]);
    let mut server = Some(start());
    thread::scope(|scope| {
        let ways = [&influxdb, &vector].map(|way| scope.spawn(move || way.run(address)));
        let mut faults = Vec::new();
        while Instant::now() < end {
            thread::sleep(pause(&mut rng));
            let way = if rng.bool() { &influxdb } else { &vector };
            faults.push(fault(&mut rng, &mut models, &state, way, &mut server, start));
        }
        for way in [&influxdb, &vector] {
            way.stop.store(true, Ordering::Relaxed);
        }
        let mut counts = ways.map(|way| way.join().expect("a sender that cannot go on has failed")).to_vec();
        for name in faults {
            // They are of both paths; reported once.
            *counts[0].faults.entry(name).or_default() += 1;
        }
        counts
    })
}

fn fault(
    rng: &mut Rng,
    models: &mut Models,
    state: &Path,
    way: &Way,
    server: &mut Option<Server>,
    start: impl Fn() -> Server,
) -> &'static str {
    let running = server.as_ref().expect("it runs");
    match rng.u8(..12) {
        which @ ..OF_FILES => of_files(which, rng, models, 50, state),
        5 => {
            signal(running.pid(), Signal::HUP);
            "SIGHUP"
        }
        6 => {
            let (status, log) = server.take().expect("it runs").stop();
            // A state directory that has just been removed may fail the last save, which is logged.
            assert!(status.code().is_some(), "serve ended with {status}: {log}");
            *server = Some(start());
            "SIGTERM and start"
        }
        7 => {
            server.take().expect("it runs").kill();
            *server = Some(start());
            "SIGKILL and start"
        }
        8 => {
            way.upstream.set_next_statuses(&[503; 5]);
            "upstream says 503"
        }
        9 => {
            way.upstream.set_next_statuses(&[0; 5]);
            "upstream hangs up"
        }
        10 => {
            way.upstream.set_delay(Duration::from_millis(2500)); // more than `timeout`
            thread::sleep(Duration::from_secs(4));
            way.upstream.set_delay(Duration::ZERO);
            "upstream slow"
        }
        _ => {
            // Malformed events, and too large bodies.
            let long = vec![b'x'; 17 << 20];
            for (body, status) in [(&b"{\"metric\":{\n"[..], 400), (&long, 413)] {
                let actual = running.ask("POST", "/vector", &[], body).status;
                assert_eq!(actual, status, "a body that is refused");
            }
            "bodies refused"
        }
    }
}
