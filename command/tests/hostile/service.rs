//! The service with hostile plugins: health checks are answered, and no answer has a path of this machine.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use qualm_test_plugins::HOSTILE;
use tempfile::TempDir;

use crate::bundles::named_bundle;

/// How long anything may take that is waited for.
const TIMEOUT: Duration = Duration::from_mins(2);

/// `qualm serve`, with its files in a directory.
struct Service {
    child: Child,
    address: String,
}

impl Service {
    /// With the models in `models`, temporary files in `tmp`, compiled code in `cache`, and further configuration.
    fn start(dir: &TempDir, more: &str) -> Self {
        let path = |name: &str| dir.path().join(name);
        let models = path("models").to_string_lossy().into_owned();
        let text = format!("{more}\n[http]\nlisten = \"127.0.0.1:0\"\nmodels = {models:?}\n");
        fs::write(path("qualm.toml"), text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
        command.args(["serve", "--config", path("qualm.toml").to_str().unwrap()]).stderr(Stdio::piped());
        command.env("XDG_CACHE_HOME", path("cache")).env("TMPDIR", path("tmp"));
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended");
            if let Some((_, url)) = line.split_once("listening on http://") {
                break url.trim_end().trim_end_matches('/').to_owned();
            }
        };
        thread::spawn(move || std::io::copy(&mut log, &mut std::io::stderr()));
        Self { child, address }
    }

    /// The status of an answer, and all of it.
    fn ask(&self, request: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let head = "host: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json";
        write!(stream, "{request} HTTP/1.1\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
    }

    fn score(&self, model: &str) -> (u16, String) {
        self.ask("POST /api/v1/score", &format!("{{\"model\":\"{model}\",\"data\":[[0.5]]}}"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// A directory with bundles of these names and models.
fn site(bundles: &[(&str, &str)], has_tmp: bool) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("models")).unwrap();
    if has_tmp {
        fs::create_dir(dir.path().join("tmp")).unwrap();
    }
    for (name, model) in bundles {
        let bundle = named_bundle(name, 1, HOSTILE, model);
        bundle.write_packed(&dir.path().join("models").join(bundle.archive_name())).unwrap();
    }
    dir
}

#[test]
fn health_checks_are_answered_while_plugins_loop() {
    // They loop from the second request on, after the golden rows and the first.
    let names = ["a", "b", "c", "d"];
    let dir = site(&names.map(|name| (name, "loop 2")), true);
    let service = Service::start(&dir, "[limits]\ndeadline = \"4s\"");
    for name in names {
        let (status, answer) = service.score(name);
        assert_eq!(status, 200, "{answer}");
    }
    let over = AtomicBool::new(false);
    let answered = thread::scope(|scope| {
        for name in names {
            let (over, service) = (&over, &service);
            scope.spawn(move || {
                let (status, answer) = service.score(name);
                over.store(true, Ordering::Relaxed);
                assert_eq!(status, 503, "{answer}");
            });
        }
        let mut answered = 0;
        while !over.load(Ordering::Relaxed) {
            for path in ["/healthz", "/readyz", "/metrics", "/api/v1/live", "/api/v1/models"] {
                assert_eq!(service.ask(&format!("GET {path}"), "").0, 200, "{path}");
            }
            answered += u32::from(!over.load(Ordering::Relaxed));
        }
        answered
    });
    // Were a guest to block a thread that answers, all requests would wait for it.
    assert!(answered >= 10, "health checks were answered only {answered} times while guests looped");
}

/// All paths, but for those of a model.
const PATHS: [&str; 6] = ["/healthz", "/readyz", "/metrics", "/api/v1/live", "/api/v1/models", "/api/v1/bundles"];

#[test]
fn no_answer_has_a_path_and_missing_resources_are_tried_again() {
    let dir = site(&[("plugin", "nothing")], false);
    let models = dir.path().join("models");
    fs::write(models.join("bare-1.qualm"), b"\0asm: no bundle at all").unwrap();
    fs::write(models.join("cut-1.qualm"), &fs::read(models.join("plugin-1.qualm")).unwrap()[..1000]).unwrap();
    fs::create_dir(models.join("empty")).unwrap();
    fs::write(models.join("empty/bundle.toml"), "format = 1").unwrap();
    let broken = dir.path().join("broken.qualm");
    fs::write(&broken, b"\0asm").unwrap();
    let missing = dir.path().join("missing.qualm");
    let detectors = [broken.clone(), missing, models.join("plugin-1.qualm")].into_iter().enumerate();
    let detector = |(at, path)| format!("[[detector]]\nname = \"d{at}\"\nmodel = {path:?}\n");
    let detectors: String = detectors.map(detector).collect();
    // The live page shows why the pipeline's models are refused.
    let more = format!("{detectors}[vector]\nforward = \"http://127.0.0.1:1\"\n");
    let service = Service::start(&dir, &more);
    // A start that took long has read it for good.
    fs::write(&broken, b"\0asm").unwrap();
    let private = dir.path().to_str().unwrap();
    let check_paths = |answer: &str| assert!(!answer.contains(private), "{answer}");
    let begun = Instant::now();
    loop {
        let (_, live) = service.ask("GET /api/v1/live", "");
        check_paths(&live);
        // The missing model was logged at the start, and has not changed since.
        if live.matches("\"last_error\":\"").count() == 2 {
            assert!(live.contains("this machine failed to load it"), "{live}");
            break;
        }
        assert!(begun.elapsed() < TIMEOUT, "{live}");
        thread::sleep(Duration::from_millis(50));
    }
    for (model, status) in [("plugin", 503), ("bare", 503), ("cut", 503), ("empty", 503), ("none", 404)] {
        let (actual, answer) = service.score(model);
        assert_eq!(actual, status, "{model}: {answer}");
        assert_eq!(answer.contains("retry-after: "), model == "plugin", "{answer}");
        check_paths(&answer);
        check_paths(&service.ask(&format!("GET /api/v1/models/{model}"), "").1);
    }
    for path in PATHS {
        check_paths(&service.ask(&format!("GET {path}"), "").1);
    }
    check_paths(&service.ask("POST /vector", "{\"log\":{}}").1);
    // Once the directory for temporary files exists, it is compiled.
    fs::create_dir(dir.path().join("tmp")).unwrap();
    while service.score("plugin").0 != 200 {
        assert!(begun.elapsed() < TIMEOUT, "it is not tried again");
        thread::sleep(Duration::from_millis(100));
    }
}
