//! Of each name the newest usable model serves: instead of one that is bad, has expired, or fails for now, the one before.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "support/hooked.rs"]
mod hooked;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hooked::Hooked;
use jiff::Timestamp;
use qualm_bundle::Bundle;
use qualm_bundle::bundle::Draft;
use qualm_bundle::manifest::Manifest;
use qualm_contract::{Batch, Detector, Error, ModelFactory, ModelSource, Trainer};
use qualm_core::BuiltIn;
use qualm_http::api::models::{Info, Options, Registry, State};
use support::train;

/// A bundle whose golden rows do not get their scores: `m1`, version 5.
const MISMATCH: &[u8] = include_bytes!("fixtures/golden-mismatch-5.qualm");

/// Opens bundles, but those of a version that fails: as often as `fails` says this machine is to blame, and from then on
/// none.
#[derive(Debug, Clone, Default)]
struct Unsteady {
    version: u64,
    fails: Arc<AtomicUsize>,
    opened: Arc<AtomicUsize>,
}

impl ModelFactory for Unsteady {
    fn open_model(&self, source: ModelSource<'_>) -> Result<Box<dyn Detector>, Error> {
        if source.version != self.version {
            return BuiltIn.open_model(source);
        }
        self.opened.fetch_add(1, Ordering::Relaxed);
        let left = |fails: usize| fails.checked_sub(1);
        match self.fails.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left) {
            Ok(_) => Err(Error::System("no room in /var/tmp/qualm".to_owned())),
            Err(_) => BuiltIn.open_model(source),
        }
    }

    fn open_trainer(&self, component: &[u8]) -> Result<Box<dyn Trainer + '_>, Error> {
        BuiltIn.open_trainer(component)
    }
}

fn put(dir: &Path, version: u64) -> PathBuf {
    train(dir, &format!("m1-{version}"), "m1", version, "zscore", None)
}

fn serves(registry: &Registry) -> Result<u64, u16> {
    registry.find("m1").map(|model| model.version).map_err(|problem| problem.status)
}

fn states(registry: &Registry) -> Vec<(Option<u64>, State)> {
    registry.list().iter().map(|info| (info.version, info.state)).collect()
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_mins(1);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_bad_one_leaves_its_place_to_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), 3);
    put(dir.path(), 4);
    fs::write(dir.path().join("m1-5.qualm"), MISMATCH).unwrap();
    fs::write(dir.path().join("m1-6.qualm"), "half a bundle").unwrap();
    let factory = Unsteady { version: 5, ..Unsteady::default() };
    let opened = Arc::clone(&factory.opened);
    let registry = Registry::open(Options::of(dir.path()), factory);
    assert_eq!(serves(&registry), Ok(4));
    for _ in 0..10 {
        assert_eq!(registry.find_loaded("m1").unwrap().unwrap().version, 4);
        assert_eq!(serves(&registry), Ok(4));
    }
    assert_eq!(opened.load(Ordering::Relaxed), 1, "it is bad for good");
    assert_eq!(states(&registry), [(Some(4), State::Ready), (Some(5), State::Broken), (Some(6), State::Broken)]);
    let Info { error, .. } = &registry.list()[1];
    assert!(error.as_ref().unwrap().contains("golden.safetensors"), "{error:?}");
    assert_eq!((registry.about("m1").unwrap().version, registry.newest_version("m1")), (Some(4), 6));
    // Whatever of the last ones goes: what is left serves.
    fs::remove_dir_all(dir.path().join("m1-4")).unwrap();
    registry.refresh();
    assert_eq!(serves(&registry), Ok(3));
    fs::remove_dir_all(dir.path().join("m1-3")).unwrap();
    registry.refresh();
    assert_eq!(serves(&registry), Err(503));
    assert!(registry.find("m1").unwrap_err().retry_after.is_none(), "to ask again is of no use");
}

#[test]
fn one_that_expires_while_it_serves_leaves_its_place_to_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), 1);
    let work = tempfile::tempdir().unwrap();
    let Bundle { manifest, model, golden, component, .. } = Bundle::read(&put(work.path(), 2)).unwrap();
    let expires = Timestamp::now() + Duration::from_secs(3);
    let manifest = Manifest { expires: Some(expires), ..manifest };
    let bundle = Draft { manifest, model, golden, reference: None, component }.finish(&BuiltIn).unwrap();
    bundle.write_packed(&dir.path().join("m1-2.qualm")).unwrap();
    let registry = Registry::open(Options::of(dir.path()), BuiltIn);
    if serves(&registry) != Ok(2) {
        assert!(Timestamp::now() >= expires, "it is good for some seconds");
    }
    until("the second one is not used any more", || Timestamp::now() >= expires);
    assert!(registry.find_loaded("m1").unwrap().is_none(), "the first one is not loaded yet");
    assert_eq!(serves(&registry), Ok(1));
    assert_eq!(registry.find_loaded("m1").unwrap().unwrap().version, 1);
    assert_eq!(states(&registry), [(Some(1), State::Ready), (Some(2), State::Broken)]);
    assert!(registry.list()[1].error.as_ref().unwrap().contains("it expired on"));
}

#[test]
fn where_this_machine_is_to_blame_it_is_tried_again_and_the_one_before_serves_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), 1);
    put(dir.path(), 2);
    let factory = Unsteady { version: 2, fails: Arc::new(AtomicUsize::new(2)), ..Unsteady::default() };
    let opened = Arc::clone(&factory.opened);
    let registry = Registry::open(Options::of(dir.path()), factory);
    assert_eq!(serves(&registry), Ok(1));
    assert_eq!(serves(&registry), Ok(1));
    assert_eq!(opened.load(Ordering::Relaxed), 1, "there is a pause before it is tried again");
    let listed = serde_json::to_string(&registry.list()).unwrap();
    assert!(listed.contains("this server failed to load it") && !listed.contains("/var/tmp"), "{listed}");
    until("the second one serves", || serves(&registry) == Ok(2));
    assert_eq!(opened.load(Ordering::Relaxed), 3);
    assert_eq!(states(&registry), [(Some(2), State::Ready)]);
}

#[test]
fn without_another_version_the_answer_has_retry_after() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), 2);
    let factory = Unsteady { version: 2, fails: Arc::new(AtomicUsize::new(1)), ..Unsteady::default() };
    let registry = Registry::open(Options::of(dir.path()), factory);
    let problem = registry.find("m1").unwrap_err();
    assert!(problem.status == 503 && problem.retry_after.is_some(), "{problem:?}");
    assert!(!problem.error.contains("/var/tmp"), "{problem}");
    assert_eq!(registry.find_loaded("m1").unwrap_err().status, 503, "until then it is not tried");
    until("it serves", || serves(&registry) == Ok(2));
}

#[test]
fn what_was_good_serves_on_when_something_bad_is_put_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("m1.qualm");
    let good = Bundle::read(&put(tempfile::tempdir().unwrap().path(), 4)).unwrap();
    good.write_packed(&place).unwrap();
    let registry = Registry::open(Options::of(dir.path()), BuiltIn);
    assert_eq!(serves(&registry), Ok(4));
    for bad in [MISMATCH, b"no bundle", b"\0asm: a plugin"] {
        fs::write(&place, bad).unwrap();
        registry.refresh();
        assert_eq!(serves(&registry), Ok(4));
        let Info { state, error, .. } = &registry.list()[0];
        assert!(*state == State::Broken && error.as_ref().unwrap().contains("version 4, which was there before"));
        assert!(!error.as_ref().unwrap().contains(&*dir.path().to_string_lossy()), "{error:?}");
    }
    // A removed model does not serve.
    fs::remove_file(&place).unwrap();
    registry.refresh();
    assert_eq!(serves(&registry), Err(404));
}

#[test]
fn a_directory_that_is_copied_file_by_file_serves_once_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = Bundle::read(&put(tempfile::tempdir().unwrap().path(), 1)).unwrap();
    let registry = Registry::open(Options::of(dir.path()), BuiltIn);
    fs::create_dir(dir.path().join("m1-1")).unwrap();
    for (name, bytes) in bundle.files() {
        registry.refresh();
        assert!(serves(&registry).is_err(), "{name} is missing");
        fs::write(dir.path().join("m1-1").join(name), bytes).unwrap();
    }
    registry.refresh();
    assert_eq!(serves(&registry), Ok(1));
}

/// Opens version 2 as one that scores nothing.
#[derive(Debug)]
struct Trapping;

impl ModelFactory for Trapping {
    fn open_model(&self, source: ModelSource<'_>) -> Result<Box<dyn Detector>, Error> {
        let detector = BuiltIn.open_model(source)?;
        let trap = |_: Batch<'_>| Err(Error::Internal("it trapped".to_owned()));
        Ok(if source.version == 2 { Box::new(Hooked::new(detector, trap)) } else { detector })
    }

    fn open_trainer(&self, component: &[u8]) -> Result<Box<dyn Trainer + '_>, Error> {
        BuiltIn.open_trainer(component)
    }
}

#[test]
fn one_that_only_fails_leaves_its_place_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), 1);
    put(dir.path(), 2);
    let registry = Registry::open(Options::of(dir.path()), Trapping);
    let mut failed = 0;
    loop {
        let model = registry.find("m1").unwrap();
        match model.score(&[0], &[50.0, 60.0, 1000.0], true, false) {
            Ok(_) => break assert_eq!(model.version, 1),
            Err(_) => failed += 1,
        }
        assert!(failed < 10);
    }
    assert_eq!(failed, 3, "a single failure may be the request's own doing");
    assert_eq!(states(&registry), [(Some(1), State::Ready), (Some(2), State::Broken)]);
}
