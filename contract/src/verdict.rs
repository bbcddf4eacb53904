//! What a detector says of a batch.

/// Why a row is an anomaly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reason {
    /// It is ordinary, or nothing can be said.
    #[default]
    None,
    /// The value lies outside of what is ordinary.
    OutsideBand,
    /// The values have been higher or lower than usual for a while.
    LevelShift,
    /// The value is the very same for longer than usual.
    Stuck,
    /// The value is of a kind that the series never had.
    Novel,
    /// A counter rises faster or more slowly than usual.
    Rate,
    /// The values vary more or less than usual.
    Variance,
}

impl Reason {
    /// Its name in fields, tags and reports; none for [`Reason::None`].
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

/// What would have been ordinary for a row of one value: in the metric's own unit, of a counter per second. Each number is
/// finite, or NaN where it is not known.
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
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { expected: f64::NAN, lower: f64::NAN, upper: f64::NAN };

    /// Whether anything is known.
    #[must_use]
    pub fn is_known(self) -> bool {
        self.expected.is_finite() || self.lower.is_finite() || self.upper.is_finite()
    }
}

/// What a detector says of a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdicts {
    /// One a row: 0 is ordinary, 1 is the threshold, NaN is not scored; never negative or infinite.
    pub scores: Vec<f64>,
    /// Where asked for, rows × features: how much each feature contributed, for anomalies; zeros for other rows. Otherwise
    /// empty. Of a row of one value: how far that is from what was expected, with its sign.
    pub contributions: Vec<f64>,
    /// One a row; empty where no row has any.
    pub reasons: Vec<Reason>,
    /// Where asked for, one a row; empty too where the detector knows none.
    pub bands: Vec<Band>,
}

impl Verdicts {
    /// Empties them, keeps the memory.
    pub fn clear(&mut self) {
        self.scores.clear();
        self.contributions.clear();
        self.reasons.clear();
        self.bands.clear();
    }

    /// Fills up to `rows` rows of `features` values: the rows that have no score yet are not scored.
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

    /// Why a row is an anomaly.
    #[must_use]
    pub fn reason(&self, row: usize) -> Reason {
        self.reasons.get(row).copied().unwrap_or_default()
    }

    /// What would have been ordinary for a row. One without a score has no band.
    #[must_use]
    pub fn band(&self, row: usize) -> Band {
        let scored = self.scores.get(row).is_some_and(|score| !score.is_nan());
        self.bands.get(row).copied().filter(|_| scored).unwrap_or(Band::UNKNOWN)
    }
}
