//! How a detector fares, for metrics and for people.

use std::collections::BTreeMap;

/// What became of a detector's batches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Batches that were scored.
    pub batches: u64,
    /// Rows that were not, because the guest failed or was not started again yet.
    pub unscored: u64,
    /// Failures, by [`Failure::name`](qualm_sandbox::Failure::name).
    pub failures: BTreeMap<&'static str, u64>,
    /// How often a guest was started, the first time included.
    pub starts: u64,
    /// How often its circuit breaker opened: it failed time and again, and was not started again for a while.
    pub rests: u64,
    /// How often another model took its place, and how often the one before came back because that failed.
    pub swaps: u64,
    /// See `swaps`.
    pub fallbacks: u64,
    /// Lines that its guests wrote to the log, and those that were dropped because they came too fast.
    pub lines_written: u64,
    /// See `lines_written`.
    pub lines_dropped: u64,
    /// The most memory that a guest had, in bytes.
    pub memory: u64,
}

/// Whether a detector scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Scoring,
    /// It has no model as yet.
    Waiting,
    /// Its circuit breaker is open: it failed time and again, or did not start at all, and has scored nothing since. All passes
    /// unscored.
    Resting,
}

impl Mode {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Scoring, Self::Waiting, Self::Resting];

    /// In a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scoring => "scoring",
            Self::Waiting => "waiting",
            Self::Resting => "resting",
        }
    }
}
