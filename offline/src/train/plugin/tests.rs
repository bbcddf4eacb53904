use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

use qualm_bundle::Bundle;
use qualm_bundle::manifest::Shape;
use qualm_core::BuiltIn;

use super::super::testing::{COMPONENT, Sandbox};
use super::*;
use crate::evaluate::{self, Scores};
use crate::explain::{self, RowSelection};
use crate::train::{self, Options};

/// A directory with history, a specification and two components.
fn site(spec: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let row = |row: usize| {
        let wave = (row as f64 / 50.0).sin() + ((row * 7919) % 101) as f64 / 101.0;
        let cpu = if row % 400 == 399 { String::new() } else { format!("{}", 20.0 + wave) };
        format!("{},{cpu},{}\n", 1_704_067_200 + row * 60, 50.0 - wave)
    };
    let text: String = ["time,cpu,mem\n".to_owned()].into_iter().chain((0..3000).map(row)).collect();
    let write = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    write("h.csv", text.as_bytes());
    write("spec.toml", spec.as_bytes());
    write("mean.wasm", COMPONENT);
    write("other.wasm", b"other");
    dir
}

/// Options to train `plugin` with the specification.
fn options(dir: &Path, plugin: &str) -> Options {
    let at = |name: &str| dir.join(name);
    let (plugin, spec) = (Some(at(plugin)), Some(at("spec.toml")));
    Options { input: at("h.csv"), out: at("model"), plugin, spec, ..Options::default() }
}

fn train(options: &Options, sandbox: &dyn ModelFactory) -> Result<(), train::Error> {
    train::from_file(options, sandbox, &|_| {}).map(drop)
}

fn evaluate(dir: &Path, sandbox: &dyn ModelFactory) -> Result<(), evaluate::Error> {
    let scores = Scores::Bundle { bundle: dir.join("model"), input: dir.join("h.csv"), measurement: None };
    let options = evaluate::Options { scores, labels: None, tolerance: 0, robustness: true, seed: 1 };
    evaluate::evaluate_files(&options, sandbox, &|_, _| {}).map(drop)
}

fn explain(dir: &Path, sandbox: &dyn ModelFactory) -> Result<(), explain::Error> {
    let (bundle, input) = (dir.join("model"), dir.join("h.csv"));
    let options = explain::Options { bundle, input, rows: RowSelection::Top(5), measurement: None };
    explain::explain(&options, sandbox).map(drop)
}

#[test]
fn a_plugin_is_trained_to_a_bundle_that_is_evaluated_and_explained() {
    let dir = site("version = 7\ndetector = \"mean\"\nthreshold = { contamination = 0.01 }");
    let (dir, sandbox) = (dir.path(), Sandbox::default());
    train(&options(dir, "mean.wasm"), &sandbox).unwrap();
    let bundle = Bundle::read(&dir.join("model")).unwrap();
    let manifest = &bundle.manifest;
    assert_eq!((manifest.kind.as_str(), manifest.version, manifest.shape), ("mean", 7, Shape::Vector));
    assert_eq!(bundle.component.as_deref(), Some(COMPONENT));
    assert!(bundle.golden.rows() > 20 && bundle.golden.scores.iter().any(|score| *score > 1.0));
    assert!(manifest.threshold.raw > manifest.threshold.ordinary && manifest.threshold.ordinary > 0.0);
    let metrics = &manifest.provenance.metrics;
    assert!(metrics["test_alarm_rate"] < 0.03 && metrics["test_injected_auc_pr"] > 0.1, "{metrics:?}");
    bundle.open(&sandbox).unwrap();

    evaluate(dir, &sandbox).unwrap();
    explain(dir, &sandbox).unwrap();
    let native = evaluate(dir, &BuiltIn).unwrap_err().to_string();
    assert!(native.contains("its detector is a plugin, which runs in a sandbox only"), "{native}");
}

#[test]
fn the_parameters_of_a_plugin_are_searched() {
    let dir = site("[parameters]\nweight = [1, 2.5]\nwarm_up = [0, 3]");
    let sandbox = Sandbox::default();
    train(&options(dir.path(), "mean.wasm"), &sandbox).unwrap();
    assert_eq!(sandbox.fits.load(Ordering::Relaxed), 5, "each combination, and the best once more");
    let first = Bundle::read(&dir.path().join("model")).unwrap();
    assert_eq!(first.manifest.provenance.parameters["warm_up"].as_integer(), Some(0), "it scores more rows");
    train(&options(dir.path(), "mean.wasm"), &sandbox).unwrap();
    let second = Bundle::read(&dir.path().join("model")).unwrap();
    assert_eq!((second.manifest.version, &second.model), (2, &first.model), "the same again, as the next version");
}

#[test]
fn errors_name_their_file_and_leave_no_bundle() {
    let good = Sandbox::default;
    for (spec, plugin, sandbox, what) in [
        (
            "parameters = { wieght = 2 }",
            "mean.wasm",
            good(),
            "mean.wasm: the plugin learns nothing with wieght = 2: there is no parameter `wieght`",
        ),
        (
            "parameters = { weight = 2024-01-01 }",
            "mean.wasm",
            good(),
            "spec.toml: [parameters] `weight` is 2024-01-01; it must be",
        ),
        (
            "parameters = { warm_up = 400 }",
            "mean.wasm",
            good(),
            "mean.wasm: the plugin scores 50 of the 450 rows that set the threshold; \
             100 are the least that says anything, and it says that 400 rows of a series come before its first score",
        ),
        (
            "",
            "mean.wasm",
            Sandbox { off: 0.5, ..good() },
            "mean.wasm: the plugin's calibrated model gives row 1 of those that set the threshold the score",
        ),
        ("parameters = { weight = 1.7e308 }", "mean.wasm", good(), "of those that set the threshold the score inf"),
        ("detector = \"zscore\"", "mean.wasm", good(), "spec.toml: [detector] is `zscore`, but the plugin is `mean`"),
        ("", "other.wasm", good(), "other.wasm: it is no component"),
        ("", "none.wasm", good(), "none.wasm: No such file"),
    ] {
        let dir = site(spec);
        let error = train(&options(dir.path(), plugin), &sandbox).unwrap_err().to_string();
        assert!(error.contains(what), "{error}, not {what}");
        assert!(!dir.path().join("model").exists());
    }
    let dir = site("");
    let native = train(&options(dir.path(), "mean.wasm"), &BuiltIn).unwrap_err().to_string();
    assert!(native.contains("mean.wasm: its detector is a plugin, which runs in a sandbox only"), "{native}");
}

#[test]
fn calibrated_scores_are_checked() {
    let calibration = Calibration { ordinary: 2.0, threshold: 6.0 };
    let raw = [0.0, 2.0, 4.0, f64::NAN, 10.0];
    check(&raw, &[0.0, 0.0, 0.5 + 1e-12, f64::NAN, 2.0 - 1e-10], calibration).unwrap();
    for (calibrated, row, must) in [
        ([-1.0, 0.0, 0.5, f64::NAN, 2.0], "row 1 ", "must be 0:"),
        ([0.0, 0.0, 0.5, 0.0, 2.0], "row 4 ", "must be NaN:"),
        ([0.0, 0.0, f64::NAN, f64::NAN, 2.0], "row 3 ", "must be 0.5:"),
        ([0.0, 0.0, 0.5, f64::NAN, 2.0 + 1e-8], "row 5 ", "with raw = 10, ordinary = 2 and threshold = 6"),
    ] {
        let error = check(&raw, &calibrated, calibration).unwrap_err().to_string();
        assert!(error.contains(row) && error.contains(must), "{error}");
    }
}
