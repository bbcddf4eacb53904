//! All of it together, as a running pipeline uses it.

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

/// What a pipeline tells: which version it runs, or why it does not take one.
type Outcome = Result<u64, String>;

/// Takes up what is good until it is told to stop.
fn pipeline(source: &Path, state: &Path, stop: &AtomicBool, tell: &Sender<Outcome>) {
    let trust = Trust::default();
    let source = Source::Path(source.to_owned());
    let mut store = Store::open(state, "cpu").unwrap();
    let good = |bundle: &Bundle| -> Result<(), Fault> {
        bundle.check_trust(&trust)?;
        bundle.check_expiry(Timestamp::now())?;
        bundle.open(&BuiltIn).map(drop) // where the pipeline asks its own runtime
    };
    let run =
        |bundle: &Bundle| tell.send(good(bundle).map(|()| bundle.manifest.version).map_err(|fault| fault.to_string()));
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
                    run(&bundle).unwrap();
                    if good(&bundle).is_ok() {
                        store.keep(&bundle).unwrap();
                    }
                }
                Err(refused) => tell.send(Err(refused.to_string())).unwrap(),
            },
            // Once: while a file is being written, it may be seen more than once.
            Err(error) if failed.replace(error.to_string()) == Some(error.to_string()) => {}
            Err(error) => tell.send(Err(error.to_string())).unwrap(),
        }
        watch.wait(Duration::from_secs(30));
    }
}

/// Runs a pipeline while `what` is done.
fn while_it_runs(source: &Path, state: &Path, what: impl FnOnce(&Receiver<Outcome>)) {
    let (stop, (tell, told)) = (AtomicBool::new(false), channel());
    thread::scope(|scope| {
        let running = scope.spawn(|| pipeline(source, state, &stop, &tell));
        let done = catch_unwind(AssertUnwindSafe(|| what(&told)));
        // Whatever became of it, or the test would wait for ever.
        stop.store(true, Ordering::Relaxed);
        fs::write(source.with_extension("new"), "").unwrap();
        fs::rename(source.with_extension("new"), state.join("bundles/cpu/store.toml")).unwrap(); // it wakes up
        running.join().unwrap();
        done.unwrap_or_else(|panic| resume_unwind(panic));
    });
}

fn next(told: &Receiver<Outcome>) -> Outcome {
    told.recv_timeout(Duration::from_secs(10)).expect("sooner than it looks by itself")
}

fn rollback(state: &Path) {
    roll_back(state, "cpu", None).unwrap();
}

#[test]
fn a_running_pipeline_takes_up_what_is_good_and_goes_back_when_told() {
    let root = tempfile::tempdir().unwrap();
    let (source, state): (PathBuf, PathBuf) = (root.path().join("model"), root.path().join("state"));
    while_it_runs(&source, &state, |told| {
        assert!(next(told).unwrap_err().contains("No such file"));
        testing::bundle(1).write(&source).unwrap();
        assert_eq!(next(told), Ok(1));
        testing::bundle(2).write(&source).unwrap();
        assert_eq!(next(told), Ok(2));
        fs::remove_file(source.join("model.safetensors")).unwrap();
        assert!(next(told).unwrap_err().contains("model.safetensors: it is missing"));
        testing::bundle(3).write(&source).unwrap();
        assert_eq!(next(told), Ok(3));

        rollback(&state);
        assert_eq!(next(told), Ok(2));
        testing::bundle(1).write(&source).unwrap();
        assert!(next(told).unwrap_err().contains("version 1 is not taken: version 3 was rolled back from"));
        testing::bundle(3).write(&source).unwrap();
        assert!(next(told).unwrap_err().contains("version 3 is not taken"));
        testing::bundle(4).write(&source).unwrap();
        assert_eq!(next(told), Ok(4));
        assert!(told.try_recv().is_err(), "nothing else happened");
    });
}

#[test]
fn it_begins_with_what_it_kept_when_the_source_has_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (source, state) = (root.path().join("model"), root.path().join("state"));
    Store::open(&state, "cpu").unwrap().keep(&testing::bundle(7)).unwrap();
    while_it_runs(&source, &state, |told| {
        assert_eq!(next(told), Ok(7));
        assert!(next(told).unwrap_err().contains("No such file"));
        testing::bundle(6).write(&source).unwrap();
        assert!(next(told).unwrap_err().contains("version 6 is not newer than version 7, which runs"));
    });
}
