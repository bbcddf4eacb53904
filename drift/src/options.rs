//! What counts as drift.

use std::time::Duration;

/// What counts as drift.
///
/// `sustained` and `factor` were chosen with `examples/synthetic` (`-- tune`) on a half of its kinds of streams, with seeds of their
/// own: of nine pairs, the quickest with which none of 24 streams of 116 days was said to drift, and at most one of 8 with incidents.
/// `synthetic` without arguments prints how often and how soon drift is reported with other seeds, and of the other half.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// How much of the newest rows is compared with training, in the rows' own time. A day has each hour of a daily season. Rows
    /// must come more often than once in it.
    pub window: Duration,
    /// How many of the five tests must vote for drift of a feature, 1 to 5.
    pub consensus: usize,
    /// At how many ends of blocks in a row that must be so, 1 at least. A block is an eighth of the window.
    pub sustained: usize,
    /// Below which adjusted p-value a test may vote, and below which p-value alarms have become more or fewer.
    pub significance: f64,
    /// What effects must exceed.
    pub levels: Levels,
    /// What effects must exceed as well: this times the largest that windows in training had (its square for the stability index,
    /// which grows as the square of a shift).
    pub factor: f64,
}

/// What effects must exceed, each in the unit of [`crate::Effects`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Levels {
    /// Kolmogorov and Smirnov's statistic.
    pub ks: f64,
    /// The population stability index.
    pub stability_index: f64,
    /// Wasserstein's distance, in deviations.
    pub wasserstein: f64,
    /// Jensen and Shannon's distance.
    pub jensen_shannon: f64,
    /// Cramér's V.
    pub chi_square: f64,
    /// The change of the share of missing values.
    pub missing: f64,
    /// The share of values beyond 99 % of those in training. By default three times what one in ten windows of training could have:
    /// 1 % over a tenth.
    pub beyond: f64,
    /// The shift of median and 95 % quantile of the score, in [`crate::Distribution::spread`].
    pub error: f64,
    /// How many times as many alarms there must be, or as few.
    pub alarms: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            window: Duration::from_hours(24),
            consensus: 3,
            sustained: 5,
            significance: 0.01,
            levels: Levels::default(),
            factor: 3.0,
        }
    }
}

impl Default for Levels {
    /// About the effects of a normal variable whose mean moves by 0.4 deviations: by δ, they are 0.4 δ, δ², δ, 0.42 δ and δ/3.
    fn default() -> Self {
        Self {
            ks: 0.15,
            stability_index: 0.15,
            wasserstein: 0.35,
            jensen_shannon: 0.15,
            chi_square: 0.12,
            missing: 0.2,
            beyond: 0.3,
            error: 0.5,
            alarms: 3.0,
        }
    }
}

impl Levels {
    /// Those of the five tests, in the order of [`crate::Test::ALL`].
    #[must_use]
    pub fn tests(&self) -> [f64; 5] {
        [self.ks, self.stability_index, self.wasserstein, self.jensen_shannon, self.chi_square]
    }
}
