//! Signals of `qualm execd` and `qualm serve`, and failed saves.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

const SIGNALS: [&str; 3] = ["HUP", "TERM", "INT"];

fn qualm(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn execd_loses_no_line_to_signals() {
    let mut child = qualm(&["execd"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let mut out = String::new();
        stdout.read_to_string(&mut out).unwrap();
        out
    });
    let mut log = Log::of(&mut child);
    log.until("");
    for turn in 0..30 {
        let lines: String = (0..1000).map(|at| format!("m v={at} {turn}{at:09}\n")).collect();
        stdin.write_all(lines.as_bytes()).unwrap();
        signal(&child, SIGNALS[turn % 3]);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
    assert_eq!(reader.join().unwrap().lines().count(), 30_000);
    let log = log.rest();
    for name in SIGNALS {
        assert!(log.contains(&format!("SIG{name} is ignored: only the end of stdin")), "{name}: {log}");
    }
}

/// Where a file may not grow, as on a full disk, the save fails, is logged, and leaves no partial file.
#[test]
fn a_failed_save_loses_no_line() {
    let dir = tempfile::tempdir().unwrap();
    let (state, config) = (dir.path().join("state"), dir.path().join("qualm.toml"));
    fs::write(&config, format!("[[detector]]\nmin_samples = 2\n[state]\ndir = \"{}\"\n", state.display())).unwrap();
    let script = format!("ulimit -f 1; exec {} execd --config {}", env!("CARGO_BIN_EXE_qualm"), config.display());
    let mut child = Command::new("sh");
    child.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines: String = (0..500).map(|at| format!("m,host=h{} v={at} {at}000000000\n", at % 100)).collect();
    let writer = thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let out = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let (scored, log) = (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap());
    assert!(out.status.success(), "{log}");
    assert_eq!((scored.lines().count(), scored.matches("anomaly_score").count()), (500, 300), "{log}");
    assert!(log.contains("the state cannot be written to") && log.contains("File too large"), "{log}");
    let mut left: Vec<_> = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.retain(|name| name != "qualm.lock" && name != "qualm.seed" && name != "qualm");
    assert!(left.is_empty(), "{left:?}");
}

/// A process's log, and what was read of it.
struct Log {
    lines: BufReader<ChildStderr>,
    read: String,
}

impl Log {
    fn of(child: &mut Child) -> Self {
        Self { lines: BufReader::new(child.stderr.take().unwrap()), read: String::new() }
    }

    /// Reads until a line has `what`, and returns what follows in it.
    fn until(&mut self, what: &str) -> String {
        loop {
            let begin = self.read.len();
            assert!(self.lines.read_line(&mut self.read).unwrap() > 0, "it ended without `{what}`: {}", self.read);
            if let Some((_, behind)) = self.read[begin..].split_once(what) {
                return behind.trim_end().to_owned();
            }
        }
    }

    fn rest(&mut self) -> String {
        self.lines.read_to_string(&mut self.read).unwrap();
        std::mem::take(&mut self.read)
    }
}

struct Service {
    child: Child,
    log: Log,
    address: String,
}

impl Service {
    fn start(config: &str) -> Self {
        let mut child = qualm(&["serve", "--config", config]).spawn().unwrap();
        let mut log = Log::of(&mut child);
        let address = log.until("listening on http://").trim_end_matches('/').to_owned();
        Self { child, log, address }
    }

    /// The status of an answer.
    fn ask(&self, token: &str) -> u16 {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let head = format!("host: 127.0.0.1\r\nconnection: close\r\nauthorization: Bearer {token}");
        write!(stream, "GET /metrics HTTP/1.1\r\n{head}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn stop(mut self, with: &str) -> (ExitStatus, String) {
        signal(&self.child, with);
        let log = self.log.rest();
        (self.child.wait().unwrap(), log)
    }
}

fn write(dir: &Path, tokens: &str, more: &str) -> String {
    let path = dir.join("qualm.toml");
    let state = dir.join("state");
    let text = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\ntokens = {tokens}\n[state]\ndir = \"{}\"\n[vector]\nforward = \"http://127.0.0.1:1\"\n{more}",
        state.display()
    );
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_hangup_reloads_the_tokens() {
    let dir = tempfile::tempdir().unwrap();
    let config = write(dir.path(), "[\"first-token\", \"both-token\"]", "");
    let mut service = Service::start(&config);
    assert_eq!([service.ask("first-token"), service.ask("both-token"), service.ask("second-token")], [200, 200, 401]);
    write(dir.path(), "[\"second-token\", \"both-token\"]", "[limits]\nmax_series = 10\n");
    signal(&service.child, "HUP");
    service.log.until("its tokens and its certificate are in force");
    service.log.until("what else has changed");
    assert_eq!([service.ask("first-token"), service.ask("both-token"), service.ask("second-token")], [401, 200, 200]);
    for (tokens, what) in [("[\"short\"]", "8 characters"), ("[]", "changes with a restart only")] {
        write(dir.path(), tokens, "");
        signal(&service.child, "HUP");
        service.log.until(what);
        assert_eq!(service.ask("second-token"), 200, "all stays as it is");
    }
    let (status, log) = service.stop("TERM");
    assert!(status.success(), "{log}");
    assert!(dir.path().join("state/vector/qualm.state").exists(), "{log}");
}

#[test]
fn a_hangup_checks_for_new_models() {
    let dir = tempfile::tempdir().unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let model = format!("http://{}/m.qualm", server.local_addr().unwrap());
    let more = format!("[bundles]\npoll = \"1h\"\n[[detector]]\nname = \"m\"\nmodel = \"{model}\"\n");
    let config = write(dir.path(), "[\"first-token\"]", &more);
    let service = Service::start(&config);
    for turn in ["the start", "a hangup", "another one"] {
        // Without a hangup the next poll is in an hour.
        let (mut asked, _) = server.accept().unwrap();
        asked.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        drop(asked);
        thread::sleep(Duration::from_millis(300));
        if turn != "another one" {
            signal(&service.child, "HUP");
        }
    }
    let (status, log) = service.stop("TERM");
    assert!(status.success(), "{log}");
}

#[test]
fn a_slow_reload_delays_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let config = write(dir.path(), "[\"first-token\"]", "");
    let service = Service::start(&config);
    // Opening a FIFO blocks until there is a writer.
    fs::remove_file(&config).unwrap();
    assert!(Command::new("mkfifo").arg(&config).status().unwrap().success());
    signal(&service.child, "HUP");
    // Opening for writing without blocking succeeds once there is a reader.
    let open = || {
        let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK;
        rustix::fs::open(&config, flags, rustix::fs::Mode::empty())
    };
    let writer = loop {
        match open() {
            Ok(writer) => break writer,
            Err(error) => assert_eq!(error, rustix::io::Errno::NXIO),
        }
        thread::yield_now();
    };
    // Now it blocks in reading.
    for _ in 0..10 {
        assert_eq!(service.ask("first-token"), 200);
    }
    drop(writer);
    let (status, log) = service.stop("TERM");
    assert!(status.success(), "{log}");
}

#[test]
fn without_a_configuration_a_hangup_is_ignored() {
    let mut child = qualm(&["serve", "--listen", "127.0.0.1:0"]).spawn().unwrap();
    let mut log = Log::of(&mut child);
    log.until("/api/v1/score is off");
    signal(&child, "HUP");
    log.until("SIGHUP is ignored: there is no configuration file");
    signal(&child, "INT");
    assert!(child.wait().unwrap().success());
}

#[test]
fn serve_fails_where_its_last_state_cannot_be_saved() {
    let dir = tempfile::tempdir().unwrap();
    let config = write(dir.path(), "[]", "");
    let service = Service::start(&config);
    let state = dir.path().join("state/vector");
    fs::remove_dir_all(&state).unwrap();
    fs::write(&state, "no directory").unwrap();
    let (status, log) = service.stop("TERM");
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("E! ") && log.contains("What was learnt since it was last saved is lost"), "{log}");
}
