//! What opens detectors.

use std::fmt::Debug;

use crate::{Batch, Detector, Error};

/// What a detector is opened of.
#[derive(Debug, Clone, Copy)]
pub struct ModelSource<'a> {
    /// What the model is called.
    pub name: &'a str,
    /// Its version.
    pub version: u64,
    /// The component, where the detector is a plugin; none where it is built in.
    pub component: Option<&'a [u8]>,
    /// The model's bytes.
    pub model: &'a [u8],
}

impl<'a> ModelSource<'a> {
    /// A model that is just being made.
    #[must_use]
    pub fn unnamed(component: Option<&'a [u8]>, model: &'a [u8]) -> Self {
        Self { name: "plugin", version: 0, component, model }
    }
}

/// Opens detectors of models.
///
/// Those that are built in are code like any other; a plugin is a component, which only a sandbox runs.
pub trait ModelFactory: Debug + Send + Sync {
    /// A detector with this model that has seen nothing yet.
    ///
    /// # Errors
    ///
    /// Why it cannot be used, and whether that [may pass](Error::is_transient).
    fn open_model(&self, source: ModelSource<'_>) -> Result<Box<dyn Detector>, Error>;

    /// A component as a plugin that learns from history.
    ///
    /// # Errors
    ///
    /// Why it is none.
    fn open_trainer(&self, component: &[u8]) -> Result<Box<dyn Trainer + '_>, Error>;
}

/// A plugin that learns from history: `training` of the contract.
pub trait Trainer: Sync {
    /// Learns from rows, and returns a model whose scores are of any unit.
    ///
    /// # Errors
    ///
    /// What the plugin says is wrong with the parameters or the rows, or how it failed.
    fn fit(
        &self,
        rows: Batch<'_>,
        features: &[String],
        parameters: &[(String, ParameterValue)],
        seed: u64,
    ) -> Result<Vec<u8>, Error>;

    /// The model whose scores are those of `model`, but with 0 at `ordinary` and 1 at `threshold`.
    ///
    /// # Errors
    ///
    /// Why there is none.
    fn calibrate(&self, model: &[u8], ordinary: f64, threshold: f64) -> Result<Vec<u8>, Error>;
}

/// What a plugin's parameter is set to.
#[derive(Debug, Clone, PartialEq)]
pub enum ParameterValue {
    /// Yes or no.
    Flag(bool),
    /// A number; whole numbers too.
    Number(f64),
    /// A text.
    Text(String),
}
