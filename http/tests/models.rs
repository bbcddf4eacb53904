//! Models from a directory, and scores for rows.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/hooked.rs"]
mod hooked;
mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use hooked::Hooked;
use qualm_bundle::Bundle;
use qualm_bundle::signature::{PublicKey, Trust};
use qualm_contract::{Batch, Detector, Error, ModelFactory, ModelSource, Trainer};
use qualm_core::BuiltIn;
use qualm_http::api::models::{Options, Registry, State};
use qualm_http::api::problem::Problem;
use qualm_http::api::score::{Limits, Request, Rows};
use serde_json::{Value, json};
use support::train;

fn open(dir: &Path) -> Arc<Registry> {
    Registry::open(Options::of(dir), BuiltIn)
}

fn score(registry: &Registry, body: &Value) -> Result<Value, Problem> {
    let body = body.to_string();
    let request = Request::parse(body.as_bytes())?;
    let model = registry.find(&request.model)?;
    let answer = Rows::read(&request, &model, Limits::default())?.score(&model)?;
    Ok(serde_json::from_slice(&answer).unwrap())
}

fn scores(answer: &Value) -> Vec<f64> {
    answer["scores"].as_array().unwrap().iter().map(|score| score.as_f64().unwrap()).collect()
}

#[test]
fn rows_get_the_scores_that_the_detector_gives() {
    let dir = tempfile::tempdir().unwrap();
    let path = train(dir.path(), "host", "host", 1, "isolation-forest", None);
    let registry = open(dir.path());
    // More than a slice, so that the series has to be remembered in between.
    let rows: Vec<[f64; 3]> = (0..1000).map(|row| [50.0 + f64::from(row % 9), 60.0, 1000.0 - f64::from(row)]).collect();
    let answer = score(&registry, &json!({"model": "host", "data": rows, "explain": false})).unwrap();
    let mut detector = qualm_core::open(&Bundle::read(&path).unwrap().model).unwrap();
    // Rows without times follow upon an ordinary one: what the features' medians were in training.
    let features = Bundle::read(&path).unwrap().manifest.features;
    let medians = features.iter().map(|feature| feature.reference.as_ref().unwrap().quantiles[5]);
    let values: Vec<f64> = medians.chain(rows.as_flattened().iter().copied()).collect();
    let (series, times) = (vec![0; 1001], vec![0; 1001]);
    let batch = Batch { series: &series, times: &times, values: &values };
    assert_eq!(scores(&answer), detector.verdicts_of(batch, qualm_contract::Wanted::SCORES).unwrap().scores[1..]);

    assert_eq!(answer["model"], json!({"name": "host", "version": 1, "kind": "isolation-forest"}));
    assert_eq!(answer["features"], json!(["cpu", "mem", "net"]));
    assert_eq!((&answer["contributions"], &answer["timestamps"]), (&Value::Null, &Value::Null));
    // Nothing is remembered: the same rows get the same scores again.
    assert_eq!(score(&registry, &json!({"model": "host", "data": rows, "explain": false})).unwrap(), answer);
    let objects: Vec<Value> = rows.iter().map(|[cpu, mem, net]| json!({"net": net, "cpu": cpu, "mem": mem})).collect();
    assert_eq!(score(&registry, &json!({"data": objects, "model": "host", "explain": false})).unwrap(), answer);
}

/// A typical request.
#[test]
fn a_row_by_itself_is_judged_by_what_was_ordinary_in_training() {
    let dir = tempfile::tempdir().unwrap();
    for kind in ["isolation-forest", "extended-isolation-forest", "pca-mahalanobis", "zscore"] {
        train(dir.path(), kind, kind, 1, kind, None);
        let registry = open(dir.path());
        let one = |row: [f64; 3]| {
            let answer = score(&registry, &json!({"model": kind, "data": [row], "explain": false})).unwrap();
            scores(&answer)[0]
        };
        assert!(one([1e6, -1e6, 1e6]) > 1.0, "{kind}: {}", one([1e6, -1e6, 1e6]));
    }
}

#[test]
fn anomalies_are_explained_and_what_is_missing_is_not_scored() {
    let dir = tempfile::tempdir().unwrap();
    train(dir.path(), "host", "host", 1, "zscore", None);
    let registry = open(dir.path());
    let data = json!([[50, 60, 1000], {"cpu": 500, "mem": 60, "net": 1000}, [null, null, null]]);
    let times = json!([1_700_000_000, "2023-11-14T22:13:30Z", 1_700_000_020_000_i64]);
    let body = json!({"model": "host", "data": data, "timestamps": times, "explain": true});
    let answer = score(&registry, &body).unwrap();
    assert_eq!(answer["anomalies"], json!([false, true, false]));
    assert_eq!(answer["scores"][2], Value::Null);
    assert_eq!((&answer["contributions"][0], &answer["contributions"][2]), (&Value::Null, &Value::Null));
    let why = &answer["contributions"][1];
    assert!(why["cpu"].as_f64().unwrap().abs() > why["net"].as_f64().unwrap().abs(), "{why}");
    let times = json!(["2023-11-14T22:13:20Z", "2023-11-14T22:13:30Z", "2023-11-14T22:13:40Z"]);
    assert_eq!(answer["timestamps"], times);
}

#[test]
fn rates_are_made_of_counters_as_in_a_pipeline() {
    let dir = tempfile::tempdir().unwrap();
    let spec = "[[features]]\nname = \"sent\"\nmeasurement = \"host\"\nfield = \"net\"\ntransform = \"rate\"\n";
    train(dir.path(), "host", "host", 1, "zscore", Some(spec));
    let registry = open(dir.path());
    let answer = score(&registry, &json!({"model": "host", "data": [[0], [1e6]], "timestamps": [10, 20]})).unwrap();
    assert_eq!((&answer["scores"][0], &answer["anomalies"][1]), (&Value::Null, &json!(true)), "{answer}");
    let problem = score(&registry, &json!({"model": "host", "data": [[0], [1e6]]})).unwrap_err();
    assert_eq!((problem.status, problem.field.as_deref()), (422, Some("timestamps")));
}

#[test]
fn the_newest_of_each_name_serves_and_broken_ones_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let work = tempfile::tempdir().unwrap();
    let registry = open(dir.path());
    let problem = registry.find("host").unwrap_err();
    assert_eq!(problem.status, 404);
    for version in [2, 10, 9] {
        let bundle = Bundle::read(&train(work.path(), "host", "host", version, "zscore", None)).unwrap();
        bundle.write_packed(&dir.path().join(bundle.archive_name())).unwrap();
    }
    fs::write(dir.path().join("host-11.qualm"), "half a bundle").unwrap();
    fs::write(dir.path().join("notes.txt"), "no bundle").unwrap();
    fs::write(dir.path().join(".host-12.qualm"), "being written").unwrap();
    registry.refresh();
    assert_eq!(registry.find("host").unwrap().version, 10);
    assert_eq!(registry.newest_version("host"), 11);
    let listed: Vec<_> = registry.list().iter().map(|info| (info.file.clone(), info.version, info.state)).collect();
    assert_eq!(
        listed,
        [("host-10.qualm".to_owned(), Some(10), State::Ready), ("host-11.qualm".to_owned(), Some(11), State::Broken)]
    );
    assert!(registry.list()[1].error.as_ref().unwrap().contains("no packed bundle"));
    assert_eq!(registry.about("host").unwrap().version, Some(10));
    assert_eq!(registry.find("hots").unwrap_err().hint.unwrap(), "did you mean `host`?");
    fs::remove_file(dir.path().join("host-10.qualm")).unwrap();
    registry.refresh();
    assert_eq!(registry.find("host").unwrap().version, 9);
    for version in [2, 9] {
        fs::remove_file(dir.path().join(format!("host-{version}.qualm"))).unwrap();
    }
    registry.refresh();
    assert_eq!(registry.find("host").unwrap_err().status, 503);
    assert_eq!(registry.about("host").unwrap().state, State::Broken);
}

#[test]
fn a_new_version_is_found_without_being_asked_to_look() {
    let dir = tempfile::tempdir().unwrap();
    train(dir.path(), "host", "host", 1, "zscore", None);
    let registry = open(dir.path());
    assert_eq!(registry.find("host").unwrap().version, 1);
    train(dir.path(), "host", "host", 2, "zscore", None);
    let version = || registry.find("host").unwrap().version;
    for _ in 0..200 {
        if version() == 2 {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("version {} serves still", version());
}

#[test]
fn only_what_is_trusted_serves() {
    let dir = tempfile::tempdir().unwrap();
    train(dir.path(), "host", "host", 1, "zscore", None);
    let key = PublicKey::parse("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3").unwrap();
    let options = Options { trust: Trust { keys: vec![key] }, ..Options::of(dir.path()) };
    let registry = Registry::open(options, BuiltIn);
    let problem = registry.find("host").unwrap_err();
    assert!(problem.status == 503 && problem.error.contains("not signed"), "{problem}");
}

#[test]
fn what_nobody_asks_for_makes_room() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        train(dir.path(), name, name, 1, "zscore", None);
    }
    let registry = Registry::open(Options { most_loaded: 2, ..Options::of(dir.path()) }, BuiltIn);
    assert!(registry.find_loaded("a").unwrap().is_none());
    for name in ["a", "b", "a", "c"] {
        registry.find(name).unwrap();
    }
    let loaded: Vec<_> =
        ["a", "b", "c"].into_iter().filter(|name| registry.find_loaded(name).unwrap().is_some()).collect();
    assert_eq!(loaded, ["a", "c"]);
}

/// Opens detectors that take their time, and fail on request.
#[derive(Debug, Default)]
struct Slow {
    opened: Arc<AtomicUsize>,
    fails: Arc<AtomicBool>,
    alive: Arc<AtomicUsize>,
}

impl ModelFactory for Slow {
    fn open_model(&self, source: ModelSource<'_>) -> Result<Box<dyn Detector>, Error> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let (fails, alive) = (Arc::clone(&self.fails), Arc::clone(&self.alive));
        Ok(Box::new(Hooked::new(BuiltIn.open_model(source)?, move |batch: Batch<'_>| {
            if fails.swap(false, Ordering::Relaxed) {
                return Err(Error::Internal("it trapped".to_owned()));
            }
            thread::sleep(Duration::from_micros(batch.len() as u64 * 50));
            alive.fetch_max(batch.series[0] as usize + 1, Ordering::Relaxed);
            Ok(())
        })))
    }

    fn open_trainer(&self, component: &[u8]) -> Result<Box<dyn Trainer + '_>, Error> {
        BuiltIn.open_trainer(component)
    }
}

#[test]
fn a_large_request_does_not_hold_up_a_small_one() {
    let dir = tempfile::tempdir().unwrap();
    train(dir.path(), "host", "host", 1, "zscore", None);
    let slow = Slow::default();
    let alive = Arc::clone(&slow.alive);
    let registry = Registry::open(Options::of(dir.path()), slow);
    let (started, done) = (AtomicBool::new(false), AtomicBool::new(false));
    registry.find("host").unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let rows = vec![[50.0, 60.0, 1000.0]; 20_000]; // a second
            started.store(true, Ordering::Relaxed);
            score(&registry, &json!({"model": "host", "data": rows})).unwrap();
            done.store(true, Ordering::Relaxed);
        });
        while !started.load(Ordering::Relaxed) || alive.load(Ordering::Relaxed) == 0 {
            thread::yield_now();
        }
        for _ in 0..5 {
            score(&registry, &json!({"model": "host", "data": [[50, 60, 1000]]})).unwrap();
        }
        assert!(!done.load(Ordering::Relaxed), "five small requests wait for five slices, not for all");
    });
    assert_eq!(alive.load(Ordering::Relaxed), 2, "two requests at once, two series");
}

#[test]
fn a_detector_that_failed_is_opened_anew() {
    let dir = tempfile::tempdir().unwrap();
    train(dir.path(), "host", "host", 1, "zscore", None);
    let slow = Slow::default();
    let (opened, fails) = (Arc::clone(&slow.opened), Arc::clone(&slow.fails));
    let registry = Registry::open(Options::of(dir.path()), slow);
    let body = json!({"model": "host", "data": [[50, 60, 1000]]});
    let answer = score(&registry, &body).unwrap();
    fails.store(true, Ordering::Relaxed);
    assert_eq!(score(&registry, &body).unwrap_err().status, 503);
    assert_eq!(score(&registry, &body).unwrap(), answer);
    assert_eq!(opened.load(Ordering::Relaxed), 2);
}
