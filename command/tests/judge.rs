//! `qualm evaluate` and `qualm explain` with a bundle of `qualm train`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::Parser;
use qualm_command::failure::Failure;
use qualm_command::{evaluate, explain, train};
use qualm_core::BuiltIn;
use tempfile::TempDir;

#[derive(Debug, Parser)]
struct Train {
    #[command(flatten)]
    options: train::Options,
}

#[derive(Debug, Parser)]
struct Evaluate {
    #[command(flatten)]
    options: evaluate::Options,
}

#[derive(Debug, Parser)]
struct Explain {
    #[command(flatten)]
    options: explain::Options,
}

/// A row a minute of two metrics, with outliers in the rows `out`.
fn history(rows: usize, out: std::ops::Range<usize>) -> String {
    let mut text = "time,cpu,mem,bad\n".to_owned();
    for row in 0..rows {
        let wave = (row as f64 / 200.0).sin() + ((row * 7919) % 101) as f64 / 101.0;
        let bad = out.contains(&row);
        let cpu = if bad { 30.0 } else { 10.0 + wave };
        let _infallible = writeln!(text, "{},{cpu},{},{}", 1_704_067_200 + row * 60, 50.0 - wave, u8::from(bad));
    }
    text
}

/// A directory with history and a model of it.
fn site() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("then.csv", &history(4000, 0..0));
    write("now.csv", &history(2000, 700..720));
    write(
        "spec.toml",
        "[[features]]\nname=\"cpu\"\nmeasurement=\"m\"\nfield=\"cpu\"\n[[features]]\nname=\"mem\"\nmeasurement=\"m\"\nfield=\"mem\"\n",
    );
    write("windows.csv", "start,end\n2024-01-01 11:40:00,2024-01-01 12:00:00\n");
    let line = format!(
        "train --detector zscore --measurement m --input {0}/then.csv --spec {0}/spec.toml --out {0}/model",
        dir.path().display()
    );
    train::run(&Train::parse_from(line.split(' ')).options, &BuiltIn).unwrap();
    dir
}

fn run(dir: &Path, line: &str) -> Result<(), evaluate::Error> {
    let line = line.replace('@', &format!("{}/", dir.display()));
    evaluate::run(
        &Evaluate::try_parse_from(std::iter::once("evaluate").chain(line.split(' '))).unwrap().options,
        &BuiltIn,
    )
}

#[test]
fn a_model_is_evaluated_with_labels_and_a_report_is_written() {
    let dir = site();
    let dir = dir.path();
    let good = "--require event_recall>=1 --require auc_pr>=0.9 --require alarms_per_day<=20";
    run(dir, &format!("--bundle @model --input @now.csv --labels @windows.csv --html @r.html {good}")).unwrap();
    let page = fs::read_to_string(dir.join("r.html")).unwrap();
    assert!(page.contains("1 of 1") && page.contains("model 1") && page.ends_with("</html>\n"));
    run(dir, &format!("--bundle @model --input @now.csv --label-column bad --no-robustness --json {good}")).unwrap();
    run(dir, "--bundle @model --input @now.csv --no-robustness --require injected_auc_pr>=0.05").unwrap();
}

#[test]
fn unmet_requirements_and_unusable_input_have_different_exit_codes() {
    let dir = site();
    let dir = dir.path();
    let code = |line: &str| {
        let error = run(dir, line).unwrap_err();
        let failure = Failure::from(error);
        (failure.exit_code(), failure.to_string())
    };
    let (exit, why) = code("--bundle @model --input @now.csv --no-robustness --require alarms_per_day<=0.001");
    assert!(exit == 1 && why.contains("`alarms_per_day` is") && why.contains("at most 0.001"), "{why}");
    for (line, what) in [
        ("--bundle @none --input @now.csv", "none"),
        ("--bundle @model --input @none.csv", "none.csv"),
        ("--bundle @model --input @now.csv --measurement other", "--measurement"),
        ("--bundle @model --input @now.csv --label-column worse", "no column `worse`"),
        ("--bundle @model --input @now.csv --labels @spec.toml", "neither a column `label`"),
        ("--scores @now.csv", "`time` and `score`"),
    ] {
        let (exit, why) = code(line);
        assert!(exit == 2 && why.contains(what), "{line}: {why}");
    }
    let (exit, _) = code("--bundle @model --input @now.csv --no-robustness --html @no/such/dir/r.html");
    assert_eq!(exit, 1);
}

#[test]
fn a_file_of_scores_is_evaluated() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..100).map(|row| format!("{row},,{}\n", if row == 50 { "3" } else { "0.1" })).collect();
    fs::write(dir.path().join("s.csv"), format!("time,cpu,score\n{rows}")).unwrap();
    fs::write(dir.path().join("l.csv"), "start,end\n50,52\n").unwrap();
    run(dir.path(), "--scores @s.csv --labels @l.csv --html @r.html --require precision>=1 --require event_f1>=1")
        .unwrap();
    run(dir.path(), "--scores @s.csv").unwrap();
}

#[test]
fn rows_are_explained() {
    let dir = site();
    let run = |line: &str| {
        let line = line.replace('@', &format!("{}/", dir.path().display()));
        explain::run(
            &Explain::try_parse_from(std::iter::once("explain").chain(line.split(' '))).unwrap().options,
            &BuiltIn,
        )
    };
    run("--bundle @model --input @now.csv").unwrap();
    run("--bundle @model --input @now.csv --row 701 --json").unwrap();
    run("--bundle @model --input @now.csv --at 2024-01-01T11:45:00Z").unwrap();
    let error = Failure::from(run("--bundle @model --input @now.csv --row 0").unwrap_err());
    assert!(error.exit_code() == 2 && error.to_string().contains("from 1 to 2000"), "{error}");
}

#[test]
fn plugin_and_detector_exclude_each_other() {
    let line = "train --plugin p --detector zscore --out o --input h.csv";
    Train::try_parse_from(line.split(' ')).unwrap_err();
}
