//! Short-lived pods in `qualm execd`: a new one starts from its siblings, after a restart too.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Rows of a pod's life: a quarter of an hour, ten seconds each.
const ROWS: u32 = 90;

/// Runs `qualm execd` with this configuration on these lines, and returns what comes out.
fn execd(config: &Path, input: String) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
    command.args(["execd", "--config", config.to_str().unwrap()]);
    let output = common::output(&mut command, input);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The lines of consecutive pods, each with a level of its own. The last one's values are multiplied by `times` from row `begins`.
fn pods(pods: std::ops::Range<u32>, begins: u32, times: f64) -> String {
    let mut lines = String::new();
    for pod in pods.clone() {
        for row in 0..ROWS {
            let noise = f64::from((row * 7919 + pod * 104_729) % 1009) / 1009.0 - 0.5;
            let usual = f64::from(20 + pod * 37 % 100) * (1.0 + 0.3 * noise);
            let value = if pod + 1 < pods.end || row < begins { usual } else { times * usual };
            let time = 1_700_000_000 + u64::from(pod * ROWS + row) * 10;
            writeln!(lines, "cpu,pod=web-{pod} usage={value:.3} {time}000000000").unwrap();
        }
    }
    lines
}

/// The first row of a pod with a score, and its first anomaly.
fn first_rows(lines: &[String], pod: u32) -> [Option<usize>; 2] {
    let of_pod: Vec<_> = lines.iter().filter(|line| line.starts_with(&format!("cpu,pod=web-{pod} "))).collect();
    ["anomaly_score=", "is_anomaly=1i"].map(|what| of_pod.iter().position(|line| line.contains(what)))
}

#[test]
fn a_pod_is_scored_from_its_eleventh_row_and_its_incident_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("qualm.toml");
    let state = dir.path().join("state");
    fs::write(&config, format!("[[detector]]\nprior = \"siblings\"\n[state]\ndir = {state:?}\n")).unwrap();
    let lines = execd(&config, pods(0..12, 13, 0.0));
    assert_eq!(first_rows(&lines, 0), [None, None], "it has no siblings");
    for pod in 4..11 {
        assert_eq!(first_rows(&lines, pod), [Some(10), None], "{pod}");
    }
    assert_eq!(first_rows(&lines, 11), [Some(10), Some(13)]);
    let lines = execd(&config, pods(12..14, 40, 5.0));
    assert_eq!(
        [first_rows(&lines, 12), first_rows(&lines, 13)],
        [[Some(10), None], [Some(10), Some(40)]],
        "after a restart"
    );
}

#[test]
fn without_siblings_a_pod_of_a_quarter_of_an_hour_has_no_score() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("qualm.toml");
    fs::write(&config, "[[detector]]\nprior = \"none\"\n").unwrap();
    let lines = execd(&config, pods(0..12, 13, 0.0));
    assert!((0..12).all(|pod| first_rows(&lines, pod) == [None, None]));
}

#[test]
fn siblings_are_refused_beside_a_trained_model() {
    let dir = tempfile::tempdir().unwrap();
    let (csv, model) = (dir.path().join("m.csv"), dir.path().join("model"));
    let rows = (0..2000).map(|at| format!("{},{},{}\n", 1_700_000_000 + at * 10, at % 7, at % 11));
    fs::write(&csv, format!("time,a,b\n{}", rows.collect::<String>())).unwrap();
    let qualm = |arguments: &[&str]| Command::new(env!("CARGO_BIN_EXE_qualm")).args(arguments).output().unwrap();
    let [csv, model] = [&csv, &model].map(|path| path.to_str().unwrap());
    let trained = qualm(&["train", "--detector", "zscore", "--input", csv, "--out", model]);
    assert!(trained.status.success(), "{trained:?}");
    let config = dir.path().join("qualm.toml");
    fs::write(&config, format!("[[detector]]\nmodel = {model:?}\nprior = \"siblings\"\n")).unwrap();
    let checked = qualm(&["execd", "--check", "--config", config.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(!checked.status.success() && said.contains("`prior` is of no use beside a trained model"), "{said}");
}
