//! Calibration: which raw scores become 0 and 1.

use qualm_contract::Error;

use super::FitError;
use super::prepare::quantile;
use crate::model::{Model, Writer};

/// The least raw scores for a threshold: with fewer, the tail is uncertain.
pub const MIN_SCORES: usize = 100;

/// The share of raw scores that make the tail: the first, or where they are few as much as there are [`MIN_TAIL_SCORES`], up to
/// the second. A smaller tail is more like its limiting law, a larger one has more data: with the two excesses
/// that 2% of a hundred scores are, the threshold of heavy tails was half of the right one.
const TAIL_SHARE: (f64, f64) = (0.02, 0.1);

/// Scores that a tail should have.
const MIN_TAIL_SCORES: f64 = 50.0;

/// The largest excess that counts, in median excesses. Of the heaviest law that is allowed, one in ninety exceeds it; without
/// a limit a single anomalous row could move the threshold anywhere.
const MAX_MEDIAN_EXCESSES: f64 = 20.0;

/// The largest score; it is clipped, so that means with others are finite.
const MAX_UNITS: f64 = 1e99;

/// How the threshold is set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// By the share of ordinary rows that may be reported, from the tail of ordinary rows' scores.
    FalseAlarmRate(f64),
    /// By the share of the rows themselves that are anomalies: their quantile.
    Contamination(f64),
    /// At this raw score.
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
    /// Fits it to the raw scores of rows that the detector was not fitted to.
    ///
    /// # Errors
    ///
    /// If there are too few, or a rate is out of its range.
    pub fn fit(raw: &[f64], threshold: Threshold) -> Result<Self, FitError> {
        if raw.len() < MIN_SCORES {
            return Err(FitError(format!(
                "{} rows to set the threshold by; {MIN_SCORES} are needed at least",
                raw.len()
            )));
        }
        if let Some(raw) = raw.iter().find(|raw| !raw.is_finite()) {
            return Err(FitError(format!("a raw score is {raw}")));
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
            Threshold::Fixed(raw) if raw.is_finite() && raw > ordinary => raw,
            Threshold::Fixed(raw) => {
                let what =
                    format!("the fixed threshold is {raw}; it must lie above {ordinary}, an ordinary row's raw score");
                return Err(FitError(what));
            }
        };
        // Scores that do not vary: any larger score is an anomaly.
        let least = ordinary + f64::max(ordinary.abs() * 1e-9, 1e-12);
        Ok(Self { ordinary, threshold: f64::max(threshold, least) })
    }

    /// A raw score in units of the threshold; it may be negative.
    #[must_use]
    pub fn units(&self, raw: f64) -> f64 {
        ((raw - self.ordinary) / (self.threshold - self.ordinary)).clamp(-MAX_UNITS, MAX_UNITS)
    }

    /// The score: in units of the threshold, and not below 0.
    #[must_use]
    pub fn score(&self, units: f64) -> f64 {
        if units > 0.0 { units } else { 0.0 }
    }

    /// Writes it under names that begin with `prefix`.
    pub(crate) fn write_model(&self, prefix: &str, model: &mut Writer) {
        model.set(format!("{prefix}ordinary"), self.ordinary).set(format!("{prefix}threshold"), self.threshold);
    }

    pub(crate) fn read_model(prefix: &str, model: &Model<'_>) -> Result<Self, Error> {
        Self::new(model.finite(&format!("{prefix}ordinary"))?, model.finite(&format!("{prefix}threshold"))?)
    }

    /// A calibration that was fitted elsewhere.
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
    let tail = (MIN_TAIL_SCORES / sorted.len() as f64).clamp(TAIL_SHARE.0, TAIL_SHARE.1);
    let start = quantile(sorted, 1.0 - tail);
    let beyond = &sorted[sorted.partition_point(|raw| *raw <= start)..];
    let (start, mut excesses) = excesses(start, beyond);
    let share = excesses.len() as f64 / sorted.len() as f64;
    if rate >= share || excesses.len() < 2 {
        return quantile(sorted, 1.0 - rate);
    }
    let wild = MAX_MEDIAN_EXCESSES * quantile(&excesses, 0.5);
    for excess in &mut excesses {
        *excess = f64::min(*excess, wild);
    }
    let (shape, scale) = generalised_pareto(&excesses);
    let ratio = libm::log(rate / share);
    let excess = if shape.abs() < 1e-6 { -scale * ratio } else { scale / shape * libm::expm1(-shape * ratio) };
    start + excess
}

/// How far scores lie beyond the start of the tail, and the start itself.
///
/// Scores with few values, such as those of metrics that count a few things, have no continuous distribution: without a
/// correction the tail seems to end soon. So equal ones are spread evenly between halfway to the score below and
/// halfway to the one above, and the tail starts halfway to its first score.
fn excesses(start: f64, beyond: &[f64]) -> (f64, Vec<f64>) {
    let mut spread = Vec::with_capacity(beyond.len());
    let mut below = start;
    let mut rest = beyond;
    while let Some(&score) = rest.first() {
        let (equal, above) = rest.split_at(rest.partition_point(|raw| *raw <= score));
        let low = (score - below) / 2.0;
        let high = above.first().map_or(low, |next| (next - score) / 2.0);
        let place = |at: usize| (at as f64 + 0.5) / equal.len() as f64 * (low + high) - low;
        spread.extend((0..equal.len()).map(|at| score + if equal.len() > 1 { place(at) } else { 0.0 }));
        (below, rest) = (score, above);
    }
    let start = beyond.first().map_or(start, |first| start + (first - start) / 2.0);
    (start, spread.iter().map(|score| score - start).collect())
}

/// Shape and scale of the generalised Pareto law of some sorted excesses, by probability-weighted moments (Hosking &
/// Wallis 1987): stable where there are few, and without a search. The shape is kept in −½ … ½, where they hold.
fn generalised_pareto(sorted: &[f64]) -> (f64, f64) {
    let count = sorted.len() as f64;
    let mean = sorted.iter().sum::<f64>() / count;
    let weighted = sorted.iter().enumerate().map(|(at, excess)| excess * (count - at as f64 - 1.0) / (count - 1.0));
    let weighted = weighted.sum::<f64>() / count;
    // Gini's mean difference, halved: not negative, but for rounding where all excesses are alike.
    let spread = mean - 2.0 * weighted;
    // Their k is our shape with its sign turned.
    let shape = if spread > 1e-9 * mean { (2.0 - mean / spread).clamp(-0.5, 0.5) } else { -0.5 };
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
    fn few_scores_or_a_few_wild_ones_make_no_wild_threshold() {
        for shape in [-0.2_f64, 0.0, 0.2] {
            let threshold = |raw: &[f64]| Calibration::fit(raw, Threshold::FalseAlarmRate(1e-4)).unwrap().threshold;
            let many = threshold(&pareto(shape, 100_000));
            let few = threshold(&pareto(shape, 100)) / many;
            assert!((0.6..1.7).contains(&few), "shape {shape}: {few} times as far out with few");
            let mut wild = pareto(shape, 10_000);
            wild[..5].fill(1e12);
            let wild = threshold(&wild) / many;
            assert!((0.9..3.0).contains(&wild), "shape {shape}: {wild} times as far out with wild ones");
        }
    }

    #[test]
    fn ties_in_the_tail_do_no_harm() {
        let threshold = |raw: &[f64]| Calibration::fit(raw, Threshold::FalseAlarmRate(1e-5)).unwrap().threshold;
        // All excesses alike: the law with the nearest end.
        for excess in [0.1, 1.0 / 3.0, 1e-9, 1e9] {
            let raw = [vec![0.0; 980], vec![excess; 19]].concat();
            let units = threshold(&raw) / excess;
            assert!((1.0..2.1).contains(&units), "{units}");
        }
        // A tail that begins at the largest score; one with a single excess; whole numbers.
        assert!((5.0..5.1).contains(&threshold(&[vec![0.0; 900], vec![5.0; 100]].concat())));
        assert!((0.0..=1.0).contains(&threshold(&[vec![0.0; 999], vec![1.0]].concat())));
        let whole: Vec<f64> = pareto(0.0, 10_000).into_iter().map(f64::round).collect();
        assert!((9.5..13.0).contains(&threshold(&whole)), "{}", threshold(&whole));
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
            (&[1.0; 100], Threshold::Fixed(1.0)),
            (&[f64::NAN; 100], Threshold::Contamination(0.1)),
            (&[f64::INFINITY; 100], Threshold::FalseAlarmRate(1e-4)),
        ] {
            Calibration::fit(raw, threshold).unwrap_err();
        }
    }
}
