//! How a young series learns from its siblings, and they from it.

use super::Series;
use crate::math::min;
use crate::streaming::Parameters;
use crate::streaming::counts::Counts;
use crate::streaming::sibling_stats::{GroupStats, MAX_JUMP_SCALE, SeriesSummary, TAILS};
use crate::streaming::siblings::GroupMember;
use crate::streaming::tuning::Tuning;

impl Series {
    /// The events that its tails have counted.
    pub(super) fn event_counts(&self) -> [Counts; TAILS] {
        let [[short_above, short_below], [long_above, long_below]] = self.means.event_counts();
        let [jump_above, jump_below] = self.jumps.event_counts();
        let (range, runs) = (self.range.event_counts(), self.run_lengths.event_counts());
        [short_above, short_below, long_above, long_below, jump_above, jump_below, range, runs]
    }

    /// Counts a row for the series' group. The group gets the events of the row (`before` is what the tails had counted
    /// before it) and, each time the series is twice as old, a summary of it. Once the series has a few rows of its own, it
    /// starts from the group's statistics.
    pub(super) fn update_siblings(
        &mut self,
        p: &Parameters,
        t: &Tuning,
        GroupMember { member, stats }: GroupMember<'_>,
        before: Option<&[Counts; TAILS]>,
    ) {
        member.age = member.age.saturating_add(1);
        if stats.is_counter() != self.counter.is_counter() {
            return; // statistics of levels do not apply to rates
        }
        if let Some(before) = before {
            stats.add_counts(before, &self.event_counts(), self.counted_rows);
        }
        if member.is_summary_due(t) {
            stats.add_summary(self.summary(t, member.started));
        }
        let is_new = !self.level.has_scale() || !self.level.is_warm(p.min_samples, 0.0);
        if let Some(own) = member.summaries_if_waiting(t)
            && is_new
            && stats.is_enough_without(own)
        {
            member.started = true;
            self.start_from_siblings(t, stats);
        }
    }

    fn summary(&self, t: &Tuning, started: bool) -> SeriesSummary {
        let (mean, scale, min_step) = (self.level.mean, self.level.mean_square(0.0).sqrt(), self.level.min_step);
        let jump_scale = if scale > 0.0 { min(self.jumps.scale() / scale, MAX_JUMP_SCALE) } else { 1.0 };
        // Mean squares of the first rows are in scales that are not known yet; white noise has these.
        let mean_squares =
            if started { self.means.mean_squares() } else { t.mean_rows.map(|rows| 1.0 / (2.0 * rows - 1.0)) };
        SeriesSummary { mean, scale, min_step, jump_scale: jump_scale as f32, mean_squares }
    }

    fn start_from_siblings(&mut self, t: &Tuning, stats: &GroupStats) {
        let SeriesSummary { scale, min_step, jump_scale, mean_squares, .. } = stats.typical_summary(self.level.mean);
        let share = self.level.blend_siblings(scale, min_step, t.own_rows.into());
        self.jumps.blend_scale(f64::from(jump_scale) * scale, share);
        self.means.restart(mean_squares);
    }
}
