//! A real Vector with qualm in a loop, killed and stopped. `vector.rs` tests the same contract without one.
//!
//! In each test the same Vector writes the events to `without.ndjson` directly, and to `through.ndjson` through qualm.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;

use qualm_tests::events::{Arrived, compare, events, last};
use qualm_tests::vector::{feed, free_address};
use qualm_tests::{Server, Site, Vector, config::quoted, tools, until};
use rustix::process::{Pid, Signal, kill_process};

/// The sink's largest batch.
const BATCH: u64 = 1_000;

/// Values of a series before its first score: `min_samples`.
const WARM_UP: u64 = 10;

/// Hosts, each a series.
const HOSTS: u64 = 10;

/// A Vector with qualm between its sink and its source, and their addresses.
#[derive(Debug)]
struct Loop {
    site: Site,
    codec: &'static str,
    /// Vector's source for the test's events.
    app: SocketAddr,
    /// Its source for qualm's events.
    back: SocketAddr,
    /// qualm's address.
    qualm: SocketAddr,
}

impl Loop {
    fn new(codec: &'static str) -> Self {
        Self { site: Site::new(), codec, app: free_address(), back: free_address(), qualm: free_address() }
    }

    /// Vector's directory for buffers.
    fn data(&self) -> PathBuf {
        let data = self.site.path("data");
        fs::create_dir_all(&data).expect("a directory can be made");
        data
    }

    fn through(&self) -> PathBuf {
        self.site.path("through.ndjson")
    }

    fn without(&self) -> PathBuf {
        self.site.path("without.ndjson")
    }

    /// Vector's configuration: `vector/vector.yaml`, with a source that the test can feed.
    fn vector(&self) -> String {
        let Self { app, back, codec, .. } = self;
        format!(
            "data_dir: {}\nsources:\n\
             \x20 app: {{ type: http_server, address: \"{app}\", decoding: {{ codec: native_json }} }}\n\
             \x20 scored: {{ type: http_server, address: \"{back}\", decoding: {{ codec: {codec} }} }}\n\
             {}",
            quoted(&self.data()),
            self.sinks()
        )
    }

    /// The same with qualm as Vector's child.
    fn vector_that_starts(&self, qualm: &Path, toml: &Path) -> String {
        let Self { app, codec, .. } = self;
        format!(
            "data_dir: {}\nsources:\n\
             \x20 app: {{ type: http_server, address: \"{app}\", decoding: {{ codec: native_json }} }}\n\
             \x20 scored:\n\
             \x20   type: exec\n\
             \x20   mode: streaming\n\
             \x20   command: [{}, serve, --stdout, --config, {}]\n\
             \x20   include_stderr: false\n\
             \x20   decoding: {{ codec: {codec} }}\n\
             {}",
            quoted(&self.data()),
            quoted(qualm),
            quoted(toml),
            self.sinks()
        )
    }

    fn sinks(&self) -> String {
        let Self { qualm, codec, .. } = self;
        format!(
            "sinks:\n\
             \x20 qualm:\n\
             \x20   type: http\n\
             \x20   inputs: [app]\n\
             \x20   uri: \"http://{qualm}/vector\"\n\
             \x20   encoding: {{ codec: {codec} }}\n\
             \x20   batch: {{ max_events: {BATCH}, timeout_secs: 0.05 }}\n\
             \x20   request: {{ concurrency: 1 }}\n\
             \x20   buffer: {{ type: disk, max_size: 268435488, when_full: block }}\n\
             \x20   acknowledgements: {{ enabled: true }}\n\
             \x20   healthcheck: {{ uri: \"http://{qualm}/healthz\" }}\n\
             \x20 out:\n\
             \x20   type: file\n\
             \x20   inputs: [scored]\n\
             \x20   path: {}\n\
             \x20   encoding: {{ codec: native_json }}\n\
             \x20   acknowledgements: {{ enabled: true }}\n\
             \x20 without:\n\
             \x20   type: file\n\
             \x20   inputs: [app]\n\
             \x20   path: {}\n\
             \x20   encoding: {{ codec: native_json }}\n",
            quoted(&self.through()),
            quoted(&self.without())
        )
    }

    /// qualm's configuration, with further keys of the detector and of `[vector]`.
    fn toml(&self, detector: &str, vector: &str) -> PathBuf {
        let text = format!(
            "[[detector]]\nmin_samples = 10\n{detector}\n[state]\ndir = {}\ninterval = \"1s\"\n\
             [http]\nlisten = \"{}\"\n[vector]\nforward = \"http://{}\"\n{vector}\n",
            quoted(&self.site.path("state")),
            self.qualm,
            self.back
        );
        self.site.write("qualm.toml", text)
    }

    /// Waits until all events up to this number have arrived, directly and through qualm.
    fn arrived(&self, number: u64) {
        for path in [self.without(), self.through()] {
            until(&format!("event {number} in {}", path.display()), || last(&path) >= Some(number));
        }
    }

    fn compare(&self) -> Arrived {
        compare(&self.through(), &self.without())
    }
}

fn signal(server: &Server, signal: Signal) {
    let pid = Pid::from_raw(server.pid() as i32).expect("a process id");
    kill_process(pid, signal).expect("qualm is running");
}

/// The sink keeps a batch in its disk buffer until qualm answers 200, after the source behind has accepted it.
#[test]
fn a_million_events_arrive_after_two_kills() {
    const ALL: u64 = 1_000_000;
    let (Some(qualm), Some(vector)) = (tools::qualm(), tools::vector()) else { return };
    let the = Loop::new("native_json");
    // One host in ten, because Vector is slow to write files; the other events pass.
    let toml = the.toml("select = { tags = { host = \"h0\" } }", "");
    let mut server = Server::start(&qualm, &toml, &[]);
    let _vector = Vector::start(&vector, &the.site, &the.vector(), &[]);
    let app = the.app;
    let fed = thread::spawn(move || (0..ALL).step_by(10_000).for_each(|n| feed(app, &events(n..n + 10_000))));
    for mark in (0..ALL).step_by(50_000) {
        until(&format!("event {mark}"), || last(&the.through()) >= Some(mark));
        if mark == 300_000 || mark == 600_000 {
            server.kill();
            server = Server::start(&qualm, &toml, &[]);
        }
    }
    fed.join().expect("Vector took all");
    the.arrived(ALL - 1);

    let Arrived { events, again, verdicts } = the.compare();
    assert_eq!(events, ALL, "events that arrived");
    assert!(
        again <= 2 * BATCH,
        "{again} events arrived twice. With `concurrency: 1` one batch of {BATCH} at most is under way when qualm is \
         killed; where the source behind had accepted it, and the sink had no answer yet, it is repeated: at most \
         {BATCH} for each of 2 kills"
    );
    // A kill loses the state since the last save, a second ago at most: no series warms up again.
    assert!(verdicts <= ALL / HOSTS - WARM_UP && verdicts > ALL / HOSTS * 9 / 10, "{verdicts} have verdicts");
    println!("{events} events, {again} of them once more, {verdicts} with verdicts");
}

#[test]
fn the_native_codec_works_too() {
    let (Some(qualm), Some(vector)) = (tools::qualm(), tools::vector()) else { return };
    let the = Loop::new("native");
    let _server = Server::start(&qualm, &the.toml("", ""), &[]);
    let _vector = Vector::start(&vector, &the.site, &the.vector(), &[]);
    feed(the.app, &events(0..5_000));
    the.arrived(4_999);
    until("the last verdict", || {
        the.compare() == Arrived { events: 5_000, again: 0, verdicts: 5_000 - HOSTS * WARM_UP }
    });
}

#[test]
fn verdicts_can_be_tags() {
    let (Some(qualm), Some(vector)) = (tools::qualm(), tools::vector()) else { return };
    let the = Loop::new("native_json");
    let _server = Server::start(&qualm, &the.toml("", "verdicts = \"tags\""), &[]);
    let _vector = Vector::start(&vector, &the.site, &the.vector(), &[]);
    feed(the.app, &events(0..5_000));
    the.arrived(4_999);
    let lines = the.site.read_text("through.ndjson").lines().count();
    assert_eq!(lines, 5_000, "no event is added");
    assert_eq!(the.compare(), Arrived { events: 5_000, again: 0, verdicts: 5_000 - HOSTS * WARM_UP });
}

#[test]
fn a_tap_sends_verdicts_alone() {
    let (Some(qualm), Some(vector)) = (tools::qualm(), tools::vector()) else { return };
    let the = Loop::new("native_json");
    let _server = Server::start(&qualm, &the.toml("", "tap = true"), &[]);
    let _vector = Vector::start(&vector, &the.site, &the.vector(), &[]);
    feed(the.app, &events(0..5_000));
    let wanted = 2 * (5_000 - HOSTS * WARM_UP) as usize;
    until("all verdicts", || the.site.read_text("through.ndjson").lines().count() >= wanted);
    let text = the.site.read_text("through.ndjson");
    assert_eq!(text.lines().filter(|line| qualm_tests::events::is_verdict(line)).count(), wanted);
    assert_eq!(text.lines().count(), wanted, "verdicts and nothing else");
}

/// Vector starts qualm and reads its stdout. At its end Vector signals qualm while the sink still has events: qualm waits for
/// these.
#[test]
fn vector_can_start_it() {
    let (Some(qualm), Some(vector)) = (tools::qualm(), tools::vector()) else { return };
    let the = Loop::new("native_json");
    let running = Vector::start(&vector, &the.site, &the.vector_that_starts(&qualm, &the.toml("", "")), &[]);
    for n in (0..50_000).step_by(1_000) {
        feed(the.app, &events(n..n + 1_000));
    }
    running.stop();
    assert_eq!(the.compare(), Arrived { events: 50_000, again: 0, verdicts: 50_000 - HOSTS * WARM_UP });
}

/// At its end Vector closes its sources first, so that events still in the sink cannot return. They are in the disk buffer, and
/// arrive after the next start.
#[test]
fn events_buffered_at_vectors_end_arrive_after_its_start() {
    let (Some(qualm), Some(vector)) = (tools::qualm(), tools::vector()) else { return };
    let the = Loop::new("native_json");
    let toml = the.toml("", "");
    let start = || Vector::start(&vector, &the.site, &the.vector(), &["--graceful-shutdown-limit-secs", "3"]);

    // First while qualm is stopped: all events are buffered.
    let running = start();
    feed(the.app, &events(0..5_000));
    until("the events to be taken", || last(&the.without()) == Some(4_999));
    running.stop();
    assert_eq!(last(&the.through()), None, "nothing can have arrived");

    // Then while qualm is suspended with a batch in flight.
    let server = Server::start(&qualm, &toml, &[]);
    let running = start();
    feed(the.app, &events(5_000..20_000));
    until("events to flow", || last(&the.through()) > Some(5_000));
    signal(&server, Signal::STOP);
    feed(the.app, &events(20_000..40_000));
    until("the events to be taken", || last(&the.without()) == Some(39_999));
    running.stop();
    assert!(last(&the.through()) < Some(39_999), "the last cannot have arrived");
    signal(&server, Signal::CONT);

    let _running = start();
    the.arrived(39_999);
    let Arrived { events, again, .. } = the.compare();
    assert_eq!(events, 40_000);
    assert!(again <= 2 * BATCH, "{again} arrived twice: of a batch that was under way when Vector ended");
}

/// Acknowledged events are in the disk buffer.
#[test]
fn no_acknowledged_event_is_lost_when_vector_is_killed() {
    let (Some(qualm), Some(vector)) = (tools::qualm(), tools::vector()) else { return };
    let the = Loop::new("native_json");
    let server = Server::start(&qualm, &the.toml("", ""), &[]);
    let running = Vector::start(&vector, &the.site, &the.vector(), &[]);
    feed(the.app, &events(0..10_000));
    until("events to flow", || last(&the.through()).is_some());
    signal(&server, Signal::STOP);
    feed(the.app, &events(10_000..20_000));
    running.kill();
    assert!(last(&the.through()) < Some(19_999), "the last cannot have arrived");
    signal(&server, Signal::CONT);

    let _running = Vector::start(&vector, &the.site, &the.vector(), &[]);
    until("the last event", || last(&the.through()) >= Some(19_999));
    // The direct path has no disk buffer: these are its expected events.
    the.site.write("without.ndjson", events(0..20_000));
    let Arrived { events, again, .. } = the.compare();
    assert_eq!(events, 20_000, "{again} arrived twice");
}

/// The files for users: `vector/*.yaml` with `vector/qualm.toml`, at other ports and with a short interval.
#[test]
fn the_samples_work() {
    let (Some(qualm), Some(vector)) = (tools::qualm(), tools::vector()) else { return };
    for sample in ["vector.yaml", "vector-exec.yaml", "vector-tap.yaml"] {
        let the = Loop::new("native_json");
        let read = |name: &str| {
            let path = tools::workspace().join("vector").join(name);
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            text.replace("127.0.0.1:18001", &the.qualm.to_string()).replace("127.0.0.1:18002", &the.back.to_string())
        };
        let toml = read("qualm.toml").replace("\"/var/lib/qualm\"", &quoted(&the.site.path("state")));
        let toml = if sample == "vector-tap.yaml" { toml.replace("# tap =", "tap =") } else { toml };
        let toml = the.site.write("qualm.toml", format!("[[detector]]\nmin_samples = 10\n{toml}"));
        let starts_it = sample == "vector-exec.yaml";
        let _server = (!starts_it).then(|| Server::start(&qualm, &toml, &[]));
        let config = read(sample)
            .replace("/var/lib/vector", &quoted(&the.data()))
            .replace("scrape_interval_secs: 10", "scrape_interval_secs: 0.2")
            .replace("\"qualm\"", &quoted(&qualm))
            .replace("\"/etc/qualm/qualm.toml\"", &quoted(&toml));
        let running = Vector::start(&vector, &the.site, &config, &["--graceful-shutdown-limit-secs", "3"]);
        until(&format!("a verdict from {sample}"), || running.log().contains(":\"is_anomaly\","));
        assert!(running.log().contains("\"namespace\":\"vector\""), "{sample}: the metrics are there too");
    }
}
