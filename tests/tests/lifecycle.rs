//! A model's whole life with the real binary: trained, run, drifting, trained again by itself, in shadow, promoted; then a version
//! that begins to trap, and the way back. No line is lost meanwhile.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use qualm_bundle::Bundle;
use qualm_bundle::bundle::Draft;
use qualm_bundle::golden::Golden;
use qualm_contract::Batch;
use qualm_core::BuiltIn;
use qualm_sandbox::{BuiltInModels, Limits, Sandbox, SandboxFactory};
use qualm_tests::{Server, tools};
use tempfile::TempDir;

/// How long anything may take that is waited for.
const TIMEOUT: Duration = Duration::from_mins(3);

/// Lines in a batch, a second apart by their own time.
const LINES: i64 = 50;

/// Batches for which the plugin behaves: more than it takes to be promoted, fewer than are sent while it is watched.
const BEHAVES: u32 = 1500;

#[test]
fn a_model_drifts_is_trained_again_proves_itself_and_a_bad_one_gives_way() {
    let Some(qualm) = tools::qualm() else { return };
    let dir = tempfile::tempdir().unwrap();
    train(&qualm, dir.path());
    let mut run = Run::start(&qualm, dir);

    run.feed_until("a window without drift", Duration::ZERO, 0.0, |server| {
        server.metric("qualm_drift_state", "state=\"none\"") >= 1.0
    });
    assert_eq!(run.version(), 1, "{}", run.server.log());
    run.feed_until("drift", Duration::ZERO, 0.2, |server| {
        server.metric("qualm_drift_state", "state=\"drifting\"") >= 1.0
    });
    run.feed_until("a successor that is promoted", Duration::from_millis(5), 0.2, |server| {
        server.metric("qualm_rollout_promotions_total", "") >= 1.0
    });
    assert_eq!(run.version(), 2);
    let idle = |server: &Server| server.metric("qualm_rollout_state", "state=\"none\"") >= 1.0;
    run.feed_until("the end of the watch", Duration::from_millis(5), 0.2, idle);
    run.feed_until("a window without drift", Duration::ZERO, 0.2, |server| {
        server.metric("qualm_drift_state", "state=\"none\"") >= 1.0
    });

    // The first successor may have learnt from rows before the drift as well, and have had one itself.
    run.feed_until("the end of the watch", Duration::from_millis(5), 0.2, idle);
    let good = run.version();
    assert!((2..99).contains(&good));
    let promotions = run.server.metric("qualm_rollout_promotions_total", "");

    // A version that behaves in shadow, and traps once it has taken over.
    trapping(&run.path("model")).write(&run.path("model")).unwrap();
    run.feed_until("its promotion", Duration::from_millis(5), 0.2, |server| {
        server.metric("qualm_rollout_promotions_total", "") > promotions
    });
    assert_eq!(run.version(), 99);
    run.feed_until("the way back", Duration::ZERO, 0.2, |server| {
        server.metric("qualm_rollout_rollbacks_total", "") >= 1.0
    });
    assert_eq!(run.version(), good);
    let scored = run.server.metric("qualm_detector_scored_rows_total", "");
    run.feed_until("scores again", Duration::from_millis(5), 0.2, |server| {
        server.metric("qualm_detector_scored_rows_total", "") > scored + 1000.0
    });
    run.finish();
}

/// A line of the metric at this second: between 0.2 and 0.4, and `shift` more.
fn line(second: i64, shift: f64) -> String {
    let noise = (second * 7919).rem_euclid(1009) as f64 / 1009.0;
    format!("server,host=h1 load={:.4} {}\n", 0.2 + 0.2 * noise + shift, (1_800_000_000 + second) * 1_000_000_000)
}

/// Trains a model of two hours, whose drift is looked for in windows of ten minutes.
fn train(qualm: &Path, dir: &Path) {
    let history: String = (-7200..0).map(|second| line(second, 0.0)).collect();
    fs::write(dir.join("history.lp"), history).unwrap();
    fs::write(dir.join("spec.toml"), "detector = \"zscore\"\ndrift_window = \"10m\"\n").unwrap();
    let mut command = Command::new(qualm);
    command.args(["train", "--spec", "spec.toml", "--input", "history.lp", "--name", "server", "--out", "model"]);
    let done = command.current_dir(dir).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// Version 99: a plugin.
fn trapping(model: &Path) -> Bundle {
    let Bundle { mut manifest, .. } = Bundle::read(model).unwrap();
    (manifest.version, manifest.kind) = (99, "hostile".to_owned());
    let rows = Batch { series: &[0, 1, 0], times: &[0, 1, 2], values: &[0.25, 0.5, 0.75] };
    let (golden, component) = (Golden::new(1, rows, rows.values), Some(qualm_test_plugins::HOSTILE.to_vec()));
    let model = format!("trap {BEHAVES}").into_bytes();
    let native = BuiltInModels::Native(Arc::new(BuiltIn));
    let factory = SandboxFactory::new(Sandbox::new(None), Limits::default(), native);
    Draft { manifest, model, golden, reference: None, component }.finish(&factory).unwrap()
}

/// A running `qualm execd`.
struct Run {
    dir: TempDir,
    server: Server,
    stdin: ChildStdin,
    output: JoinHandle<Vec<String>>,
    second: i64,
    sent: Vec<String>,
}

impl Run {
    fn start(qualm: &Path, dir: TempDir) -> Self {
        let config = format!(
            "[[detector]]\nname = \"server\"\nmodel = \"model\"\nrollout = \"shadow\"\npromote_after = \"1s\"\nwatch_for = \"8s\"\n\
             bounds = {{ rows = 500 }}\n[bundles]\npoll = \"1s\"\n[state]\ndir = \"{}\"\n[retrain]\nenabled = true\npause = \"2s\"\n\
             [http]\nlisten = \"127.0.0.1:0\"\n[limits]\ndeadline = \"2s\"\n",
            dir.path().join("state").display()
        );
        fs::write(dir.path().join("qualm.toml"), config).unwrap();
        let mut command = Command::new(qualm);
        let mut server = Server::start_as(command.args(["execd", "--config", "qualm.toml"]).current_dir(dir.path()));
        let (stdin, stdout) = (server.stdin(), server.stdout());
        let output = thread::spawn(move || BufReader::new(stdout).lines().map(Result::unwrap).collect());
        Self { dir, server, stdin, output, second: 0, sent: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The version of the model that scores, by `/metrics`, which are copied a few times a second.
    fn version(&self) -> u64 {
        thread::sleep(Duration::from_millis(500));
        self.server.metric("qualm_model_version", "") as u64
    }

    fn feed(&mut self, shift: f64) {
        let lines: Vec<String> = (self.second..self.second + LINES).map(|second| line(second, shift)).collect();
        self.second += LINES;
        self.stdin.write_all(lines.concat().as_bytes()).unwrap();
        self.sent.extend(lines);
    }

    /// Sends batches, with a pause between, until the metrics say that it is done.
    fn feed_until(&mut self, what: &str, pause: Duration, shift: f64, done: impl Fn(&Server) -> bool) {
        let deadline = Instant::now() + TIMEOUT;
        while !done(&self.server) {
            if Instant::now() > deadline {
                let metrics = self.server.get("/metrics").text();
                panic!("there is no {what}; the log says\n{}\nand the metrics\n{metrics}", self.server.log());
            }
            for _ in 0..10 {
                self.feed(shift);
                thread::sleep(pause);
            }
        }
    }

    /// Ends the input: each line has come out, in order.
    fn finish(self) {
        let Self { dir: _dir, server, stdin, output, sent, .. } = self;
        drop(stdin);
        // Signals are ignored: it ends because its input does.
        let (status, log) = server.stop();
        assert!(status.success(), "{log}");
        let came: Vec<String> = output.join().unwrap();
        let came: Vec<&String> = came.iter().filter(|line| line.starts_with("server,host=h1 load=")).collect();
        assert_eq!(came.len(), sent.len(), "lines in, lines out");
        assert!(came.iter().zip(&sent).all(|(came, sent)| came.as_str() == sent.trim_end()), "in order, and unchanged");
        assert!(
            log.contains("`server.load`") && log.contains("changed since server version 1 (zscore) was trained"),
            "{log}"
        );
    }
}
