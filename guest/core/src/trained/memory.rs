//! A score that takes a series' last scores along.
//!
//! With the exponentially weighted mean s of a series' scores q, the score is (q + W·s)/(1 + W): what goes on for some
//! rows counts more than what is over at once, and yet a row that is far out is seen when it comes.

use super::FitError;
use crate::model::{Model, Writer};
use qualm_contract::Error;

/// The longest span.
const MOST_SPAN: f64 = 1e6;

/// The largest weight.
const MOST_WEIGHT: f64 = 1e6;

/// How means follow, and what they weigh. In units of the threshold a mean is the same whichever model gave the scores, so
/// that a new model goes on where the old one was.
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
        if !(1.0..=MOST_SPAN).contains(&span) {
            return Err(FitError(format!("`memory` is {span} rows; it must be between 1 and a million")));
        }
        if !(0.0..=MOST_WEIGHT).contains(&weight) {
            return Err(FitError(format!("`memory_weight` is {weight}; it must be between 0 and a million")));
        }
        Ok(Self { span, weight, new: 2.0 / (span + 1.0), share: weight / (1.0 + weight) })
    }

    /// Whether each row stands alone.
    pub(super) fn is_none(&self) -> bool {
        self.new >= 1.0 || self.weight <= 0.0
    }

    /// Takes a series' next score into its mean, NaN for one without scores; returns the score with the mean.
    pub(super) fn average(&self, mean: &mut f64, score: f64) -> f64 {
        if self.is_none() {
            return score;
        }
        let old = if mean.is_nan() { score } else { *mean };
        *mean = old + self.new * (score - old);
        score + self.share * (*mean - score)
    }

    pub(super) fn write(&self, model: &mut Writer) {
        model.set("memory", self.span).set("memory_weight", self.weight);
    }

    pub(super) fn read(model: &Model<'_>) -> Result<Self, Error> {
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
