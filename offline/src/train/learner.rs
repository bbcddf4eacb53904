//! What learns: a kind of detector that is built in, or a [plugin](super::plugin).

use qualm_contract::{Batch, Detector};
use qualm_core::trained::Rows;
use qualm_core::trained::calibrate::{Calibration, Threshold};

use super::grid::Choice;
use super::{Fault, kinds};

/// What there is to learn from.
#[derive(Debug, Clone, Copy)]
pub struct TrainingData<'a> {
    /// The features' names, in the order in which their values stand in a row.
    pub features: &'a [String],
    /// Ordinary rows, in order of time.
    pub train: Batch<'a>,
    /// Rows that follow upon them, and that say where the threshold lies.
    pub validation: Batch<'a>,
    /// How.
    pub threshold: Threshold,
    /// The seed of all randomness.
    pub seed: u64,
}

/// What was learnt.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// What a detector is opened with: its scores are in units of the threshold.
    pub model: Vec<u8>,
    /// The raw scores that became 0 and 1.
    pub calibration: Calibration,
}

/// What learns what is ordinary.
pub trait Learner: Sync {
    /// Learns with these parameters.
    ///
    /// # Errors
    ///
    /// What is wrong with the parameters or the rows.
    fn fit(&self, choice: &Choice, data: &TrainingData<'_>) -> Result<Fitted, Fault>;

    /// A detector with what was learnt, which has seen nothing yet.
    ///
    /// # Errors
    ///
    /// Why it cannot be opened.
    fn open(&self, model: &[u8]) -> Result<Box<dyn Detector>, Fault>;

    /// The detector as a component, where it is a plugin.
    fn component(&self) -> Option<&[u8]>;
}

/// A kind of detector that is built in, one of [`kinds::KINDS`].
#[derive(Debug, Clone)]
pub struct KindLearner(pub String);

impl Learner for KindLearner {
    fn fit(&self, choice: &Choice, data: &TrainingData<'_>) -> Result<Fitted, Fault> {
        let TrainingData { features, train, validation, threshold, seed } = *data;
        let train = Rows::of_series(train.series, train.values, features.len());
        let trained = kinds::fit(&self.0, choice, train, validation, threshold, seed)?;
        Ok(Fitted { model: trained.to_model(), calibration: trained.calibration() })
    }

    fn open(&self, model: &[u8]) -> Result<Box<dyn Detector>, Fault> {
        qualm_core::open(model).map_err(Fault::Open)
    }

    fn component(&self) -> Option<&[u8]> {
        None
    }
}
