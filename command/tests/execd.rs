//! The `qualm execd` process, as Telegraf runs it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

fn qualm(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
    command.args(arguments);
    command
}

fn output(arguments: &[&str], input: &[u8]) -> Output {
    common::output(&mut qualm(arguments), input)
}

fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Lines of one series from row `from`, ten seconds apart.
fn lines(from: u32, count: u32) -> String {
    (from..from + count)
        .map(|at| format!("m,host=a v={} {}0000000000\n", f64::from(at % 7) + 0.5, 170_000_000 + at))
        .collect()
}

fn config(dir: &Path, text: &str) -> String {
    let path = dir.join("qualm.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Reads until the output contains `part`, and returns it.
fn read_until(from: &mut impl Read, part: &str) -> String {
    let mut out = Vec::new();
    let mut buffer = [0; 4096];
    while !String::from_utf8_lossy(&out).contains(part) {
        let read = from.read(&mut buffer).unwrap();
        assert!(read > 0, "it ended without `{part}`: {}", String::from_utf8_lossy(&out));
        out.extend_from_slice(&buffer[..read]);
    }
    text(&out)
}

#[test]
fn without_configuration_every_numeric_field_is_scored() {
    let input = lines(0, 300) + "# comment\nbad line\nm,host=a v=1e9 1700003010000000000\n";
    let out = output(&["execd"], input.as_bytes());
    assert!(out.status.success(), "{out:?}");
    let scored = text(&out.stdout);
    let lines: Vec<_> = scored.lines().collect();
    assert_eq!(lines.len(), 303);
    assert_eq!(lines[..5], input.lines().collect::<Vec<_>>()[..5], "nothing is scored before the warm-up ends");
    assert!(lines[299].contains(",anomaly_score=0") && lines[299].contains(",is_anomaly=0i 17"), "{}", lines[299]);
    assert_eq!(lines[300..302], ["# comment", "bad line"]);
    assert!(lines[302].contains(",is_anomaly=1i,anomaly_cause=\"v\",anomaly_reason=\""), "{}", lines[302]);
    let log = text(&out.stderr);
    let warnings: Vec<_> = log.lines().filter(|line| !line.starts_with("I! qualm: ")).collect();
    assert!(
        matches!(warnings[..], [one] if one.starts_with("W! qualm: 1 of what came in so far was not understood")),
        "{log}"
    );
    assert!(log.contains("302 lines in, 301 selected") && log.contains("1 malformed"), "{log}");
}

#[test]
fn each_line_comes_back_at_once() {
    let mut child = start(qualm(&["execd"]).stderr(Stdio::null()));
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    for at in 0..20 {
        stdin.write_all(lines(at, 1).as_bytes()).unwrap();
        read_until(&mut stdout, "\n"); // does not return where lines are held back
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_invalid_configuration_ends_with_code_2_and_its_place() {
    let dir = tempfile::tempdir().unwrap();
    for (text_in, message) in [
        (
            "[[detector]]\nfalse_alarm_rat = 1",
            "qualm.toml:2: unknown key `false_alarm_rat`; did you mean `false_alarm_rate`?",
        ),
        ("[[detector]]\nmin_samples = 0", "qualm.toml: detector `all`: `min_samples` must lie between"),
    ] {
        let out = output(&["execd", "--config", &config(dir.path(), text_in)], b"");
        assert_eq!(out.status.code(), Some(2));
        assert!(text(&out.stderr).starts_with("E! qualm: ") && text(&out.stderr).contains(message), "{out:?}");
    }
    let out = output(&["execd", "--config", "/no/such.toml"], b"");
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("/no/such.toml: ") && text(&out.stderr).contains("--sample-config"));
    assert_eq!(output(&["exced"], b"").status.code(), Some(2));
}

#[test]
fn an_unusable_state_directory_stops_no_metric() {
    let dir = tempfile::tempdir().unwrap();
    let path = config(dir.path(), "[state]\ndir = \"/dev/null/x\"");
    let out = output(&["execd", "--config", &path], lines(0, 3).as_bytes());
    assert!(out.status.success() && text(&out.stdout) == lines(0, 3), "{out:?}");
    assert!(text(&out.stderr).contains("E! qualm: the state directory /dev/null/x cannot be used"), "{out:?}");
    let check = output(&["execd", "--check", "--config", &path], b"");
    assert_eq!(check.status.code(), Some(2), "a check reports it");

    let unused = dir.path().join("state");
    let path = config(dir.path(), &format!("[state]\ndir = {unused:?}"));
    assert!(output(&["execd", "--check", "--config", &path], b"").status.success());
    assert!(!unused.exists(), "a check leaves no trace");
}

#[test]
fn a_failed_print_ends_with_code_1_unless_the_reader_closed_the_pipe() {
    let printing: [&[&str]; 3] = [&["--sample-config"], &["demo"], &["execd", "--check"]];
    for arguments in printing {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let out = qualm(arguments).stdout(full).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(out.status.code(), Some(1), "{arguments:?}: {out:?}");
        let mut child = start(qualm(arguments).stderr(Stdio::piped()));
        drop(child.stdout.take());
        assert!(child.wait().unwrap().success(), "{arguments:?}");
    }
}

#[test]
fn check_prints_a_configuration_and_accepts_the_sample() {
    let dir = tempfile::tempdir().unwrap();
    let sample = output(&["--sample-config"], b"");
    assert!(sample.status.success());
    let path = config(dir.path(), &text(&sample.stdout));
    let check = output(&["execd", "--check", "--config", &path], b"never read");
    assert!(check.status.success(), "{check:?}");
    let path = config(dir.path(), &text(&check.stdout));
    let second = output(&["execd", "--check", "--config", &path], b"");
    assert_eq!(second.stdout, check.stdout, "the output is a configuration itself");
    assert!(text(&second.stdout).contains("false_alarm_rate = 1e-4"));
}

#[test]
fn signals_do_not_end_it_before_its_input_does() {
    let mut child = start(qualm(&["execd"]).stderr(Stdio::null()));
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    stdin.write_all(lines(0, 1).as_bytes()).unwrap();
    read_until(&mut stdout, "\n");
    for signal in ["-INT", "-TERM", "-INT"] {
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        stdin.write_all(lines(1, 1).as_bytes()).unwrap();
        read_until(&mut stdout, "\n");
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn it_waits_at_the_end_until_a_slow_reader_has_everything() {
    let mut child = start(qualm(&["execd"]).stderr(Stdio::null()));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(lines(0, 500).as_bytes()).unwrap();
    drop(stdin);
    for _ in 0..20 {
        thread::sleep(Duration::from_millis(20));
        assert!(child.try_wait().unwrap().is_none(), "it ended with its output unread");
    }
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!(out.lines().count(), 500);
    assert!(child.wait().unwrap().success());
}

#[test]
fn it_ends_where_the_reader_closed_the_pipe() {
    let mut child = start(qualm(&["execd"]).stderr(Stdio::piped()));
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    let _broken = stdin.write_all(lines(0, 500).as_bytes());
    drop(stdin);
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    assert!(text(&out.stderr).contains("E! qualm: "), "{out:?}");
}

#[test]
fn an_incomplete_line_is_released_in_time() {
    let mut child = start(qualm(&["execd"]).stderr(Stdio::null()));
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    stdin.write_all(b"m s=\"never closed,v=1 1\nm v=2 2\n").unwrap();
    // Also while more input arrives, which could still complete it.
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let writer = thread::spawn(move || {
        while stopped.recv_timeout(Duration::from_millis(10)).is_err() {
            stdin.write_all(b"m v=3 3\n").unwrap();
        }
    });
    let out = read_until(&mut stdout, "m v=3 3\n");
    assert!(out.starts_with("m s=\"never closed,v=1 1\nm v=2 2\n"), "{out}");
    stop.send(()).unwrap();
    writer.join().unwrap();
    assert!(child.wait().unwrap().success());
}

fn finish(mut child: Child, stdin: ChildStdin) -> String {
    drop(stdin);
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(child.wait().unwrap().success());
    log
}

#[test]
fn learnt_state_survives_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let path =
        config(dir.path(), &format!("[[detector]]\nmin_samples = 50\n[state]\ndir = {state:?}\ninterval = \"1s\""));
    let run = |input: &str| text(&output(&["execd", "--config", &path], input.as_bytes()).stdout);
    // The same without restarts, in a directory of its own.
    let whole_path = config(
        &fs::create_dir(dir.path().join("w")).map(|()| dir.path().join("w")).unwrap(),
        "[[detector]]\nmin_samples = 50",
    );
    let whole = text(&output(&["execd", "--config", &whole_path], lines(0, 300).as_bytes()).stdout);
    let parts = run(&lines(0, 100)) + &run(&lines(100, 100)) + &run(&lines(200, 100));
    assert_eq!(parts, whole, "a restart leaves the scores unchanged");

    // A concurrent second process reads the first one's state, and writes a file of its own.
    let spawn = || start(qualm(&["execd", "--config", &path]).stderr(Stdio::piped()));
    let mut both = [spawn(), spawn()].map(|mut child| (child.stdin.take().unwrap(), child));
    for (stdin, child) in &mut both {
        stdin.write_all(lines(300, 1).as_bytes()).unwrap();
        let line = read_until(child.stdout.as_mut().unwrap(), "\n");
        assert!(line.contains("anomaly_score"), "{line}");
    }
    let logs = both.map(|(stdin, child)| finish(child, stdin));
    assert!(logs.iter().filter(|log| log.contains("qualm-2.state")).count() == 1, "{logs:?}");

    // Damaged state is set aside, and the process starts without any.
    fs::remove_file(state.join("qualm-2.state")).unwrap();
    let file = state.join("qualm.state");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let out = output(&["execd", "--config", &path], lines(301, 1).as_bytes());
    assert_eq!(text(&out.stdout), lines(301, 1));
    assert!(text(&out.stderr).contains("it is damaged") && state.join("qualm.state.damaged").exists(), "{out:?}");
}

#[test]
fn state_is_saved_periodically_so_that_it_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let path =
        config(dir.path(), "[[detector]]\nmin_samples = 20\n[state]\ndir = \"${QUALM_TEST_STATE}\"\ninterval = \"1s\"");
    let state = dir.path().join("state");
    let command = || {
        let mut command = qualm(&["execd", "--config", &path]);
        command.env("QUALM_TEST_STATE", &state).stderr(Stdio::null());
        command
    };
    let mut child = start(&mut command());
    child.stdin.as_mut().unwrap().write_all(lines(0, 100).as_bytes()).unwrap();
    read_until(child.stdout.as_mut().unwrap(), &lines(99, 1)[..10]);
    let deadline = Instant::now() + Duration::from_mins(1);
    while !state.join("qualm.state").exists() {
        assert!(Instant::now() < deadline, "no state was saved");
        thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let mut child = start(&mut command());
    child.stdin.as_mut().unwrap().write_all(lines(100, 1).as_bytes()).unwrap();
    assert!(read_until(child.stdout.as_mut().unwrap(), "\n").contains("anomaly_score"));
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

/// As by systemd's `LimitAS=`. Lines are scored where the component can be compiled, and pass unscored otherwise.
#[test]
fn lines_pass_within_a_limited_address_space() {
    let input = lines(0, 300);
    let dir = tempfile::tempdir().unwrap();
    for (kilobytes, scores) in [(2_000_000, true), (500_000, true), (70_000, false)] {
        let script = format!("ulimit -v {kilobytes}; exec {} execd", env!("CARGO_BIN_EXE_qualm"));
        let mut child = Command::new("sh");
        child.args(["-c", &script]).env("XDG_CACHE_HOME", dir.path().join(kilobytes.to_string()));
        let out = common::output(&mut child, input.as_bytes());
        assert!(out.status.success(), "{out:?}");
        let (scored, log) = (text(&out.stdout), text(&out.stderr));
        assert_eq!(scored.lines().count(), 300, "{log}");
        assert_eq!(scored.contains("anomaly_score"), scores, "{kilobytes}: {log}");
        assert_eq!(log.contains("this process may have 68 MiB of address space"), !scores, "{log}");
    }
}
