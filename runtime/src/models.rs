//! Trained models: how a bundle becomes a detector that runs, and how a new one takes over while metrics flow.
//!
//! A [`Loader`] turns what a source offers into a [`Candidate`]: a bundle that is whole, trusted and new enough, with a
//! guest that has opened its model and given the golden rows their scores. That takes its time, so while the pipeline
//! runs a [`Reloader`] does it on a thread of its own; between two batches the pipeline asks for the last candidate and
//! swaps. What is not good never gets that far.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;
use qualm_bundle::manifest::{self, Manifest};
use qualm_bundle::signature::Trust;
use qualm_bundle::source::{Fetched, Fetcher, Source, TIMEOUT};
use qualm_bundle::store::{Admission, Store};
use qualm_bundle::watch::{Notifier, Watch};
use qualm_bundle::{Bundle, Fault};
use qualm_pipeline::suppress::Suppression;
use qualm_pipeline::vector::Shape;
use tracing::{info, warn};

use qualm_sandbox::{Failure, Running, SandboxFactory, Title};

/// A model that is ready to take over.
#[derive(Debug)]
pub struct Candidate {
    /// What the model is called.
    pub title: Arc<Title>,
    /// What its vectors are made of; none where it scores single fields.
    pub shape: Option<Shape>,
    /// Which of its incidents are reported.
    pub suppression: Suppression,
    /// The detector.
    pub running: Running,
}

/// Why there is no model to begin with.
#[derive(Debug)]
pub struct NoModel {
    /// Why, for the log.
    pub why: String,
    /// Why, for whoever asks over the network: without what is known of this machine, such as where its files are.
    pub public_reason: String,
    /// A model that is good as far as can be told before it is compiled, which takes longer than metrics should wait.
    pub outline: Option<Box<ModelOutline>>,
}

/// What is known of a model before it runs.
#[derive(Debug)]
pub struct ModelOutline {
    /// See [`Candidate`].
    pub shape: Option<Shape>,
    /// See [`Candidate`].
    pub suppression: Suppression,
}

impl ModelOutline {
    fn of(manifest: &Manifest) -> Result<Self, String> {
        let text = |error: manifest::Error| error.to_string();
        Ok(Self {
            shape: (manifest.shape == manifest::Shape::Vector).then(|| manifest.vectors()).transpose().map_err(text)?,
            suppression: manifest.suppression.for_pipeline().map_err(|error| error.to_string())?,
        })
    }
}

/// Makes detectors of bundles.
#[derive(Debug, Clone)]
pub struct ModelBuilder {
    /// Opens detectors, each with the limits of one of the pipeline.
    pub factory: SandboxFactory,
    /// Who may make bundles.
    pub trust: Trust,
    /// Has all that look for new models look now.
    pub notifier: Notifier,
}

/// Makes candidates of what one detector's source offers.
#[derive(Debug)]
pub struct Loader {
    /// The detector's name in the configuration.
    name: String,
    /// Where what has been good is kept, if anywhere.
    state: Option<PathBuf>,
    builder: ModelBuilder,
    fetcher: Fetcher,
    store: Store,
    /// The digest of the bundle that was last made a detector of.
    last: Option<String>,
    /// What was not tried yet: somebody rolled back to it and this machine was too busy, or metrics waited and it would
    /// have to be compiled.
    pending: Option<Bundle>,
}

impl ModelBuilder {
    /// Makes a detector of a bundle, if it is good in every respect.
    ///
    /// # Errors
    ///
    /// In what respect it is not.
    pub fn candidate(&self, bundle: &Bundle) -> Result<Candidate, Rejected> {
        self.check(bundle)?;
        let Manifest { name, version, kind, features, .. } = &bundle.manifest;
        let title = Arc::new(Title { name: name.clone(), version: *version, kind: kind.clone() });
        let spec = self.factory.spec(bundle.source(), Arc::clone(&title)).map_err(Fault::from)?;
        let mut running = Running::start(spec, features.len())?;
        bundle.verify(&mut running)?;
        let ModelOutline { shape, suppression } = ModelOutline::of(&bundle.manifest)?;
        Ok(Candidate { title, shape, suppression, running })
    }

    /// Whether a bundle may be used at all.
    fn check(&self, bundle: &Bundle) -> Result<(), Rejected> {
        bundle.check_expiry(Timestamp::now())?;
        bundle.check_trust(&self.trust)?;
        Ok(())
    }

    /// Whether its detector would have to be compiled first.
    fn must_compile(&self, bundle: &Bundle) -> bool {
        bundle.component.as_ref().is_some_and(|component| !self.factory.sandbox().has_compiled(component))
    }
}

/// Why a bundle is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Rejected {
    why: String,
    blame: Blame,
}

/// What is to blame where a bundle is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The bundle: it will never be good.
    Bundle,
    /// The bundle, or this machine, which was too busy for it to be in time.
    Deadline,
    /// This machine, which lacks something. Why that is so is for its own people alone.
    Machine,
}

impl Rejected {
    /// What is to blame.
    #[must_use]
    pub fn blame(&self) -> Blame {
        self.blame
    }

    /// Whether it may be good at another time.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.blame != Blame::Bundle
    }
}

impl From<String> for Rejected {
    fn from(why: String) -> Self {
        Self { why, blame: Blame::Bundle }
    }
}

impl From<String> for NoModel {
    fn from(why: String) -> Self {
        Self { public_reason: why.clone(), why, outline: None }
    }
}

impl From<Rejected> for NoModel {
    fn from(rejected: Rejected) -> Self {
        let public_reason = match rejected.blame {
            Blame::Bundle | Blame::Deadline => rejected.why.clone(),
            Blame::Machine => "this machine failed to load it; the log says why, and it is tried again".to_owned(),
        };
        Self { why: rejected.why, public_reason, outline: None }
    }
}

impl NoModel {
    /// The same, with where it comes from.
    fn at(self, source: &Source) -> Self {
        Self { why: format!("{source}: {}", self.why), ..self }
    }
}

impl From<Failure> for Rejected {
    fn from(failure: Failure) -> Self {
        let blame = match failure {
            Failure::Deadline(_) | Failure::Slow { .. } => Blame::Deadline,
            Failure::System(_) => Blame::Machine,
            _ => Blame::Bundle,
        };
        Self { why: failure.to_string(), blame }
    }
}

impl From<Fault> for Rejected {
    fn from(fault: Fault) -> Self {
        let blame = match fault {
            Fault::Deadline(_) => Blame::Deadline,
            Fault::System(_) => Blame::Machine,
            _ => Blame::Bundle,
        };
        Self { why: fault.to_string(), blame }
    }
}

impl Loader {
    /// For the detector `name`, whose models come from `source`. What has been good is kept in `state`, if given.
    ///
    /// # Errors
    ///
    /// Where the source cannot be one, or the state directory cannot be used.
    pub fn new(name: &str, source: &str, state: Option<&Path>, builder: ModelBuilder) -> Result<Self, String> {
        let fetcher = Fetcher::new(Source::parse(source).map_err(|error| error.to_string())?, TIMEOUT)
            .map_err(|error| error.to_string())?;
        let store = match state {
            None => Store::in_memory(),
            Some(state) => Store::open(state, name).map_err(|error| error.to_string())?,
        };
        Ok(Self {
            name: name.to_owned(),
            state: state.map(Path::to_owned),
            builder,
            fetcher,
            store,
            last: None,
            pending: None,
        })
    }

    /// The model to begin with: what the source offers or, where that is nothing good, the last good one. Where metrics
    /// wait, a server is not asked yet, and nothing is compiled: both may take their time.
    ///
    /// # Errors
    ///
    /// Where there is neither.
    pub fn first_candidate(&mut self, metrics_wait: bool) -> Result<Candidate, NoModel> {
        let offered = if metrics_wait && self.is_remote() {
            Err(NoModel::from(format!("{} has not been asked yet", self.fetcher.source())))
        } else {
            let found = self.find_candidate(metrics_wait);
            let none = || NoModel::from("there is no bundle".to_owned()).at(self.fetcher.source());
            found.and_then(|found| found.ok_or_else(none))
        };
        let no_model = match offered {
            Ok(candidate) => return Ok(candidate),
            Err(no_model) => no_model,
        };
        let error = no_model.why.clone();
        let stored = match self.store.current() {
            Ok(stored) => stored.filter(|stored| no_model.outline.is_none() || !self.builder.must_compile(stored)),
            Err(stored) => return Err(NoModel { why: format!("{error}; {stored}"), ..no_model }),
        };
        let Some(stored) = stored else { return Err(no_model) };
        if metrics_wait && self.builder.must_compile(&stored) {
            let compiled = self.postpone(stored).unwrap_or_else(NoModel::from);
            return Err(NoModel { why: format!("{error}; {}", compiled.why), ..compiled });
        }
        let candidate = self
            .builder
            .candidate(&stored)
            .map_err(|stored| NoModel::from(format!("{error}; and the last good bundle is of no use: {stored}")))?;
        self.last = Some(stored.digest());
        info!("detector `{}` begins with the last good model, {}: {error}", self.name, candidate.title);
        Ok(candidate)
    }

    /// Whether the source is a server, which is not asked before metrics flow.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.fetcher.source().watched().is_none()
    }

    /// What the source offers, or somebody rolled back to, if it is another one than the last.
    ///
    /// # Errors
    ///
    /// Why what it offers is not taken.
    pub fn next_candidate(&mut self) -> Result<Option<Candidate>, NoModel> {
        self.find_candidate(false)
    }

    /// Leaves a bundle to the next look.
    fn postpone(&mut self, bundle: Bundle) -> Result<NoModel, String> {
        self.builder.check(&bundle).map_err(|rejected| rejected.why)?;
        let Manifest { name, version, .. } = &bundle.manifest;
        let why = format!("{name} version {version} scores nothing until it is compiled");
        let outline = Some(Box::new(ModelOutline::of(&bundle.manifest)?));
        self.pending = Some(bundle);
        Ok(NoModel { outline, ..why.into() })
    }

    /// As [`look`](Self::look); what would have to be compiled is left to the next look where metrics wait.
    fn find_candidate(&mut self, metrics_wait: bool) -> Result<Option<Candidate>, NoModel> {
        // A store that cannot be read keeps nobody from asking the source.
        let changed = self.store.changed().unwrap_or_else(|error| {
            warn!("detector `{}`: {error}", self.name);
            None
        });
        if let Some(bundle) = changed.or_else(|| self.pending.take()) {
            if metrics_wait && self.builder.must_compile(&bundle) {
                return Err(self.postpone(bundle)?);
            }
            let candidate = self.builder.candidate(&bundle).inspect_err(|rejected| {
                self.pending = rejected.is_transient().then(|| bundle.clone());
            })?;
            self.last = Some(bundle.digest());
            return Ok(Some(candidate));
        }
        let bundle = match self.fetcher.poll() {
            Ok(Fetched::New(bundle)) => bundle,
            Ok(Fetched::Unchanged) => return Ok(None),
            Err(error) => {
                return Err(NoModel { why: error.to_string(), ..error.fault.to_string().into() });
            }
        };
        let at = |no_model: NoModel| no_model.at(self.fetcher.source());
        let admission = self.store.admits(&bundle).map_err(|refused| at(refused.to_string().into()))?;
        let digest = bundle.digest();
        if admission == Admission::Same && self.last.as_ref() == Some(&digest) {
            return Ok(None);
        }
        if metrics_wait && self.builder.must_compile(&bundle) {
            let postponed = self.postpone(*bundle);
            self.pending = None;
            self.fetcher.invalidate(); // it is offered again
            return Err(postponed.unwrap_or_else(|why| NoModel::from(why).at(self.fetcher.source())));
        }
        let candidate = self.builder.candidate(&bundle).map_err(|rejected| {
            if rejected.is_transient() {
                self.fetcher.invalidate();
            }
            NoModel::from(rejected).at(self.fetcher.source())
        })?;
        self.last = Some(digest);
        if let Err(error) = self.store.keep(&bundle) {
            warn!("detector `{}`: the model is used, but cannot be kept for the next start: {error}", self.name);
        }
        Ok(Some(candidate))
    }
}

/// Looks for new models on a thread of its own.
#[derive(Debug)]
pub struct Reloader {
    shared: Arc<Shared>,
    /// The detector, and where what it has run is kept.
    detector: String,
    state: Option<PathBuf>,
    /// Writes down that a model failed.
    fallback: Option<JoinHandle<()>>,
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
}

impl Reloader {
    /// Begins to look, whenever something changes, and every `poll` at least.
    ///
    /// # Panics
    ///
    /// Where no thread can be started.
    #[must_use]
    pub fn start(loader: Loader, poll: Duration) -> Self {
        let shared = Arc::new(Shared::default());
        let (detector, state) = (loader.name.clone(), loader.state.clone());
        let theirs = Arc::downgrade(&shared);
        let thread =
            thread::Builder::new().name("qualm-models".to_owned()).spawn(move || run_reloader(loader, poll, &theirs));
        drop(thread.expect("a thread can be started")); // it ends by itself once nobody asks any more
        Self { shared, detector, state, fallback: None }
    }

    /// Keeps it from being taken again that a model failed and gave way to the one before: not by the next start either. A
    /// thread does it, since a disk may take its time.
    pub fn record_fallback(&mut self, from: &Title) {
        let (Some(state), detector, version) = (self.state.clone(), self.detector.clone(), from.version) else {
            return;
        };
        let write = move || {
            let fallen = Store::open(&state, &detector).and_then(|mut store| store.fall_back(version));
            if let Err(error) = fallen {
                warn!(
                    "detector `{detector}`: the next start tries version {version} again, for that it failed cannot be kept: {error}"
                );
            }
        };
        self.finish();
        self.fallback = thread::Builder::new().name("qualm-fallback".to_owned()).spawn(write).ok();
    }

    /// Waits until what is to be written down stands on disk.
    pub fn finish(&mut self) {
        if let Some(fallback) = self.fallback.take() {
            let _panicked = fallback.join();
        }
    }

    /// The last candidate, if there is a new one. It never waits.
    #[must_use]
    pub fn take_candidate(&self) -> Option<Candidate> {
        if !self.shared.ready.load(Ordering::Acquire) {
            return None;
        }
        // The other side holds it for no longer than a move takes; if it does just now, the next batch is early enough.
        let mut slot = self.shared.candidate.try_lock().ok()?;
        let candidate = slot.take();
        self.shared.ready.store(false, Ordering::Release);
        drop(slot);
        self.shared.taken.fetch_add(u64::from(candidate.is_some()), Ordering::Relaxed);
        candidate
    }

    /// Counts a candidate that was taken, and then of no use after all.
    pub fn record_refusal(&self, why: &str) {
        self.shared.taken.fetch_sub(1, Ordering::Relaxed);
        self.shared.refused.fetch_add(1, Ordering::Relaxed);
        *self.shared.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
    }

    /// How many models have taken over.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.shared.taken.load(Ordering::Relaxed)
    }

    /// How often something was offered that was not taken.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Why what was offered last was not taken, where it was not.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        self.shared.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The thread's work.
fn run_reloader(mut loader: Loader, poll: Duration, shared: &Weak<Shared>) {
    let watched = loader.fetcher.source().watched().map(Path::to_owned);
    let watch = Watch::on(watched.into_iter().chain(loader.store.watched()));
    let mut watch = watch.notified_by(&loader.builder.notifier);
    let mut last_reason = String::new();
    loop {
        // Looked at before the first wait as well: what came since the start may have come unseen.
        let next = loader.next_candidate();
        let Some(shared) = shared.upgrade() else { return };
        match next {
            Ok(None) => {}
            Ok(Some(candidate)) => {
                info!("detector `{}`: {} is good, and takes over", loader.name, candidate.title);
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
