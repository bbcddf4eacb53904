use std::fs;
use std::path::Path;

use qualm_core::BuiltIn;
use qualm_drift::State;
use serde_json::{Value, json};

use super::*;
use crate::evaluate::testing::servers;
use crate::train;

/// Rows of one server as CSV, a minute apart; the second feature is `by` larger from row `from` on.
fn csv(seed: u64, start: i64, by: f64, from: usize) -> String {
    let table = servers(1, 6000, 3, seed);
    let row = |row: usize| {
        let values = &table.values[row * 3..][..3];
        let second = values[1] + if row >= from { by } else { 0.0 };
        format!("{},{},{second},{}\n", start + row as i64 * 60, values[0], values[2])
    };
    format!("time,a,b<script>,c\n{}", (0..table.len()).map(row).collect::<String>())
}

fn model(dir: &Path) -> PathBuf {
    fs::write(dir.join("history.csv"), csv(1, 1_700_000_000, 0.0, 0)).unwrap();
    fs::write(dir.join("spec.toml"), "drift_window = \"1d\"\n").unwrap();
    let (input, out, spec) = (dir.join("history.csv"), dir.join("model"), Some(dir.join("spec.toml")));
    let options = train::Options { input, out, spec, detector: Some("zscore".to_owned()), ..train::Options::default() };
    train::from_file(&options, &BuiltIn, &|_| {}).unwrap();
    dir.join("model")
}

fn compared(dir: &Path, bundle: &Path, text: &str) -> Result<Outcome, Error> {
    let input = dir.join("later.csv");
    fs::write(&input, text).unwrap();
    let options = Options { bundle: bundle.to_owned(), input, measurement: None, consensus: None };
    drift(&options, &BuiltIn)
}

#[test]
fn what_moved_is_found_with_its_time_and_what_did_not_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = model(dir.path());
    let same = compared(dir.path(), &bundle, &csv(2, 1_800_000_000, 0.0, 0)).unwrap();
    assert!(!same.drifts() && same.began().is_none(), "{}", same.text());
    assert!(same.text().contains("No drift: none of 3 features"));

    let deviation = same.reference.reference.features[1].deviation;
    let moved = compared(dir.path(), &bundle, &csv(2, 1_800_000_000, deviation * 2.0, 3000)).unwrap();
    assert!(moved.drifts(), "{}", moved.text());
    assert_eq!(moved.ranked()[0], 1);
    assert!(!moved.feature_drifts(0) && !moved.feature_drifts(2), "{}", moved.text());
    let began = (moved.began().unwrap() - 1_800_000_000 * 1_000_000_000) / 60_000_000_000;
    assert!((3000..4440).contains(&began), "row {began}, when the window has some of it");
    assert!(
        moved.text().contains("Drift of 1 of 3 features and of the scores.\nIt lasts to the end of the rows."),
        "{}",
        moved.text()
    );
    let windows = moved.in_windows(1);
    let sustained = windows.sustained.unwrap();
    assert_eq!((Some(sustained.from), sustained.breaks, sustained.lasts), (moved.began(), false, true));
    assert!(windows.most_votes.unwrap() >= 3 && moved.in_windows(0).sustained.is_none());
    assert_eq!(moved.began_of().unwrap(), Causes { features: vec![1], scores: true, alarms: false });
    let json = moved.json();
    assert_eq!((&json["drifts"], &json["features"][0]["feature"]), (&true.into(), &"b<script>".into()));
    assert!(json["features"][0]["drifted"] == true && json["began"].is_string());
    assert_eq!(json["features"][0]["drifted_from"], json["began"]);
    assert_eq!(json["features"][0]["drifted_until"], json["timeline"].as_array().unwrap().last().unwrap()["time"]);
    assert_eq!(json["features"][0]["most_votes"], json!(windows.most_votes));
    assert_eq!((&json["features"][1]["drifted_from"], &json["began_of"]["scores"]), (&Value::Null, &true.into()));
    let drifting = |moment: &Value| moment["features_drifting"].as_u64().unwrap();
    assert_eq!(json["timeline"].as_array().unwrap().iter().map(drifting).max(), Some(1));
    let html = moved.html();
    assert!(html.contains("b&lt;script&gt;") && !html.contains("<script>"));
    assert!(html.contains("Then and now") && html.contains("drift of anything is reported"));
}

#[test]
fn a_bundle_without_a_reference_has_unknown_drift() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = model(dir.path());
    let old = qualm_bundle::Bundle::read(&bundle).unwrap();
    let qualm_bundle::Bundle { manifest, model, golden, component, .. } = old;
    let draft = qualm_bundle::bundle::Draft { manifest, model, golden, reference: None, component };
    draft.finish(&BuiltIn).unwrap().write(&bundle).unwrap();
    let error = compared(dir.path(), &bundle, &csv(2, 1_800_000_000, 0.0, 0)).unwrap_err();
    assert!(matches!(error, Error::Unknown(_)) && error.to_string().contains("drift is unknown"), "{error}");
}

#[test]
fn few_rows_are_compared_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = model(dir.path());
    let few: String = csv(2, 1_800_000_000, 0.0, 0).lines().take(40).map(|line| format!("{line}\n")).collect();
    let outcome = compared(dir.path(), &bundle, &few).unwrap();
    assert_ne!(outcome.report.state, State::Learning);
    assert!(outcome.timeline.is_empty() && outcome.text().contains("less than a window (24h)"), "{}", outcome.text());
    assert!(outcome.html().contains("do not last for long enough"));
}

#[test]
fn what_no_longer_drifts_is_said_with_its_times() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = model(dir.path());
    let table = |by: f64| csv(2, 1_800_000_000, by, 0).lines().map(str::to_owned).collect::<Vec<_>>();
    let (usual, moved) = (table(0.0), table(10.0));
    // Rows of one and a half days, of four.
    let rows = |row: usize| if (1500..3700).contains(&row) { &moved[row] } else { &usual[row] };
    let text: String = (0..usual.len()).map(|row| format!("{}\n", rows(row))).collect();
    let outcome = compared(dir.path(), &bundle, &text).unwrap();
    let sustained = outcome.in_windows(1).sustained.unwrap();
    assert!(!sustained.lasts && sustained.from < sustained.until, "{sustained:?}");
    let text = outcome.text();
    assert!(text.contains("at some time.\nAt the end of the rows, nothing drifts any more."), "{text}");
    let when = outcome.when(&sustained);
    assert!(when.starts_with("from 17 Jan ") && when.contains(" to 18 Jan "), "{when}");
    assert!(text.contains(&format!("  {when}: up to ")), "{text}");
    assert!(outcome.html().contains(&format!("</span> {when} (windows: up to ")), "{}", outcome.strength(1));
    let json = outcome.json();
    assert_eq!(json["drifting_at_end"], json!({ "features": [], "scores": false, "alarm_rate": false }));
}

#[test]
fn features_are_in_the_order_of_how_much_they_moved() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = model(dir.path());
    let mut outcome = compared(dir.path(), &bundle, &csv(2, 1_800_000_000, 0.0, 0)).unwrap();
    let statistics = |outcome: &mut Outcome, feature: usize, ratio: f64| {
        for test in &mut outcome.report.features[feature].tests {
            test.statistic = test.level * ratio;
        }
    };
    for (feature, ratio) in [(0, 0.9), (1, 0.2), (2, 0.5)] {
        statistics(&mut outcome, feature, ratio);
    }
    assert_eq!(outcome.ranked(), [0, 2, 1], "by ratio");
    for moment in &mut outcome.timeline {
        moment.columns[1] = ColumnMoment { votes: 3, drifts: true, ..moment.columns[1] };
    }
    assert_eq!(outcome.ranked(), [1, 0, 2], "what drifts is first, whatever the ratio");
    outcome.report.features[2].drifted = true;
    outcome.report.features[2].votes = 5;
    assert_eq!(outcome.ranked(), [2, 1, 0], "the most votes are first, in windows or of all rows");
}

#[test]
fn a_column_of_what_is_missing_is_there_only_where_something_is() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = model(dir.path());
    let text = csv(2, 1_800_000_000, 0.0, 0);
    let full = compared(dir.path(), &bundle, &text).unwrap().html();
    assert!(full.contains(">Drift in windows</th>") && !full.contains(">Missing</th>"));
    let holes: String = text.lines().enumerate().map(|(at, line)| hole(at, line)).collect();
    let outcome = compared(dir.path(), &bundle, &holes).unwrap();
    assert!(outcome.html().contains(">Missing</th>"));
    assert_eq!(outcome.in_windows(2).besides, ["missing values"]);
    assert!(outcome.strength(2).contains("; missing values)"), "{}", outcome.strength(2));
    assert!(outcome.strength(2).contains("missing in "), "{}", outcome.strength(2));
}

/// The line without its last value in half of the rows.
fn hole(at: usize, line: &str) -> String {
    let end = if at > 0 && at.is_multiple_of(2) { line.rfind(',').unwrap() + 1 } else { line.len() };
    format!("{}\n", &line[..end])
}
