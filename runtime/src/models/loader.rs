//! Makes candidates of what a source of bundles offers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use qualm_bundle::Bundle;
use qualm_bundle::manifest::Manifest;
use qualm_bundle::source::{Fetched, Fetcher, Source, TIMEOUT};
use qualm_bundle::store::{Admission, Store};
use tracing::{info, warn};

use super::builder::{Candidate, ModelBuilder};
use super::outline::ModelOutline;
use super::unusable::{LoaderError, NoModel, Rejected};

/// Makes candidates of what one detector's source offers.
#[derive(Debug)]
pub(crate) struct Loader {
    /// The detector's name in the configuration.
    pub(super) name: String,
    /// Where what has been good is kept, if anywhere.
    pub(super) state: Option<PathBuf>,
    pub(super) builder: ModelBuilder,
    pub(super) fetcher: Fetcher,
    pub(super) store: Store,
    /// The digest of the bundle that was last made a detector of.
    last: Option<String>,
    /// What was not tried yet: somebody rolled back to it and this machine was too busy, or metrics waited and it would
    /// have to be compiled.
    pending: Option<Bundle>,
    /// Whether what the source offers is in shadow first: it is kept, and counts as the last good one, once it takes over.
    shadows: bool,
}

impl Loader {
    /// For the detector `name`, whose models come from `source`. What has been good is kept in `state`, if given.
    ///
    /// # Errors
    ///
    /// Where the source cannot be one, or the state directory cannot be used.
    pub(crate) fn new(
        name: &str,
        source: &str,
        state: Option<&Path>,
        builder: ModelBuilder,
    ) -> Result<Self, LoaderError> {
        let fetcher = Fetcher::new(Source::parse(source)?, TIMEOUT)?;
        let store = match state {
            None => Store::in_memory(),
            Some(state) => Store::open(state, name)?,
        };
        Ok(Self {
            name: name.to_owned(),
            state: state.map(Path::to_owned),
            builder,
            fetcher,
            store,
            last: None,
            pending: None,
            shadows: false,
        })
    }

    /// The same, whose candidates are in shadow first, or not.
    #[must_use]
    pub(crate) fn shadowing(self, shadows: bool) -> Self {
        Self { shadows, ..self }
    }

    /// The model to begin with: what the source offers or, where that is nothing good, the last good one. Where metrics
    /// wait, a server is not asked yet, and nothing is compiled: both may take their time.
    ///
    /// # Errors
    ///
    /// Where there is neither.
    pub(crate) fn first_candidate(&mut self, metrics_wait: bool) -> Result<Candidate, NoModel> {
        if self.shadows
            && metrics_wait
            && let Some(first) = self.last_good()
        {
            return first;
        }
        let offered = if metrics_wait && self.is_remote() {
            Err(NoModel::public(&format_args!("{} has not been asked yet", self.fetcher.source())))
        } else {
            let found = self.find_candidate(metrics_wait);
            let none = || NoModel::public(&"there is no bundle").at(self.fetcher.source());
            found.and_then(|found| found.ok_or_else(none))
        };
        let no_model = match offered {
            Ok(mut candidate) => {
                candidate.unkept.take().into_iter().for_each(|bundle| self.keep(&bundle));
                return Ok(candidate);
            }
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
        let candidate = self.builder.candidate(&stored).map_err(|stored| {
            NoModel::public(&format_args!("{error}; and the last good bundle is of no use: {stored}"))
        })?;
        self.last = Some(stored.digest());
        info!("detector `{}` begins with the last good model, {}: {error}", self.name, candidate.title);
        Ok(candidate)
    }

    /// The last good model, if it can be used: what the source offers since then is in shadow first.
    fn last_good(&mut self) -> Option<Result<Candidate, NoModel>> {
        let stored = self.store.current().ok()??;
        if self.builder.must_compile(&stored) {
            return Some(Err(self.postpone(stored).unwrap_or_else(NoModel::from)));
        }
        let candidate = self.builder.candidate(&stored);
        let candidate =
            candidate.inspect_err(|why| warn!("detector `{}`: the last good bundle is of no use: {why}", self.name));
        let candidate = candidate.ok()?;
        self.last = Some(stored.digest());
        Some(Ok(candidate))
    }

    /// Keeps a bundle as the last good one.
    pub(super) fn keep(&mut self, bundle: &Bundle) {
        if let Err(error) = self.store.keep(bundle) {
            warn!("detector `{}`: the model is used, but cannot be kept for the next start: {error}", self.name);
        }
    }

    /// Whether the source is a server, which is not asked before metrics flow.
    #[must_use]
    pub(crate) fn is_remote(&self) -> bool {
        self.fetcher.source().watched().is_none()
    }

    /// What the source offers, or somebody rolled back to, if it is another one than the last.
    ///
    /// # Errors
    ///
    /// Why what it offers is not taken.
    pub(crate) fn next_candidate(&mut self) -> Result<Option<Candidate>, NoModel> {
        self.find_candidate(false)
    }

    /// Leaves a bundle to the next look.
    fn postpone(&mut self, bundle: Bundle) -> Result<NoModel, Rejected> {
        self.builder.check(&bundle)?;
        let Manifest { name, version, .. } = &bundle.manifest;
        let no_model = NoModel::public(&format_args!("{name} version {version} scores nothing until it is compiled"));
        let outline = Some(Box::new(ModelOutline::of(&bundle.manifest)?));
        self.pending = Some(bundle);
        Ok(NoModel { outline, ..no_model })
    }

    /// As [`next_candidate`](Self::next_candidate); what would have to be compiled is left to the next look where metrics wait.
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
            let digest = bundle.digest();
            // One that took over after a time in shadow is kept by now.
            if self.shadows && self.last.as_ref() == Some(&digest) {
                return Ok(None);
            }
            let candidate = self.builder.candidate(&bundle).inspect_err(|rejected| {
                self.pending = rejected.is_transient().then(|| bundle.clone());
            })?;
            self.last = Some(digest);
            return Ok(Some(candidate));
        }
        let offered = self.store.take_offered().filter(|_| !metrics_wait);
        let was_offered = offered.is_some();
        let bundle = match offered.map_or_else(|| self.fetcher.poll(), |bundle| Ok(Fetched::New(Box::new(bundle)))) {
            Ok(Fetched::New(bundle)) => bundle,
            Ok(Fetched::Unchanged) => return Ok(None),
            Err(error) => {
                return Err(NoModel { why: error.to_string(), ..NoModel::public(&error.fault) });
            }
        };
        let at = |no_model: NoModel| if was_offered { no_model } else { no_model.at(self.fetcher.source()) };
        let admission = self.store.admits(&bundle).map_err(|refused| at(NoModel::public(&refused)))?;
        let digest = bundle.digest();
        if (admission == Admission::Same || self.shadows) && self.last.as_ref() == Some(&digest) {
            return Ok(None);
        }
        if metrics_wait && self.builder.must_compile(&bundle) {
            let postponed = self.postpone(*bundle);
            self.pending = None;
            self.fetcher.invalidate(); // it is offered again
            return Err(postponed.unwrap_or_else(|rejected| NoModel::from(rejected).at(self.fetcher.source())));
        }
        let mut candidate = self.builder.candidate(&bundle).map_err(|rejected| {
            if rejected.is_transient() {
                if was_offered {
                    self.pending = Some((*bundle).clone());
                } else {
                    self.fetcher.invalidate();
                }
            }
            let no_model = NoModel::from(rejected);
            if was_offered { no_model } else { no_model.at(self.fetcher.source()) }
        })?;
        self.last = Some(digest);
        if self.shadows {
            candidate.unkept = Some(Arc::from(bundle));
        } else {
            self.keep(&bundle);
        }
        Ok(Some(candidate))
    }
}
