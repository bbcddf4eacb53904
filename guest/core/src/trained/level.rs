//! An alarm that lasts as long as what raised it.
//!
//! A [`super::baseline`] detects changes, and a permanent change is soon its new mean. So during an alarm rows are also judged
//! by their level: how far the scaled values are from the training rows, whitened likewise. The level raises no alarm, since
//! levels drift without a fault; it only prolongs one until the level is ordinary again, with a score up to the alarm's
//! highest. Different thresholds for begin and end are a Schmitt trigger.

use ndarray::ArrayView2;
use qualm_contract::Error;

use super::FitError;
use super::calibrate::{Calibration, Threshold};
use super::whiten::{Whitening, mean_square, shares};
use crate::linalg::{as_matrix, as_rows};
use crate::math::min;
use crate::model::{Model, Writer};

/// The largest clip, so that sums of squares are finite.
const MAX_CLIP: f64 = 1e12;

/// How levels are judged.
#[derive(Debug)]
pub(super) struct Level {
    whitening: Option<Whitening>,
    /// The largest magnitude of a whitened value.
    clip: f64,
    /// 0 is the median of ordinary rows' levels, 1 the one that prolongs alarms.
    calibration: Calibration,
}

impl Level {
    /// Fits it to scaled training rows. `ordinary` are rows that follow them, of which a share `out` may prolong an alarm.
    pub(super) fn fit(
        rows: ArrayView2<'_, f64>,
        ordinary: ArrayView2<'_, f64>,
        whiten: Option<f64>,
        clip: f64,
        out: f64,
    ) -> Result<Self, FitError> {
        let whitening = whiten.map(|share| Whitening::fit(rows, share)).transpose()?;
        let calibration = Calibration { ordinary: 0.0, threshold: 1.0 };
        let this = Self { whitening, clip, calibration };
        let mut buffer = Vec::new();
        let levels: Vec<f64> = as_rows(ordinary).map(|row| this.raw(row, &mut buffer)).collect();
        if !(out > 0.0 && out <= 0.5) {
            return Err(FitError(format!("`level` is {out}; it must lie between 0 and 0.5")));
        }
        Ok(Self { calibration: Calibration::fit(&levels, Threshold::Contamination(out))?, ..this })
    }

    /// The mean square of a scaled row after whitening; the whitened row is left in `white`.
    fn raw(&self, row: &[f64], white: &mut Vec<f64>) -> f64 {
        white.clear();
        match &self.whitening {
            Some(whitening) => whitening.apply(as_matrix(row, row.len()), white),
            None => white.extend_from_slice(row),
        }
        mean_square(white, self.clip)
    }

    /// Prolongs an alarm. `row` is scaled, `score` its score, `highest` the highest score of the series' alarm or NaN without
    /// one. Returns the new score, and whether the level determines it.
    pub(super) fn hold(&self, row: &[f64], score: f64, highest: &mut f64, white: &mut Vec<f64>) -> (f64, bool) {
        if score > 1.0 {
            *highest = if *highest > score { *highest } else { score };
        } else if highest.is_nan() {
            return (score, false);
        }
        let level = self.calibration.units(self.raw(row, white));
        if score <= 1.0 && level <= 1.0 {
            *highest = f64::NAN;
        }
        let held = min(level, *highest);
        if held > score { (held, true) } else { (score, false) }
    }

    /// How much each feature contributes to the level: not negative, and adding up to the mean square.
    pub(super) fn explain(&self, row: &[f64], white: &mut Vec<f64>, contributions: &mut [f64]) {
        self.raw(row, white);
        shares(white, self.clip, contributions);
    }

    pub(super) fn write_model(&self, model: &mut Writer) {
        let Calibration { ordinary, threshold } = self.calibration;
        model.set("level_ordinary", ordinary).set("level_threshold", threshold);
        model.set("level_clip", format_args!("{:e}", self.clip)).set("level_whitened", self.whitening.is_some());
        if let Some(whitening) = &self.whitening {
            whitening.write_model("level_whitening", model);
        }
    }

    pub(super) fn read_model(model: &Model<'_>, features: usize) -> Result<Self, Error> {
        let whitened: bool = model.number("level_whitened")?;
        let whitening = whitened.then(|| Whitening::read_model("level_whitening", model, features)).transpose()?;
        let clip = model.finite("level_clip")?;
        if !(clip > 0.0 && clip <= MAX_CLIP) {
            return Err(Error::BadModel(format!("its `level_clip` of {clip} is not above 0 and up to {MAX_CLIP:e}")));
        }
        let (ordinary, threshold) = (model.finite("level_ordinary")?, model.finite("level_threshold")?);
        Ok(Self { whitening, clip, calibration: Calibration::new(ordinary, threshold)? })
    }
}
