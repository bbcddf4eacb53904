//! The models that are served: a directory of bundles.
//!
//! Every `NAME-VERSION.qualm` and every bundle's directory in it is one; of each name the newest that can be used serves.
//! What lies there is looked at again when it changes ([`scan`]), a model is loaded when it is first asked for, and those
//! that nobody has asked for the longest make room for others.

mod engine;
mod info;
mod model;
mod scan;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use qualm_bundle::Bundle;
use qualm_bundle::signature::Trust;
use qualm_bundle::watch::Watch;
use tracing::{info, warn};

pub use engine::{Engine, Engines, Native};
pub use info::{About, FeatureInfo, Info, State};
pub use model::{Model, SLICE, Scored};
pub use scan::MOST_BUNDLES;

use super::problem::{Problem, did_you_mean, shown};
use scan::{Catalogue, Entry, Stamp};

/// How often the directory is looked at where the file system does not tell of changes.
const LOOK: Duration = Duration::from_secs(1);

/// Where models come from.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory.
    pub dir: PathBuf,
    /// Who may make bundles.
    pub trust: Trust,
    /// The most models that are loaded at once.
    pub most_loaded: usize,
    /// The most bytes of theirs; one alone may have more.
    pub most_bytes: u64,
}

impl Options {
    /// Of a directory, with the defaults: anybody's bundles, 64 loaded at once, 1 GiB of them.
    pub fn of(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), trust: Trust::default(), most_loaded: 64, most_bytes: 1 << 30 }
    }
}

/// The models that are served.
pub struct Registry {
    options: Options,
    engines: Box<dyn Engines>,
    catalogue: RwLock<Arc<Catalogue>>,
    /// Held while the directory is looked at, or a model is loaded: one after the other.
    slow: Mutex<()>,
    loaded: Mutex<Loaded>,
}

#[derive(Default)]
struct Loaded {
    models: HashMap<PathBuf, Cached>,
    /// Counts uses, to tell which was the last.
    clock: u64,
}

struct Cached {
    stamp: Stamp,
    /// The model, or why it cannot be loaded.
    model: Result<Arc<Model>, String>,
    used: u64,
}

impl Registry {
    /// Looks at the directory, and keeps looking on a thread of its own, which ends with the registry.
    #[must_use]
    pub fn open(options: Options, engines: impl Engines + 'static) -> Arc<Self> {
        let catalogue = RwLock::new(Arc::new(Catalogue::scan(&options.dir, &options.trust, &Catalogue::default())));
        let (slow, loaded) = (Mutex::default(), Mutex::default());
        let this = Arc::new(Self { options, engines: Box::new(engines), catalogue, slow, loaded });
        let theirs = Arc::downgrade(&this);
        let dir = this.options.dir.clone();
        let look = move || {
            let mut watch = Watch::on([dir]);
            while let Some(this) = theirs.upgrade() {
                this.refresh();
                drop(this);
                watch.wait(LOOK);
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

    /// Who may make bundles.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.options.trust
    }

    /// Looks at the directory now.
    pub fn refresh(&self) {
        let _one_at_a_time = self.slow.lock();
        let last = Arc::clone(&self.catalogue.read());
        let next = Catalogue::scan(&self.options.dir, &self.options.trust, &last);
        if next.is_same(&last) {
            return;
        }
        for (name, entry) in &next.serving {
            if last.serving.get(name).is_none_or(|last| last.info.version != entry.info.version) {
                info!("model {name} version {} serves", entry.info.version.unwrap_or_default());
            }
        }
        self.loaded
            .lock()
            .models
            .retain(|path, cached| next.entries.iter().any(|entry| entry.path == *path && entry.stamp == cached.stamp));
        *self.catalogue.write() = Arc::new(next);
    }

    /// What serves and what is broken, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Info> {
        let catalogue = Arc::clone(&self.catalogue.read());
        let serving =
            |entry: &Arc<Entry>| catalogue.serving.get(&entry.info.name).is_some_and(|e| Arc::ptr_eq(e, entry));
        let told = catalogue.entries.iter().filter(|entry| entry.info.state == State::Broken || serving(entry));
        told.map(|entry| self.info(entry)).collect()
    }

    /// What is told of the model of this name: the one that serves or, where none does, the newest that is broken.
    ///
    /// # Errors
    ///
    /// 404 with the nearest name.
    pub fn about(&self, name: &str) -> Result<Info, Problem> {
        let catalogue = Arc::clone(&self.catalogue.read());
        let broken = || catalogue.entries.iter().rfind(|entry| entry.info.name == name);
        let entry = catalogue.serving.get(name).or_else(broken).ok_or_else(|| unknown(&catalogue, name))?;
        Ok(self.info(entry))
    }

    /// The largest version that anything of this name has, 0 where there is nothing.
    #[must_use]
    pub fn newest_version(&self, name: &str) -> u64 {
        let catalogue = Arc::clone(&self.catalogue.read());
        let versions = catalogue.entries.iter().filter(|entry| entry.info.name == name);
        versions.filter_map(|entry| entry.info.version).max().unwrap_or(0)
    }

    /// The model of this name, if it is loaded. It never waits for a disk.
    #[must_use]
    pub fn find_loaded(&self, name: &str) -> Option<Arc<Model>> {
        let catalogue = Arc::clone(&self.catalogue.read());
        let entry = catalogue.serving.get(name)?;
        expired(entry).is_none().then(|| self.cached(entry)?.ok()).flatten()
    }

    /// The model of this name, loaded if it is not yet. That may take seconds.
    ///
    /// # Errors
    ///
    /// 404 with the nearest name, 503 where the model cannot be used.
    pub fn find(&self, name: &str) -> Result<Arc<Model>, Problem> {
        let catalogue = Arc::clone(&self.catalogue.read());
        let Some(entry) = catalogue.serving.get(name) else {
            let broken = catalogue.entries.iter().rfind(|entry| entry.info.name == name);
            let why = |entry: &Arc<Entry>| unusable(name, entry.info.error.as_deref().unwrap_or_default());
            return Err(broken.map_or_else(|| unknown(&catalogue, name), why));
        };
        if let Some(error) = expired(entry) {
            return Err(unusable(name, &error));
        }
        let model = self.cached(entry).unwrap_or_else(|| {
            let _one_at_a_time = self.slow.lock();
            self.cached(entry).unwrap_or_else(|| self.load(entry))
        });
        model.map_err(|error| unusable(name, &error))
    }

    /// What came of loading a bundle, if that was tried.
    fn cached(&self, entry: &Entry) -> Option<Result<Arc<Model>, String>> {
        let mut loaded = self.loaded.lock();
        loaded.clock += 1;
        let clock = loaded.clock;
        let cached = loaded.models.get_mut(&entry.path).filter(|cached| cached.stamp == entry.stamp)?;
        if matches!(&cached.model, Ok(model) if model.has_failed()) {
            loaded.models.remove(&entry.path);
            return None;
        }
        cached.used = clock;
        Some(cached.model.clone())
    }

    fn load(&self, entry: &Entry) -> Result<Arc<Model>, String> {
        let model = self.try_load(entry).map(Arc::new);
        if let Err(error) = &model {
            warn!("{}: {error}", entry.path.display());
        }
        let mut loaded = self.loaded.lock();
        loaded.clock += 1;
        let cached = Cached { stamp: entry.stamp, model: model.clone(), used: loaded.clock };
        loaded.models.insert(entry.path.clone(), cached);
        loaded.make_room(&self.options);
        model
    }

    fn try_load(&self, entry: &Entry) -> Result<Model, String> {
        let bundle = Bundle::read(&entry.path).map_err(|error| error.fault.to_string())?;
        // It may be another one than was looked at.
        bundle.check_trust(&self.options.trust).map_err(|fault| fault.to_string())?;
        if bundle.manifest.name != entry.info.name || Some(bundle.manifest.version) != entry.info.version {
            return Err("it has just been replaced; try again".to_owned());
        }
        Model::new(&bundle, self.engines.open(&bundle)?)
    }

    /// What is told of a bundle now: it may have expired since it was looked at, or be of no use to the engine.
    fn info(&self, entry: &Entry) -> Info {
        let loaded = self.loaded.lock();
        let tried = loaded.models.get(&entry.path).filter(|cached| cached.stamp == entry.stamp);
        let failed = tried.and_then(|cached| cached.model.as_ref().err().cloned());
        let error = entry.info.error.clone().or(failed).or_else(|| expired(entry));
        let state = if error.is_some() { State::Broken } else { State::Ready };
        Info { state, error, ..entry.info.clone() }
    }
}

impl Loaded {
    /// Lets go of what nobody has asked for the longest.
    fn make_room(&mut self, options: &Options) {
        let bytes = |cached: &Cached| cached.model.as_ref().map_or(0, |model| model.bytes);
        while self.models.len() > 1 {
            let all: u64 = self.models.values().map(bytes).sum();
            if self.models.len() <= options.most_loaded && all <= options.most_bytes {
                return;
            }
            let oldest = self.models.iter().min_by_key(|(_, cached)| cached.used).map(|(path, _)| path.clone());
            oldest.and_then(|path| self.models.remove(&path));
        }
    }
}

/// Why a bundle is too old to be used.
fn expired(entry: &Entry) -> Option<String> {
    let expires = entry.info.about.as_ref()?.expires.filter(|expires| *expires <= Timestamp::now())?;
    Some(qualm_bundle::Fault::Expired(expires).to_string())
}

fn unknown(catalogue: &Catalogue, name: &str) -> Problem {
    let nearest = did_you_mean(name, catalogue.serving.keys().map(String::as_str));
    let hint = nearest.unwrap_or_else(|| "GET /api/v1/models lists what there is".to_owned());
    let problem = Problem::new(404, format!("there is no model `{}`", shown(name))).hint(hint);
    Problem { field: Some("model".to_owned()), ..problem }
}

fn unusable(name: &str, why: &str) -> Problem {
    Problem::new(503, format!("the model `{}` cannot be used: {why}", shown(name)))
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({})", self.options.dir.display())
    }
}
