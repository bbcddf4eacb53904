//! Why a row is an anomaly, in a word.

/// Why a row is an anomaly, as its detector says.
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
    /// The word for it; none where there is nothing to say.
    #[must_use]
    pub fn word(self) -> Option<&'static str> {
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
