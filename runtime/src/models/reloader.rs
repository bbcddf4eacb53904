//! Looks for new models while metrics flow.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use qualm_bundle::Bundle;
use qualm_bundle::store::{self, Store};
use qualm_bundle::watch::Watch;
use qualm_sandbox::Title;
use tracing::{info, warn};

use super::builder::Candidate;
use super::loader::Loader;
use super::unusable::NoModel;

/// Looks for new models on a thread of its own.
#[derive(Debug)]
pub(crate) struct Reloader {
    shared: Arc<Shared>,
    /// The detector, and where what it has run is kept.
    detector: String,
    state: Option<PathBuf>,
    /// Writes down what became of models.
    writer: Option<JoinHandle<()>>,
}

/// What became of a model that was in shadow.
#[derive(Debug)]
pub(crate) enum Promotion {
    /// It took over, and is kept for the next start.
    Promoted(Arc<Bundle>),
    /// This version was given up, and is not taken again.
    Rejected(u64),
}

#[derive(Debug, Default)]
struct Shared {
    /// Whether there is a candidate: the pipeline looks at this alone, batch after batch.
    ready: AtomicBool,
    candidate: Mutex<Option<Candidate>>,
    taken: AtomicU64,
    refused: AtomicU64,
    /// Why what was offered last was not taken.
    refusal: Mutex<Option<String>>,
    /// A model that took over after a time in shadow, where nothing is kept on disk.
    promoted: Mutex<Option<Arc<Bundle>>>,
}

impl Reloader {
    /// Begins to look, whenever something changes, and every `poll` at least.
    ///
    /// # Panics
    ///
    /// Where no thread can be started.
    #[must_use]
    pub(crate) fn start(loader: Loader, poll: Duration) -> Self {
        let shared = Arc::new(Shared::default());
        let (detector, state) = (loader.name.clone(), loader.state.clone());
        let theirs = Arc::downgrade(&shared);
        let thread =
            thread::Builder::new().name("qualm-models".to_owned()).spawn(move || run_reloader(loader, poll, &theirs));
        drop(thread.expect("a thread can be started")); // it ends by itself once nobody asks any more
        Self { shared, detector, state, writer: None }
    }

    /// Keeps it from being taken again that a model failed and gave way to the one before: not by the next start either. A
    /// thread does it, since a disk may take its time.
    pub(crate) fn record_fallback(&mut self, from: &Title) {
        let version = from.version;
        self.write(move |detector, store| {
            if let Err(error) = store.and_then(|mut store| store.fall_back(version)) {
                warn!(
                    "detector `{detector}`: the next start tries version {version} again, for that it failed cannot be kept: {error}"
                );
            }
        });
    }

    /// Keeps what became of a model that was in shadow, likewise.
    pub(crate) fn record(&mut self, promotion: Promotion) {
        match promotion {
            Promotion::Promoted(bundle) if self.state.is_none() => {
                *self.shared.promoted.lock().unwrap_or_else(PoisonError::into_inner) = Some(bundle);
            }
            Promotion::Promoted(bundle) => self.write(move |detector, store| {
                if let Err(error) = store.and_then(|mut store| store.keep(&bundle)) {
                    warn!("detector `{detector}`: the model is used, but cannot be kept for the next start: {error}");
                }
            }),
            Promotion::Rejected(version) => self.write(move |detector, store| {
                if let Err(error) = store.and_then(|mut store| store.reject(version)) {
                    warn!(
                        "detector `{detector}`: the next start tries version {version} again, for that it was given up cannot \
                         be kept: {error}"
                    );
                }
            }),
        }
    }

    /// Has a thread change what is kept on disk, if anything is, after all that was written before.
    fn write(&mut self, change: impl FnOnce(&str, Result<Store, store::Error>) + Send + 'static) {
        let (Some(state), detector) = (self.state.clone(), self.detector.clone()) else { return };
        let before = self.writer.take();
        let write = move || {
            if let Some(before) = before {
                let _panicked = before.join();
            }
            change(&detector, Store::open(&state, &detector));
        };
        self.writer = thread::Builder::new().name("qualm-kept".to_owned()).spawn(write).ok();
    }

    /// Waits until what is to be written down stands on disk.
    pub(crate) fn finish(&mut self) {
        if let Some(writer) = self.writer.take() {
            let _panicked = writer.join();
        }
    }

    /// The last candidate, if there is a new one; `only_chosen`, if somebody went back to it. It never waits.
    #[must_use]
    pub(crate) fn take_candidate(&self, only_chosen: bool) -> Option<Candidate> {
        if !self.shared.ready.load(Ordering::Acquire) {
            return None;
        }
        // The other side holds it for no longer than a move takes; if it does just now, the next batch is early enough.
        let mut slot = self.shared.candidate.try_lock().ok()?;
        if only_chosen && slot.as_ref().is_some_and(|candidate| candidate.unkept.is_some()) {
            return None;
        }
        let candidate = slot.take();
        self.shared.ready.store(false, Ordering::Release);
        candidate
    }

    /// Counts a candidate that has taken over.
    pub(crate) fn record_taken(&self) {
        self.shared.taken.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a candidate that was of no use after all.
    pub(crate) fn record_refusal(&self, why: &str) {
        self.shared.refused.fetch_add(1, Ordering::Relaxed);
        *self.shared.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
    }

    /// How many models have taken over.
    #[must_use]
    pub(crate) fn taken(&self) -> u64 {
        self.shared.taken.load(Ordering::Relaxed)
    }

    /// How often something was offered that was not taken.
    #[must_use]
    pub(crate) fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Why what was offered last was not taken, where it was not.
    #[must_use]
    pub(crate) fn refusal(&self) -> Option<String> {
        self.shared.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The thread's work.
fn run_reloader(mut loader: Loader, poll: Duration, shared: &Weak<Shared>) {
    let watched = loader.fetcher.source().watched().map(Path::to_owned);
    let watch = Watch::on(watched.into_iter().chain(loader.store.watched()).chain(loader.store.offered()));
    let mut watch = watch.notified_by(&loader.builder.notifier);
    let mut last_reason = String::new();
    loop {
        // Looked at before the first wait as well: what came since the start may have come unseen.
        let Some(held) = shared.upgrade() else { return };
        let promoted = held.promoted.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(held);
        if let Some(bundle) = promoted {
            loader.keep(&bundle);
        }
        let next = loader.next_candidate();
        let Some(shared) = shared.upgrade() else { return };
        match next {
            Ok(None) => {}
            Ok(Some(candidate)) => {
                let next = if candidate.unkept.is_some() { "comes next" } else { "takes over" };
                info!("detector `{}`: {} is good, and {next}", loader.name, candidate.title);
                let mut slot = shared.candidate.lock().unwrap_or_else(PoisonError::into_inner);
                let late = slot.replace(candidate);
                shared.ready.store(true, Ordering::Release);
                drop(slot);
                drop(late); // never came to run
                last_reason.clear();
                *shared.refusal.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
            Err(NoModel { why, public_reason, .. }) => {
                shared.refused.fetch_add(1, Ordering::Relaxed);
                if last_reason != public_reason {
                    warn!("detector `{}` keeps its model: {why}", loader.name);
                    *shared.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(public_reason.clone());
                    last_reason = public_reason;
                }
            }
        }
        drop(shared);
        watch.wait(poll);
    }
}
