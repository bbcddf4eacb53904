//! Makes a detector of a bundle.

use std::sync::Arc;

use jiff::Timestamp;
use qualm_bundle::manifest::Manifest;
use qualm_bundle::signature::Trust;
use qualm_bundle::watch::Notifier;
use qualm_bundle::{Bundle, Fault};
use qualm_pipeline::suppress::Suppression;
use qualm_pipeline::vector::Shape;
use qualm_sandbox::{Running, SandboxFactory, Title};

use super::outline::ModelOutline;
use super::unusable::Rejected;
use crate::drift::ModelReference;

/// A model that is ready to take over.
#[derive(Debug)]
pub(crate) struct Candidate {
    /// What the model is called.
    pub title: Arc<Title>,
    /// What its vectors are made of; none where it scores single fields.
    pub shape: Option<Shape>,
    /// Which of its incidents are reported.
    pub suppression: Suppression,
    /// What its training rows looked like.
    pub reference: ModelReference,
    /// The detector.
    pub running: Running,
    /// The bundle, if it is not kept for the next start until it takes over. One that somebody went back to is kept already.
    pub unkept: Option<Arc<Bundle>>,
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

impl ModelBuilder {
    /// Makes a detector of a bundle, if it is good in every respect.
    ///
    /// # Errors
    ///
    /// In what respect it is not.
    pub(crate) fn candidate(&self, bundle: &Bundle) -> Result<Candidate, Rejected> {
        self.check(bundle)?;
        let Manifest { name, version, kind, features, .. } = &bundle.manifest;
        let title = Arc::new(Title { name: name.clone(), version: *version, kind: kind.clone() });
        let spec = self.factory.spec(bundle.source(), Arc::clone(&title)).map_err(Fault::from)?;
        let mut running = Running::start(spec, features.len())?;
        bundle.verify(&mut running)?;
        let ModelOutline { shape, suppression } = ModelOutline::of(&bundle.manifest)?;
        let created = bundle.manifest.created.into();
        let reference = ModelReference::new(Arc::clone(&title), bundle.reference.as_ref(), created);
        Ok(Candidate { title, shape, suppression, reference, running, unkept: None })
    }

    /// Whether a bundle may be used at all.
    pub(super) fn check(&self, bundle: &Bundle) -> Result<(), Rejected> {
        bundle.check_expiry(Timestamp::now())?;
        bundle.check_trust(&self.trust)?;
        Ok(())
    }

    /// Whether its detector would have to be compiled first.
    pub(super) fn must_compile(&self, bundle: &Bundle) -> bool {
        bundle.component.as_ref().is_some_and(|component| !self.factory.sandbox().has_compiled(component))
    }
}
