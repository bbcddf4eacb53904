//! With an aggregator, Telegraf starts qualm twice with the same arguments: once for metrics, once for aggregates.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use qualm_tests::{Feeder, Site, Telegraf, children, config, fixtures, tools, until};

const MINMAX: &str = "[[aggregators.minmax]]\nperiod = \"200ms\"\nfieldinclude = [\"value\"]\n";

#[test]
fn two_processes_have_separate_states() {
    let (Some(qualm), Some(telegraf)) = (tools::qualm(), tools::telegraf()) else { return };
    let site = Site::new();
    let toml = site.quick_config("{ measurement = \"load\", include_fields = [\"value*\"] }");
    let fed = site.write("fed.lp", "");
    let conf =
        config::from_tail(&fed) + &config::qualm(&qualm, &toml) + MINMAX + &config::to_file(&site.path("out.lp"));

    // Twice: the second time, both find their state.
    for round in 1..=2 {
        let feeder = Feeder::start(&fed);
        let running = Telegraf::start(&telegraf, &site, &conf);
        let written = site.read_text("out.lp").len();
        let scored = |field: &str| {
            let out = site.read_text("out.lp");
            out[written..].lines().any(|line| line.contains(field) && line.contains("anomaly_score="))
        };
        until("scored metrics", || scored("value="));
        until("scored aggregates", || scored("value_max="));
        assert_eq!(children(running.pid()).len(), 2, "two copies");
        until("a state for each", || states(&site) >= 2);
        let _ = feeder.stop();
        running.stop();

        let log = fs::read_to_string(site.path("telegraf.log")).expect("a log");
        assert!(!log.contains("exited:"), "round {round}: a copy ended early:\n{log}");
        // Telegraf may log that it had stopped listening when a process that it stopped ended.
        let of_qualm = |line: &&str| line.contains("E! [processors.execd]") && !line.contains("file already closed");
        let complaints: Vec<&str> = log.lines().filter(of_qualm).collect();
        assert!(complaints.is_empty(), "round {round}: {complaints:#?}");
    }
}

/// The order in which the processes open the state directory is random, and must not decide which state each gets.
#[test]
fn each_process_finds_its_own_state_in_any_order_of_starts() {
    let Some(qualm) = tools::qualm() else { return };
    let site = Site::new();
    let toml = site.quick_config("{ measurement = \"load\" }");
    let lines = |field: &str, from: u64| -> String {
        let line = |n| format!("load,host=web-1 {field}={} {n}000000000\n", fixtures::noise(n));
        (from..from + 50).map(line).collect::<Vec<_>>().concat()
    };
    let mut metrics = Instance::start(&qualm, &toml);
    assert!(!metrics.first_scored(&lines("value", 0)), "a score without a warm-up says nothing");
    let mut aggregates = Instance::start(&qualm, &toml);
    assert!(!aggregates.first_scored(&lines("value_max", 0)), "a score without a warm-up says nothing");
    metrics.stop();
    aggregates.stop();

    // Each time the other one is first, and neither must overwrite the other's state.
    for run in 1..4 {
        let mut instances = [Instance::start(&qualm, &toml), Instance::start(&qualm, &toml)];
        for (copy, instance) in instances.iter_mut().enumerate() {
            let field = if copy == run % 2 { "value" } else { "value_max" };
            assert!(instance.first_scored(&lines(field, 50 * run as u64)), "run {run}: {field} warms up again");
        }
        let [one, other] = instances;
        one.stop();
        other.stop();
    }
}

/// One of the two processes, without Telegraf, so that the test controls the order.
struct Instance {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Instance {
    fn start(qualm: &Path, toml: &Path) -> Self {
        let mut command = Command::new(qualm);
        command
            .args(["execd", "--config"])
            .arg(toml)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().expect("qualm starts");
        let stdin = child.stdin.take().expect("stdin is piped");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Self { child, stdin, stdout }
    }

    /// Scores lines, and returns whether the first one has a score.
    fn first_scored(&mut self, lines: &str) -> bool {
        self.stdin.write_all(lines.as_bytes()).expect("qualm reads");
        let out: Vec<String> =
            self.stdout.by_ref().lines().take(lines.lines().count()).map(|line| line.expect("text")).collect();
        out[0].contains("anomaly_score=")
    }

    fn stop(self) {
        let Self { mut child, stdin, stdout } = self;
        drop(stdin);
        assert!(child.wait().expect("qualm ends").success());
        drop(stdout);
    }
}

/// The files that are not empty, as lock files are.
fn states(site: &Site) -> usize {
    let files = fs::read_dir(site.path("state")).expect("the state directory is there").flatten();
    files.filter(|file| file.metadata().is_ok_and(|file| file.is_file() && file.len() > 0)).count()
}
