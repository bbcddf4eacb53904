//! A cache of loaded models, and of the failures of others with the time of the next attempt.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use qualm_bundle::Fault as BundleFault;
use qualm_bundle::source::Stamp;
use tracing::{info, warn};

use super::Options;
use super::fault::{Fault, RetryDelay};
use super::model::Model;
use super::scan::{Catalogue, Entry};

/// Successive failed requests before a model is not used for a while. A single one may be the request's fault.
const MAX_FAILURES: u32 = 3;

/// The results of loading bundles.
#[derive(Debug, Default)]
pub(super) struct RetryCache {
    bundles: HashMap<PathBuf, CacheEntry>,
    /// Counts uses, to find the least recently used model.
    clock: u64,
    /// For each name the version that serves and why newer ones do not, as logged.
    logged: HashMap<String, (Option<u64>, Vec<String>)>,
}

/// The result of loading a bundle.
#[derive(Debug)]
struct CacheEntry {
    stamp: Vec<Option<Stamp>>,
    /// `None` if it must be loaded again.
    outcome: Option<Result<Arc<Model>, Fault>>,
    /// The earlier model with the same path, if it was good.
    former: Option<Arc<Model>>,
    used: u64,
    /// Successive failures.
    failures: u32,
    /// The last pause after a fault.
    retry_delay: Option<RetryDelay>,
}

/// The state of a bundle.
#[derive(Debug)]
pub(super) enum Found {
    /// It is loaded.
    Ready(Arc<Model>),
    /// It cannot be used, but the earlier model with its path is still loaded.
    Former(Arc<Model>, Fault),
    /// It cannot be used.
    Unusable(Fault),
    /// It must be loaded.
    Untried,
}

impl RetryCache {
    /// The state of a bundle now.
    pub(super) fn get(&mut self, entry: &Entry) -> Found {
        self.clock += 1;
        let mut trial = self.bundles.get_mut(&entry.path);
        if let Some(trial) = &mut trial {
            trial.used = self.clock;
            trial.expire_or_retry();
        }
        let trial = trial.map(|trial| &*trial);
        if let Some(fault) = &entry.fault {
            return unusable(entry, fault.clone(), trial.and_then(CacheEntry::any));
        }
        if let Some(fault) = entry.about.as_ref().and_then(|about| expired(about.expires)) {
            return Found::Unusable(fault);
        }
        match trial.filter(|trial| trial.stamp == entry.stamp).and_then(|trial| trial.outcome.as_ref()) {
            None => Found::Untried,
            Some(Err(fault)) if fault.is_due() => Found::Untried,
            Some(Err(fault)) => unusable(entry, fault.clone(), trial.and_then(CacheEntry::any)),
            Some(Ok(model)) => Found::Ready(Arc::clone(model)),
        }
    }

    /// The last pause after a fault of this bundle.
    pub(super) fn retry_delay(&self, entry: &Entry) -> Option<RetryDelay> {
        self.bundles.get(&entry.path).filter(|trial| trial.stamp == entry.stamp)?.retry_delay
    }

    /// Inserts the result of loading a bundle. A new fault is logged.
    pub(super) fn insert_outcome(&mut self, entry: &Entry, outcome: Result<Arc<Model>, Fault>) -> Found {
        self.clock += 1;
        let last = self.bundles.remove(&entry.path);
        let (last, former) = match last {
            Some(last) if last.stamp == entry.stamp => (Some(last), None),
            Some(last) => (None, last.any()),
            None => (None, None),
        };
        let failures = last.as_ref().map_or(0, |last| last.failures);
        let retry_delay = last.as_ref().and_then(|last| last.retry_delay);
        let trial = CacheEntry {
            stamp: entry.stamp.clone(),
            outcome: None,
            former: None,
            used: self.clock,
            failures,
            retry_delay,
        };
        let (trial, found) = match outcome {
            Ok(model) => {
                let retry_delay = retry_delay.filter(|_| failures > 0);
                (CacheEntry { outcome: Some(Ok(Arc::clone(&model))), retry_delay, ..trial }, Found::Ready(model))
            }
            Err(fault) => {
                if last
                    .as_ref()
                    .is_none_or(|last| last.fault().is_none_or(|last| last.public_reason != fault.public_reason))
                {
                    warn!("{} cannot be used: {}", entry.path.display(), fault.why);
                }
                let (retry_delay, former) = (fault.retry_delay, former.or_else(|| last?.former));
                let found = unusable(entry, fault.clone(), former.clone());
                (CacheEntry { outcome: Some(Err(fault)), former, retry_delay, ..trial }, found)
            }
        };
        self.bundles.insert(entry.path.clone(), trial);
        found
    }

    /// Logs once which version of a model serves, if any. `faults` are those of newer ones.
    pub(super) fn log_serving(&mut self, name: &str, version: Option<u64>, faults: &[(Option<u64>, Fault)]) {
        let (mut new_reasons, now) = (faults.iter().map(|(_, fault)| &fault.public_reason), self.logged.get(name));
        if now.is_some_and(|(logged, logged_reasons)| {
            *logged == version && logged_reasons.iter().eq(new_reasons.by_ref())
        }) {
            return;
        }
        match (version, faults.first()) {
            (Some(version), None) => info!("model {name} version {version} serves"),
            (Some(version), Some((newest, fault))) => {
                let newest = newest.map_or_else(|| "a newer one".to_owned(), |newest| format!("version {newest}"));
                warn!("model {name} version {version} serves in place of {newest}: {}", fault.why);
            }
            (None, Some((_, fault))) => warn!("model {name} has no version that can be used: {}", fault.why),
            (None, None) => {}
        }
        let logged_reasons = faults.iter().map(|(_, fault)| fault.public_reason.clone()).collect();
        self.logged.insert(name.to_owned(), (version, logged_reasons));
    }

    /// Removes entries of bundles that no longer exist, and returns their models.
    pub(super) fn retain(&mut self, catalogue: &Catalogue) -> impl Sized + use<> {
        let there: HashMap<_, _> = catalogue.entries.iter().map(|entry| (&*entry.path, entry)).collect();
        self.logged.retain(|name, _| catalogue.named(name).next().is_some());
        self.bundles.extract_if(|path, _| !there.contains_key(&**path)).collect::<Vec<_>>()
    }

    /// Removes the least recently used models if there are too many, and returns them.
    pub(super) fn evict_oldest(&mut self, options: &Options) -> impl Sized + use<> {
        let mut dropped = Vec::new();
        loop {
            let loaded = || self.bundles.iter().filter_map(|(path, trial)| Some((path, trial, trial.any()?.bytes)));
            let (count, bytes) = loaded().fold((0, 0), |(count, all), (_, _, bytes)| (count + 1, all + bytes));
            if count <= 1 || (count <= options.most_loaded && bytes <= options.most_bytes) {
                return dropped;
            }
            let oldest = loaded().min_by_key(|(_, trial, _)| trial.used).map(|(path, ..)| path.clone());
            dropped.extend(oldest.and_then(|path| self.bundles.remove(&path)));
        }
    }
}

impl CacheEntry {
    /// The loaded model, current or earlier.
    fn any(&self) -> Option<Arc<Model>> {
        let model = self.outcome.as_ref().and_then(|outcome| outcome.as_ref().ok());
        model.or(self.former.as_ref()).cloned()
    }

    fn fault(&self) -> Option<&Fault> {
        self.outcome.as_ref()?.as_ref().err()
    }

    /// Removes an expired model, and schedules a failed one for another load; after several failures that is delayed.
    fn expire_or_retry(&mut self) {
        self.former.take_if(|former| former.has_failed() || expired(former.expires).is_some());
        let Some(Ok(model)) = &self.outcome else { return };
        if expired(model.expires).is_some() {
            self.outcome = None;
            return;
        }
        if !model.has_failed() {
            return;
        }
        if model.has_scored() {
            (self.failures, self.retry_delay) = (0, None);
        }
        self.failures += 1;
        self.outcome = (self.failures >= MAX_FAILURES).then(|| {
            let fault = Fault::failing(self.retry_delay);
            self.retry_delay = fault.retry_delay;
            Err(fault)
        });
    }
}

/// A bundle that cannot be used, and the earlier model with its path.
fn unusable(entry: &Entry, fault: Fault, former: Option<Arc<Model>>) -> Found {
    match former.filter(|former| former.name == entry.name) {
        Some(model) => Found::Former(model, fault),
        None => Found::Unusable(fault),
    }
}

/// The fault of a bundle that has expired.
fn expired(expires: Option<Timestamp>) -> Option<Fault> {
    let expires = expires.filter(|expires| *expires <= Timestamp::now())?;
    Some(Fault::bad(BundleFault::Expired(expires).to_string()))
}
