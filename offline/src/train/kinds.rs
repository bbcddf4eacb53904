//! The parameters of each kind of detector, and how it is fitted.

use qualm_contract::Batch;
use qualm_core::trained::calibrate::Threshold;
use qualm_core::trained::prepare::Scaling;
use qualm_core::trained::{Rows, Settings, Trained};
use qualm_core::{forest, pca, zscore};
use toml::Value;

use super::Fault;
use super::grid::{self, Choice};

/// The kinds that can be trained.
pub const KINDS: [&str; 4] = [zscore::KIND, pca::KIND, forest::KIND, forest::extended::KIND];

/// Fits a detector of `kind` to the training part `train`, and calibrates its threshold on the `validation` part.
///
/// # Errors
///
/// If the parameters or the rows are invalid.
pub fn fit(
    kind: &str,
    choice: &Choice,
    train: Rows<'_>,
    validation: Batch<'_>,
    threshold: Threshold,
    seed: u64,
) -> Result<Trained, Fault> {
    let mut choice = choice.clone();
    let plain = Settings { threshold, ..Settings::default() };
    let fitted = match kind {
        zscore::KIND => {
            let settings = settings(&mut choice, &plain)?;
            choice.check_all_taken(&SETTINGS)?;
            zscore::fit(train, validation, &settings)
        }
        pca::KIND => {
            let parameters = pca_parameters(&mut choice)?;
            // The other indices clip, centre and weigh rows on their own.
            let whitened = parameters.index == pca::Index::Whitened;
            let settings = settings(&mut choice, &if whitened { energy_settings(threshold) } else { plain })?;
            let own = ["index", "components", "shrinkage", "learning_clip", "residuals"];
            choice.check_all_taken(&[&SETTINGS[..], &own].concat())?;
            pca::fit(train, validation, &settings, &parameters)
        }
        forest::KIND => {
            let settings = settings(&mut choice, &forest_settings(threshold))?;
            let parameters = forest_parameters(&mut choice, seed)?;
            choice.check_all_taken(&[&SETTINGS[..], &FOREST].concat())?;
            forest::fit(train, validation, &settings, &parameters)
        }
        forest::extended::KIND => {
            let settings = settings(&mut choice, &forest_settings(threshold))?;
            let parameters = forest_parameters(&mut choice, seed)?;
            // All features in every split: the full extension of the paper.
            let extension = choice.count("extension", u32::MAX)?;
            choice.check_all_taken(&[&SETTINGS[..], &FOREST, &["extension"]].concat())?;
            forest::extended::fit(train, validation, &settings, &parameters, extension)
        }
        other => return Err(Fault::Kind(other.to_owned())),
    };
    Ok(fitted?)
}

/// Defaults of the multivariate kinds, which detect changes at any level: the best on the public data sets SMD, ASD and
/// `JumpStarter`.
fn change_settings(threshold: Threshold) -> Settings {
    Settings {
        scaling: Scaling::Standard,
        clip: Some(10.0),
        baseline: Some(9.0),
        whiten: Some(0.03),
        power: 1.0,
        memory: 39.0,
        memory_weight: 5.0,
        threshold,
    }
}

/// Defaults of kinds whose raw score is an energy of whitened rows.
fn energy_settings(threshold: Threshold) -> Settings {
    Settings { power: 1.5, ..change_settings(threshold) }
}

/// Defaults of kinds that score windows: they whiten what a network did not expect, not what it sees.
pub(super) fn window_settings(threshold: Threshold) -> Settings {
    Settings { whiten: None, ..energy_settings(threshold) }
}

/// Defaults of forests, whose scores are concentrated: most lie between 0.4 and 0.6.
fn forest_settings(threshold: Threshold) -> Settings {
    Settings { power: 6.0, ..change_settings(threshold) }
}

/// The names of the parameters of every kind.
pub(super) const SETTINGS: [&str; 7] = ["scaling", "clip", "baseline", "whiten", "power", "memory", "memory_weight"];

/// The parameters of every kind: the stages before and after the kind's own. 0 disables a stage.
pub(super) fn settings(choice: &mut Choice, defaults: &Settings) -> Result<Settings, Fault> {
    let scaling = choice.text("scaling", defaults.scaling.name())?.parse()?;
    let mut or_none = |name: &str, default: Option<f64>| -> Result<Option<f64>, grid::Error> {
        Ok(Some(choice.number(name, default.unwrap_or(0.0))?).filter(|number| *number != 0.0))
    };
    let clip = or_none("clip", defaults.clip)?;
    let baseline = or_none("baseline", defaults.baseline)?;
    let whiten = or_none("whiten", defaults.whiten)?;
    let memory = or_none("memory", Some(defaults.memory))?.unwrap_or(1.0);
    let memory_weight = choice.number("memory_weight", defaults.memory_weight)?;
    let power = choice.number("power", defaults.power)?;
    Ok(Settings { scaling, clip, baseline, whiten, power, memory, memory_weight, threshold: defaults.threshold })
}

/// The names of a forest's parameters.
const FOREST: [&str; 3] = ["trees", "max_samples", "max_features"];

fn forest_parameters(choice: &mut Choice, seed: u64) -> Result<forest::Parameters, grid::Error> {
    let defaults = forest::Parameters::default();
    let parameters = forest::Parameters {
        trees: choice.count("trees", defaults.trees)?,
        max_samples: choice.count("max_samples", defaults.max_samples)?,
        max_features: choice.number("max_features", defaults.max_features)?,
        seed,
    };
    parameters.check()?;
    Ok(parameters)
}

fn pca_parameters(choice: &mut Choice) -> Result<pca::Parameters, Fault> {
    let defaults = pca::Parameters::default();
    let index = choice.text("index", pca::Index::Whitened.name())?.parse()?;
    Ok(pca::Parameters {
        components: match choice.take("components") {
            None => defaults.components,
            Some(Value::Integer(count)) if count > 0 => pca::Components::Count(count as usize),
            Some(Value::Float(share)) if share > 0.0 && share <= 1.0 => pca::Components::Share(share),
            Some(other) => {
                let must = "a number of components, or a share of the variance such as 0.9";
                return Err(grid::Error::Value { name: "components".to_owned(), value: other, must }.into());
            }
        },
        shrinkage: match choice.take("shrinkage") {
            None => defaults.shrinkage,
            Some(Value::String(auto)) if auto == "auto" => pca::Shrinkage::Auto,
            Some(Value::Float(share)) if (0.0..=1.0).contains(&share) => pca::Shrinkage::Fixed(share),
            Some(other) => {
                let must = "\"auto\", or from 0.0 to 1.0";
                return Err(grid::Error::Value { name: "shrinkage".to_owned(), value: other, must }.into());
            }
        },
        // 0 disables it. For whitened rows, it is one of the settings.
        clip: match index {
            pca::Index::Whitened => defaults.clip,
            _ => Some(choice.number("clip", defaults.clip.unwrap_or(0.0))?).filter(|clip| *clip > 0.0),
        },
        learning_clip: Some(choice.number("learning_clip", defaults.learning_clip.unwrap_or(0.0))?)
            .filter(|clip| *clip > 0.0),
        index,
        residuals: match choice.text("residuals", "plain")?.as_str() {
            "plain" => pca::Residuals::Plain,
            "weighted" => pca::Residuals::Weighted { clip: Some(5.0) },
            other => {
                let (name, value, known) = ("residuals", other.to_owned(), "plain and weighted");
                return Err(grid::Error::Word { name, value, known }.into());
            }
        },
    })
}
