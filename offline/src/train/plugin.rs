//! Trains a plugin.
//!
//! A plugin fits a model whose raw scores have any unit, and then calibrates it with the threshold, which is determined here
//! as for any other detector. Its calibrated scores are checked on real rows: a wrong threshold would otherwise show only in
//! production, as inexplicable alarms.

use std::fmt;

use qualm_bundle::golden;
use qualm_contract::{Detector, ModelFactory, ModelSource, ParameterValue, Trainer};
use qualm_core::trained::calibrate::{Calibration, MIN_SCORES};

use super::Fault;
use super::grid::{self, Choice};
use super::learner::{Fitted, Learner, TrainingData};
use crate::evaluate::score;

/// The relative tolerance of calibrated scores (absolute below 1), for plugins that compute in another order.
const TOLERANCE: f64 = 1e-9;

/// How a plugin violates the contract of training.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot fit a model.
    #[error("the plugin learns nothing{with}: {source}")]
    Fit {
        /// The parameters.
        with: String,
        /// The plugin's error.
        source: qualm_contract::Error,
    },
    /// Its model has another number of features.
    #[error("the plugin made a model of {theirs} features, where there are {features}")]
    Features {
        /// Features of its model.
        theirs: u32,
        /// Features of the rows.
        features: usize,
    },
    /// It cannot open its model.
    #[error("the plugin does not open a model that it has made: {0}")]
    Open(qualm_contract::Error),
    /// It does not score.
    #[error("the plugin does not score: {0}")]
    Unscored(qualm_contract::Error),
    /// It does not score the golden rows.
    #[error("the plugin does not score: {0}")]
    Golden(golden::Error),
    /// A score is infinite.
    #[error("the plugin gives row {row} of those that set the threshold the score {score}")]
    Infinite {
        /// The row, the first being 1.
        row: usize,
        /// Its score.
        score: f64,
    },
    /// It scores too few rows.
    #[error(
        "the plugin scores {scored} of the {rows} rows that set the threshold; {MIN_SCORES} are the least that says anything, and it says that {warm_up} rows of a series come before its first score. Give it a longer history"
    )]
    TooFewScores {
        /// Rows that it scores.
        scored: usize,
        /// All rows.
        rows: usize,
        /// The warm-up in its description.
        warm_up: u32,
    },
    /// It cannot calibrate its model.
    #[error("the plugin does not calibrate its model: {0}")]
    Calibrate(qualm_contract::Error),
    /// A calibrated score is wrong.
    #[error(
        "the plugin's calibrated model gives row {row} of those that set the threshold the score {got}; it must be {must}: (raw − ordinary) ÷ (threshold − ordinary), not below 0, with raw = {raw}, ordinary = {ordinary} and threshold = {threshold}"
    )]
    Calibrated {
        /// The row, the first being 1.
        row: usize,
        /// Its score.
        got: f64,
        /// The correct score.
        must: f64,
        /// Its raw score.
        raw: f64,
        /// The raw score that is calibrated to 0.
        ordinary: f64,
        /// The raw score that is calibrated to 1.
        threshold: f64,
    },
}

/// The parameters of a choice, as plugins take them.
///
/// # Errors
///
/// Names one with a type that plugins do not take.
pub fn parameters(choice: &Choice) -> Result<Vec<(String, ParameterValue)>, grid::Error> {
    let parameter = |(name, value): (&String, &toml::Value)| {
        let value = match value {
            toml::Value::Boolean(flag) => ParameterValue::Flag(*flag),
            toml::Value::Integer(number) => ParameterValue::Number(*number as f64),
            toml::Value::Float(number) if number.is_finite() => ParameterValue::Number(*number),
            toml::Value::String(text) => ParameterValue::Text(text.clone()),
            other => {
                let (value, must) = (other.clone(), "true or false, a number, or a text in quotes");
                return Err(grid::Error::Value { name: name.clone(), value, must });
            }
        };
        Ok((name.clone(), value))
    };
    choice.0.iter().map(parameter).collect()
}

/// A plugin as a learner.
pub struct PluginLearner<'a> {
    component: Vec<u8>,
    factory: &'a dyn ModelFactory,
    trainer: Box<dyn Trainer + 'a>,
}

impl<'a> PluginLearner<'a> {
    /// Opens a component's trainer with `factory`.
    ///
    /// # Errors
    ///
    /// If the component cannot be trained.
    pub fn new(component: Vec<u8>, factory: &'a dyn ModelFactory) -> Result<Self, qualm_contract::Error> {
        let trainer = factory.open_trainer(&component)?;
        Ok(Self { component, factory, trainer })
    }

    /// The scores of the validation part by a fresh detector, and its warm-up.
    fn scores(&self, model: &[u8], data: &TrainingData<'_>) -> Result<(Vec<f64>, u32), Fault> {
        let mut detector = self.open(model)?;
        let description = detector.describe();
        let features = data.features.len();
        if description.features as usize != features {
            let theirs = description.features;
            return Err(Error::Features { theirs, features }.into());
        }
        let scores = score::batch(&mut *detector, features, data.validation);
        let scores = scores.map_err(Error::Unscored)?;
        if let Some(row) = scores.iter().position(|score| score.is_infinite()) {
            let (row, score) = (row + 1, scores[row]);
            return Err(Error::Infinite { row, score }.into());
        }
        Ok((scores, description.warm_up))
    }
}

impl Learner for PluginLearner<'_> {
    fn fit(&self, choice: &Choice, data: &TrainingData<'_>) -> Result<Fitted, Fault> {
        let with = choice.0.iter().map(|(name, value)| format!("{name} = {value}")).collect::<Vec<_>>().join(", ");
        let with = if with.is_empty() { with } else { format!(" with {with}") };
        let model = self
            .trainer
            .fit(data.train, data.features, &parameters(choice)?, data.seed)
            .map_err(|source| Error::Fit { with, source })?;
        let (raw, warm_up) = self.scores(&model, data)?;
        let scored: Vec<f64> = raw.iter().copied().filter(|raw| !raw.is_nan()).collect();
        if scored.len() < MIN_SCORES {
            return Err(Error::TooFewScores { scored: scored.len(), rows: raw.len(), warm_up }.into());
        }
        let calibration = Calibration::fit(&scored, data.threshold)?;
        let Calibration { ordinary, threshold } = calibration;
        let model = self.trainer.calibrate(&model, ordinary, threshold).map_err(Error::Calibrate)?;
        check(&raw, &self.scores(&model, data)?.0, calibration)?;
        Ok(Fitted { model, calibration, networks: Vec::new() })
    }

    fn open(&self, model: &[u8]) -> Result<Box<dyn Detector>, Fault> {
        let opened = self.factory.open_model(ModelSource::unnamed(Some(&self.component), model));
        Ok(opened.map_err(Error::Open)?)
    }

    fn component(&self) -> Option<&[u8]> {
        Some(&self.component)
    }
}

/// Checks calibrated scores against raw scores.
fn check(raw: &[f64], calibrated: &[f64], calibration: Calibration) -> Result<(), Error> {
    let must = |raw: f64| if raw.is_nan() { raw } else { calibration.score(calibration.units(raw)) };
    let right = |must: f64, got: f64| must.is_nan() && got.is_nan() || (must - got).abs() <= TOLERANCE * must.max(1.0);
    let wrong = raw.iter().zip(calibrated).position(|(&raw, &got)| !right(must(raw), got));
    let Some(row) = wrong else { return Ok(()) };
    let Calibration { ordinary, threshold } = calibration;
    let (raw, got) = (raw[row], calibrated[row]);
    Err(Error::Calibrated { row: row + 1, got, must: must(raw), raw, ordinary, threshold })
}

/// Without the component's bytes.
impl fmt::Debug for PluginLearner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PluginLearner({} bytes)", self.component.len())
    }
}

#[cfg(test)]
mod tests;
