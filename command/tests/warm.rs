//! `qualm warm`: history is learnt as a live run learns it, and the first live row is scored.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use clap::Parser;
use qualm::Pipeline;
use qualm::config::Config;
use qualm::state::StateFile;
use qualm_command::failure::Failure;
use qualm_command::warm::{Error, Options, Summary, warm};
use rustix::process::{Pid, Signal, kill_process};

/// The first time of history, in seconds since 1970.
const START: u32 = 1_700_000_000;

/// Lines of two series, a second apart.
fn lines(from: u32, until: u32) -> String {
    let value = |at: u32, by: u32| f64::from(at * by % 101) / 8.0 + f64::from(at % 7);
    let line = |at| {
        let time = START + at;
        format!("m,host=a v={},w={}i {time}000000000\n", value(at, 37), at * 13 % 29)
            + &format!("m,host=b v={} {time}000000000\n", value(at, 11))
    };
    (from..until).map(line).collect()
}

/// A directory with a configuration and its state.
struct Site {
    dir: tempfile::TempDir,
}

impl Site {
    fn new(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let site = Self { dir };
        let state = site.path("state").display().to_string();
        fs::write(site.path("qualm.toml"), format!("[state]\ndir = {state:?}\ninterval = \"1s\"\n{more}")).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    fn qualm(&self, command: &str, arguments: &[&str], input: &str) -> Output {
        let config = self.path("qualm.toml");
        let mut qualm = Command::new(env!("CARGO_BIN_EXE_qualm"));
        common::output(qualm.args([command, "--config", config.to_str().unwrap()]).args(arguments), input)
    }

    fn config(&self) -> Config {
        Config::read(&self.path("qualm.toml")).unwrap()
    }

    /// Runs in this process; with `stop` for one batch only.
    fn warm(&self, arguments: &[&str], stop: bool) -> Result<Summary, Error> {
        let config = self.path("qualm.toml");
        let Cli { options } = Cli::parse_from([&["qualm", "--config", config.to_str().unwrap()], arguments].concat());
        warm(&options, &self.config(), &AtomicBool::new(stop))
    }
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    options: Options,
}

/// The bits of a pipeline's scores of lines.
fn scores(mut pipeline: Pipeline, lines: &str) -> Vec<u64> {
    let mut bits = Vec::new();
    for part in lines.split_inclusive('\n') {
        pipeline.input()[..part.len()].copy_from_slice(part.as_bytes());
        pipeline.run(part.len(), 0);
        bits.extend(pipeline.verdicts().map(|verdict| verdict.score.to_bits()));
    }
    bits
}

/// The bits of the live scores of one run over history and live lines.
fn expected(site: &Site, history: &str, live: &str) -> Vec<u64> {
    let mut pipeline = Pipeline::start_offline(&site.config()).unwrap();
    pipeline.score_body(history.as_bytes(), 0, &mut Vec::new());
    scores(pipeline, live)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn live_rows_are_scored_as_if_history_had_been_live() {
    let site = Site::new("");
    let (history, live) = (lines(0, 500), lines(500, 600));
    let input = site.write("history.lp", &history);
    let out = site.qualm("warm", &["--input", &input, "--json"], "");
    assert!(out.status.success(), "{out:?}");
    let summary: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!(
        (&summary["rows"], &summary["series"], &summary["ready"]),
        (&1000.into(), &3.into(), &3.into()),
        "{summary}"
    );
    assert_eq!((&summary["for"], &summary["first"]), (&"execd".into(), &"2023-11-14T22:13:20Z".into()), "{summary}");
    assert!(!site.path("state/warm.partial").exists());

    let bits = scores(Pipeline::start(&site.config()).unwrap(), &live);
    assert_eq!(bits, expected(&site, &history, &live));
    assert!(bits.iter().all(|bits| !f64::from_bits(*bits).is_nan()), "every row is scored");

    let scored = text(&site.qualm("execd", &[], &live).stdout);
    assert!(scored.lines().all(|line| line.contains(",anomaly_score=")), "{scored}");
    let without = Site::new("[[detector]]\n");
    let all = text(&without.qualm("execd", &[], &format!("{history}{live}")).stdout);
    assert!(all.ends_with(&scored) && !all.lines().next().unwrap().contains("anomaly_score"));
}

#[test]
fn state_of_another_time_zone_is_learnt_anew() {
    let site = Site::new("[[detector]]\ntimezone = \"Europe/Berlin\"\n");
    let input = site.write("history.lp", &lines(0, 500));
    assert!(site.qualm("warm", &["--input", &input], "").status.success());
    let same = site.qualm("execd", &[], &lines(500, 510));
    assert!(text(&same.stdout).lines().all(|line| line.contains(",anomaly_score=")), "{same:?}");
    assert!(!text(&same.stderr).contains("learns"), "{same:?}");

    let toml = fs::read_to_string(site.path("qualm.toml")).unwrap();
    site.write("qualm.toml", &toml.replace("Europe/Berlin", "UTC"));
    let other = site.qualm("execd", &[], &lines(510, 520));
    assert_eq!(text(&other.stdout), lines(510, 520), "nothing is scored");
    let log = text(&other.stderr);
    assert!(log.contains("detector `all` learns 3 series or more anew: "), "{log}");
    assert!(log.contains("its days are those of Europe/Berlin, and now those of UTC count"), "{log}");
    assert!(site.path("state/qualm.state.damaged").exists(), "the state of the other zone is kept");
}

#[test]
fn a_run_interrupted_after_each_batch_learns_the_same() {
    let (history, live) = (lines(0, 60_000), lines(60_000, 60_100));
    assert!(history.len() > 3 << 20, "several batches");
    let site = Site::new("");
    let input = site.write("history.lp", &history);
    let mut stops = 0;
    let summary = loop {
        match site.warm(&["--input", &input], true) {
            Ok(summary) => break summary,
            Err(Error::Stopped { .. }) => stops += 1,
            Err(other) => panic!("{other}"),
        }
        assert!(!site.path("state/qualm.state").exists(), "there is no state before it ends");
    };
    assert!(stops >= 3 && summary.resumed, "{stops} stops");
    assert_eq!((summary.rows(), summary.series, summary.ready), (120_000, 3, 3));
    let bits = scores(Pipeline::start(&site.config()).unwrap(), &live);
    assert_eq!(bits, expected(&site, &history, &live));
}

#[test]
fn a_signal_or_a_kill_loses_nothing() {
    let (history, live) = (lines(0, 300_000), lines(300_000, 300_100));
    let site = Site::new("");
    let input = site.write("history.lp", &history);
    let start = || {
        let config = site.path("qualm.toml");
        let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
        command.args(["warm", "--config", config.to_str().unwrap(), "--input", &input]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let end = |child: &std::process::Child, signal| kill_process(Pid::from_child(child), signal).unwrap();

    let child = start();
    while !site.path("state/qualm.lock").exists() {
        thread::sleep(Duration::from_millis(1)); // until then a signal ends it at once
    }
    thread::sleep(Duration::from_millis(50));
    end(&child, Signal::TERM);
    let out = child.wait_with_output().unwrap();
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    let log = text(&out.stderr);
    assert!(log.contains("stopped after ") && log.contains("the same command goes on from there"), "{log}");

    // Another task is refused.
    let other = site.write("other.lp", &lines(0, 200));
    let out = site.qualm("warm", &["--input", &other], "");
    assert_eq!(out.status.code(), Some(2));
    let log = text(&out.stderr);
    assert!(log.contains("history.lp that did not end") && log.contains("--restart"), "{log}");

    let mut child = start();
    thread::sleep(Duration::from_millis(100));
    end(&child, Signal::KILL);
    let _killed = child.wait().unwrap();

    let summary = match site.warm(&["--input", &input], false) {
        Err(Error::StateExists { .. }) => site.warm(&["--input", &input, "--replace"], false),
        summary => summary,
    };
    assert_eq!(summary.unwrap().rows(), 600_000);
    let bits = scores(Pipeline::start(&site.config()).unwrap(), &live);
    assert_eq!(bits, expected(&site, &history, &live));
}

#[test]
fn live_state_is_not_replaced_without_consent_nor_under_a_running_process() {
    let site = Site::new("");
    let input = site.write("history.lp", &lines(0, 500));
    let running = StateFile::open(&site.path("state"), 1).unwrap();
    let out = site.qualm("warm", &["--input", &input], "");
    assert_eq!(out.status.code(), Some(2), "{out:?}");
    assert!(text(&out.stderr).contains("is in use") && text(&out.stderr).contains("Stop it"), "{out:?}");
    drop(running);

    let _learnt = site.qualm("execd", &[], &lines(0, 150));
    let before = fs::read(site.path("state/qualm.state")).unwrap();
    let out = site.qualm("warm", &["--input", &input], "");
    assert_eq!(out.status.code(), Some(2), "{out:?}");
    assert!(text(&out.stderr).contains("--replace"), "{out:?}");
    assert_eq!(fs::read(site.path("state/qualm.state")).unwrap(), before);
    let out = site.qualm("warm", &["--input", &input, "--replace"], "");
    assert!(out.status.success() && text(&out.stdout).contains("is set aside"), "{out:?}");
    assert_eq!(fs::read(site.path("state/qualm.state.replaced")).unwrap(), before);
    let scored = text(&site.qualm("execd", &[], &lines(500, 501)).stdout);
    assert!(scored.lines().all(|line| line.contains(",anomaly_score=")), "{scored}");
}

#[test]
fn another_users_directory_is_left_alone() {
    let site = Site::new("");
    let state = site.path("state");
    fs::create_dir(&state).unwrap();
    if std::os::unix::fs::chown(&state, Some(12_345), None).is_err() {
        return; // only root can give a directory away, and needs this check
    }
    let input = site.write("history.lp", &lines(0, 200));
    let refused = Failure::from(site.warm(&["--input", &input], false).unwrap_err());
    assert!(refused.exit_code() == 2 && refused.to_string().contains("sudo -u '#12345'"), "{refused}");
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0);
}

#[test]
fn each_endpoint_has_a_state_of_its_own() {
    let site = Site::new("[influxdb]\nforward = \"http://127.0.0.1:1\"\n");
    let input = site.write("history.lp", &lines(0, 200));
    let summary = site.warm(&["--input", &input], false).unwrap();
    assert_eq!((summary.endpoint, summary.state), ("influxdb", site.path("state/influxdb/qualm.state")));
    let summary = site.warm(&["--input", &input, "--for", "execd"], false).unwrap();
    assert_eq!((summary.endpoint, summary.state), ("execd", site.path("state/qualm.state")));
    let both = Site::new("[influxdb]\nforward = \"http://a\"\n[vector]\nforward = \"http://127.0.0.1:1\"\n");
    let refused = both.warm(&["--input", &input], false).unwrap_err();
    assert!(refused.to_string().contains("say --for influxdb or --for vector"), "{refused}");
    assert!(both.warm(&["--input", &input, "--for", "vector"], false).is_ok());
    assert!(both.path("state/vector/qualm.state").exists());
}

/// A database has scores, verdicts and other tags, too.
#[test]
fn history_is_converted_to_live_metrics() {
    let site = Site::new("");
    let live = lines(500, 600);
    let scored: String = lines(0, 500)
        .lines()
        .map(|line| {
            line.replace("m,host", "m,rack=7,host").replace(" v=", " anomaly_score=0.25,is_anomaly=0i,v=") + "\n"
        })
        .collect();
    let own = "anomaly,host=a,detector=x score=0.5,is_anomaly=0i 1700000500000000000\n";
    let input = site.write("history.lp", &format!("{scored}{own}"));
    let out = site.qualm("warm", &["--input", &input, "--drop-tag", "rack"], "");
    let printed = text(&out.stdout);
    assert!(printed.contains("3 of 3 series") && printed.contains("1000 rows had been scored before"), "{printed}");
    let bits = scores(Pipeline::start(&site.config()).unwrap(), &live);
    assert_eq!(bits, expected(&site, &lines(0, 500), &live));

    let site = Site::new("");
    let rows: String = (0..300).map(|at| format!("{},{}\n", START + at, at % 7)).collect();
    let csv = site.write("history.csv", &format!("time,v\n{rows}"));
    let refused = site.warm(&["--input", &csv], false).unwrap_err().to_string();
    assert!(refused.starts_with("--name: "), "{refused}");
    site.warm(&["--input", &csv, "--name", "m", "--add-tag", "host=a"], false).unwrap();
    let scored = text(&site.qualm("execd", &[], &format!("m,host=a v=3 {}000000000\n", START + 300)).stdout);
    assert!(scored.contains("anomaly_score"), "{scored}");
}

#[test]
fn errors_have_a_remedy() {
    let site = Site::new("[[detector]]\nselect = { measurement = \"m\" }\n");
    let backwards: String = lines(0, 100).lines().rev().map(|line| line.to_owned() + "\n").collect();
    let path = |name: &str| Path::new(&site.path(name)).to_str().unwrap().to_owned();
    site.write("backwards.lp", &backwards);
    site.write("other.lp", &lines(0, 100).replace("m,", "n,"));
    site.write("good.lp", &lines(0, 500));
    site.write("backwards-once.lp", &(lines(0, 200) + &lines(199, 400)));
    for (input, code, what) in [
        ("backwards.lp", 1, "in order of time. Sort the rows by time"),
        ("other.lp", 1, "of 200 rows none has a numeric field that the configuration selects"),
        ("none.lp", 2, "none.lp: "),
    ] {
        let out = site.qualm("warm", &["--input", &path(input)], "");
        assert_eq!((out.status.code(), text(&out.stderr).contains(what)), (Some(code), true), "{out:?}");
        assert!(!site.path("state/qualm.state").exists(), "{input}");
        // Progress of a finished run must not block the next one.
        assert!(!site.path("state/warm.partial").exists(), "{input}");
    }
    for (arguments, what) in [
        (&["--influx", "localhost", "--since", "1d"][..], "--influx: `localhost` must start with http"),
        (&["--prometheus", "http://127.0.0.1:1", "--since", "1d"], "--step: say how far apart"),
        (&["--prometheus", "http://127.0.0.1:1", "--since", "1d", "--step", "10s"], "is Prometheus there"),
        (&["--influx", "http://127.0.0.1:1", "--since", "1d"], "is InfluxDB there"),
        (&["--input", "a.lp", "--add-tag", "x"], "KEY=VALUE"),
    ] {
        let out = site.qualm("warm", arguments, "");
        assert_eq!((out.status.code(), text(&out.stderr).contains(what)), (Some(2), true), "{out:?}");
    }
    let out = site.qualm("warm", &["--input", &path("backwards-once.lp")], "");
    assert!(out.status.success(), "{out:?}");
    let nowhere = site.path("nowhere.toml");
    fs::write(&nowhere, "").unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_qualm"))
        .args(["warm", "--config", nowhere.to_str().unwrap(), "--input", &path("good.lp")])
        .output()
        .unwrap();
    assert_eq!((out.status.code(), text(&out.stderr).contains("has no [state] `dir`")), (Some(2), true), "{out:?}");
}
