use std::fs;
use std::path::Path;

use qualm_core::BuiltIn;
use qualm_drift::State;

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
    assert!(moved.text().contains("Drift of 1 of 3 features"), "{}", moved.text());
    let json = moved.json();
    assert_eq!((&json["drifts"], &json["features"][0]["feature"]), (&true.into(), &"b<script>".into()));
    assert!(json["features"][0]["drifted"] == true && json["began"].is_string());
    let html = moved.html();
    assert!(html.contains("b&lt;script&gt;") && !html.contains("<script>"));
    assert!(html.contains("Then and now") && html.contains("drift is sustained"));
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
    assert!(outcome.html().contains("less than two windows"));
}
