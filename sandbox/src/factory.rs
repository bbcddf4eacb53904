//! A [`ModelFactory`] that opens detectors in the sandbox.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use qualm_contract::{Detector, Error, ModelFactory, ModelSource, Trainer};
use sha2::{Digest as _, Sha256};

use crate::Sandbox;
use crate::error::LoadError;
use crate::running::Running;
use crate::spec::{DetectorSpec, Limits, Title};
use crate::trainer::PluginTrainer;

/// Opens plugins in the sandbox, and built-in detectors as configured.
#[derive(Clone)]
pub struct SandboxFactory {
    sandbox: Sandbox,
    limits: Limits,
    built_in: BuiltInModels,
    /// The component that was opened last for history, by its digest: training and evaluation open the same one many times.
    last: Arc<Mutex<Option<OpenedComponent>>>,
}

/// The digest of a component, and its specification without a model.
type OpenedComponent = ([u8; 32], DetectorSpec);

/// How built-in detectors run.
#[derive(Debug, Clone)]
pub enum BuiltInModels {
    /// As native code, where only history is scored.
    Native(Arc<dyn ModelFactory>),
    /// In the sandbox, from this specification without a model; or why the component cannot be loaded.
    Component(Result<DetectorSpec, Arc<LoadError>>),
}

impl SandboxFactory {
    /// A factory with these limits for each guest.
    #[must_use]
    pub fn new(sandbox: Sandbox, limits: Limits, built_in: BuiltInModels) -> Self {
        Self { sandbox, limits, built_in, last: Arc::default() }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(&self, limits: Limits) -> Self {
        Self { limits, last: Arc::default(), ..self.clone() }
    }

    /// The sandbox.
    #[must_use]
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// The limits of a guest.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The specification of a plugin, without a model.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    pub fn plugin(&self, component: &[u8]) -> Result<DetectorSpec, LoadError> {
        let digest = Sha256::digest(component).into();
        let last = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, spec)) = last().as_ref().filter(|(known, _)| *known == digest) {
            return Ok(spec.clone());
        }
        // Not under the lock: to compile takes minutes, and others may be ready.
        let spec = DetectorSpec::plugin(&self.sandbox, component, Vec::new(), self.limits)?;
        *last() = Some((digest, spec.clone()));
        Ok(spec)
    }

    /// The specification of a built-in detector with this model, in the sandbox.
    ///
    /// # Errors
    ///
    /// [`Error::System`] if its component cannot be loaded.
    pub fn built_in(&self, model: &[u8]) -> Result<DetectorSpec, Error> {
        match &self.built_in {
            BuiltInModels::Native(_) => Err(Error::NoSandbox),
            BuiltInModels::Component(Ok(spec)) => Ok(spec.with_model(model.to_vec()).with_limits(self.limits)),
            BuiltInModels::Component(Err(error)) => Err(Error::System(error.to_string())),
        }
    }

    /// The specification of a detector with this model, in the sandbox.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    pub fn spec(&self, source: ModelSource<'_>, title: Arc<Title>) -> Result<DetectorSpec, Error> {
        let spec = match source.component {
            // Not by the last component: a model that is refused or replaced must not keep its component.
            Some(component) => DetectorSpec::plugin(&self.sandbox, component, source.model.to_vec(), self.limits)?,
            None => self.built_in(source.model)?,
        };
        Ok(spec.titled(title))
    }
}

impl ModelFactory for SandboxFactory {
    fn open_model(&self, source: ModelSource<'_>) -> Result<Box<dyn Detector>, Error> {
        if let (None, BuiltInModels::Native(native)) = (source.component, &self.built_in) {
            return native.open_model(source);
        }
        let spec = match source.component {
            Some(component) => self.plugin(component)?.with_model(source.model.to_vec()),
            None => self.built_in(source.model)?,
        };
        let title = Title { name: source.name.to_owned(), version: source.version, kind: String::new() };
        Ok(Box::new(Running::open(spec.titled(Arc::new(title)))?))
    }

    fn open_trainer(&self, component: &[u8]) -> Result<Box<dyn Trainer + '_>, Error> {
        Ok(Box::new(PluginTrainer::of(&self.plugin(component)?)?))
    }
}

impl fmt::Debug for SandboxFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxFactory").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl From<LoadError> for Error {
    fn from(error: LoadError) -> Self {
        let why = error.to_string();
        match error {
            // These, such as a full disk, are not the component's fault.
            LoadError::Process(_) | LoadError::System(_) => Self::System(why),
            _ => Self::BadComponent(why),
        }
    }
}
