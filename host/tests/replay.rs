//! `qualm replay`: the same scores as live, from whichever format.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Rows of two fields that swing, one with a gap and a spike, a minute apart.
fn rows() -> Vec<(i64, Option<f64>, f64)> {
    (0..400_i64)
        .map(|at| {
            let a = (at % 50 != 7).then_some((at * 37 % 11) as f64 / 8.0);
            let b = if at == 333 { 1e4 } else { (at * 13 % 7) as f64 };
            (1_700_000_000 + at * 60, a, b)
        })
        .collect()
}

fn lines() -> String {
    let line = |&(time, a, b): &(i64, Option<f64>, f64)| {
        let a = a.map_or_else(String::new, |a| format!("a={a},"));
        format!("replay {a}b={b} {time}000000000\n")
    };
    rows().iter().map(line).collect()
}

fn csv() -> String {
    let row = |&(time, a, b): &(i64, Option<f64>, f64)| {
        format!("{time},{},{b}\n", a.map_or_else(String::new, |a| a.to_string()))
    };
    "time,a,b\n".to_owned() + &rows().iter().map(row).collect::<String>()
}

fn jsonl() -> String {
    let row = |&(time, a, b): &(i64, Option<f64>, f64)| {
        format!("{{\"time\":{time},\"a\":{},\"b\":{b}}}\n", a.map_or_else(|| "null".to_owned(), |a| a.to_string()))
    };
    rows().iter().map(row).collect()
}

fn qualm(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qualm"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let _unread = writer.join().unwrap();
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Replays `content`, and returns the file of scores as cells.
fn replay(dir: &Path, name: &str, content: &str) -> Vec<Vec<String>> {
    let (input, scores) = (dir.join(name), dir.join("scores.csv"));
    fs::write(&input, content).unwrap();
    let out =
        qualm(&["replay", "--input", input.to_str().unwrap(), "--scores", scores.to_str().unwrap(), "--json"], "");
    assert!(out.status.success(), "{out:?}");
    let summary = text(&out.stdout);
    assert!(summary.contains("\"rows\":400") && summary.contains("\"malformed\":0"), "{summary}");
    let scores = fs::read_to_string(scores).unwrap();
    scores.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn scores_are_those_of_live_metrics_to_the_bit_whatever_the_format() {
    let dir = tempfile::tempdir().unwrap();
    let from_csv = replay(dir.path(), "history.csv", &csv());
    let from_lines = replay(dir.path(), "history.lp", &lines());
    let from_json = replay(dir.path(), "history.jsonl", &jsonl());
    assert_eq!(from_csv[0], ["time", "a", "b", "score"]);
    assert_eq!(from_lines[0], ["time", "all", "score"]);
    assert_eq!((from_csv.len(), from_lines.len()), (401, 401));
    assert_eq!(from_csv[1], ["2023-11-14T22:13:20Z", "", "", ""], "no score before the warm-up ends");
    assert_eq!(from_csv[358][1], "", "none for a value that is missing");
    assert!(!from_csv[358][2].is_empty() && from_csv[358][2] == from_csv[358][3]);
    for row in 1..=400 {
        let score = &from_csv[row][3];
        assert_eq!((&from_lines[row][2], &from_json[row][2]), (score, score), "row {row}");
    }

    let live = text(&qualm(&["execd"], &lines()).stdout);
    let mut compared = 0;
    for (row, line) in live.lines().enumerate() {
        let live = line.split_once("anomaly_score=").map(|(_, rest)| rest.split(',').next().unwrap());
        let score = from_csv[row + 1][3].parse::<f64>().ok();
        assert_eq!(live.is_some(), score.is_some(), "row {row}");
        if let (Some(live), Some(score)) = (live, score) {
            // A line has four digits of it, rounded up.
            assert_eq!(
                live.parse::<f64>().unwrap().to_bits(),
                ((score * 1e4).ceil() / 1e4).to_bits(),
                "row {row}: {line}"
            );
            compared += 1;
        }
    }
    assert!(compared > 280);
    assert!(from_csv[334][2].parse::<f64>().unwrap() > 1.0, "the spike is an anomaly: {:?}", from_csv[334]);
}

#[test]
fn scores_can_go_to_stdout_and_a_summary_is_for_people() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("history.csv");
    fs::write(&input, csv()).unwrap();
    let out = qualm(&["replay", "--input", input.to_str().unwrap(), "--scores", "-"], "");
    assert_eq!(text(&out.stdout).lines().count(), 401);
    let out = qualm(&["replay", "--input", input.to_str().unwrap()], "");
    assert!(text(&out.stdout).starts_with("400 rows, ") && text(&out.stdout).contains("anomalous"), "{out:?}");
}

#[test]
fn what_cannot_be_used_is_named_and_nothing_is_learnt_from_history() {
    let dir = tempfile::tempdir().unwrap();
    let (input, config, state) = (dir.path().join("h.csv"), dir.path().join("q.toml"), dir.path().join("state"));
    fs::write(&input, "time,a\n1,2\n2,x\n").unwrap();
    let out = qualm(&["replay", "--input", input.to_str().unwrap()], "");
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("h.csv:3: column `a`: `x` is no number"), "{out:?}");
    let out = qualm(&["replay", "--input", "/no/such.lp"], "");
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("/no/such.lp: "), "{out:?}");

    fs::write(&input, csv()).unwrap();
    let out = qualm(&["replay", "--input", input.to_str().unwrap(), "--scores", input.to_str().unwrap()], "");
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("is the input") && fs::read_to_string(&input).unwrap() == csv(), "{out:?}");
    let out = qualm(&["replay", "--input", input.to_str().unwrap(), "--scores", "/dev/full"], "");
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    fs::write(&config, format!("[state]\ndir = {state:?}")).unwrap();
    let out = qualm(&["replay", "--input", input.to_str().unwrap(), "--config", config.to_str().unwrap()], "");
    assert!(out.status.success(), "{out:?}");
    assert!(!state.join("qualm.state").exists());
}

/// A row that lacks a value is scored only once the next one has begun; its score stands in its own row all the same.
#[test]
fn a_vectors_score_stands_in_its_own_row() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let row = |at: u32| format!("{},{},{}\n", 1_700_000_000 + at * 60, at * 37 % 11, at * 13 % 7);
    let header = || "time,a,b\n".to_owned();
    fs::write(path("history.csv"), header() + &(0..1000).map(row).collect::<String>()).unwrap();
    let odd = |at: u32| match at {
        5000 => format!("{},1000,\n", 1_700_000_000 + at * 60),
        5001 => format!("{},,3\n", 1_700_000_000 + at * 60),
        _ => row(at),
    };
    fs::write(path("test.csv"), header() + &(1000..10_000).map(odd).collect::<String>()).unwrap();
    let done = qualm(&["train", "--detector", "zscore", "--input", &path("history.csv"), "--out", &path("model")], "");
    assert!(done.status.success(), "{}", text(&done.stderr));
    let (model, input, out) = (path("model"), path("test.csv"), path("scores.csv"));
    let done = qualm(&["replay", "--model", &model, "--input", &input, "--scores", &out], "");
    assert!(done.status.success(), "{}", text(&done.stderr));
    let scores = fs::read_to_string(path("scores.csv")).unwrap();
    let scores: Vec<f64> =
        scores.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().parse().unwrap()).collect();
    assert_eq!(scores.len(), 9000);
    let anomalous: Vec<usize> = (0..9000).filter(|row| scores[*row] > 1.0).collect();
    assert_eq!(anomalous, [4000], "scores around it: {:?}", &scores[3998..4003]);
}
