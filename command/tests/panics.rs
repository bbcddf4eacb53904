//! A pipeline that panics costs scores and nothing else: its metrics flow, health says so, and it is started again.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use qualm::config::Config;
use qualm::view::View;
use qualm::{Pipeline, StartError};
use qualm_bundle::secret::Secret;
use qualm_command::serve::forward::Forward;
use qualm_command::serve::influxdb::{self, Influxdb};
use qualm_command::serve::observe;
use qualm_command::serve::observed::Observed;
use qualm_command::serve::worker::{PipelineFactory, Worker};
use qualm_http::{Call, Method, Options, Router, Server};
use qualm_pipeline::{Grammar, Lines};

/// The body at which `begin_body` panics, since no input is known that makes a pipeline panic.
const PANICKING: &[u8] = b"mine v=1 1\n";

/// How long anything may take that is waited for.
const TIMEOUT: Duration = Duration::from_mins(1);

fn begin_body(_: &mut Lines, body: &[u8], _: Option<i64>) {
    assert!(body != PANICKING, "for the test");
}

/// Starts pipelines, but fails at the second attempt. Attempts are counted.
fn factory(config: Config, view: Arc<View>, attempts: Arc<AtomicUsize>, verdicts_only: bool) -> PipelineFactory<Lines> {
    let builder = qualm::model_builder(&config);
    let start = move || {
        if attempts.fetch_add(1, Ordering::Relaxed) == 1 {
            return Err(StartError::Shape("for the test".to_owned()));
        }
        let mut pipeline = Pipeline::start_apart(Lines::of(Grammar::Influxdb), "influxdb", &config, &builder)?;
        view.clear();
        pipeline.watch(Arc::clone(&view));
        Ok(pipeline)
    };
    PipelineFactory { start: Arc::new(start), begin_body: Box::new(begin_body), verdicts_only }
}

fn config(dir: &std::path::Path) -> Config {
    let path = dir.join("qualm.toml");
    std::fs::write(&path, "[[detector]]\nmin_samples = 10\n").unwrap();
    let mut config = Config::read(&path).unwrap();
    config.state.dir = Some(dir.join("state"));
    config
}

/// The next server: it accepts all bodies and sends them to the receiver.
fn sink() -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, received) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, sender) = (stream.unwrap(), sender.clone());
            thread::spawn(move || {
                let mut request = Vec::new();
                let mut piece = [0; 4096];
                loop {
                    let read = stream.read(&mut piece).unwrap_or(0);
                    if read == 0 {
                        return;
                    }
                    request.extend_from_slice(&piece[..read]);
                    let Some(head) = request.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
                    let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
                    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                    let end = head + 4 + length.trim().parse::<usize>().unwrap();
                    if request.len() >= end {
                        sender.send(request[head + 4..end].to_vec()).unwrap();
                        request.drain(..end);
                        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
                    }
                }
            });
        }
    });
    (address, received)
}

/// The status of an answer, and all of it.
fn ask(address: SocketAddr, request: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    write!(
        stream,
        "{request} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < TIMEOUT, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_panic_costs_scores_alone_and_fails_health_checks() {
    let dir = tempfile::tempdir().unwrap();
    let (next, received) = sink();
    let (view, attempts) = (Arc::new(View::new("influxdb")), Arc::new(AtomicUsize::new(0)));
    let factory = factory(config(dir.path()), Arc::clone(&view), Arc::clone(&attempts), false);
    let (worker, ended) = Worker::start("influxdb", factory).unwrap();
    let url = Secret::address(format!("http://{next}"));
    let forward = Forward::new(&url, Duration::from_secs(10), influxdb::is_final).unwrap();
    let influxdb = Arc::new(Influxdb::new(worker, forward, true, 1));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = runtime.block_on(async { Server::bind(Options::on(([127, 0, 0, 1], 0).into())) }).unwrap();
    let address = server.local_addr();
    let observed = Observed {
        mode: "serve",
        registry: None,
        views: vec![view],
        server: server.counts(),
        vector: None,
        influxdb: Some(Arc::clone(&influxdb)),
    };
    let router = observe::routes(Router::new(), &Arc::new(observed));
    let router = router.route(Method::POST, "/write", move |call: Call| Arc::clone(&influxdb).write(call));
    let _serving = runtime.spawn(server.run(router, std::future::pending()));

    let mut number = 0_u64;
    // Each line comes out once, in order, scored or as it is.
    let mut pass = || {
        number += 1;
        let line = format!("m v={} {number}\n", number % 7);
        assert_eq!(ask(address, "POST /write", line.as_bytes()).0, 204);
        let came = String::from_utf8(received.recv_timeout(TIMEOUT).unwrap()).unwrap();
        let (head, time) = line.trim_end().rsplit_once(' ').unwrap();
        assert!(came.starts_with(head) && came.trim_end().ends_with(&format!(" {time}")), "{came}");
        came.contains("anomaly_score=")
    };
    let status = |path: &str| ask(address, &format!("GET {path}"), b"").0;
    let metric = |line: &str| ask(address, "GET /metrics", b"").1.lines().any(|own| own == line);
    until("lines are scored", &mut pass);
    assert_eq!((status("/healthz"), status("/readyz")), (200, 200));

    assert_eq!(ask(address, "POST /write", PANICKING).0, 204, "the sender need not try again: it would happen again");
    assert_eq!(received.recv_timeout(TIMEOUT).unwrap(), PANICKING, "it has come out, unscored");
    let (health, answer) = ask(address, "GET /healthz", b"");
    assert!(health == 503 && answer.contains("pipeline `influxdb`: it panicked"), "{answer}");
    let (ready, answer) = ask(address, "GET /readyz", b"");
    assert!(ready == 503 && answer.contains("\"ready\":false"), "{answer}");
    assert!(metric("qualm_pipeline_panics_total{pipeline=\"influxdb\"} 1"));
    assert!(metric("qualm_pipeline_up{pipeline=\"influxdb\"} 0"));
    assert!(!pass(), "metrics flow unscored meanwhile");

    until("it works again", || {
        pass();
        metric("qualm_pipeline_up{pipeline=\"influxdb\"} 1")
    });
    assert_eq!(attempts.load(Ordering::Relaxed), 3, "it failed to start once, and was tried again");
    assert_eq!(status("/healthz"), 503, "a probe that comes now sees that it panicked");
    until("lines are scored again", &mut pass);
    until("health is green again", || (status("/healthz"), status("/readyz")) == (200, 200));
    assert!(metric("qualm_pipeline_panics_total{pipeline=\"influxdb\"} 1"), "it is counted all the same");
    assert!(!ended.is_finished());
    drop(runtime);
}

#[test]
fn with_verdicts_only_an_unscored_body_has_no_output() {
    let dir = tempfile::tempdir().unwrap();
    let factory = factory(config(dir.path()), Arc::new(View::new("influxdb")), Arc::default(), true);
    let (worker, ended) = Worker::start("influxdb", factory).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let scored = runtime.block_on(worker.score(Bytes::from_static(PANICKING), Some(1))).unwrap();
    assert!(scored.bytes.is_empty() && !worker.health().is_up());
    assert_eq!((worker.health().panics(), worker.health().unscored()), (1, 1));
    drop(worker);
    ended.join().unwrap().unwrap();
}
