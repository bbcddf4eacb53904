//! Learners: a built-in kind of detector, or a [plugin](super::plugin).

use qualm_bundle::manifest::NetworkTraining;
use qualm_contract::{Batch, Detector};
use qualm_core::trained::Rows;
use qualm_core::trained::calibrate::{Calibration, Threshold};

use super::grid::Choice;
use super::{Fault, kinds};

/// The data that a learner is fitted to.
#[derive(Debug, Clone, Copy)]
pub struct TrainingData<'a> {
    /// The features' names, in the order of the values in a row.
    pub features: &'a [String],
    /// The training part, in order of time.
    pub train: Batch<'a>,
    /// The validation part, which follows it and calibrates the threshold.
    pub validation: Batch<'a>,
    /// The rule for the threshold.
    pub threshold: Threshold,
    /// The seed of all randomness.
    pub seed: u64,
}

/// A fitted model.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// The model that a detector is opened with: its scores are in units of the threshold.
    pub model: Vec<u8>,
    /// The raw scores that are calibrated to 0 and 1.
    pub calibration: Calibration,
    /// How each network was trained, if the model has any.
    pub networks: Vec<NetworkTraining>,
}

/// Fits models.
pub trait Learner: Sync {
    /// Fits a model with these parameters.
    ///
    /// # Errors
    ///
    /// If the parameters or the rows are invalid.
    fn fit(&self, choice: &Choice, data: &TrainingData<'_>) -> Result<Fitted, Fault>;

    /// Opens a fresh detector with the model.
    ///
    /// # Errors
    ///
    /// Why it cannot be opened.
    fn open(&self, model: &[u8]) -> Result<Box<dyn Detector>, Fault>;

    /// The component of a plugin.
    fn component(&self) -> Option<&[u8]>;
}

/// A built-in kind of detector, one of [`kinds::KINDS`].
#[derive(Debug, Clone)]
pub struct KindLearner(pub String);

impl Learner for KindLearner {
    fn fit(&self, choice: &Choice, data: &TrainingData<'_>) -> Result<Fitted, Fault> {
        let TrainingData { features, train, validation, threshold, seed } = *data;
        let train = Rows::of_series(train.series, train.values, features.len());
        let trained = kinds::fit(&self.0, choice, train, validation, threshold, seed)?;
        Ok(Fitted { model: trained.to_model(), calibration: trained.calibration(), networks: Vec::new() })
    }

    fn open(&self, model: &[u8]) -> Result<Box<dyn Detector>, Fault> {
        qualm_core::open(model).map_err(Fault::Open)
    }

    fn component(&self) -> Option<&[u8]> {
        None
    }
}
