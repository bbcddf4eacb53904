//! Autoencoders: networks are trained on the training part, or read from a file, and a detector is made of them.

mod parameters;
#[cfg(feature = "deep")]
mod training;
mod weights;

use std::path::PathBuf;

use qualm_bundle::manifest::NetworkTraining;
use qualm_contract::Detector;
use qualm_core::autoencoder;
use qualm_core::autoencoder::history::History;
use qualm_core::autoencoder::weights::Weights;
use qualm_core::trained::Rows;

use super::grid::Choice;
use super::learner::{Fitted, Learner, TrainingData};
use super::{Fault, Report, kinds};
use parameters::Parameters;

/// Trains autoencoders.
pub(super) struct AutoencoderLearner<'a> {
    /// A directory for what an interrupted training goes on from.
    pub(super) checkpoints: PathBuf,
    /// Is told of each epoch.
    pub(super) report: Report<'a>,
}

/// Networks, and how each was trained.
type Networks = (Vec<Weights>, Vec<NetworkTraining>);

impl Learner for AutoencoderLearner<'_> {
    fn fit(&self, choice: &Choice, data: &TrainingData<'_>) -> Result<Fitted, Fault> {
        let TrainingData { features, train, validation, threshold, seed } = *data;
        let mut choice = choice.clone();
        let settings = kinds::settings(&mut choice, &kinds::window_settings(threshold))?;
        let parameters = Parameters::take(&mut choice)?;
        choice.check_all_taken(&[&kinds::SETTINGS[..], &parameters::NAMES].concat())?;
        let rows = Rows::of_series(train.series, train.values, features.len());
        let Parameters { window, combine, hide_newest, .. } = parameters;
        let mut networks = Vec::new();
        let train = |history: &History| {
            if let Some(path) = &parameters.weights {
                return weights::read(path, &parameters, history.features);
            }
            let trained;
            (trained, networks) = self.train(&parameters, history, seed)?;
            Ok(trained)
        };
        let fitted = autoencoder::fit(rows, validation, &settings, window, combine, hide_newest, train)?;
        Ok(Fitted { model: fitted.to_model(), calibration: fitted.calibration(), networks })
    }

    fn open(&self, model: &[u8]) -> Result<Box<dyn Detector>, Fault> {
        qualm_core::open(model).map_err(Fault::Open)
    }

    fn component(&self) -> Option<&[u8]> {
        None
    }
}

impl AutoencoderLearner<'_> {
    #[cfg(feature = "deep")]
    fn train(&self, parameters: &Parameters, history: &History, seed: u64) -> Result<Networks, Fault> {
        training::train(parameters, history, seed, &self.checkpoints, self.report)
    }

    #[cfg(not(feature = "deep"))]
    fn train(&self, _: &Parameters, _: &History, _: u64) -> Result<Networks, Fault> {
        let _ = (&self.checkpoints, self.report);
        Err(Fault::NotDeep(autoencoder::KIND))
    }
}
