//! The results of a detector.

/// Why a row is an anomaly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reason {
    /// It is ordinary, or the reason is unknown.
    #[default]
    None,
    /// The value is outside the ordinary range.
    OutsideBand,
    /// The values have been higher or lower than usual for a while.
    LevelShift,
    /// The value is the same for longer than usual.
    Stuck,
    /// The value is unlike any earlier one of the series.
    Novel,
    /// A counter rises faster or more slowly than usual.
    Rate,
    /// The values vary more or less than usual.
    Variance,
}

impl Reason {
    /// Its name in fields, tags and reports; `None` for [`Reason::None`].
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::None => return None,
            Self::OutsideBand => "outside_band",
            Self::LevelShift => "level_shift",
            Self::Stuck => "stuck",
            Self::Novel => "novel",
            Self::Rate => "rate",
            Self::Variance => "variance",
        })
    }
}

/// The range of ordinary values for a row of one value: in the metric's own unit (of a counter, per second). Each number is
/// finite, or NaN if unknown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// The value that was expected.
    pub expected: f64,
    /// The least ordinary value.
    pub lower: f64,
    /// The greatest ordinary value.
    pub upper: f64,
}

impl Band {
    /// A band without known numbers.
    pub const UNKNOWN: Self = Self { expected: f64::NAN, lower: f64::NAN, upper: f64::NAN };

    /// Whether any number is known.
    #[must_use]
    pub fn is_known(self) -> bool {
        self.expected.is_finite() || self.lower.is_finite() || self.upper.is_finite()
    }
}

/// The results for a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdicts {
    /// One a row: 0 is ordinary, 1 is the threshold, NaN is not scored; never negative or infinite.
    pub scores: Vec<f64>,
    /// If wanted, rows × features: how much each feature contributed to an anomaly, 0 for other rows. Otherwise empty. For a
    /// row of one value it is the signed distance from the expected value.
    pub contributions: Vec<f64>,
    /// One a row; empty if no row has a reason.
    pub reasons: Vec<Reason>,
    /// If wanted, one a row. Empty if not wanted or if the detector has none.
    pub bands: Vec<Band>,
}

impl Verdicts {
    /// Clears all results and keeps the memory.
    pub fn clear(&mut self) {
        self.scores.clear();
        self.contributions.clear();
        self.reasons.clear();
        self.bands.clear();
    }

    /// Extends the results to `rows` rows of `features` values. The new rows are unscored.
    pub fn pad_unscored(&mut self, rows: usize, features: usize) {
        let Self { scores, contributions, reasons, bands } = self;
        scores.resize(rows, f64::NAN);
        if !contributions.is_empty() {
            contributions.resize(rows * features, 0.0);
        }
        if !reasons.is_empty() {
            reasons.resize(rows, Reason::None);
        }
        if !bands.is_empty() {
            bands.resize(rows, Band::UNKNOWN);
        }
    }

    /// The reason of a row.
    #[must_use]
    pub fn reason(&self, row: usize) -> Reason {
        self.reasons.get(row).copied().unwrap_or_default()
    }

    /// The band of a row; unknown if the row has no score.
    #[must_use]
    pub fn band(&self, row: usize) -> Band {
        let scored = self.scores.get(row).is_some_and(|score| !score.is_nan());
        self.bands.get(row).copied().filter(|_| scored).unwrap_or(Band::UNKNOWN)
    }
}
