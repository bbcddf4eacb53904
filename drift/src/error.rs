//! Why a reference, rows or options cannot be used.

use crate::reference::{MAX_BINS, QUANTILES};

/// Why a reference or rows cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Lengths do not fit together.
    #[error("{times} times, {values} values and {scores} scores are no rows of {features} features")]
    Shape {
        /// How many times there are.
        times: usize,
        /// How many values.
        values: usize,
        /// How many scores.
        scores: usize,
        /// How many features.
        features: usize,
    },
    /// A feature's distribution is impossible.
    #[error("feature {feature}: {source}")]
    Feature {
        /// Which, the first being 0.
        feature: usize,
        /// What is impossible.
        source: Invalid,
    },
    /// The score's distribution is impossible.
    #[error("the score: {0}")]
    Score(#[source] Invalid),
    /// What is said of alarms is impossible.
    #[error("rates of alarms must be between 0 and 1, and what is ordinary of the score finite and not negative")]
    Alarms,
}

/// Why a distribution is impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// `missing` is no share.
    #[error("the share of missing values must be between 0 and 1")]
    Missing,
    /// `edges` has too many, or is not finite or ascending.
    #[error("the edges of bins must be finite, strictly ascending, {} at most", MAX_BINS - 1)]
    Edges,
    /// `counts` does not fit the edges or the quantiles, or is not countable.
    #[error("the counts must be finite, not negative, one more than edges, and not all 0 where there are quantiles")]
    Counts,
    /// `quantiles` has another length, or is not finite or ascending.
    #[error("the quantiles must be finite, ascending, {QUANTILES}; or none, where all values are missing")]
    Quantiles,
    /// `mean` or `deviation` does not fit the quantiles.
    #[error("the mean must lie between the least and the largest quantile, the deviation between 0 and their distance")]
    Moments,
    /// `ordinary` has a number that is no effect.
    #[error("ordinary effects must be finite and not negative")]
    Ordinary,
}
