//! Hostile bundles, offered to the real process while it scores.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use qualm_bundle::Bundle;
use qualm_bundle::bundle::Draft;
use qualm_bundle::golden::Golden;
use qualm_bundle::manifest::{Feature, Manifest, Provenance, Shape, Suppression, Threshold};
use qualm_contract::{
    Batch, BatchScorer, Description, Detector, Error, ModelFactory, ModelSource, Trainer, Transform, Verdicts, Wanted,
};
use tar::{EntryType, Header};
use tempfile::TempDir;

use crate::components::{Core, expensive_to_compile};

/// How long anything may take that is waited for.
const TIMEOUT: Duration = Duration::from_mins(2);

/// The limit of a guest's memory, in MiB.
const MEMORY: u64 = 64;

/// Packs a plugin without running it: assumes that it scores a value with itself.
#[derive(Debug, Clone, Copy)]
struct Unopened(&'static str);

impl ModelFactory for Unopened {
    fn open_model(&self, _: ModelSource<'_>) -> Result<Box<dyn Detector>, Error> {
        Ok(Box::new(*self))
    }

    fn open_trainer(&self, _: &[u8]) -> Result<Box<dyn Trainer + '_>, Error> {
        Err(Error::NoSandbox)
    }
}

impl BatchScorer for Unopened {
    fn score_batch(&mut self, batch: Batch<'_>, _: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        verdicts.scores.extend_from_slice(batch.values);
        Ok(())
    }

    fn forget_series(&mut self, _: &[u32]) -> Result<(), Error> {
        Ok(())
    }
}

impl Detector for Unopened {
    fn describe(&self) -> Description {
        let (kind, version, scale) = (self.0.to_owned(), "1".to_owned(), "none".to_owned());
        Description { kind, version, features: 1, warm_up: 0, scale }
    }

    fn save_series(&mut self, _: &[u32]) -> Result<Vec<u8>, Error> {
        Ok(Vec::new())
    }

    fn restore_series(&mut self, _: &[u8], _: &[Option<u32>]) -> Result<(), Error> {
        Ok(())
    }
}

/// A bundle of a plugin that scores a value with itself.
fn bundle(version: u64, component: &[u8], model: &str) -> Bundle {
    named_bundle("plugin", version, component, model)
}

/// The same with another name.
pub(crate) fn named_bundle(name: &str, version: u64, component: &[u8], model: &str) -> Bundle {
    let rows = Batch { series: &[0, 1, 0], times: &[0, 1, 2], values: &[0.25, 0.5, 0.75] };
    let feature = Feature {
        name: "v".to_owned(),
        measurement: "m".to_owned(),
        field: "v".to_owned(),
        tags: [].into(),
        transform: Transform::None,
        reference: None,
    };
    let kind = if model == "{}" { "plain" } else { "hostile" };
    let manifest = Manifest {
        format: 1,
        name: name.to_owned(),
        version,
        created: "2026-01-01T00:00:00Z".parse().unwrap(),
        expires: None,
        kind: kind.to_owned(),
        shape: Shape::Field,
        entity: Vec::new(),
        interval: Duration::ZERO,
        threshold: Threshold { rule: "test".to_owned(), ordinary: 0.0, raw: 1.0 },
        suppression: Suppression::default(),
        features: vec![feature],
        provenance: Provenance::default(),
        sha256: [].into(),
    };
    let golden = Golden::new(1, rows, rows.values);
    let model = model.as_bytes().to_vec();
    Draft { manifest, model, golden, reference: None, component: Some(component.to_vec()) }
        .finish(&Unopened(kind))
        .unwrap()
}

/// The running process.
struct Running {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    log: Receiver<String>,
    sent: u32,
}

impl Running {
    /// With a detector whose model is `model` in the directory, and further lines of configuration.
    fn start(dir: &TempDir, more: &str) -> Self {
        let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
        let config = format!(
            "[[detector]]\nname = \"d\"\nmodel = {:?}\n[state]\ndir = {:?}\n[http]\nlisten = \"127.0.0.1:0\"\n\
             [limits]\nmemory = \"{MEMORY}MiB\"\nmax_series = 100\n{more}",
            path("model"),
            path("state")
        );
        fs::write(path("qualm.toml"), config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
        command.args(["execd", "--config", &path("qualm.toml")]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, log) = channel();
        thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, stdin, stdout, log, sent: 0 }
    }

    /// Sends a line, and returns whether it comes out with a score.
    fn pass(&mut self) -> bool {
        self.sent += 1;
        let line = format!("m,t=a v=0.5 {}\n", self.sent);
        self.stdin.write_all(line.as_bytes()).unwrap();
        let mut output = String::new();
        self.stdout.read_line(&mut output).unwrap();
        let scored = format!("m,t=a v=0.5,anomaly_score=0.5,is_anomaly=0i {}\n", self.sent);
        assert!(output == line || output == scored, "{output}");
        output == scored
    }

    /// Sends lines until the log has `text`; returns the log's line, and the number of lines sent.
    fn pass_until(&mut self, text: &str) -> (String, u32) {
        let (began, before) = (Instant::now(), self.sent);
        let mut logged = Vec::new();
        while began.elapsed() < TIMEOUT {
            self.pass();
            while let Ok(line) = self.log.recv_timeout(Duration::from_millis(1)) {
                if line.contains(text) {
                    return (line, self.sent - before);
                }
                logged.push(line);
            }
        }
        panic!("`{text}` was not logged, but: {logged:#?}");
    }

    /// The peak memory of the process, in MiB.
    fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
    }

    /// A metric's value.
    fn metric(address: &str, name: &str) -> f64 {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let line = answer.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("{name} is not in {answer}")).rsplit(' ').next().unwrap().parse().unwrap()
    }

    fn end(mut self) {
        drop(self.stdin);
        assert!(self.child.wait().unwrap().success());
    }
}

/// Replaces the model atomically.
fn publish(dir: &TempDir, bytes: &[u8]) {
    let new = dir.path().join("new");
    fs::write(&new, bytes).and_then(|()| fs::rename(&new, dir.path().join("model"))).unwrap();
}

#[test]
fn lines_pass_while_a_plugin_is_compiled_for_minutes() {
    let dir = tempfile::tempdir().unwrap();
    publish(&dir, &bundle(1, &expensive_to_compile(5000, 400), "{}").pack());
    let mut running = Running::start(&dir, "compile = \"4s\"\n");
    running.pass_until("plugin version 1 scores nothing until it is compiled");
    let (refused, lines) = running.pass_until("keeps its model");
    assert!(refused.contains("cannot be compiled: that takes more than 4 s"), "{refused}");
    assert!(lines > 100, "{lines} lines in 4 s");
    assert!(!running.pass());
    assert!(running.peak() < 300, "{} MiB", running.peak());
    // A valid one is taken all the same.
    publish(&dir, &bundle(2, &Core::default().build(), "{}").pack());
    running.pass_until("plugin version 2 (plain) has taken over");
    assert!(running.pass());
    running.end();
}

#[test]
fn a_compiled_plugin_is_cached_and_scores_the_first_line_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    publish(&dir, &bundle(1, qualm_test_plugins::HOSTILE, "calm").pack());
    let mut running = Running::start(&dir, "");
    running.pass_until("plugin version 1 scores nothing until it is compiled");
    running.pass_until("plugin version 1 (hostile) has taken over");
    assert!(running.pass());
    running.end();
    let mut running = Running::start(&dir, "");
    assert!(running.pass(), "its compiled code is kept");
    running.end();
    // Compiled code that was modified is not used; the detector's state is.
    let compiled = dir.path().join("state/qualm/compiled");
    for entry in fs::read_dir(compiled).unwrap() {
        let path = entry.unwrap().path();
        let mut code = fs::read(&path).unwrap();
        *code.last_mut().unwrap() ^= 1;
        fs::write(&path, code).unwrap();
    }
    let mut running = Running::start(&dir, "");
    running.pass_until("scores nothing until it is compiled");
    running.pass_until("has taken over");
    assert!(running.pass());
    running.end();
}

/// A model that passes the trial at load and fails later must not be tried again at the next start.
#[test]
fn a_model_that_failed_is_not_used_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    publish(&dir, &bundle(1, qualm_test_plugins::HOSTILE, "calm").pack());
    let mut running = Running::start(&dir, "");
    running.pass_until("plugin version 1 (hostile) has taken over");
    publish(&dir, &bundle(2, qualm_test_plugins::HOSTILE, "trap 3").pack());
    running.pass_until("plugin version 2 (hostile) has taken over");
    running.pass_until("goes back to the model before");
    running.end();
    let mut running = Running::start(&dir, "");
    for _ in 0..20 {
        assert!(running.pass(), "the model before scores from the first line on");
    }
    running.end();
    let store = fs::read_to_string(dir.path().join("state/bundles/d/store.toml")).unwrap();
    assert!(store.contains("rolled_back_from = 2"), "{store}");
}

#[test]
fn golden_rows_refuse_scores_that_vary_from_call_to_call() {
    let dir = tempfile::tempdir().unwrap();
    publish(&dir, &bundle(1, qualm_test_plugins::HOSTILE, "moods").pack());
    let mut running = Running::start(&dir, "");
    let (refused, _) = running.pass_until("keeps its model");
    assert!(refused.contains("golden.safetensors: "), "{refused}");
    running.end();
}

#[test]
fn a_guests_memory_is_limited() {
    let peak = |model: &str| {
        let dir = tempfile::tempdir().unwrap();
        publish(&dir, &bundle(1, qualm_test_plugins::HOSTILE, model).pack());
        let mut running = Running::start(&dir, "");
        running.pass_until("has taken over");
        (0..200).for_each(|_| {
            running.pass();
            thread::sleep(Duration::from_millis(5));
        });
        let peak = running.peak();
        running.end();
        peak
    };
    // The trial at load is the one call before the attack: it attacks in use.
    let calm = peak("calm");
    for attack in ["memory 1", "memory-to-the-limit 1"] {
        let taken = peak(attack).saturating_sub(calm);
        assert!(
            (MEMORY / 2..=MEMORY * 11 / 10).contains(&taken),
            "{attack}: {taken} MiB, where {MEMORY} are the limit"
        );
    }
}

/// A packed bundle with another entry.
fn with_entry(name: &[u8], kind: EntryType, link: &str) -> Vec<u8> {
    let mut tar = zstd::decode_all(&*bundle(2, &Core::default().build(), "{}").pack()).unwrap();
    tar.truncate(tar.len() - 1024);
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_mode(0o644);
    header.set_cksum();
    tar.extend_from_slice(header.as_bytes());
    tar.resize(tar.len().next_multiple_of(512) + 1024, 0);
    zstd::encode_all(&*tar, 1).unwrap()
}

/// A gigabyte of zeros as the model.
fn bomb() -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_path("model.safetensors").unwrap();
    header.set_size(200 << 20);
    header.set_cksum();
    let zeros = std::io::repeat(0).take(1 << 30);
    zstd::encode_all(header.as_bytes().chain(zeros), 1).unwrap()
}

#[test]
fn hostile_bundles_are_refused_and_the_model_stays() {
    let dir = tempfile::tempdir().unwrap();
    publish(&dir, &bundle(1, &Core::default().build(), "{}").pack());
    let mut running = Running::start(&dir, "");
    let (listening, _) = running.pass_until("listening on ");
    let address = listening.split("://").nth(1).unwrap().trim_end_matches('/').to_owned();
    running.pass_until("has taken over");
    let before = running.peak();
    let mut refused = 0.0;
    for (packed, reason) in [
        (
            with_entry(b"../model.safetensors", EntryType::Regular, ""),
            "../model.safetensors: a bundle has no such file",
        ),
        (with_entry(b"/etc/qualm.toml", EntryType::Regular, ""), "/etc/qualm.toml: a bundle has no such file"),
        (with_entry(b"bundle.toml.minisig", EntryType::Symlink, "/etc/passwd"), "it is no plain file but Symlink"),
        (with_entry(b"bundle.toml.minisig", EntryType::Link, "../state"), "it is no plain file but Link"),
        (bomb(), "unpacks to more than"),
        (b"nonsense".to_vec(), "it is no packed bundle"),
    ] {
        publish(&dir, &packed);
        let (logged, _) = running.pass_until("keeps its model");
        let has_reason = logged.contains(reason) || (reason.starts_with("unpacks") && logged.contains("model"));
        assert!(has_reason, "{logged}, and not {reason}");
        assert!(running.pass(), "the model stays");
        let end = Instant::now() + TIMEOUT;
        let mut counted = refused;
        while counted <= refused {
            assert!(Instant::now() < end, "{reason}: it is not counted");
            assert!(running.pass(), "counts are copied while lines flow");
            counted = Running::metric(&address, "qualm_models_refused_total");
        }
        refused = counted;
    }
    let grown = running.peak() - before;
    assert!(grown < 300, "a bomb of a gigabyte took {grown} MiB, where a bundle may have 256");
    assert!(!Path::new("/etc/qualm.toml").exists());
    running.end();
}
