//! What may be set of each kind of detector, and how it is fitted.

use qualm_core::trained::calibrate::Threshold;
use qualm_core::trained::prepare::Scaling;
use qualm_core::trained::{Rows, Settings, Trained};
use qualm_core::{Batch, zscore};

use super::grid::Choice;

/// The kinds that can be trained.
pub const KINDS: [&str; 1] = [zscore::KIND];

/// What every kind has.
const COMMON: [&str; 2] = ["scaling", "memory"];

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
    let mut settings = |scaling: Scaling, memory: f64| {
        let scaling = choice.text("scaling", scaling.name())?.parse()?;
        let memory = choice.number("memory", memory)?;
        if !(1.0..=1e6).contains(&memory) {
            return Err(format!("[parameters] `memory` is {memory}; it must be between 1 and a million rows"));
        }
        Ok::<_, String>(Settings { scaling, threshold, memory })
    };
    let fitted = match kind {
        zscore::KIND => {
            let settings = settings(Scaling::Standard, 1.0)?;
            choice.nothing_left(&COMMON)?;
            zscore::fit(train, validation, &settings)
        }
        other => return Err(format!("`{other}` is no detector that is trained; there are {}", KINDS.join(", "))),
    };
    fitted.map_err(|error| error.to_string())
}
