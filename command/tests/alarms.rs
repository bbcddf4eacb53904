//! Rules of incidents and anomaly rates in `qualm execd`, with the detector in its sandbox.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;
use std::process::{Command, Output};

/// Runs `qualm execd` with this configuration of its only detector.
fn execd(dir: &tempfile::TempDir, detector: &str, input: &str) -> Output {
    let path = dir.path().join("qualm.toml");
    let samples = if detector.contains("model = ") { "" } else { "min_samples = 50\n" };
    fs::write(&path, format!("[[detector]]\n{samples}{detector}")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
    command.args(["execd", "--config", path.to_str().unwrap()]);
    let output = common::output(&mut command, input);
    assert!(output.status.success(), "{output:?}");
    output
}

fn lines(dir: &tempfile::TempDir, detector: &str, input: &str) -> Vec<String> {
    String::from_utf8(execd(dir, detector, input).stdout).unwrap().lines().map(str::to_owned).collect()
}

/// The rows of a peak and of a dip in a series that is else between 0.5 and 6.5, at an interval of ten seconds.
const PEAK: u32 = 300;
const DIP: u32 = 700;

fn swings(times: f64) -> String {
    let value = |at| match at {
        PEAK => 100.0,
        DIP => -100.0,
        _ => f64::from(at % 7) + 0.5,
    };
    (0..740).map(|at| format!("m,host=a v={} {}0000000000\n", times * value(at), 170_000_000 + at)).collect()
}

/// The value behind `key` in a line.
fn value_of<'a>(line: &'a str, key: &str) -> &'a str {
    let (_, behind) = line.split_once(key).unwrap_or_else(|| panic!("no {key} in {line}"));
    behind.split([',', ' ']).next().unwrap()
}

#[test]
fn rules_select_reported_incidents_and_do_not_change_scores() {
    let dir = tempfile::tempdir().unwrap();
    let scores = |lines: &[String]| -> Vec<String> {
        lines[60..].iter().map(|line| value_of(line, "anomaly_score=").to_owned()).collect()
    };
    let plain = lines(&dir, "", &swings(1.0));
    for (rule, peak, dip) in [
        ("", true, true),
        ("direction = \"above\"", true, false),
        ("direction = \"below\"", false, true),
        ("min_deviation = 20", true, true),
        ("min_deviation = 500", false, false),
        ("min_deviation = 20\ndirection = \"above\"\nexplain = false", true, false),
        ("expected_range = [-200, 50]", true, false),
        ("expected_range = [-inf, inf]", false, false),
        ("sustained = \"2 of 2\"\ndirection = \"above\"", false, false),
    ] {
        let lines = lines(&dir, rule, &swings(1.0));
        assert_eq!(scores(&lines), scores(&plain), "{rule}");
        for (at, expected) in [(PEAK, peak), (DIP, dip)] {
            let line = &lines[at as usize];
            assert!(value_of(line, "anomaly_score=").parse::<f64>().unwrap() > 1.0, "{line}");
            assert_eq!(value_of(line, "is_anomaly="), if expected { "1i" } else { "0i" }, "{rule}: {line}");
            assert_eq!(line.contains("anomaly_cause"), expected, "{rule}: {line}");
        }
    }
}

#[test]
fn min_deviation_is_in_the_metrics_unit() {
    let dir = tempfile::tempdir().unwrap();
    let lines = lines(&dir, "min_deviation = 500", &swings(1000.0));
    assert_eq!([PEAK, DIP].map(|at| value_of(&lines[at as usize], "is_anomaly=")), ["1i", "1i"]);
}

#[test]
fn a_sustained_incident_is_reported_until_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let value = |at: u32| f64::from(at % 7) + if (PEAK..PEAK + 30).contains(&at) { 100.0 } else { 0.5 };
    let input: String =
        (0..400).map(|at| format!("m,host=a v={} {}0000000000\n", value(at), 170_000_000 + at)).collect();
    let lines = lines(&dir, "sustained = \"3 of 5\"", &input);
    let anomalies: Vec<_> = (0_u32..).zip(&lines).filter(|(_, line)| line.contains("is_anomaly=1i")).collect();
    let [(first, _), .., (last, _)] = anomalies[..] else { panic!("{anomalies:?}") };
    assert!(first == PEAK + 2 && last < 399 && last - first + 1 == anomalies.len() as u32, "{anomalies:?}");
    assert!(anomalies.iter().all(|(_, line)| line.contains("anomaly_cause=\"v\"")), "{anomalies:?}");
    let scores: Vec<f64> =
        lines[first as usize..].iter().map(|line| value_of(line, "anomaly_score=").parse().unwrap()).collect();
    let over = scores.iter().position(|score| *score <= 0.5).unwrap() as u32;
    assert_eq!(first + over, last + 1, "it ends with its score");
}

/// Trains a model of these columns, and returns the command's output.
fn train(dir: &tempfile::TempDir, columns: &[&str], suppression: &str) -> Output {
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let value = |at: u32, column: usize| f64::from((at * 37 + column as u32 * 11) % 101) / 25.0;
    let row = |at| {
        let values: Vec<_> = (0..columns.len()).map(|column| value(at, column).to_string()).collect();
        format!("{},{}\n", 1_600_000_000 + at * 60, values.join(","))
    };
    let rows: String = (0..2000).map(row).collect();
    fs::write(path("h.csv"), format!("time,{}\n{rows}", columns.join(","))).unwrap();
    fs::write(path("spec.toml"), format!("detector = \"zscore\"\nsuppression = {{ {suppression} }}\n")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
    command.args(["train", "--spec", &path("spec.toml"), "--input", &path("h.csv"), "--measurement", "m"]);
    command.args(["--out", &path("model")]).output().unwrap()
}

#[test]
fn a_models_own_rules_apply_and_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let trained = train(&dir, &["v"], "direction = \"above\", expected_range = [-inf, 50]");
    assert!(trained.status.success(), "{trained:?}");
    let anomalies = |detector: &str| -> Vec<bool> {
        // Each far worse than the one before, which the detector reports however little of it counts.
        let input = "m v=2 1\nm v=40 2\nm v=400 3\nm v=-4000 4\n";
        let lines = lines(&dir, detector, input);
        let verdicts = lines.iter().filter(|line| line.starts_with("anomaly,"));
        verdicts.map(|line| value_of(line, "is_anomaly=") == "1i").collect()
    };
    let of_model = "model = \"model\"\n".to_owned();
    assert_eq!(anomalies(&of_model), [false, false, true, false]);
    assert_eq!(anomalies(&(of_model + "explain = false\nexpected_range = [0, 1]")), [false, true, true, false]);

    let refused = train(&dir, &["v", "w"], "direction = \"above\"");
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && why.contains("`direction` is about one value"), "{why}");
}

#[test]
fn an_entity_with_anomalies_has_a_high_anomaly_rate() {
    let dir = tempfile::tempdir().unwrap();
    let line = |at: u32, host: &str| {
        let field = |name: u32| {
            let is_anomalous = host == "b" && at >= PEAK && name < 3;
            format!("f{name}={}", f64::from((at + name) % 7) + if is_anomalous { 1000.0 } else { 0.5 })
        };
        let fields: Vec<_> = (0..4).map(field).collect();
        format!("m,host={host} {} {}0000000000\n", fields.join(","), 170_000_000 + at)
    };
    let input: String = (0..PEAK + 30).flat_map(|at| [line(at, "a"), line(at, "b")]).collect();
    let plain = lines(&dir, "", &input);
    let with = lines(&dir, "name = \"all\"\nanomaly_rate = {}\ncooldown = \"1h\"\n[limits]\n", &input);
    let (rates, others): (Vec<_>, Vec<_>) = with.into_iter().partition(|line| line.starts_with("anomaly,"));
    let without_verdict = |lines: &[String]| -> Vec<String> {
        lines.iter().map(|line| line.split(",is_anomaly").next().unwrap().to_owned()).collect()
    };
    assert_eq!(without_verdict(&others), without_verdict(&plain), "every line comes out, with its score");
    // The first scores come after some fifty rows, in the ninth minute; the last of the 56 has not ended.
    let of = |host: &str| -> Vec<&String> { rates.iter().filter(|line| value_of(line, "host=") == host).collect() };
    assert_eq!((of("a").len(), of("b").len()), (47, 47), "{rates:?}");
    assert!(of("a").iter().all(|line| line.contains("series=4i 17")), "{rates:?}");
    let high = "anomaly,host=b,detector=all anomaly_rate=0.75,anomalous=3i,series=4i 1700002980000000000";
    assert!(of("b").contains(&&high.to_owned()), "{rates:?}");
    let ordinary = |host: &str| of(host).iter().filter(|line| value_of(line, "anomaly_rate=") == "0").count();
    assert!(ordinary("a") >= 44 && ordinary("b") >= 38, "{rates:?}");
    // Rates that are scored again are neither scored nor counted.
    let again = lines(&dir, "anomaly_rate = { by = [] }", &(rates.join("\n") + "\n"));
    assert_eq!(again, rates);
}

#[test]
fn check_prints_the_rules() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("qualm.toml");
    fs::write(&path, "[[detector]]\ndirection = \"above\"\nexpected_range = [0, 80]\nanomaly_rate = {}\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
    let output = command.args(["execd", "--check", "--config", path.to_str().unwrap()]).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    for line in [
        "direction = \"above\"",
        "expected_range = [0.0, 80.0]",
        "anomaly_rate = { by = [\"host\"], interval = \"1m\" }",
    ] {
        assert!(printed.contains(line), "{printed}");
    }
}
