//! Opening of detectors.

use std::fmt::Debug;

use crate::{Batch, Detector, Error};

/// A model and the component of its detector.
#[derive(Debug, Clone, Copy)]
pub struct ModelSource<'a> {
    /// The model's name.
    pub name: &'a str,
    /// Its version.
    pub version: u64,
    /// The component, if the detector is a plugin; `None` if it is built in.
    pub component: Option<&'a [u8]>,
    /// The model's bytes.
    pub model: &'a [u8],
}

impl<'a> ModelSource<'a> {
    /// A model without a name and version, during training.
    #[must_use]
    pub fn unnamed(component: Option<&'a [u8]>, model: &'a [u8]) -> Self {
        Self { name: "plugin", version: 0, component, model }
    }
}

/// Opens detectors of models.
///
/// Built-in detectors need nothing else; a plugin is a component, which needs a sandbox.
pub trait ModelFactory: Debug + Send + Sync {
    /// A detector with this model, without state.
    ///
    /// # Errors
    ///
    /// Why it cannot be used, and whether the failure is [transient](Error::is_transient).
    fn open_model(&self, source: ModelSource<'_>) -> Result<Box<dyn Detector>, Error>;

    /// Opens a component as a plugin with training.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    fn open_trainer(&self, component: &[u8]) -> Result<Box<dyn Trainer + '_>, Error>;
}

/// A plugin with training: `training` of the contract.
pub trait Trainer: Sync {
    /// Fits a model to rows. The unit of its scores is arbitrary.
    ///
    /// # Errors
    ///
    /// The plugin's error about the parameters or rows, or how it failed.
    fn fit(
        &self,
        rows: Batch<'_>,
        features: &[String],
        parameters: &[(String, ParameterValue)],
        seed: u64,
    ) -> Result<Vec<u8>, Error>;

    /// The model with scores of `model` converted, so that `ordinary` becomes 0 and `threshold` 1.
    ///
    /// # Errors
    ///
    /// How the plugin failed.
    fn calibrate(&self, model: &[u8], ordinary: f64, threshold: f64) -> Result<Vec<u8>, Error>;
}

/// The value of a plugin's parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum ParameterValue {
    /// Yes or no.
    Flag(bool),
    /// A number; whole numbers too.
    Number(f64),
    /// A text.
    Text(String),
}
