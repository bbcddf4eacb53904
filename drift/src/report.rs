//! What is said of drift.

/// One of the five tests of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    /// Kolmogorov and Smirnov's: the largest difference between the distribution functions ([`crate::two_sample::Distances::ks`]).
    /// Votes where that is above its level and significant.
    KolmogorovSmirnov,
    /// The population stability index over the reference's bins ([`crate::binned::stability_index`]). Votes above its level.
    StabilityIndex,
    /// Wasserstein's distance in the reference's standard deviations ([`crate::two_sample::Distances::wasserstein`]). Votes above its level.
    Wasserstein,
    /// Jensen and Shannon's distance over the reference's bins ([`crate::binned::jensen_shannon`]). Votes above its level.
    JensenShannon,
    /// Pearson's chi-square test over the reference's bins ([`crate::binned::chi_square`]), whose statistic here is Cramér's V.
    /// Votes where that is above its level and significant.
    ChiSquare,
}

impl Test {
    /// All, in the order of [`FeatureReport::tests`].
    pub const ALL: [Self; 5] =
        [Self::KolmogorovSmirnov, Self::StabilityIndex, Self::Wasserstein, Self::JensenShannon, Self::ChiSquare];

    /// Its name in metrics and reports for machines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KolmogorovSmirnov => "ks",
            Self::StabilityIndex => "psi",
            Self::Wasserstein => "wasserstein",
            Self::JensenShannon => "jensen_shannon",
            Self::ChiSquare => "chi_square",
        }
    }
}

/// Whether there is drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// There are fewer rows than a window has.
    #[default]
    Learning,
    /// There is none.
    None,
    /// Of a feature, the score, the alarm rate or the score's median or 95 % quantile.
    Drifting,
}

impl State {
    /// Its name in metrics and reports for machines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Learning => "learning",
            Self::None => "none",
            Self::Drifting => "drifting",
        }
    }
}

/// What was found at the last end of a block.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Whether there is drift of anything below.
    pub state: State,
    /// How many rows were compared; 0 while [`State::Learning`].
    pub rows: u64,
    /// Each feature, in the order of a row.
    pub features: Vec<FeatureReport>,
    /// The score's distribution, over rows that were not reported.
    pub score: FeatureReport,
    /// The share of scored rows that were reported. Its effect is by how many times that is more than expected, or less; the p-value
    /// is of as many or as few were they `level` times what is expected, counting bursts and leaving out the busiest.
    pub alarm_rate: Compare,
    /// The score's median, over rows that were not reported. Its effect is in
    /// [`crate::Distribution::spread`], and leaves out the blocks with the largest scores where it grows.
    pub error_median: Compare,
    /// The score's 95 % quantile, likewise.
    pub error_p95: Compare,
}

impl Report {
    /// Whether any feature drifts.
    #[must_use]
    pub fn features_drift(&self) -> bool {
        self.features.iter().any(|feature| feature.drifted)
    }

    /// Whether the score's median or its 95 % quantile does.
    #[must_use]
    pub fn errors_drift(&self) -> bool {
        self.error_median.drifted || self.error_p95.drifted
    }

    /// Whether the score drifts in any way.
    #[must_use]
    pub fn scores_drift(&self) -> bool {
        self.score.drifted || self.errors_drift()
    }
}

/// What was found of a feature, or of the score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FeatureReport {
    /// In training.
    pub reference: Summary,
    /// In the window.
    pub live: Summary,
    /// The five tests, in the order of [`Test::ALL`].
    pub tests: [TestResult; 5],
    /// How many tests vote for drift.
    pub votes: usize,
    /// At how many ends of blocks in a row enough tests did.
    pub in_a_row: usize,
    /// The share of missing values. Its effect is the difference.
    pub missing: Compare,
    /// The share of values that lie beyond [`crate::Distribution::usual_range`]. Of metrics that wander windows of training may
    /// differ so much that tests can hardly vote; a level that training never had is drift of them too.
    pub beyond: Compare,
    /// Whether its values drift, whether they are at a level that training never had, or whether more or fewer of them are missing.
    pub drifted: bool,
}

/// A column in a few numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Summary {
    /// The mean of its values; `None` without any.
    pub mean: Option<f64>,
    /// Their standard deviation; `None` without any.
    pub deviation: Option<f64>,
    /// The share of rows in which it is missing.
    pub missing: f64,
}

/// What a test found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TestResult {
    /// Which it is.
    pub test: Test,
    /// The effect, in the unit of [`crate::Effects`].
    pub statistic: f64,
    /// The p-value, adjusted for the number of features and the score; `None` of a test that has none.
    pub p_value: Option<f64>,
    /// What the effect must exceed.
    pub level: f64,
    /// Whether it votes for drift.
    pub votes: bool,
}

/// A number then and now.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Compare {
    /// In training; `None` if it is not known.
    pub reference: Option<f64>,
    /// In the window.
    pub live: Option<f64>,
    /// By how much they differ.
    pub effect: f64,
    /// What the effect must exceed.
    pub level: f64,
    /// The p-value, where that counts too.
    pub p_value: Option<f64>,
    /// At how many ends of blocks in a row it differed by more than the level.
    pub in_a_row: usize,
    /// Whether it did so often enough.
    pub drifted: bool,
}
