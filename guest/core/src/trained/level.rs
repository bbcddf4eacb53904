//! An alarm that lasts as long as what raised it.
//!
//! A [`super::baseline`] sees changes, and what changed for good is soon its new mean. So while an alarm is on, rows are
//! also judged by their level: how far the scaled values themselves are from the training rows, whitened likewise. The
//! level raises no alarm of its own, as levels drift without any fault; it only keeps one up until it is ordinary again, at
//! a score no higher than the alarm's highest. Two thresholds, one to begin by and one to end by, are a Schmitt trigger.

use super::calibrate::{Calibration, Threshold};
use super::whiten::{Whitening, mean_square, shares};
use super::{FitError, Rows};
use crate::math::min;
use crate::model::{Model, Writer};
use qualm_contract::Error;

/// The largest clip: squares of what is within are summed.
const MOST_CLIP: f64 = 1e12;

/// What levels are ordinary.
#[derive(Debug)]
pub(super) struct Level {
    whitening: Option<Whitening>,
    /// How far out one whitened value counts.
    clip: f64,
    /// 0 is the median of ordinary rows' levels, 1 the one that keeps alarms up.
    calibration: Calibration,
}

impl Level {
    /// Learns from training rows as they are scaled. `ordinary` are rows that follow upon them, of which a share `out` may
    /// keep an alarm up.
    pub(super) fn fit(
        rows: Rows<'_>,
        ordinary: Rows<'_>,
        whiten: Option<f64>,
        clip: f64,
        out: f64,
    ) -> Result<Self, FitError> {
        let whitening = whiten.map(|share| Whitening::fit(rows, share)).transpose()?;
        let calibration = Calibration { ordinary: 0.0, threshold: 1.0 };
        let this = Self { whitening, clip, calibration };
        let mut buffer = Vec::new();
        let levels: Vec<f64> = ordinary.iter().map(|row| this.raw(row, &mut buffer)).collect();
        if !(out > 0.0 && out <= 0.5) {
            return Err(FitError(format!("`level` is {out}; it must lie between 0 and 0.5")));
        }
        Ok(Self { calibration: Calibration::fit(&levels, Threshold::Contamination(out))?, ..this })
    }

    /// The mean square of a row as it is scaled, once it is whitened; leaves that in `white`.
    fn raw(&self, row: &[f64], white: &mut Vec<f64>) -> f64 {
        white.clear();
        match &self.whitening {
            Some(whitening) => whitening.apply(row, white),
            None => white.extend_from_slice(row),
        }
        mean_square(white, self.clip)
    }

    /// Takes a row with its score. `highest` is the highest score of the series' alarm, NaN where none is on. Returns the
    /// score that the alarm has now, and whether it is by the level.
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

    pub(super) fn write(&self, model: &mut Writer) {
        let Calibration { ordinary, threshold } = self.calibration;
        model.set("level_ordinary", ordinary).set("level_threshold", threshold);
        model.set("level_clip", format_args!("{:e}", self.clip)).set("level_whitened", self.whitening.is_some());
        if let Some(whitening) = &self.whitening {
            whitening.write("level_whitening", model);
        }
    }

    pub(super) fn read(model: &Model<'_>, features: usize) -> Result<Self, Error> {
        let whitened: bool = model.number("level_whitened")?;
        let whitening = whitened.then(|| Whitening::read("level_whitening", model, features)).transpose()?;
        let clip = model.finite("level_clip")?;
        if !(clip > 0.0 && clip <= MOST_CLIP) {
            return Err(Error::BadModel(format!("its `level_clip` of {clip} is not above 0 and up to {MOST_CLIP:e}")));
        }
        let (ordinary, threshold) = (model.finite("level_ordinary")?, model.finite("level_threshold")?);
        Ok(Self { whitening, clip, calibration: Calibration::new(ordinary, threshold)? })
    }
}
