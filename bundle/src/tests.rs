//! Fetcher, store and watch together, as in a running pipeline.

use std::error::Error;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use qualm_core::BuiltIn;

use crate::rollback::roll_back;
use crate::signature::Trust;
use crate::source::{Fetched, Fetcher, Source, TIMEOUT};
use crate::store::{Admission, Store};
use crate::testing;
use crate::watch::Watch;
use crate::{Bundle, Fault};

/// The version that a pipeline runs, or why it refuses one.
type Outcome = Result<u64, Box<dyn Error + Send + Sync>>;

/// Runs good bundles until `stop` is set.
fn pipeline(source: &Path, state: &Path, stop: &AtomicBool, outcomes: &Sender<Outcome>) {
    let trust = Trust::default();
    let source = Source::Path(source.to_owned());
    let mut store = Store::open(state, "cpu").unwrap();
    let good = |bundle: &Bundle| -> Result<(), Fault> {
        bundle.check_trust(&trust)?;
        bundle.check_expiry(Timestamp::now())?;
        bundle.open(&BuiltIn).map(drop)
    };
    let run = |bundle: &Bundle| outcomes.send(good(bundle).map(|()| bundle.manifest.version).map_err(Into::into));
    if let Some(bundle) = store.current().unwrap() {
        run(&bundle).unwrap();
    }
    let mut watch = Watch::on(source.watched().map(Path::to_owned).into_iter().chain(store.watched()));
    let mut fetcher = Fetcher::new(source, TIMEOUT).unwrap();
    let mut failed = None;
    while !stop.load(Ordering::Relaxed) {
        if let Some(bundle) = store.changed().unwrap() {
            run(&bundle).unwrap();
        }
        match fetcher.poll() {
            Ok(Fetched::Unchanged) => {}
            Ok(Fetched::New(bundle)) => match store.admits(&bundle) {
                Ok(Admission::Same) => {}
                Ok(Admission::New) => {
                    // Stored first, so that a test that has the outcome can roll back.
                    if good(&bundle).is_ok() {
                        store.keep(&bundle).unwrap();
                    }
                    run(&bundle).unwrap();
                }
                Err(refused) => outcomes.send(Err(refused.into())).unwrap(),
            },
            // Once: a file that is being written may fail several times.
            Err(error) if failed.replace(error.to_string()) == Some(error.to_string()) => {}
            Err(error) => outcomes.send(Err(error.into())).unwrap(),
        }
        watch.wait(Duration::from_secs(30));
    }
}

/// Within this, a change is noticed: sooner than by polling.
const TIMELY: Duration = Duration::from_secs(20);

/// Runs a pipeline while `what` is done.
fn while_it_runs(source: &Path, state: &Path, what: impl FnOnce(&Receiver<Outcome>)) {
    let (stop, (sender, outcomes)) = (AtomicBool::new(false), channel());
    thread::scope(|scope| {
        let running = scope.spawn(|| pipeline(source, state, &stop, &sender));
        let done = catch_unwind(AssertUnwindSafe(|| what(&outcomes)));
        // Even after a panic, or the test would never end.
        stop.store(true, Ordering::Relaxed);
        fs::write(source.with_extension("new"), "").unwrap();
        fs::rename(source.with_extension("new"), state.join("bundles/cpu/store.toml")).unwrap(); // it wakes up
        running.join().unwrap();
        done.unwrap_or_else(|panic| resume_unwind(panic));
    });
}

/// The version that the pipeline runs next.
fn next_version(outcomes: &Receiver<Outcome>) -> u64 {
    outcomes.recv_timeout(TIMELY).unwrap().unwrap()
}

/// Why the pipeline refuses what comes next.
fn next_error(outcomes: &Receiver<Outcome>) -> String {
    outcomes.recv_timeout(TIMELY).unwrap().unwrap_err().to_string()
}

fn rollback(state: &Path) {
    roll_back(state, "cpu", None).unwrap();
}

#[test]
fn a_running_pipeline_loads_good_bundles_and_rolls_back() {
    let root = tempfile::tempdir().unwrap();
    let (source, state): (PathBuf, PathBuf) = (root.path().join("model"), root.path().join("state"));
    while_it_runs(&source, &state, |outcomes| {
        assert!(next_error(outcomes).contains("No such file"));
        testing::bundle(1).write(&source).unwrap();
        assert_eq!(next_version(outcomes), 1);
        testing::bundle(2).write(&source).unwrap();
        assert_eq!(next_version(outcomes), 2);
        fs::remove_file(source.join("model.safetensors")).unwrap();
        assert!(next_error(outcomes).contains("model.safetensors: it is missing"));
        testing::bundle(3).write(&source).unwrap();
        assert_eq!(next_version(outcomes), 3);

        rollback(&state);
        assert_eq!(next_version(outcomes), 2);
        testing::bundle(1).write(&source).unwrap();
        assert!(next_error(outcomes).contains("version 1 is not taken: version 3 was rolled back from"));
        testing::bundle(3).write(&source).unwrap();
        assert!(next_error(outcomes).contains("version 3 is not taken"));
        testing::bundle(4).write(&source).unwrap();
        assert_eq!(next_version(outcomes), 4);
        assert!(outcomes.try_recv().is_err(), "nothing else happened");
    });
}

#[test]
fn a_pipeline_starts_with_the_stored_bundle() {
    let root = tempfile::tempdir().unwrap();
    let (source, state) = (root.path().join("model"), root.path().join("state"));
    Store::open(&state, "cpu").unwrap().keep(&testing::bundle(7)).unwrap();
    while_it_runs(&source, &state, |outcomes| {
        assert_eq!(next_version(outcomes), 7);
        assert!(next_error(outcomes).contains("No such file"));
        testing::bundle(6).write(&source).unwrap();
        assert!(next_error(outcomes).contains("version 6 is not newer than version 7, which runs"));
    });
}
