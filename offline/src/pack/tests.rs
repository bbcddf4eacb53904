use std::fs;

use qualm_bundle::manifest::Suppression;

use super::*;
use crate::train::testing::{COMPONENT, Sandbox};

fn spec(text: &str) -> Spec {
    toml::from_str(text).unwrap()
}

fn packed(text: &str) -> Result<Draft, Error> {
    pack(COMPONENT.to_vec(), &spec(text), Path::new("models/mine"), &Sandbox::default())
}

const TWO: &str = "[[features]]\nname=\"cpu\"\nmeasurement=\"m\"\nfield=\"cpu\"\n[[features]]\nname=\"mem\"\nmeasurement=\"m\"\nfield=\"mem\"\n";

#[test]
fn a_plugin_of_one_value_scores_any_field() {
    let draft = packed("parameters = { mean = 10.25, warm_up = 30 }").unwrap();
    assert_eq!(draft.model, br#"{"mean":10.25,"warm_up":30}"#);
    let manifest = &draft.manifest;
    assert_eq!((manifest.name.as_str(), manifest.version, manifest.kind.as_str()), ("mine", 1, "mean"));
    assert_eq!((manifest.shape, manifest.features.len()), (Shape::Field, 1));
    let scores = &draft.golden.scores;
    assert!(scores[..60].iter().all(|score| score.is_nan()) && scores.len() == 120, "warming up");
    assert!(scores[60..].iter().any(|score| *score > 50.0), "a jump: {scores:?}");
    assert!(scores[60..].iter().filter(|score| !score.is_nan()).count() > 50);
    assert_eq!(draft.golden.series.iter().max(), Some(&1));
    let bundle = draft.finish(&Sandbox::default()).unwrap();
    let repeated = packed("parameters = { mean = 10.25, warm_up = 30 }").unwrap().finish(&Sandbox::default()).unwrap();
    assert!(bundle.pack() == repeated.pack(), "the same bytes");
}

#[test]
fn a_plugin_of_several_values_needs_features() {
    let head = "name = \"pair\"\ndetector = \"mean\"\nentity = [\"host\"]\ninterval = \"10s\"\n\
                suppression = { sustained = \"2 of 3\" }\nparameters = { features = 2 }\n";
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let (spec, sandbox) = (spec(&format!("{head}{TWO}")), Sandbox::default());
    let made = |spec: &Spec| pack(COMPONENT.to_vec(), spec, &out, &sandbox).unwrap().finish(&sandbox).unwrap();
    let bundle = made(&spec);
    let manifest = &bundle.manifest;
    assert_eq!((manifest.name.as_str(), manifest.shape, manifest.features.len()), ("pair", Shape::Vector, 2));
    assert_eq!((manifest.interval.as_secs(), &*manifest.entity), (10, &["host".to_owned()][..]));
    assert_eq!(manifest.suppression, Suppression { sustained: Some("2 of 3".into()), ..Suppression::default() });
    assert_eq!(bundle.golden.rows(), MIN_GOLDEN_ROWS);
    bundle.write(&out).unwrap();
    assert_eq!(made(&spec).manifest.version, 2, "one more than what it replaces");
    assert_eq!(made(&Spec { version: Some(9), ..spec }).manifest.version, 9);
    fs::write(dir.path().join("in.csv"), "time,cpu,mem\n10,10,1\n20,10.5,1\n30,90,1\n").unwrap();
    let subject = crate::subject::Subject::read(&out, &dir.path().join("in.csv"), None, &sandbox);
    assert_eq!(subject.unwrap().table.len(), 3);
}

#[test]
fn invalid_specifications_are_explained() {
    for (text, what) in [
        ("parameters = { mean = [1, 2] }", "without training nothing is tried"),
        ("parameters = { mean = 2024-01-01 }", "[parameters] `mean` is 2024-01-01; it must be true or false"),
        ("parameters = { mean = \"x\" }", "the plugin does not take its parameters: `mean` must be a number"),
        ("parameters = { features = 3 }", "takes 3 values in a row, but [[features]] are 0"),
        (TWO, "takes 1 values in a row, but [[features]] are 2"),
        ("detector = \"zscore\"", "`detector` is `zscore`, but the plugin is `mean`"),
        ("threshold = { fixed = 3.0 }", "`threshold` is the plugin's own"),
    ] {
        let error = packed(text).unwrap_err().to_string();
        assert!(error.contains(what), "{error}, not {what}");
    }
}

#[test]
fn a_plugin_of_any_field_is_not_evaluated_on_history() {
    let dir = tempfile::tempdir().unwrap();
    let (out, sandbox) = (dir.path().join("out"), Sandbox::default());
    packed("").unwrap().finish(&sandbox).unwrap().write(&out).unwrap();
    let error = crate::subject::Subject::read(&out, Path::new("in.csv"), None, &sandbox).unwrap_err().to_string();
    assert!(error.contains("qualm replay --model BUNDLE"), "{error}");
}

#[test]
fn golden_rows_are_bounded_whatever_the_warm_up() {
    let draft = packed("parameters = { warm_up = 4e9 }").unwrap();
    assert!(draft.golden.rows() <= MAX_GOLDEN_VALUES);
}
