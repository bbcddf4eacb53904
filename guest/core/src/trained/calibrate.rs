//! Where 0 and 1 lie among a detector's raw scores.

use super::FitError;
use super::prepare::quantile;
use crate::Error;
use crate::model::{Model, Writer};

/// Raw scores that a threshold needs: with fewer, the tail is a guess.
pub const LEAST: usize = 100;

/// The share of raw scores that make the tail.
const TAIL: f64 = 0.02;

/// How a threshold is found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// The share of ordinary rows that may be called anomalies, from the tail of ordinary rows' scores.
    FalseAlarmRate(f64),
    /// The share of the rows themselves that are taken for anomalies: their quantile.
    Contamination(f64),
    /// A raw score.
    Fixed(f64),
}

/// Turns raw scores into scores: 0 is ordinary, 1 is the threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// The raw score of an ordinary row: the median.
    pub ordinary: f64,
    /// The raw score that is the threshold: more than `ordinary`.
    pub threshold: f64,
}

impl Calibration {
    /// Learns from the raw scores of rows that the detector was not fitted to.
    ///
    /// # Errors
    ///
    /// Where there are too few, or a rate is out of its range.
    pub fn fit(raw: &[f64], threshold: Threshold) -> Result<Self, FitError> {
        if raw.len() < LEAST {
            return Err(FitError(format!("{} rows to set the threshold by; {LEAST} are needed at least", raw.len())));
        }
        let mut sorted = raw.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let ordinary = quantile(&sorted, 0.5);
        let threshold = match threshold {
            Threshold::FalseAlarmRate(rate) if (1e-12..=0.5).contains(&rate) => tail_quantile(&sorted, rate),
            Threshold::FalseAlarmRate(rate) => {
                return Err(FitError(format!("`false_alarm_rate` is {rate}; it must lie between 1e-12 and 0.5")));
            }
            Threshold::Contamination(share) if share > 0.0 && share <= 0.5 => quantile(&sorted, 1.0 - share),
            Threshold::Contamination(share) => {
                return Err(FitError(format!("`contamination` is {share}; it must lie between 0 and 0.5")));
            }
            Threshold::Fixed(raw) if raw.is_finite() => raw,
            Threshold::Fixed(raw) => return Err(FitError(format!("the fixed threshold is {raw}"))),
        };
        // Scores that do not vary: anything beyond them is as unusual as can be.
        let least = ordinary + f64::max(ordinary.abs() * 1e-9, 1e-12);
        Ok(Self { ordinary, threshold: f64::max(threshold, least) })
    }

    /// A raw score in units of the threshold, as yet of either sign.
    #[must_use]
    pub fn units(&self, raw: f64) -> f64 {
        (raw - self.ordinary) / (self.threshold - self.ordinary)
    }

    /// The score: in units of the threshold, and not below 0.
    #[must_use]
    pub fn score(&self, units: f64) -> f64 {
        if units > 0.0 { units } else { 0.0 }
    }

    pub(super) fn write(&self, model: &mut Writer) {
        model.set("ordinary", self.ordinary).set("threshold", self.threshold);
    }

    pub(super) fn read(model: &Model<'_>) -> Result<Self, Error> {
        Self::new(model.finite("ordinary")?, model.finite("threshold")?)
    }

    /// One that was learnt elsewhere.
    pub(super) fn new(ordinary: f64, threshold: f64) -> Result<Self, Error> {
        if ordinary < threshold && (threshold - ordinary).is_normal() {
            return Ok(Self { ordinary, threshold });
        }
        Err(Error::BadModel(format!("its threshold {threshold} is not above {ordinary}")))
    }
}

/// The raw score that a share `rate` of ordinary rows exceed: peaks over threshold. Excesses over a high quantile follow
/// a generalised Pareto law (Pickands 1975); the quantile is Siffer et al. 2017, equation 1.
fn tail_quantile(sorted: &[f64], rate: f64) -> f64 {
    let start = quantile(sorted, 1.0 - TAIL);
    let excesses: Vec<f64> = sorted.iter().map(|raw| raw - start).filter(|excess| *excess > 0.0).collect();
    let share = excesses.len() as f64 / sorted.len() as f64;
    if rate >= share || excesses.len() < 2 {
        return quantile(sorted, 1.0 - rate);
    }
    let (shape, scale) = generalised_pareto(&excesses);
    let ratio = libm::log(rate / share);
    let excess = if shape.abs() < 1e-6 { -scale * ratio } else { scale / shape * libm::expm1(-shape * ratio) };
    start + excess
}

/// Shape and scale of the generalised Pareto law of some sorted excesses, by probability-weighted moments (Hosking &
/// Wallis 1987): stable where there are few, and without a search. The shape is kept in −½ … ½, where they hold.
fn generalised_pareto(sorted: &[f64]) -> (f64, f64) {
    let count = sorted.len() as f64;
    let mean = sorted.iter().sum::<f64>() / count;
    let weighted = sorted.iter().enumerate().map(|(at, excess)| excess * (count - at as f64 - 1.0) / (count - 1.0));
    let weighted = weighted.sum::<f64>() / count;
    // Their k is our shape with its sign turned.
    let shape = (2.0 - mean / (mean - 2.0 * weighted)).clamp(-0.5, 0.5);
    let shape = if shape.is_nan() { 0.0 } else { shape };
    (shape, mean * (1.0 - shape))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers whose share beyond x is that of a generalised Pareto law of this shape and scale 1.
    fn pareto(shape: f64, count: usize) -> Vec<f64> {
        let probability = (0..count).map(|at| (at as f64 + 0.5) / count as f64);
        probability.map(|p| if shape == 0.0 { -p.ln() } else { (p.powf(-shape) - 1.0) / shape }).collect()
    }

    #[test]
    fn a_rate_that_was_never_seen_is_extrapolated() {
        for shape in [-0.2_f64, 0.0, 0.2] {
            let calibration = Calibration::fit(&pareto(shape, 20_000), Threshold::FalseAlarmRate(1e-5)).unwrap();
            let exact = if shape == 0.0 { -1e-5_f64.ln() } else { (1e-5_f64.powf(-shape) - 1.0) / shape };
            let ratio = calibration.threshold / exact;
            assert!((0.9..1.1).contains(&ratio), "shape {shape}: {} of {exact}", calibration.threshold);
        }
    }

    #[test]
    fn scores_are_in_units_of_the_threshold() {
        let raw: Vec<f64> = (0..1001).map(f64::from).collect();
        let calibration = Calibration::fit(&raw, Threshold::Contamination(0.1)).unwrap();
        assert_eq!(calibration, Calibration { ordinary: 500.0, threshold: 900.0 });
        let score = |raw| calibration.score(calibration.units(raw)).to_bits();
        assert_eq!([400.0, 500.0, 900.0, 1300.0].map(score), [0.0_f64, 0.0, 1.0, 2.0].map(f64::to_bits));
    }

    #[test]
    fn scores_that_do_not_vary_have_a_threshold_too() {
        for raw in [0.0, 5.0, -1e9] {
            let calibration = Calibration::fit(&[raw; 200], Threshold::FalseAlarmRate(1e-4)).unwrap();
            assert!(calibration.threshold > calibration.ordinary && calibration.units(raw) == 0.0);
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (raw, threshold) in [
            (&[1.0; 99][..], Threshold::FalseAlarmRate(1e-4)),
            (&[1.0; 100], Threshold::FalseAlarmRate(0.0)),
            (&[1.0; 100], Threshold::Contamination(f64::NAN)),
            (&[1.0; 100], Threshold::Fixed(f64::INFINITY)),
        ] {
            Calibration::fit(raw, threshold).unwrap_err();
        }
    }
}
