//! Eight weeks in which all means drift by a standard deviation a week: which false positives there are and which incidents are found,
//! with a model that stays and with models that are trained again: `make lead-time`.
//!
//! The real binary runs; only its time is short. Lines have the times of the simulation, a minute apart, and are written so fast
//! that a day of theirs takes [`DAY`]. What the configuration calls a day takes as long.

#![expect(clippy::unwrap_used, reason = "what cannot go on has failed")]

mod stream;

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use qualm_tests::{Server, tools};
use stream::{HOSTS, MINUTES_A_DAY, MINUTES_A_WEEK, Of, START, Stream};

/// How long a simulated day takes. Trainings are not faster than they are, so that they seem to take hours.
const DAY: Duration = Duration::from_secs(3);
const WEEKS: usize = 8;

/// The share of ordinary rows that may be reported, and how many times as many may be in each week.
const RATE: f64 = 1e-3;
const MOST: f64 = 3.0;

fn main() -> ExitCode {
    let Some(qualm) = tools::qualm() else { return ExitCode::FAILURE };
    let adaptive = format!("threshold = {{ false_alarm_rate = {RATE} }}\n");
    let models = [
        Model { name: "pca-mahalanobis, defaults", kind: "pca-mahalanobis", spec: adaptive.clone() },
        Model {
            name: "pca-mahalanobis, means of training",
            kind: "pca-mahalanobis",
            spec: format!("{adaptive}parameters = {{ baseline = 0 }}\n"),
        },
        // As a textbook has it.
        Model {
            name: "zscore, means of training, fixed threshold",
            kind: "zscore",
            spec: format!("threshold = {{ contamination = {RATE} }}\nparameters = {{ baseline = 0 }}\n"),
        },
    ];
    let qualm = qualm.as_path();
    let runs = thread::scope(|scope| {
        let both = |model| [false, true].map(|retrain| scope.spawn(move || Run::new(qualm, model, retrain)));
        models.each_ref().map(both).map(|both| both.map(|run| run.join().unwrap()))
    });
    let table = |of: &dyn Fn(&Run) -> [String; WEEKS]| {
        println!(
            "| model | | {} | versions |",
            (1..=WEEKS).map(|week| week.to_string()).collect::<Vec<_>>().join(" | ")
        );
        println!("|---|---|{}---|", "---|".repeat(WEEKS));
        for (model, runs) in models.iter().zip(&runs) {
            for (how, run) in ["stays", "is trained again"].iter().zip(runs) {
                println!("| {} | {how} | {} | {} |", model.name, of(run).join(" | "), run.versions);
            }
        }
    };
    println!("Ordinary rows that are reported, over the configured rate of {RATE}, by week:\n");
    table(&|run| run.ratios().map(|ratio| format!("{ratio:.1}")));
    println!("\nIncidents that are reported, in %, by week:\n");
    table(&|run| run.found.map(|found| format!("{:.0}", 100.0 * found as f64 / (7 * HOSTS) as f64)));
    let holds = |run: &Run| run.ratios().iter().all(|ratio| *ratio <= MOST);
    let [[_, defaults], [_, again], [textbook, _]] = &runs;
    if holds(defaults) && holds(again) && textbook.ratios()[0] > MOST { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How a model is trained.
struct Model {
    name: &'static str,
    kind: &'static str,
    spec: String,
}

/// What became of eight weeks.
struct Run {
    /// By week, ordinary rows that were reported, and incidents.
    reports: [u64; WEEKS],
    found: [u64; WEEKS],
    /// How many versions of the model there were.
    versions: u64,
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
        let versions = server.metric("qualm_model_version", "") as u64;
        drop(stdin);
        let (status, log) = server.stop();
        assert!(status.success(), "{log}");
        if std::env::var_os("LEAD_TIME_LOG").is_some() {
            eprintln!("{log}");
        }
        let (reports, found) = counting.join().unwrap();
        Self { reports, found, versions }
    }

    /// The ordinary rows of each week that were reported, over as many as are configured.
    fn ratios(&self) -> [f64; WEEKS] {
        let expected = (MINUTES_A_WEEK * HOSTS) as f64 * RATE;
        self.reports.map(|reports| reports as f64 / expected)
    }
}

/// Trains on two weeks without drift.
fn train(qualm: &Path, model: &Model, dir: &Path, stream: &mut Stream) {
    fs::write(dir.join("history.lp"), stream.lines(2 * MINUTES_A_WEEK, false)).unwrap();
    let Model { kind, spec, .. } = model;
    let spec = format!("detector = \"{kind}\"\nentity = [\"host\"]\n{spec}");
    fs::write(dir.join("spec.toml"), spec).unwrap();
    let mut command = Command::new(qualm);
    command.args(["train", "--spec", "spec.toml", "--input", "history.lp", "--name", "server", "--out", "model"]);
    let done = command.current_dir(dir).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// The ordinary rows that are reported, and the incidents, by week.
fn count(output: impl BufRead) -> ([u64; WEEKS], [u64; WEEKS]) {
    let (mut reports, mut found, mut incidents) = ([0; WEEKS], [0; WEEKS], HashSet::new());
    for line in output.lines().map_while(Result::ok).filter(|line| line.starts_with("anomaly,")) {
        let of = |key: &str| line.split_once(key).unwrap().1.split([',', ' ']).next().unwrap();
        let score: f64 = of("score=").parse().unwrap();
        let host: usize = of("host=h").parse().unwrap();
        let minute = line.rsplit_once(' ').unwrap().1.parse::<i64>().unwrap() / 60_000_000_000;
        let since = (minute - START) as usize;
        let week = (since / MINUTES_A_WEEK).min(WEEKS - 1);
        if score > 1.0 {
            match stream::of(minute, host) {
                Of::Ordinary => reports[week] += 1,
                Of::Incident => found[week] += u64::from(incidents.insert((host, since / MINUTES_A_DAY))),
                Of::Aftermath => {}
            }
        }
    }
    (reports, found)
}
