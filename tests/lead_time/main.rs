//! Eight weeks in which all means drift by a standard deviation a week: how often is reported, with a model that stays and with
//! models that are trained again: `make lead-time`.
//!
//! The real binary runs; only its time is short. Lines have the times of the simulation, a minute apart, and are written so fast
//! that a day of theirs takes [`DAY`]. What the configuration calls a day takes as long.

#![expect(clippy::unwrap_used, reason = "what cannot go on has failed")]

mod stream;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use qualm_tests::{Server, tools};
use stream::{HOSTS, MINUTES_A_WEEK, START, Stream};

/// How long a simulated day takes. Trainings are not faster than they are, so that they seem to take hours.
const DAY: Duration = Duration::from_secs(3);
const WEEKS: usize = 8;

/// The share of rows that may be reported, and how many times as many may be in each week.
const RATE: f64 = 1e-3;
const MOST: f64 = 3.0;

fn main() -> ExitCode {
    let Some(qualm) = tools::qualm() else { return ExitCode::FAILURE };
    // As a textbook has it.
    let plain = format!("threshold = {{ contamination = {RATE} }}\nparameters = {{ baseline = 0 }}\n");
    let models = [
        Model {
            name: "pca-mahalanobis, defaults",
            spec: format!("threshold = {{ false_alarm_rate = {RATE} }}\nparameters = {{ baseline = 0 }}\n"),
            kind: "pca-mahalanobis",
        },
        Model { name: "zscore, fixed means and threshold", spec: plain.clone(), kind: "zscore" },
        Model { name: "pca-mahalanobis, fixed means and threshold", spec: plain, kind: "pca-mahalanobis" },
    ];
    let qualm = qualm.as_path();
    let runs = thread::scope(|scope| {
        let both = |model| [false, true].map(|retrain| scope.spawn(move || Run::new(qualm, model, retrain)));
        models.each_ref().map(both).map(|both| both.map(|run| run.join().unwrap()))
    });
    println!("Rows that are reported over the configured rate of {RATE}, by week:\n");
    println!("| model | | {} | trained |", (1..=WEEKS).map(|week| week.to_string()).collect::<Vec<_>>().join(" | "));
    println!("|---|---|{}---|", "---|".repeat(WEEKS));
    for (model, runs) in models.iter().zip(&runs) {
        for (how, run) in ["stays", "is trained again"].iter().zip(runs) {
            let ratios = run.ratios().map(|ratio| format!("{ratio:.1}")).join(" | ");
            println!("| {} | {how} | {ratios} | {} |", model.name, run.trained);
        }
    }
    let holds = |run: &Run| run.ratios().iter().all(|ratio| *ratio <= MOST);
    let [[default, default_again], [stays, again], _] = &runs;
    if holds(default) && holds(default_again) && holds(again) && stays.ratios()[0] > MOST {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// How a model is trained.
struct Model {
    name: &'static str,
    kind: &'static str,
    spec: String,
}

/// What became of eight weeks.
struct Run {
    reports: [u64; WEEKS],
    trained: u64,
}

impl Run {
    fn new(qualm: &Path, model: &Model, retrain: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut stream = Stream::new();
        train(qualm, model, dir.path(), &mut stream);
        let (day, half) = (DAY.as_millis(), DAY.as_millis() / 2);
        let config = format!(
            "[[detector]]\nname = \"server\"\nmodel = \"model\"\nrollout = \"shadow\"\npromote_after = \"{half}ms\"\n\
             watch_for = \"{day}ms\"\n[bundles]\npoll = \"1s\"\n[state]\ndir = \"{}\"\n[retrain]\nenabled = {retrain}\n\
             pause = \"{day}ms\"\n[http]\nlisten = \"127.0.0.1:0\"\n[limits]\ndeadline = \"2s\"\n",
            dir.path().join("state").display()
        );
        fs::write(dir.path().join("qualm.toml"), config).unwrap();
        let mut command = Command::new(qualm);
        let mut server = Server::start_as(command.args(["execd", "--config", "qualm.toml"]).current_dir(dir.path()));
        let (mut stdin, stdout) = (server.stdin(), server.stdout());
        let counting = thread::spawn(move || count(BufReader::new(stdout)));
        let hour = DAY / 24;
        let begin = Instant::now();
        for at in 0..WEEKS * 7 * 24 {
            stdin.write_all(stream.lines(60, true).as_bytes()).unwrap();
            thread::sleep((hour * (at as u32 + 1)).saturating_sub(begin.elapsed()));
        }
        let trained = server.metric("qualm_model_version", "") as u64;
        drop(stdin);
        let (status, log) = server.stop();
        assert!(status.success(), "{log}");
        if std::env::var_os("LEAD_TIME_LOG").is_some() {
            eprintln!("{log}");
        }
        Self { reports: counting.join().unwrap(), trained }
    }

    /// The reports of each week over as many as are configured.
    fn ratios(&self) -> [f64; WEEKS] {
        let expected = (MINUTES_A_WEEK * HOSTS) as f64 * RATE;
        self.reports.map(|reports| reports as f64 / expected)
    }
}

/// Trains on two weeks without drift.
fn train(qualm: &Path, model: &Model, dir: &Path, stream: &mut Stream) {
    fs::write(dir.join("history.lp"), stream.lines(2 * MINUTES_A_WEEK, false)).unwrap();
    let Model { kind, spec, .. } = model;
    let window = std::env::var("W").unwrap_or("1d".into());
    let spec = format!("detector = \"{kind}\"\ndrift_window = \"{window}\"\nentity = [\"host\"]\n{spec}");
    fs::write(dir.join("spec.toml"), spec).unwrap();
    let mut command = Command::new(qualm);
    command.args(["train", "--spec", "spec.toml", "--input", "history.lp", "--name", "server", "--out", "model"]);
    let done = command.current_dir(dir).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// The rows that are reported, by week.
fn count(output: impl BufRead) -> [u64; WEEKS] {
    let mut reports = [0; WEEKS];
    for line in output.lines().map_while(Result::ok).filter(|line| line.starts_with("anomaly,")) {
        let score: f64 = line.split_once("score=").unwrap().1.split([',', ' ']).next().unwrap().parse().unwrap();
        let time: i64 = line.rsplit_once(' ').unwrap().1.parse().unwrap();
        let week = (time / 60_000_000_000 - START) / MINUTES_A_WEEK as i64;
        if score > 1.0 {
            reports[(week as usize).min(WEEKS - 1)] += 1;
        }
    }
    reports
}
