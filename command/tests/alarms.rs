//! Which incidents `qualm execd` reports, and whose anomaly rate, with the detector in its sandbox.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::{fs, thread};

/// Runs `qualm execd` with this configuration of its one detector.
fn execd(dir: &tempfile::TempDir, detector: &str, input: &str) -> Output {
    let path = dir.path().join("qualm.toml");
    let of = if detector.contains("model = ") { "" } else { "min_samples = 50\n" };
    fs::write(&path, format!("[[detector]]\n{of}{detector}")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
    command.args(["execd", "--config", path.to_str().unwrap()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_owned());
    let writer = thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

fn lines(dir: &tempfile::TempDir, detector: &str, input: &str) -> Vec<String> {
    String::from_utf8(execd(dir, detector, input).stdout).unwrap().lines().map(str::to_owned).collect()
}

/// A series that swings between 0.5 and 6.5, every ten seconds, with a peak and later a dip.
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

/// What stands behind `key` in a line.
fn told<'a>(line: &'a str, key: &str) -> &'a str {
    let (_, behind) = line.split_once(key).unwrap_or_else(|| panic!("no {key} in {line}"));
    behind.split([',', ' ']).next().unwrap()
}

#[test]
fn a_rule_says_which_incidents_are_reported_and_leaves_the_scores_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let scores = |lines: &[String]| -> Vec<String> {
        lines[60..].iter().map(|line| told(line, "anomaly_score=").to_owned()).collect()
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
            assert!(told(line, "anomaly_score=").parse::<f64>().unwrap() > 1.0, "{line}");
            assert_eq!(told(line, "is_anomaly="), if expected { "1i" } else { "0i" }, "{rule}: {line}");
            assert_eq!(line.contains("anomaly_cause"), expected, "{rule}: {line}");
        }
    }
}

#[test]
fn a_least_deviation_is_in_the_metrics_own_unit() {
    let dir = tempfile::tempdir().unwrap();
    let lines = lines(&dir, "min_deviation = 500", &swings(1000.0));
    assert_eq!([PEAK, DIP].map(|at| told(&lines[at as usize], "is_anomaly=")), ["1i", "1i"]);
}

#[test]
fn an_incident_that_lasts_is_reported_by_a_rule_that_asks_for_it_and_then_until_its_end() {
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
        lines[first as usize..].iter().map(|line| told(line, "anomaly_score=").parse().unwrap()).collect();
    let over = scores.iter().position(|score| *score <= 0.5).unwrap() as u32;
    assert_eq!(first + over, last + 1, "it ends with its score");
}

/// Trains a model of these columns' history, and returns what was said.
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
fn a_model_brings_its_own_rules_where_it_can_keep_them() {
    let dir = tempfile::tempdir().unwrap();
    let trained = train(&dir, &["v"], "direction = \"above\", expected_range = [-inf, 50]");
    assert!(trained.status.success(), "{trained:?}");
    let told_of = |detector: &str| -> Vec<bool> {
        let input = "m v=2 1\nm v=40 2\nm v=100 3\nm v=-100 4\n";
        let lines = lines(&dir, detector, input);
        let verdicts = lines.iter().filter(|line| line.starts_with("anomaly,"));
        verdicts.map(|line| told(line, "is_anomaly=") == "1i").collect()
    };
    let of_model = "model = \"model\"\n".to_owned();
    assert_eq!(told_of(&of_model), [false, false, true, false]);
    assert_eq!(told_of(&(of_model + "explain = false\nexpected_range = [0, 1]")), [false, true, true, false]);

    let refused = train(&dir, &["v", "w"], "direction = \"above\"");
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && why.contains("`direction` is about one value"), "{why}");
}

#[test]
fn an_entity_in_trouble_has_a_high_anomaly_rate() {
    let dir = tempfile::tempdir().unwrap();
    let line = |at: u32, host: &str| {
        let field = |name: u32| {
            let trouble = host == "b" && at >= PEAK && name < 3;
            format!("f{name}={}", f64::from((at + name) % 7) + if trouble { 1000.0 } else { 0.5 })
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
    let of = |host: &str| -> Vec<&String> { rates.iter().filter(|line| told(line, "host=") == host).collect() };
    assert_eq!((of("a").len(), of("b").len()), (47, 47), "{rates:?}");
    assert!(of("a").iter().all(|line| line.contains("series=4i 17")), "{rates:?}");
    let trouble = "anomaly,host=b,detector=all anomaly_rate=0.75,anomalous=3i,series=4i 1700002980000000000";
    assert!(of("b").contains(&&trouble.to_owned()), "{rates:?}");
    let ordinary = |host: &str| of(host).iter().filter(|line| told(line, "anomaly_rate=") == "0").count();
    assert!(ordinary("a") >= 44 && ordinary("b") >= 38, "{rates:?}");
    // Another time round nothing of it is scored, nor counted.
    let again = lines(&dir, "anomaly_rate = { by = [] }", &(rates.join("\n") + "\n"));
    assert_eq!(again, rates);
}

#[test]
fn check_says_what_is_in_force() {
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
