//! The checks, run on correct and on flawed plugins.

use std::sync::OnceLock;

use qualm_contract::Verdicts;
use serde_json::json;

use super::*;

/// The detector whose model names its flaw; it implements the contract but for that.
fn flawed(flaw: &str) -> Request {
    let model = Some(format!("flawed {flaw}").into_bytes());
    Request { component: qualm_test_plugins::FLAWED.to_vec(), model, features: None, parameters: Map::new() }
}

fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        Sandbox::new(Some(dir.keep()))
    })
}

/// The reason why a check failed, or the report where it passed.
fn outcome(name: &str, request: &Request) -> Result<String, String> {
    let mut report = Report::default();
    let subject = prepare(request, sandbox(), &mut report).unwrap();
    let check = CHECKS.iter().chain([&DETAILS_CHECK]).find(|(check, _)| *check == name);
    if let (Some(subject), Some((name, check))) = (subject, check) {
        report.add(name, check(&subject));
    }
    match report.failures().into_iter().find(|(check, _)| *check == name) {
        Some((_, reason)) => Err(reason.to_owned()),
        None => Ok(report.to_text()),
    }
}

#[test]
fn the_built_in_detector_passes_all_checks() {
    let model = Some(qualm_core::streaming::Parameters::default().to_model());
    let component = qualm_components::DETECTOR.to_vec();
    let request = Request { component, model, features: Some(1), parameters: Map::new() };
    let report = run_checks(&request, sandbox()).unwrap();
    assert_eq!(report.failed(), 0, "{}", report.to_text());
    let json = report.to_json();
    let named =
        |name: &str| json["checks"].as_array().unwrap().iter().find(|row| row["check"] == name).unwrap().clone();
    assert_eq!(json["good"], true);
    assert_eq!(named("imports")["measured"], "none");
    let details = named("details")["measured"].as_str().unwrap().to_owned();
    assert!(!details.contains(" 0 a reason") && !details.contains(" 0 a band"), "{details}");
    assert!(named("a jump")["figures"]["score"].as_f64().unwrap() > 1.0, "{json}");
    assert!(named("per series")["figures"]["saved_bytes"].as_f64().unwrap() > 8.0, "{json}");
    assert_eq!(named("ordinary scores")["figures"]["rows"], 100_000.0);
}

#[test]
fn a_plugin_without_a_flaw_passes_with_a_model_and_trained() {
    let report = run_checks(&flawed("none"), sandbox()).unwrap();
    assert_eq!(report.failed(), 0, "{}", report.to_text());
    let trained = Request { model: None, features: Some(1), ..flawed("none") };
    let report = run_checks(&trained, sandbox()).unwrap();
    assert_eq!(report.failed(), 0, "{}", report.to_text());
    let text = report.to_text();
    for row in ["fit again", "unknown parameter", "calibrate"] {
        assert!(text.contains(&format!("ok      {row}")), "{text}");
    }
}

#[test]
fn every_flaw_fails_its_check() {
    for (check, flaw, reason) in [
        ("description", "kind", "`kind` is `Flawed_Detector`; it must be lower-case words"),
        ("description", "moody", "the same at every call"),
        ("description", "unnamed", "`version` is empty"),
        ("shapes", "chatty", "only those above 1 may have any"),
        ("shapes", "explaining", "with and without contributions: row"),
        ("one row", "alone", "it trapped"),
        ("empty batch", "nothing", "1 scores for 0 rows"),
        ("bad shapes", "lax", "it must answer bad-shape"),
        ("many series", "crowded", "it trapped"),
        ("missing values", "poisoned", "must not spoil all that come after"),
        ("extreme values", "overflow", "a score of inf"),
        ("odd times", "clockwork", "where times go backwards, it trapped"),
        ("batches", "batched", "all rows at once, and 1 at a time: row"),
        ("save, restore", "rounding", "a guest that went on, and one that was restored"),
        ("bad state", "gullible", "given no bytes, it took that"),
        ("bad state", "halfway", "after bad state was refused, and without: row"),
        ("forget", "keepsake", "a number that was forgotten"),
        ("ordinary scores", "alarmist", "more than 5 % of what is ordinary"),
        ("ordinary scores", "silent", "not one of 2000 rows of a series has a score, where `warm-up` says that 20"),
        ("start", "sleepy", "the deadline is 100ms"),
        ("speed", "slow", "1000 rows take"),
        ("memory", "hoarder", "it still grows in the second half"),
        ("series that go", "clinging", "it still grows in the second half"),
        ("details", "twofaced", "has a score of "),
        ("details", "rhetorical", "has a contribution of "),
    ] {
        let failed = outcome(check, &flawed(flaw)).expect_err(flaw);
        assert!(failed.contains(reason), "{check}, {flaw}: {failed}");
    }
}

#[test]
fn differing_details_are_reported_by_row_and_number() {
    let failed = outcome("details", &flawed("twofaced")).unwrap_err();
    // Five series in turn, each with 20 rows before its first score.
    assert!(failed.starts_with("row 100 has a score of ") && failed.contains(" others; they must"), "{failed}");
    assert!(!failed.contains("contribution"), "only what differs: {failed}");
    let report = outcome("details", &flawed("none")).unwrap();
    assert!(report.contains("get the scores and contributions of `detection`; 0 a reason, 0 a band"), "{report}");
}

#[test]
fn a_plugin_without_details_has_no_check_of_them() {
    let component = include_bytes!("../../../../tests/fixtures/plugin-0.1.0/bundle/detector.wasm").to_vec();
    let request = Request { component, model: Some(b"{}".to_vec()), features: None, parameters: Map::new() };
    let report = run_checks(&request, sandbox()).unwrap().to_text();
    assert!(report.contains("  opens ") && !report.contains("  details "), "{report}");
}

#[test]
fn flaws_in_training_fail_their_checks() {
    for (check, flaw, reason) in [
        ("fit", "untrainable", "nothing can be learnt"),
        ("unknown parameter", "careless", "whoever misspells a parameter must hear of it"),
        ("calibrate", "uncalibrated", "it must be"),
    ] {
        let parameters = Map::from_iter([("flaw".to_owned(), json!(flaw))]);
        let request = Request { model: None, features: Some(1), parameters, ..flawed("none") };
        let failed = outcome(check, &request).expect_err(flaw);
        assert!(failed.contains(reason), "{check}, {flaw}: {failed}");
    }
}

#[test]
fn plugins_that_do_not_load_or_run_fail_their_checks() {
    let hostile = |attack: &str| {
        let component = qualm_test_plugins::HOSTILE.to_vec();
        Request { component, model: Some(attack.as_bytes().to_vec()), features: None, parameters: Map::new() }
    };
    let wat = |text: &str| Request { component: wat::parse_str(text).unwrap(), ..flawed("none") };
    let exporting = |version: &str| {
        format!("(component (instance $i) (export \"qualm:detector/detection@{version}\" (instance $i)))")
    };
    for (check, request, reason) in [
        (
            "imports",
            wat(&exporting("0.1.1").replacen("(component ", "(component (import \"env\" (func)) ", 1)),
            "it imports `env`",
        ),
        ("contract", wat(&exporting("7.0.0")), "it is built for version 7.0.0"),
        ("compiles", wat(&exporting("0.1.1")), "the component cannot be compiled"),
        ("bad models", hostile("nan"), "given no bytes, it opens; it must answer bad-model"),
        ("opens", hostile("open-trap"), "it trapped"),
        ("opens", Request { features: Some(3), ..flawed("none") }, "where 3 were asked for"),
        ("determinism", hostile("short"), "it answered nonsense"),
        ("warm-up", hostile("infinite"), "it answered nonsense"),
        ("a jump", hostile("negative"), "it answered nonsense"),
        ("per series", hostile("save-trap"), "it trapped"),
    ] {
        let failed = outcome(check, &request).expect_err(check);
        assert!(failed.contains(reason), "{check}: {failed}");
    }
    let no_plugin = Request { component: b"{}".to_vec(), ..flawed("none") };
    let refused = run_checks(&no_plugin, sandbox()).unwrap_err().to_string();
    assert!(refused.contains("no WebAssembly component"), "{refused}");
}

#[test]
fn answers_that_differ_in_one_bit_fail() {
    let answer =
        |score: f64, share: f64| Verdicts { scores: vec![score], contributions: vec![share], ..Verdicts::default() };
    assert!(subject::check_same(&answer(f64::NAN, 1.0), &answer(-f64::NAN, 1.0), "NaN").is_ok());
    assert!(subject::check_same(&answer(0.0, 1.0), &answer(-0.0, 1.0), "zeros").is_err());
    assert!(subject::check_same(&answer(1.0, 1.0), &answer(1.0, 1.0_f64.next_up()), "shares").is_err());
}
