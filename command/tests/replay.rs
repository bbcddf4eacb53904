//! `qualm replay`: the same scores as live, from each format.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Rows of two fields, a minute apart, the one with gaps, the other with a spike.
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
    common::output(command.args(arguments), input)
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
fn scores_are_bit_identical_to_live_ones_in_each_format() {
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
fn scores_are_written_to_stdout_or_a_summary_is() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("history.csv");
    fs::write(&input, csv()).unwrap();
    let out = qualm(&["replay", "--input", input.to_str().unwrap(), "--scores", "-"], "");
    assert_eq!(text(&out.stdout).lines().count(), 401);
    let out = qualm(&["replay", "--input", input.to_str().unwrap()], "");
    assert!(text(&out.stdout).starts_with("400 rows, ") && text(&out.stdout).contains("anomalous"), "{out:?}");
}

#[test]
fn unusable_files_are_named_and_no_state_is_written() {
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
    assert!(text(&out.stderr).contains("is an input") && fs::read_to_string(&input).unwrap() == csv(), "{out:?}");
    let out = qualm(&["replay", "--input", input.to_str().unwrap(), "--scores", "/dev/full"], "");
    assert_eq!(out.status.code(), Some(1), "{out:?}");
    fs::write(&config, format!("[state]\ndir = {state:?}")).unwrap();
    let out = qualm(&["replay", "--input", input.to_str().unwrap(), "--config", config.to_str().unwrap()], "");
    assert!(out.status.success(), "{out:?}");
    assert!(!state.join("qualm.state").exists());
}

/// An incomplete row is scored only once the next one begins.
#[test]
fn a_vectors_score_is_in_its_own_row() {
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

/// Replays [`rows`] with these labels; the spike of `b` is in row 333, at 1700019980.
fn replay_labelled(dir: &Path, name: &str, content: &str, labels: &str, options: &[&str]) -> Output {
    let path = |name: &str| dir.join(name).to_string_lossy().into_owned();
    fs::write(path(name), content).unwrap();
    fs::write(path("labels.csv"), labels).unwrap();
    let (input, labels) = (path(name), path("labels.csv"));
    qualm(&[&["replay", "--input", &input, "--labels", &labels], options].concat(), "")
}

fn json(out: &Output) -> serde_json::Value {
    assert!(out.status.success(), "{out:?}");
    serde_json::from_slice(&out.stdout).unwrap()
}

#[test]
fn labels_count_hits_misses_and_false_alarms() {
    let dir = tempfile::tempdir().unwrap();
    let html = dir.path().join("why.html").to_string_lossy().into_owned();
    let labels = "start,end,series\n1700019860,1700020040,b\n1700022000,1800000000,a\n";
    let out = replay_labelled(dir.path(), "h.csv", &csv(), labels, &["--json", "--html", &html]);
    let summary = json(&out);
    assert_eq!(summary["rows"], 400);
    let feedback = &summary["feedback"];
    assert_eq!((&feedback["hit"], &feedback["missed"], &feedback["false_alarms"]), (&1.into(), &1.into(), &0.into()));
    assert_eq!(feedback["series"][1]["name"], "b");
    let event = &feedback["series"][1]["events"][0];
    // Rows 331 to 333, a minute apart.
    assert_eq!((&event["from"], &event["rows"]), (&"2023-11-15T03:44:20Z".into(), &3.into()));
    assert_eq!((&event["hit"]["rows"], &event["hit"]["seconds"]), (&2.0.into(), &120.0.into()));
    assert_eq!((&event["peak"]["value"], &event["usual"]), (&1e4.into(), &serde_json::json!([0.0, 6.0])));
    let missed = &feedback["series"][0]["events"][0];
    assert_eq!((&missed["hit"], &missed["goes_on"]), (&serde_json::Value::Null, &true.into()));
    let page = fs::read_to_string(&html).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("1 of 2</b>") && page.contains("10000"), "{page}");

    let out = replay_labelled(dir.path(), "h.csv", &csv(), "start,end\n1700010000,1700010060\n", &[]);
    let text = text(&out.stdout);
    for part in ["0 of 1 incident hit", "1 false alarm, ", "0.01 % configured", "2023-11-15T03:46:20Z  b  score "] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn series_have_names_in_every_format_and_vectors_entities() {
    let dir = tempfile::tempdir().unwrap();
    let names = |summary: &serde_json::Value| {
        let series = summary["feedback"]["series"].as_array().unwrap().iter();
        series.map(|series| series["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let of_lines = "start,end,series\n1700019980,1700020040,replay b\n";
    for (name, content) in [("h.lp", lines()), ("h.jsonl", jsonl())] {
        let summary = json(&replay_labelled(dir.path(), name, &content, of_lines, &["--json"]));
        assert_eq!(names(&summary), ["replay a", "replay b"]);
        assert_eq!((&summary["feedback"]["hit"], &summary["feedback"]["false_alarms"]), (&1.into(), &0.into()));
    }
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let row = |at: u32| format!("{},{},{}\n", 1_600_000_000 + at * 60, f64::from(at * 37 % 11) / 8.0, at * 13 % 7);
    fs::write(path("ordinary.csv"), "time,a,b\n".to_owned() + &(0..1000).map(row).collect::<String>()).unwrap();
    let (input, model) = (path("ordinary.csv"), path("model"));
    let out = qualm(&["train", "--input", &input, "--detector", "zscore", "--out", &model], "");
    assert!(out.status.success(), "{out:?}");
    let summary = json(&replay_labelled(
        dir.path(),
        "h.csv",
        &csv(),
        "start,end\n1700019980,1700020040\n",
        &["--json", "--model", &model],
    ));
    assert_eq!((names(&summary), &summary["feedback"]["hit"]), (vec!["model".to_owned()], &1.into()));
    assert_eq!(summary["feedback"]["series"][0]["events"][0]["feature"], "b", "the feature that explains most");
}

#[test]
fn labels_may_be_in_the_input_and_must_fit_it() {
    let dir = tempfile::tempdir().unwrap();
    let row = |&(time, _, b): &(i64, Option<f64>, f64)| format!("{time},{b},{}\n", u8::from(b > 100.0));
    let content = "time,b,label\n".to_owned() + &rows().iter().map(row).collect::<String>();
    let both = dir.path().join("both.csv").to_string_lossy().into_owned();
    fs::write(&both, content).unwrap();
    let summary = json(&qualm(&["replay", "--input", &both, "--labels", &both, "--json"], ""));
    assert_eq!(summary["feedback"]["series"].as_array().map(Vec::len), Some(1), "the labels are no series");
    assert_eq!((&summary["feedback"]["hit"], &summary["feedback"]["false_alarms"]), (&1.into(), &0.into()));

    for (labels, what) in [
        ("start,end,series\n1700019980,1700020040,bb\n", "labels.csv:2: the input has no series `bb`; "),
        ("start,end\n1600000000,1600000060\n", "labels.csv: its windows, from 2020-09-13T12:26:40Z to "),
        ("begin,end\n1,2\n", "labels.csv: it has neither"),
    ] {
        let out = replay_labelled(dir.path(), "h.csv", &csv(), labels, &[]);
        assert_eq!(out.status.code(), Some(2));
        assert!(text(&out.stderr).contains(what), "{out:?}");
    }
    let labels = dir.path().join("labels.csv").to_string_lossy().into_owned();
    let out = replay_labelled(dir.path(), "h.csv", &csv(), "start,end\n1,2\n", &["--html", &labels]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("is an input; name another file for --html"), "{out:?}");
}

/// Office hours in Berlin, every five minutes, from five weeks before daylight saving time begins until a week after.
#[test]
fn days_are_those_of_the_configured_time_zone() {
    let dir = tempfile::tempdir().unwrap();
    let change = 1_774_746_000; // 1:00 UTC on Sunday, 29 March 2026
    let day = 86_400;
    let rows = (change - 35 * day..change + 7 * day).step_by(300).map(|time: i64| {
        let local = time + if time < change { 3600 } else { 7200 };
        let weekend = matches!((local / day + 4) % 7, 0 | 6);
        let works = (8 * 3600..18 * 3600).contains(&(local % day));
        let usual = if works { 1000 } else { 50 } * if weekend { 4 } else { 10 };
        format!("{time},{}\n", usual * (95 + time / 300 * 7919 % 11))
    });
    let input = dir.path().join("office.csv");
    fs::write(&input, "time,v\n".to_owned() + &rows.collect::<String>()).unwrap();
    let reported = |zone: &str| {
        let (config, scores) = (dir.path().join("qualm.toml"), dir.path().join("scores.csv"));
        fs::write(&config, format!("[[detector]]\ntimezone = \"{zone}\"\n")).unwrap();
        let [config, scores, input] = [&config, &scores, &input].map(|path| path.to_str().unwrap());
        let out = qualm(&["replay", "--input", input, "--config", config, "--scores", scores], "");
        assert!(out.status.success(), "{out:?}");
        let after = fs::read_to_string(scores).unwrap();
        let after = after.lines().skip(1 + 35 * 288).map(|line| line.rsplit(',').next().unwrap().parse().unwrap());
        after.filter(|score: &f64| *score > 1.0).count()
    };
    let (berlin, utc) = (reported("Europe/Berlin"), reported("UTC"));
    assert!(berlin == 0 && utc >= 3, "{berlin} in Berlin, {utc} in UTC");
}

#[test]
fn with_bands_each_column_has_limits_and_reasons() {
    let dir = tempfile::tempdir().unwrap();
    let rows = (0..600).map(|row| {
        let value = if row >= 590 { 500 } else { 100 + row * 7919 % 11 };
        format!("{},{value},7\n", 1_700_000_000 + row * 60)
    });
    let [input, config, scores] = ["in.csv", "qualm.toml", "scores.csv"].map(|name| dir.path().join(name));
    fs::write(&input, "time,a,b\n".to_owned() + &rows.collect::<String>()).unwrap();
    fs::write(&config, "[[detector]]\nband = true\n").unwrap();
    let [input, config, out] = [&input, &config, &scores].map(|path| path.to_str().unwrap());
    let done = qualm(&["replay", "--input", input, "--config", config, "--scores", out], "");
    assert!(done.status.success(), "{done:?}");
    let text = fs::read_to_string(&scores).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(
        lines[0].join(","),
        "time,a,b,a expected,a lower,a upper,a reason,b expected,b lower,b upper,b reason,score"
    );
    assert_eq!(lines[50][1..], [""; 11], "nothing is scored in the warm-up");
    let number = |line: &[&str], column: usize| line[column].parse::<f64>().unwrap();
    for line in &lines[200..590] {
        let [expected, lower, upper] = [3, 4, 5].map(|column| number(line, column));
        assert!(lower < 100.0 && upper > 110.0 && (100.0..110.0).contains(&expected), "{line:?}");
        assert!(line[6].is_empty() && line[10].is_empty(), "{line:?}");
    }
    let first = &lines[591];
    assert!(number(first, 1) > 1.0 && number(first, 5) < 500.0, "{first:?}");
    assert!(["outside_band", "novel"].contains(&first[6]), "{first:?}");

    let labels = dir.path().join("labels.csv");
    let html = dir.path().join("why.html");
    fs::write(&labels, "start,end\n1700035400,1700040000\n").unwrap();
    let [labels, page] = [&labels, &html].map(|path| path.to_str().unwrap());
    let options = ["--labels", labels, "--html", page, "--json"];
    let summary = json(&qualm(&[&["replay", "--input", input, "--config", config], &options[..]].concat(), ""));
    assert_eq!(summary["feedback"]["series"][0]["events"][0]["reason"], first[6], "{summary}");
    let page = fs::read_to_string(&html).unwrap();
    assert!(page.contains("<path class=\"band\"") && page.contains(&first[6].replace('_', " ")), "{page}");
}

/// In line protocol all fields of a line share the column of the detector that scores them.
#[test]
fn a_column_of_several_fields_has_the_largest_score_with_its_band_and_reason() {
    let dir = tempfile::tempdir().unwrap();
    let line = |row: i64| {
        let first = if row >= 590 { 500 } else { 100 + row * 7919 % 11 };
        format!("m a={first},b={} {}000000000\n", 7 + row % 3, 1_700_000_000 + row * 60)
    };
    let [input, config] = ["in.lp", "qualm.toml"].map(|name| dir.path().join(name));
    fs::write(&input, (0..600).map(line).collect::<String>()).unwrap();
    fs::write(&config, "[[detector]]\nband = true\n").unwrap();
    let [input, config] = [&input, &config].map(|path| path.to_str().unwrap());
    let done = qualm(&["replay", "--input", input, "--config", config, "--scores", "-"], "");
    let text = text(&done.stdout);
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0].join(","), "time,all,all expected,all lower,all upper,all reason,score");
    let onset = &lines[591];
    assert!(["outside_band", "novel"].contains(&onset[5]), "the reason of `a`, not of `b`: {onset:?}");
    let [expected, upper] = [2, 4].map(|column| onset[column].parse::<f64>().unwrap());
    assert!((100.0..111.0).contains(&expected) && (110.0..500.0).contains(&upper), "the band of `a`: {onset:?}");
}
