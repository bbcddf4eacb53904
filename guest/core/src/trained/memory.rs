//! The average of a score with the series' last scores.
//!
//! With the exponentially weighted mean s of a series' scores q, the score is (q + W·s)/(1 + W): an anomaly that
//! lasts for some rows scores more than a short one, and a very anomalous row is still detected at once.

use qualm_contract::Error;

use super::FitError;
use crate::model::{Model, Writer};

/// The longest span.
const MAX_SPAN: f64 = 1e6;

/// The largest weight.
const MAX_WEIGHT: f64 = 1e6;

/// The gain and weight of means. Means are in units of the threshold and do not depend on the model, so that a new model
/// continues with them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    span: f64,
    weight: f64,
    /// The weight of a new score in the mean.
    new: f64,
    /// The share of the mean in the score.
    share: f64,
}

impl Memory {
    /// Averages over some `span` rows: each weighs 2/(span + 1), as much as in a plain mean of so many. The mean weighs
    /// `weight` times as much as the row itself.
    pub(super) fn new(span: f64, weight: f64) -> Result<Self, FitError> {
        if !(1.0..=MAX_SPAN).contains(&span) {
            return Err(FitError(format!("`memory` is {span} rows; it must be between 1 and a million")));
        }
        if !(0.0..=MAX_WEIGHT).contains(&weight) {
            return Err(FitError(format!("`memory_weight` is {weight}; it must be between 0 and a million")));
        }
        Ok(Self { span, weight, new: 2.0 / (span + 1.0), share: weight / (1.0 + weight) })
    }

    /// Whether there is no averaging.
    pub(super) fn is_none(&self) -> bool {
        self.new >= 1.0 || self.weight <= 0.0
    }

    /// Adds a series' next score to its `mean` (NaN before the first score), and returns the average of both.
    pub(super) fn average(&self, mean: &mut f64, score: f64) -> f64 {
        if self.is_none() {
            return score;
        }
        let old = if mean.is_nan() { score } else { *mean };
        *mean = old + self.new * (score - old);
        score + self.share * (*mean - score)
    }

    pub(super) fn write_model(&self, model: &mut Writer) {
        model.set("memory", self.span).set("memory_weight", self.weight);
    }

    pub(super) fn read_model(model: &Model<'_>) -> Result<Self, Error> {
        Self::new(model.finite("memory")?, model.finite("memory_weight")?)
            .map_err(|error| Error::BadModel(format!("in it, {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_follows_and_weighs() {
        let memory = Memory::new(3.0, 1.0).unwrap();
        let mut mean = f64::NAN;
        let scores = [0.0, 4.0, 4.0].map(|score| memory.average(&mut mean, score).to_bits());
        assert_eq!(scores, [0.0_f64, 3.0, 3.5].map(f64::to_bits));
        assert_eq!(mean.to_bits(), 3.0_f64.to_bits());
        for (span, weight) in [(1.0, 5.0), (9.0, 0.0)] {
            let memory = Memory::new(span, weight).unwrap();
            assert_eq!((memory.is_none(), memory.average(&mut mean, 7.0).to_bits()), (true, 7.0_f64.to_bits()));
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (span, weight, what) in
            [(0.5, 1.0, "`memory`"), (f64::NAN, 1.0, "`memory`"), (3.0, -1.0, "`memory_weight`")]
        {
            assert!(Memory::new(span, weight).unwrap_err().0.contains(what));
        }
    }
}
