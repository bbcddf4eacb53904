//! Health is answered whatever models do: a detector that does not return, or a bundle that is not opened, delays only its own
//! requests.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/hooked.rs"]
mod hooked;
mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use hooked::Hooked;
use parking_lot::{Condvar, Mutex};
use qualm_contract::{Batch, Detector, Error, ModelFactory, ModelSource, Trainer};
use qualm_core::BuiltIn;
use qualm_http::api::models::{Options, Registry};
use qualm_http::api::{self, Api};
use qualm_http::{Call, Method, Options as Listen, Router, Server, StatusCode, reply};
use support::train;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Threads that answer requests.
const WORKERS: usize = 2;

/// A gate at which detectors wait until it opens.
#[derive(Debug, Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut open = self.open.lock();
        while !*open {
            self.opened.wait(&mut open);
        }
    }

    fn open(&self) {
        *self.open.lock() = true;
        self.opened.notify_all();
    }
}

/// Opens detectors that report when they begin, and end when the gate opens.
#[derive(Debug)]
struct Stuck {
    /// Whether opening waits at the gate, or scoring.
    opening: bool,
    gate: Arc<Gate>,
    begins: Sender<String>,
}

impl ModelFactory for Stuck {
    fn open_model(&self, source: ModelSource<'_>) -> Result<Box<dyn Detector>, Error> {
        let (gate, begins, name) = (Arc::clone(&self.gate), self.begins.clone(), source.name.to_owned());
        let detector = BuiltIn.open_model(source)?;
        if name == "good" {
            return Ok(detector);
        }
        let wait = move || {
            begins.send(name.clone()).unwrap();
            gate.pass();
        };
        if self.opening {
            wait();
            return Ok(detector);
        }
        Ok(Box::new(Hooked::new(detector, move |_: Batch<'_>| {
            wait();
            Ok(())
        })))
    }

    fn open_trainer(&self, component: &[u8]) -> Result<Box<dyn Trainer + '_>, Error> {
        BuiltIn.open_trainer(component)
    }
}

struct Service {
    address: SocketAddr,
    gate: Arc<Gate>,
    begun: Receiver<String>,
    _dir: tempfile::TempDir,
}

impl Service {
    /// With models of these names, which are loaded unless opening waits at the gate.
    fn start(names: &[String], opening: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in names.iter().map(String::as_str).chain(["good"]) {
            train(dir.path(), name, name, 1, "zscore", None);
        }
        let (gate, (begins, begun)) = (Arc::new(Gate::default()), channel());
        let factory = Stuck { opening, gate: Arc::clone(&gate), begins };
        let registry = Registry::open(Options::of(dir.path()), factory);
        if !opening {
            for name in names {
                registry.find(name).unwrap();
            }
        }
        let api = Api::new(registry, None, api::Options::default());
        let server = Server::bind(Listen::on(([127, 0, 0, 1], 0).into())).unwrap();
        let address = server.local_addr();
        thread::spawn(move || {
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = runtime.worker_threads(WORKERS).enable_all().build().unwrap();
            let health = async |_: Call| reply::text(StatusCode::OK, "ok\n");
            let router = api.routes(Router::new()).open(Method::GET, "/healthz", health);
            runtime.block_on(server.run(router, std::future::pending()));
        });
        Self { address, gate, begun, _dir: dir }
    }

    fn send(&self, request: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("host: {}\r\nconnection: close\r\ncontent-type: application/json", self.address);
        write!(stream, "{request} HTTP/1.1\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        stream
    }

    fn ask(&self, name: &str) -> TcpStream {
        self.send("POST /api/v1/score", &format!("{{\"model\":\"{name}\",\"data\":[[50,60,1000]]}}"))
    }
}

/// The status of an answer.
fn status(mut stream: TcpStream) -> u16 {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer in time");
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// Whether an answer has come.
fn has_come(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let came = stream.peek(&mut [0]).is_ok();
    stream.set_nonblocking(false).unwrap();
    came
}

/// More models, and more requests for each, than there are threads that answer.
fn hold(opening: bool, models: usize) {
    let names: Vec<_> = (0..models).map(|number| format!("stuck-{number}")).collect();
    let service = Service::start(&names, opening);
    let waiting: Vec<_> =
        names.iter().flat_map(|name| [service.ask(name), service.ask(name), service.ask(name)]).collect();
    let mut begun: Vec<_> =
        names.iter().map(|_| service.begun.recv_timeout(PATIENCE).expect("each is at work")).collect();
    begun.sort();
    assert_eq!(begun, names);
    for path in ["/healthz", "/api/v1/models", "/api/v1/models/stuck-0", "/api/v1/bundles"] {
        assert_eq!(status(service.send(&format!("GET {path}"), "")), 200, "{path}");
    }
    assert_eq!(status(service.ask("good")), 200, "another model scores");
    assert!(waiting.iter().all(|stream| !has_come(stream)), "all that came before them waits still");
    service.gate.open();
    for stream in waiting {
        assert_eq!(status(stream), 200);
    }
}

#[test]
fn engines_that_do_not_come_back_hold_up_nobody_else() {
    hold(false, WORKERS + 3);
}

#[test]
fn bundles_that_take_long_to_open_hold_up_nobody_else() {
    hold(true, WORKERS + 1);
}
