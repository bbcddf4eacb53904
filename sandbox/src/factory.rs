//! The sandbox as what opens detectors of models.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use qualm_contract::{Detector, Error, ModelFactory, ModelSource, Trainer};

use sha2::{Digest as _, Sha256};

use crate::Sandbox;
use crate::engine::LoadError;
use crate::guest::{DetectorSpec, Limits, Title};
use crate::running::Running;
use crate::trainer::PluginTrainer;

/// Opens plugins in the sandbox, and what is built in as it is told.
#[derive(Clone)]
pub struct SandboxFactory {
    sandbox: Sandbox,
    limits: Limits,
    built_in: BuiltInModels,
    /// The component that was opened last, by its digest: training opens one many times.
    last: Arc<Mutex<Option<([u8; 32], DetectorSpec)>>>,
}

/// How what is built in runs.
#[derive(Debug, Clone)]
pub enum BuiltInModels {
    /// As code like any other: where nothing but history is scored.
    Native(Arc<dyn ModelFactory>),
    /// In the sandbox too, as yet without a model; or why it cannot be made ready.
    Component(Result<DetectorSpec, Arc<LoadError>>),
}

impl SandboxFactory {
    /// In a sandbox, with these limits for each guest.
    #[must_use]
    pub fn new(sandbox: Sandbox, limits: Limits, built_in: BuiltInModels) -> Self {
        Self { sandbox, limits, built_in, last: Arc::default() }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(&self, limits: Limits) -> Self {
        Self { limits, last: Arc::default(), ..self.clone() }
    }

    /// Where guests run.
    #[must_use]
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// What a guest may use.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// How to start a plugin, as yet without a model.
    ///
    /// # Errors
    ///
    /// Why it is of no use.
    pub fn plugin(&self, component: &[u8]) -> Result<DetectorSpec, LoadError> {
        let digest = Sha256::digest(component).into();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, spec)) = last.as_ref().filter(|(known, _)| *known == digest) {
            return Ok(spec.clone());
        }
        let spec = DetectorSpec::plugin(&self.sandbox, component, Vec::new(), self.limits)?;
        *last = Some((digest, spec.clone()));
        Ok(spec)
    }

    /// How to start what is built in, with this model, in the sandbox.
    ///
    /// # Errors
    ///
    /// [`Error::System`] where it cannot be made ready.
    pub fn built_in(&self, model: &[u8]) -> Result<DetectorSpec, Error> {
        match &self.built_in {
            BuiltInModels::Native(_) => Err(Error::NoSandbox),
            BuiltInModels::Component(Ok(spec)) => Ok(spec.with_model(model.to_vec()).with_limits(self.limits)),
            BuiltInModels::Component(Err(error)) => Err(Error::System(error.to_string())),
        }
    }

    /// How to start a detector with this model, in the sandbox.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn spec(&self, source: ModelSource<'_>, title: Arc<Title>) -> Result<DetectorSpec, Error> {
        let spec = match source.component {
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
            // A full disk, say, is not the component's fault.
            LoadError::Process(_) | LoadError::System(_) => Self::System(why),
            _ => Self::BadComponent(why),
        }
    }
}
