//! The sandbox as what opens detectors of bundles and has plugins learn, where no metrics wait: for training, evaluation
//! and whatever else is done to history.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use qualm_bundle::runtime::{Native, Runtime};
use qualm_bundle::{Fault, files};
use qualm_core::{Batch, Description, Detector, Error, Verdicts, Wanted};
use qualm_offline::train::plugin::{Plugin, Plugins, Value};

use super::Sandbox;
use super::engine::LoadError;
use super::guest::{self, Failure, Guest, Limits, Recipe};
use super::trainer::Trainer;

/// Opens plugins in the sandbox, and what is built in as any code.
#[derive(Debug)]
pub struct Sandboxed {
    sandbox: Sandbox,
    limits: Limits,
    /// The component that was last compiled: training opens one many times.
    last: Mutex<Option<(Vec<u8>, Recipe)>>,
}

impl Sandboxed {
    /// In a sandbox, with these limits.
    #[must_use]
    pub fn new(sandbox: Sandbox, limits: Limits) -> Self {
        Self { sandbox, limits, last: Mutex::new(None) }
    }

    /// Where plugins run.
    #[must_use]
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// How to start a component, as yet without a model.
    ///
    /// # Errors
    ///
    /// Why it is of no use.
    pub fn recipe(&self, component: &[u8]) -> Result<Recipe, LoadError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, recipe)) = last.as_ref().filter(|(known, _)| known == component) {
            return Ok(recipe.clone());
        }
        let recipe = Recipe::plugin(&self.sandbox, component, Vec::new(), self.limits)?;
        *last = Some((component.to_vec(), recipe.clone()));
        Ok(recipe)
    }
}

impl Runtime for Sandboxed {
    fn open(&self, component: Option<&[u8]>, model: &[u8]) -> Result<Box<dyn Detector>, Fault> {
        let Some(component) = component else { return Native.open(None, model) };
        let recipe = self
            .recipe(component)
            .map_err(|error| Fault::File { file: files::COMPONENT.to_owned(), what: error.to_string() })?;
        let failed = |failure: Failure| Fault::Model(failure.to_string());
        let mut guest = Guest::start(&recipe.with_model(model.to_vec())).map_err(failed)?;
        let description = guest.describe().map_err(failed)?;
        Ok(Box::new(Opened { guest: RefCell::new(guest), description }))
    }
}

impl Plugins for Sandboxed {
    fn plugin(&self, component: &[u8]) -> Result<Box<dyn Plugin + '_>, String> {
        let recipe = self.recipe(component).map_err(|error| error.to_string())?;
        Ok(Box::new(Trainer::of(&recipe)?))
    }
}

impl Plugin for Trainer {
    fn fit(
        &self,
        rows: Batch<'_>,
        features: &[String],
        parameters: &[(String, Value)],
        seed: u64,
    ) -> Result<Vec<u8>, String> {
        self.fit(rows, features, parameters, seed).map_err(|failure| failure.to_string())
    }

    fn calibrate(&self, model: &[u8], ordinary: f64, threshold: f64) -> Result<Vec<u8>, String> {
        self.calibrate(model, ordinary, threshold).map_err(|failure| failure.to_string())
    }
}

/// A guest as a detector like any other.
struct Opened {
    guest: RefCell<Guest>,
    description: guest::Description,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opened({})", self.description.kind)
    }
}

impl Detector for Opened {
    fn describe(&self) -> Description {
        let guest::Description { kind, version, features, warm_up, scale } = self.description.clone();
        Description { kind, version, features, warm_up, scale }
    }

    fn observe(&mut self, batch: Batch<'_>, wanted: Wanted) -> Result<Verdicts, Error> {
        let mut verdicts = qualm_stream::Verdicts::default();
        self.guest.get_mut().observe_batch(batch, wanted, &mut verdicts).map_err(|failure| error(&failure))?;
        let qualm_stream::Verdicts { scores, contributions, .. } = verdicts;
        Ok(Verdicts { scores, contributions, ..Verdicts::default() })
    }

    fn forget(&mut self, series: &[u32]) {
        // Whoever fails here fails at the next call too, and says so then.
        drop(self.guest.get_mut().forget(series));
    }

    fn save(&self, series: &[u32]) -> Vec<u8> {
        self.guest.borrow_mut().save(series).unwrap_or_default()
    }

    fn restore(&mut self, state: &[u8], series: &[Option<u32>]) -> Result<(), Error> {
        self.guest.get_mut().restore(state, series).map_err(|failure| error(&failure))
    }
}

fn error(failure: &Failure) -> Error {
    Error::Internal(failure.to_string())
}
