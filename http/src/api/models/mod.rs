//! The models that are served: a directory of bundles.
//!
//! Every `NAME-VERSION.qualm` and every bundle's directory in it is one; of each name the newest that can be used serves.
//! The directory is read again when it changes (`scan`); a model is loaded at its first request, and the least recently used
//! ones are removed if there are too many (`retry_cache`). Instead of one that is bad or expired the previous version serves; a
//! failure of this machine is tried again (`fault`).

mod fault;
mod info;
mod model;
mod names;
mod retry_cache;
mod scan;

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use qualm_bundle::Bundle;
use qualm_bundle::signature::Trust;
use qualm_bundle::watch::Watch;
use qualm_contract::ModelFactory;
use tracing::{error, info, warn};

pub use info::{About, FeatureInfo, Info, State};
pub use model::{Model, SLICE, ScoreError, Scored, Turn};
pub use names::FeatureNames;
pub use scan::MAX_BUNDLES;

use super::problem::{Problem, did_you_mean, shown};
use crate::pool::Pool;
use fault::{Fault, RetryDelay};
use retry_cache::{Found, RetryCache};
use scan::{Catalogue, Entry};

/// The interval at which the directory is read if the file system does not report changes.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The most models that are being loaded at the same time: bundles are large.
const MAX_CONCURRENT_LOADS: usize = 4;

/// The options of a registry.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory.
    pub dir: PathBuf,
    /// The keys whose bundles are accepted.
    pub trust: Trust,
    /// The most models that are loaded at once.
    pub most_loaded: usize,
    /// The most bytes of all that are loaded; a single one may have more.
    pub most_bytes: u64,
}

impl Options {
    /// The defaults for a directory: bundles of anybody, 64 loaded at once, 1 GiB of them.
    pub fn of(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), trust: Trust::default(), most_loaded: 64, most_bytes: 1 << 30 }
    }
}

/// The models that are served.
pub struct Registry {
    options: Options,
    factory: Box<dyn ModelFactory>,
    catalogue: RwLock<Arc<Catalogue>>,
    /// Held while the directory is read.
    directory_state: Mutex<DirectoryState>,
    retry_cache: Mutex<RetryCache>,
    /// One request at a time loads a model; others wait for it, without a thread.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    loading: Pool,
    refused: AtomicU64,
}

/// Whether the directory could be read the last time.
#[derive(Debug, PartialEq, Eq)]
enum DirectoryState {
    Readable,
    Unreadable,
}

impl Registry {
    /// Reads the directory, and starts a thread that reads it again on changes until the registry is dropped.
    #[must_use]
    pub fn open(options: Options, factory: impl ModelFactory + 'static) -> Arc<Self> {
        let this = Arc::new(Self {
            options,
            factory: Box::new(factory),
            catalogue: RwLock::default(),
            directory_state: Mutex::new(DirectoryState::Readable),
            retry_cache: Mutex::default(),
            turns: Mutex::default(),
            loading: Pool::new(MAX_CONCURRENT_LOADS),
            refused: AtomicU64::new(0),
        });
        this.refresh();
        let theirs = Arc::downgrade(&this);
        let dir = this.options.dir.clone();
        let look = move || {
            let mut watch = Watch::on([dir]);
            while let Some(this) = theirs.upgrade() {
                // A bug must not prevent later models from being found.
                if catch_unwind(AssertUnwindSafe(|| this.refresh())).is_err() {
                    error!("the look for models panicked: this is a fault, report it");
                }
                drop(this);
                watch.wait(POLL_INTERVAL);
            }
        };
        if let Err(error) = thread::Builder::new().name("qualm-registry".to_owned()).spawn(look) {
            warn!("new models are not taken up: no thread can be started: {error}");
        }
        this
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.options.dir
    }

    /// The keys whose bundles are accepted.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.options.trust
    }

    /// Reads the directory now. If that fails, nothing changes.
    pub fn refresh(&self) {
        let mut state = self.directory_state.lock();
        let last = Arc::clone(&self.catalogue.read());
        let dir = &self.options.dir;
        let next = match Catalogue::scan(dir, &self.options.trust, &last) {
            Ok(next) => next,
            Err(error) => {
                if mem::replace(&mut *state, DirectoryState::Unreadable) == DirectoryState::Readable {
                    warn!("{}: models cannot be looked for: {error}. Those that are known serve on", dir.display());
                }
                return;
            }
        };
        if mem::replace(&mut *state, DirectoryState::Readable) == DirectoryState::Unreadable {
            info!("{}: models can be looked for again", dir.display());
        }
        if !next.is_same(&last) {
            let dropped = self.retry_cache.lock().retain(&next);
            self.turns.lock().retain(|name, _| next.named(name).next().is_some());
            *self.catalogue.write() = Arc::new(next);
            drop(dropped);
        }
    }

    /// The models that serve and those that are broken, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Info> {
        let catalogue = Arc::clone(&self.catalogue.read());
        let mut retry_cache = self.retry_cache.lock();
        let of_name = |name| Self::infos_of(&catalogue, &mut retry_cache, name);
        catalogue.names().flat_map(of_name).collect()
    }

    /// The description of the model with this name: of the version that serves or, if there is none, of the newest broken one.
    ///
    /// # Errors
    ///
    /// 404 with the nearest name.
    pub fn about(&self, name: &str) -> Result<Info, Problem> {
        let catalogue = Arc::clone(&self.catalogue.read());
        let mut infos = Self::infos_of(&catalogue, &mut self.retry_cache.lock(), name);
        let place = infos.iter().position(|info| info.state == State::Ready).or(infos.len().checked_sub(1));
        place.map(|place| infos.swap_remove(place)).ok_or_else(|| unknown(&catalogue, name))
    }

    /// The descriptions of a name's broken versions and of the newest other one, by version.
    fn infos_of(catalogue: &Catalogue, retry_cache: &mut RetryCache, name: &str) -> Vec<Info> {
        let mut infos = Vec::new();
        let mut serves = false;
        for entry in catalogue.named(name) {
            let (former, fault) = match retry_cache.get(entry) {
                Found::Former(model, fault) => (Some(model.version), Some(fault)),
                Found::Unusable(fault) => (None, Some(fault)),
                Found::Ready(_) | Found::Untried if serves => continue,
                Found::Ready(_) | Found::Untried => (None, None),
            };
            serves |= fault.is_none() || former.is_some();
            let error = fault.map(|fault| match former {
                Some(version) => {
                    format!("{}; version {version}, which was there before, serves on", fault.public_reason)
                }
                None => fault.public_reason,
            });
            let state = if error.is_some() { State::Broken } else { State::Ready };
            let (name, version, about) = (entry.name.clone(), entry.version, entry.about.clone());
            infos.push(Info { name, version, state, error, file: entry.file(), about });
        }
        infos.reverse();
        infos
    }

    /// How often a bundle could not be loaded.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The largest version of this name, 0 if there is none.
    #[must_use]
    pub fn newest_version(&self, name: &str) -> u64 {
        let catalogue = Arc::clone(&self.catalogue.read());
        catalogue.named(name).filter_map(|entry| entry.version).max().unwrap_or(0)
    }

    /// The newest usable model of this name, without waiting for a disk or a guest; `None` if it must be loaded first, which
    /// [`find`](Self::find) does.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find), as far as is known now.
    pub fn find_loaded(&self, name: &str) -> Result<Option<Arc<Model>>, Problem> {
        self.newest(name, |_| None)
    }

    /// The newest usable model of this name, loaded if it is not yet. That may take seconds, and minutes if a plugin must be
    /// compiled.
    ///
    /// # Errors
    ///
    /// 404 with the nearest name, 503 if none can be used.
    ///
    /// # Panics
    ///
    /// Never: what is not loaded is loaded.
    pub fn find(&self, name: &str) -> Result<Arc<Model>, Problem> {
        let found = self.newest(name, |entry| Some(self.load(entry)))?;
        Ok(found.expect("what is not loaded is loaded"))
    }

    /// The newest usable model; `None` if it must be loaded and `load` returns `None`.
    fn newest(&self, name: &str, load: impl Fn(&Entry) -> Option<Found>) -> Result<Option<Arc<Model>>, Problem> {
        let catalogue = Arc::clone(&self.catalogue.read());
        let mut faults = Vec::new();
        for entry in catalogue.named(name) {
            let mut found = self.retry_cache.lock().get(entry);
            if let Found::Untried = found {
                let Some(loaded) = load(entry) else { return Ok(None) };
                found = loaded;
            }
            let (model, fault) = match found {
                Found::Ready(model) => (Some(model), None),
                Found::Former(model, fault) => (Some(model), Some(fault)),
                Found::Unusable(fault) => (None, Some(fault)),
                Found::Untried => (None, None),
            };
            faults.extend(fault.map(|fault| (entry.version, fault)));
            if let Some(model) = model {
                self.retry_cache.lock().log_serving(name, Some(model.version), &faults);
                return Ok(Some(model));
            }
        }
        let (_, newest) = faults.first().ok_or_else(|| unknown(&catalogue, name))?;
        self.retry_cache.lock().log_serving(name, None, &faults);
        let problem =
            Problem::new(503, format!("the model `{}` cannot be used: {}", shown(name), newest.public_reason));
        let retry_after = faults.iter().filter_map(|(_, fault)| fault.retry_after()).min();
        Err(Problem { retry_after, ..problem })
    }

    /// As [`find`](Self::find), for threads that answer requests: while a model is loaded, requests for it wait without a thread.
    ///
    /// # Errors
    ///
    /// As [`find`](Self::find).
    pub async fn find_soon(self: &Arc<Self>, name: &str) -> Result<Arc<Model>, Problem> {
        let (this, name) = (Arc::clone(self), name.to_owned());
        let turn = self.catalogue.read().named(&name).next().map(|_| {
            // Names that do not exist get no entry.
            Arc::clone(self.turns.lock().entry(name.clone()).or_default())
        });
        let turn = match turn {
            Some(turn) => Some(turn.lock_owned().await),
            None => None,
        };
        self.loading
            .run(move || {
                let _turn = turn; // held until it is loaded, even if the request is gone
                this.find(&name)
            })
            .await
    }

    /// Loads a bundle.
    fn load(&self, entry: &Entry) -> Found {
        let last = self.retry_cache.lock().retry_delay(entry);
        let outcome = self.try_load(entry, last).map(Arc::new);
        self.refused.fetch_add(u64::from(outcome.is_err()), Ordering::Relaxed);
        let mut retry_cache = self.retry_cache.lock();
        let found = retry_cache.insert_outcome(entry, outcome);
        let dropped = retry_cache.evict_oldest(&self.options);
        drop(retry_cache);
        drop(dropped); // unmapping a guest's memory takes time
        found
    }

    fn try_load(&self, entry: &Entry, last: Option<RetryDelay>) -> Result<Model, Fault> {
        let of_bundle = |fault: &qualm_bundle::Fault| Fault::of_bundle(fault, last);
        let bundle = Bundle::read(&entry.path).map_err(|error| of_bundle(&error.fault))?;
        // The bundle may have been replaced since the scan.
        bundle.check_trust(&self.options.trust).map_err(|fault| of_bundle(&fault))?;
        if bundle.manifest.name != entry.name || Some(bundle.manifest.version) != entry.version {
            return Err(Fault::machine("it has just been replaced", last));
        }
        bundle.check_expiry(Timestamp::now()).map_err(|fault| of_bundle(&fault))?;
        let detector = bundle.open(&*self.factory).map_err(|fault| of_bundle(&fault))?;
        Model::new(&bundle, detector).map_err(|error| Fault::bad(error.to_string()))
    }
}

fn unknown(catalogue: &Catalogue, name: &str) -> Problem {
    let hint =
        did_you_mean(name, catalogue.names()).unwrap_or_else(|| "GET /api/v1/models lists what there is".to_owned());
    let problem = Problem::new(404, format!("there is no model `{}`", shown(name))).hint(hint);
    Problem { field: Some("model".to_owned()), ..problem }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({})", self.options.dir.display())
    }
}
