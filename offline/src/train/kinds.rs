//! What may be set of each kind of detector, and how it is fitted.

use qualm_core::trained::calibrate::Threshold;
use qualm_core::trained::prepare::Scaling;
use qualm_core::trained::{Rows, Settings, Trained};
use qualm_core::{Batch, pca, zscore};
use toml::Value;

use super::grid::Choice;

/// The kinds that can be trained.
pub const KINDS: [&str; 2] = [zscore::KIND, pca::KIND];

/// Fits a detector of `kind` to `train`, with its threshold set by `validation`. The seed is that of all randomness.
///
/// # Errors
///
/// What is wrong with the parameters or the rows.
pub fn fit(
    kind: &str,
    choice: &Choice,
    train: Rows<'_>,
    validation: Batch<'_>,
    threshold: Threshold,
    _seed: u64,
) -> Result<Trained, String> {
    let mut choice = choice.clone();
    let fitted = match kind {
        zscore::KIND => {
            let settings = settings(&mut choice, Scaling::Standard, 1.0, threshold)?;
            choice.nothing_left(&["scaling", "memory"])?;
            zscore::fit(train, validation, &settings)
        }
        pca::KIND => {
            let settings = settings(&mut choice, Scaling::Standard, 1.0, threshold)?;
            let parameters = pca_parameters(&mut choice)?;
            choice.nothing_left(&[
                "scaling",
                "memory",
                "components",
                "shrinkage",
                "clip",
                "learning_clip",
                "index",
                "residuals",
            ])?;
            pca::fit(train, validation, &settings, &parameters)
        }
        other => return Err(format!("`{other}` is no detector that is trained; there are {}", KINDS.join(", "))),
    };
    fitted.map_err(|error| error.to_string())
}

/// What every kind has: how values are scaled, and over how many rows scores are averaged.
fn settings(choice: &mut Choice, scaling: Scaling, memory: f64, threshold: Threshold) -> Result<Settings, String> {
    let scaling = choice.text("scaling", scaling.name())?.parse()?;
    let memory = choice.number("memory", memory)?;
    if !(1.0..=1e6).contains(&memory) {
        return Err(format!("[parameters] `memory` is {memory}; it must be between 1 and a million rows"));
    }
    Ok(Settings { scaling, threshold, memory })
}

fn pca_parameters(choice: &mut Choice) -> Result<pca::Parameters, String> {
    let defaults = pca::Parameters::default();
    Ok(pca::Parameters {
        components: match choice.take("components") {
            None => defaults.components,
            Some(Value::Integer(count)) if count > 0 => pca::Components::Count(count as usize),
            Some(Value::Float(share)) if share > 0.0 && share <= 1.0 => pca::Components::Share(share),
            Some(other) => {
                return Err(format!(
                    "[parameters] `components` is {other}; it must be a number of components, or a share of the \
                     variance such as 0.9"
                ));
            }
        },
        shrinkage: match choice.take("shrinkage") {
            None => defaults.shrinkage,
            Some(Value::String(auto)) if auto == "auto" => pca::Shrinkage::Auto,
            Some(Value::Float(share)) if (0.0..=1.0).contains(&share) => pca::Shrinkage::Fixed(share),
            Some(other) => {
                return Err(format!("[parameters] `shrinkage` is {other}; it must be \"auto\", or from 0.0 to 1.0"));
            }
        },
        // 0 is without.
        clip: Some(choice.number("clip", defaults.clip.unwrap_or(0.0))?).filter(|clip| *clip > 0.0),
        learning_clip: Some(choice.number("learning_clip", defaults.learning_clip.unwrap_or(0.0))?)
            .filter(|clip| *clip > 0.0),
        index: choice.text("index", defaults.index.name())?.parse()?,
        residuals: match choice.text("residuals", "plain")?.as_str() {
            "plain" => pca::Residuals::Plain,
            "weighted" => pca::Residuals::Weighted { clip: Some(5.0) },
            other => return Err(format!("[parameters] `residuals` is `{other}`; known are plain and weighted")),
        },
    })
}
