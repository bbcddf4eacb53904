//! Starts a training, in a process of its own.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use qualm_bundle::store::{self, Store};
use qualm_system::child::{self, Done, Limits};
use qualm_system::own;
use rustix::fs::{FlockOperation, Timespec, Timestamps, UTIME_NOW, flock, futimens};
use tracing::{info, warn};

use super::Plan;

/// How much the training lets others go first.
const NICE: i32 = 19;

/// Why a model is trained again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It is older than it may be.
    Age,
    /// Features or scores drift.
    Drift,
    /// Alarms have become more or fewer.
    Alarms,
}

impl Reason {
    fn text(self) -> &'static str {
        match self {
            Self::Age => "it is older than `after`",
            Self::Drift => "its metrics drift",
            Self::Alarms => "its alarms have become more or fewer",
        }
    }
}

/// Trains successors of a detector's model, one at a time.
#[derive(Debug)]
pub(crate) struct Trainer {
    plan: Plan,
    /// The version that scores, and when its last row was measured.
    version: u64,
    created: SystemTime,
    running: Option<JoinHandle<()>>,
    stopped: Arc<AtomicBool>,
}

impl Trainer {
    /// For the successors of a version whose last row was measured then.
    #[must_use]
    pub(crate) fn new(plan: Plan, version: u64, created: SystemTime) -> Self {
        Self { plan, version, created, running: None, stopped: Arc::default() }
    }

    /// Whether the model is to be trained again now, and why. `drifts` and `alarms_drift` are what was found of its rows.
    #[must_use]
    pub(crate) fn due(&self, drifts: bool, alarms_drift: bool, now: SystemTime) -> Option<Reason> {
        let options = &self.plan.options;
        if self.running.as_ref().is_some_and(|thread| !thread.is_finished()) {
            return None;
        }
        let since = |then: SystemTime| now.duration_since(then).unwrap_or_default();
        let reason = if options.on_drift && drifts {
            Reason::Drift
        } else if options.on_alarms && alarms_drift {
            Reason::Alarms
        } else if since(self.created) > options.after {
            Reason::Age
        } else {
            return None;
        };
        // The lock's time is that of the last attempt, also of an earlier process.
        let last = fs::metadata(self.plan.lock()).and_then(|lock| lock.modified());
        last.map_or(true, |last| since(last) >= options.pause || last > now + Duration::from_secs(1)).then_some(reason)
    }

    /// Starts a training, unless another process is at it.
    pub(crate) fn start(&mut self, reason: Reason) {
        let detector = self.plan.detector.clone();
        let lock = match lock(&self.plan.lock()) {
            Ok(Some(lock)) => lock,
            Ok(None) => return, // another qualm with the same state trains it
            Err(error) => {
                warn!("detector `{detector}`: its model is not trained again: {}: {error}", self.plan.lock().display());
                return;
            }
        };
        let (plan, version, stopped) = (self.plan.clone(), self.version, Arc::clone(&self.stopped));
        info!("detector `{detector}`: version {version} of its model is trained again, for {}", reason.text());
        let train = move || {
            match train(&plan, version, &stopped) {
                Ok(said) => info!("detector `{}`: a new model is ready: {said}", plan.detector),
                Err(_) if stopped.load(Ordering::Relaxed) => {}
                Err(why) => warn!("detector `{}` keeps its model, version {version}: {why}", plan.detector),
            }
            drop(lock);
        };
        match thread::Builder::new().name("qualm-retrain".to_owned()).spawn(train) {
            Ok(thread) => self.running = Some(thread),
            Err(error) => warn!("detector `{detector}`: no thread can be started to train its model: {error}"),
        }
    }
}

impl Drop for Trainer {
    /// Ends a training that runs: nobody would take what came of it.
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.running.take() {
            let _panicked = thread.join();
        }
    }
}

/// Takes the lock of a detector's training, and notes the time; `None` if another process has it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = own::open_or_create(path)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(None);
    }
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    futimens(&file, &Timestamps { last_access: now, last_modification: now })?;
    Ok(Some(file))
}

/// A version that is newer than all that were kept or given up.
fn next_version(plan: &Plan, running: u64) -> Result<u64, store::Error> {
    let store = Store::open(&plan.state, &plan.detector)?;
    let known = store.kept().into_iter().chain(store.rolled_back_from()).chain([running]);
    Ok(known.max().unwrap_or(running) + 1)
}

/// Trains, and offers what comes of it. Returns what is known of it.
fn train(plan: &Plan, version: u64, stopped: &AtomicBool) -> Result<String, String> {
    let text = |error: io::Error| error.to_string();
    let (dir, _held) = qualm_system::atomic::unfinished_dir(&plan.rows(), 0o700).map_err(text)?;
    let out = dir.path().join("next.qualm");
    let program = plan.options.program.clone().map_or_else(std::env::current_exe, Ok).map_err(text)?;
    let version_text = next_version(plan, version).map_err(|error| error.to_string())?.to_string();
    let absolute = |path: PathBuf| std::path::absolute(path).map_err(text);
    let (bundle, rows) = (absolute(plan.bundle(version))?, absolute(plan.rows())?);
    let mut arguments: Vec<&OsStr> = vec!["retrain".as_ref(), "--model".as_ref(), bundle.as_ref()];
    arguments.extend::<[&OsStr; 4]>(["--rows".as_ref(), rows.as_ref(), "--out".as_ref(), out.as_ref()]);
    arguments.extend::<[&OsStr; 2]>(["--version".as_ref(), version_text.as_ref()]);
    for window in &plan.options.maintenance {
        arguments.extend::<[&OsStr; 2]>(["--maintenance".as_ref(), window.as_ref()]);
    }
    let key = plan.options.key.clone().map(absolute).transpose()?;
    if let Some(key) = &key {
        arguments.extend::<[&OsStr; 2]>(["--key".as_ref(), key.as_ref()]);
    }
    if !plan.options.command.is_empty() {
        arguments.push("--".as_ref());
        arguments.extend(plan.options.command.iter().map(OsStr::new));
    }
    let arguments: Option<Vec<&str>> = arguments.into_iter().map(OsStr::to_str).collect();
    let arguments = arguments.ok_or("a path is not UTF-8")?;
    let limits = Limits { nice: NICE, ..Limits::default() };
    let stop = || stopped.load(Ordering::Relaxed);
    let Done { code, out: printed, said } = child::run(&program, &arguments, dir.path(), &limits, &stop)
        .map_err(|failure| format!("the training {failure}"))?;
    if code != 0 {
        let last = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it failed without a word");
        return Err(last.trim_start_matches("E! qualm: ").to_owned());
    }
    store::offer(&plan.state, &plan.detector, &out).map_err(|error| error.to_string())?;
    let printed = String::from_utf8_lossy(&printed);
    Ok(printed.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn trainer(state: &Path) -> Trainer {
        let options = config::Retrain { enabled: true, ..config::Retrain::default() };
        let plan = Plan { detector: "host".to_owned(), state: state.to_owned(), options };
        fs::create_dir_all(plan.rows()).unwrap();
        Trainer::new(plan, 3, SystemTime::now())
    }

    #[test]
    fn age_drift_and_alarms_are_reasons_unless_it_was_tried_lately() {
        let root = tempfile::tempdir().unwrap();
        let mut trainer = trainer(root.path());
        let (now, day) = (SystemTime::now(), Duration::from_hours(24));
        assert_eq!(trainer.due(false, false, now), None);
        assert_eq!(trainer.due(true, true, now), Some(Reason::Drift));
        assert_eq!(trainer.due(false, true, now), Some(Reason::Alarms));
        assert_eq!(trainer.due(false, false, now + 31 * day), Some(Reason::Age));
        trainer.plan.options.on_drift = false;
        assert_eq!(trainer.due(true, false, now), None);
        trainer.plan.options.on_drift = true;

        let held = lock(&trainer.plan.lock()).unwrap().unwrap();
        assert!(lock(&trainer.plan.lock()).unwrap().is_none(), "one at a time");
        drop(held);
        assert_eq!(trainer.due(true, false, SystemTime::now()), None, "it was tried just now");
        assert_eq!(trainer.due(true, false, now + day + Duration::from_mins(1)), Some(Reason::Drift));
    }

    #[test]
    fn a_training_that_fails_leaves_nothing_and_says_why() {
        let root = tempfile::tempdir().unwrap();
        let mut trainer = trainer(root.path());
        trainer.plan.options.program = Some("/bin/false".into());
        let why = train(&trainer.plan, 3, &trainer.stopped).unwrap_err();
        assert_eq!(why, "it failed without a word");
        trainer.plan.options.program = Some("/no/such/qualm".into());
        assert!(train(&trainer.plan, 3, &trainer.stopped).unwrap_err().contains("/no/such/qualm"));
        assert_eq!(fs::read_dir(trainer.plan.rows()).unwrap().count(), 0);
    }
}
