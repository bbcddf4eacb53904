//! What the checks of a row need to know of its series.

use super::checks::CHECKS;
use super::sibling_stats::SiblingStats;
use super::tail::{Hold, TailContext};
use super::tuning::Tuning;

/// The context of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowContext<'a> {
    pub(super) tuning: &'a Tuning,
    /// Gain of the scales, and the square of the largest distance that they learn from.
    pub(super) gain: f64,
    pub(super) clip_squared: f64,
    /// Whether there were enough rows for a scale.
    pub(super) has_scale: bool,
    /// Decay of clusters, by check.
    pub(super) holds: &'a [Hold; CHECKS],
    /// The series' row clock, the rows behind the event counts, and the weight of an event.
    pub(super) clock: u16,
    pub(super) rows: f64,
    pub(super) event_weight: u8,
    /// The statistics of siblings that count as its own.
    pub(super) sibling_stats: Option<SiblingStats<'a>>,
}

impl<'a> RowContext<'a> {
    /// What the tail of a check needs to know.
    pub(super) fn tail_context(&self, check: usize, below: bool) -> TailContext<'a> {
        let &Self { clock, rows, event_weight, holds, sibling_stats, .. } = self;
        TailContext {
            clock,
            rows,
            event_weight,
            hold: holds[check],
            sibling_counts: sibling_stats.map(|sibling_stats| sibling_stats.of(check, below)),
        }
    }
}
