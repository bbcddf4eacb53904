//! The statistics of a group of siblings, from which a new series starts.
//!
//! Series of one field differ in level and scale, and are alike in shape. So most statistics have no unit: how often checks
//! rose above each power of two of their scales, and how large jumps and means are relative to the scale. The scale counts as
//! much as a few rows would, in the metric's unit or as a share of the level, whichever siblings agree on. The level is not
//! shared.
//!
//! The statistics are of the first rows of each series, since they are used by young series: programs start up, and scales
//! are uncertain. One unusual series does not distort them: it adds at most one event and twice as many as expected from the
//! others, and scales are medians of the last series.

use std::ops::RangeInclusive;

use super::checks::{MAX_MEAN, MEANS, NOVELTY};
use super::counts::{Counts, EVENT, LEVELS, SiblingCounts};
use super::level::MAX_VALUE;
use super::record::take;
use crate::math::{max, min, octaves};

/// Tails of all checks: means and jumps above and below, novelty, and repetition.
pub(super) const TAILS: usize = 2 * NOVELTY + 2;
/// Rows after which all counts are halved.
const MAX_COUNTED_ROWS: f32 = 16_384.0;
/// The most summaries that are kept, and the least that a new series needs.
const SUMMARIES: usize = 9;
const MIN_SUMMARIES: u8 = 3;
/// The largest scale of jumps in a summary, in scales of the level.
pub(super) const MAX_JUMP_SCALE: f64 = 100.0;
/// The balance of rises and falls from which on siblings are counters, and the weight of a fall: the rises that make a
/// single series a counter. The lower limit keeps gauges from becoming counters because many series start together.
const COUNTER_RISES: i16 = 255;
const FALL_WEIGHT: i16 = 64;
const RISE_BALANCE_RANGE: RangeInclusive<i16> = -4096..=1024;

/// The statistics of a group.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GroupStats {
    /// Rows of young siblings, and the events in them.
    rows: f32,
    counts: [[u16; LEVELS]; TAILS],
    /// The last summaries, how many there are, and where the next one goes.
    summaries: [SeriesSummary; SUMMARIES],
    summary_count: u8,
    next_slot: u8,
    /// Rises, less the weight of falls.
    rise_balance: i16,
}

/// The scales of a series at some age.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SeriesSummary {
    /// Level and scale, and the smallest step between two values.
    pub(super) mean: f64,
    pub(super) scale: f64,
    pub(super) min_step: f64,
    /// Root mean square of jumps, in scales of the level.
    pub(super) jump_scale: f32,
    /// Mean squares of the means, in scales of residuals.
    pub(super) mean_squares: [f32; MEANS],
}

/// The events of siblings that count as a series' own.
#[derive(Clone, Copy, Debug)]
pub(super) struct SiblingStats<'a> {
    counts: &'a [[u16; LEVELS]; TAILS],
    /// The share of rows and events that counts.
    share: f64,
    /// The rows that count.
    pub(super) rows: f32,
}

impl<'a> SiblingStats<'a> {
    /// The counts of one check and side.
    pub(super) fn of(&self, check: usize, below: bool) -> SiblingCounts<'a> {
        let at = if check < NOVELTY { 2 * check + usize::from(below) } else { NOVELTY + check };
        SiblingCounts { counts: &self.counts[at], share: self.share }
    }
}

impl GroupStats {
    /// Without rows.
    pub(super) const fn new() -> Self {
        const NONE: SeriesSummary =
            SeriesSummary { mean: 0.0, scale: 0.0, min_step: 0.0, jump_scale: 0.0, mean_squares: [0.0; MEANS] };
        Self {
            rows: 0.0,
            counts: [[0; LEVELS]; TAILS],
            summaries: [NONE; SUMMARIES],
            summary_count: 0,
            next_slot: 0,
            rise_balance: 0,
        }
    }

    /// Whether a series that added `own` summaries itself has enough others to start from.
    pub(super) fn is_enough_without(&self, own: u8) -> bool {
        self.summary_count.saturating_sub(own) >= MIN_SUMMARIES
    }

    /// Whether siblings are counters.
    pub(super) fn is_counter(&self) -> bool {
        self.rise_balance >= COUNTER_RISES
    }

    /// Counts a rise of a sibling's value, or a fall that is no reset of a counter. If the group turns from levels to
    /// counters or back, all other statistics are cleared: those of levels do not apply to rates.
    pub(super) fn count_move(&mut self, up: bool) {
        let before = self.is_counter();
        let rise_balance = if up { self.rise_balance + 1 } else { self.rise_balance - FALL_WEIGHT };
        self.rise_balance = rise_balance.clamp(*RISE_BALANCE_RANGE.start(), *RISE_BALANCE_RANGE.end());
        if self.is_counter() != before {
            *self = Self { rise_balance: self.rise_balance, ..Self::new() };
        }
    }

    /// The events that a new series starts from: of at most `most` rows.
    pub(super) fn sibling_stats(&self, most: f64) -> SiblingStats<'_> {
        let rows = max(f64::from(self.rows), 1.0);
        let share = min(most / rows, 1.0);
        SiblingStats { counts: &self.counts, share, rows: self.rows * share as f32 }
    }

    /// Adds a row of a sibling: what its tails had counted before and after it, in `rows` rows in all.
    pub(super) fn add_counts(&mut self, before: &[Counts; TAILS], after: &[Counts; TAILS], rows: f32) {
        self.rows += 1.0;
        if before != after {
            let share = rows / self.rows;
            let counted = before.iter().zip(after);
            for (ours, (before, after)) in self.counts.iter_mut().zip(counted) {
                add_sibling_counts(ours, before.numbers(), after.numbers(), share);
            }
        }
        if self.rows >= MAX_COUNTED_ROWS {
            self.rows *= 0.5;
            self.counts.as_flattened_mut().iter_mut().for_each(|count| *count /= 2);
        }
    }

    /// Adds a summary of a sibling.
    pub(super) fn add_summary(&mut self, summary: SeriesSummary) {
        self.summaries[usize::from(self.next_slot)] = summary;
        self.next_slot = (self.next_slot + 1) % SUMMARIES as u8;
        self.summary_count = min(self.summary_count + 1, SUMMARIES as u8);
    }

    /// The typical scales of a series with this level.
    pub(super) fn typical_summary(&self, mean: f64) -> SeriesSummary {
        let summaries = &self.summaries[..self.summary_count.into()];
        let share_of = |one: &SeriesSummary| min(one.scale / max(one.mean.abs(), f64::MIN_POSITIVE), f64::MAX);
        let (scale, share) = (median(summaries, |one| one.scale), median(summaries, share_of));
        let log2 = |value: f64| octaves(max(value, f64::MIN_POSITIVE));
        let spread = |of: &dyn Fn(&SeriesSummary) -> f64, middle: f64| -> f64 {
            summaries.iter().map(|one| (log2(of(one)) - log2(middle)).abs()).sum()
        };
        let agree_on_share = spread(&share_of, share) < spread(&|one| one.scale, scale);
        SeriesSummary {
            mean,
            scale: if agree_on_share { min(share * mean.abs(), MAX_VALUE) } else { scale },
            min_step: median(summaries, |one| one.min_step),
            jump_scale: median(summaries, |one| one.jump_scale.into()) as f32,
            mean_squares: std::array::from_fn(|at| median(summaries, |one| one.mean_squares[at].into()) as f32),
        }
    }

    /// Appends the fields, little-endian.
    pub(super) fn write_state(&self, out: &mut Vec<u8>) {
        let Self { rows, counts, summaries, summary_count, next_slot, rise_balance } = self;
        out.extend(rows.to_le_bytes());
        out.extend(counts.as_flattened().iter().flat_map(|count| count.to_le_bytes()));
        for SeriesSummary { mean, scale, min_step, jump_scale, mean_squares } in summaries {
            out.extend([mean, scale, min_step].map(|value| value.to_le_bytes()).as_flattened());
            out.extend(jump_scale.to_le_bytes());
            out.extend(mean_squares.map(f32::to_le_bytes).as_flattened());
        }
        out.extend([*summary_count, *next_slot]);
        out.extend(rise_balance.to_le_bytes());
    }

    /// Reads the fields from the front; `None` where one is impossible.
    pub(super) fn read_state(bytes: &mut &[u8]) -> Option<Self> {
        let mut stats = Self::new();
        stats.rows = f32::from_le_bytes(take(bytes)?);
        for count in stats.counts.as_flattened_mut() {
            *count = u16::from_le_bytes(take(bytes)?);
        }
        for summary in &mut stats.summaries {
            *summary = SeriesSummary::read_state(bytes)?;
        }
        [stats.summary_count, stats.next_slot] = take(bytes)?;
        stats.rise_balance = i16::from_le_bytes(take(bytes)?);
        let possible = (0.0..MAX_COUNTED_ROWS).contains(&stats.rows)
            && usize::from(stats.summary_count) <= SUMMARIES
            && usize::from(stats.next_slot) < SUMMARIES
            && RISE_BALANCE_RANGE.contains(&stats.rise_balance);
        possible.then_some(stats)
    }
}

impl SeriesSummary {
    fn read_state(bytes: &mut &[u8]) -> Option<Self> {
        let [mean, scale, min_step] = [take(bytes)?, take(bytes)?, take(bytes)?].map(f64::from_le_bytes);
        let jump_scale = f32::from_le_bytes(take(bytes)?);
        let mut mean_squares = [0.0; MEANS];
        for mean in &mut mean_squares {
            *mean = f32::from_le_bytes(take(bytes)?);
        }
        let possible = mean.abs() <= MAX_VALUE
            && (0.0..=2.0 * MAX_VALUE).contains(&scale)
            && (0.0..f64::INFINITY).contains(&min_step)
            && (0.0..=MAX_JUMP_SCALE).contains(&jump_scale.into())
            && mean_squares.iter().all(|mean| (0.0..=MAX_MEAN * MAX_MEAN).contains(mean));
        possible.then_some(Self { mean, scale, min_step, jump_scale, mean_squares })
    }
}

/// Adds the events that a sibling counted in a row, as long as it has counted at most one event more than twice its `share`
/// of the group's. Events that it takes back are taken back here.
fn add_sibling_counts(counts: &mut [u16; LEVELS], before: [u16; LEVELS], after: [u16; LEVELS], share: f32) {
    for (count, (before, after)) in counts.iter_mut().zip(before.into_iter().zip(after)) {
        let most = f32::from(EVENT) + 2.0 * share * f32::from(*count);
        if f32::from(after) <= most {
            *count = count.saturating_add(after.saturating_sub(before));
        }
        *count = count.saturating_sub(before.saturating_sub(after));
    }
}

/// The median; of an even number of values, the larger of the two in the middle.
fn median(summaries: &[SeriesSummary], of: impl Fn(&SeriesSummary) -> f64) -> f64 {
    let mut values = [0.0; SUMMARIES];
    let values = &mut values[..summaries.len()];
    for (value, one) in values.iter_mut().zip(summaries) {
        *value = of(one);
    }
    values.sort_unstable_by(f64::total_cmp);
    values.get(summaries.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(mean: f64, scale: f64) -> SeriesSummary {
        SeriesSummary { mean, scale, min_step: 1.0, jump_scale: 1.0, mean_squares: [0.1, 0.01] }
    }

    /// The typical scale for a level, after summaries with these levels and scales.
    fn typical_scale(seen: &[(f64, f64)], mean: f64) -> f64 {
        let mut stats = GroupStats::new();
        for &(mean, scale) in seen {
            stats.add_summary(summary(mean, scale));
        }
        stats.typical_summary(mean).scale
    }

    #[test]
    fn a_scale_has_the_unit_that_siblings_agree_on() {
        let shares = [(10.0, 1.0), (100.0, 11.0), (1000.0, 95.0)];
        assert!((typical_scale(&shares, 400.0) - 40.0).abs() < 5.0);
        let scales = [(10.0, 5.0), (100.0, 5.5), (1000.0, 4.5)];
        assert!((typical_scale(&scales, 400.0) - 5.0).abs() < 0.1);
        assert_eq!(typical_scale(&[(0.0, 1e150), (1.0, 1.0), (1e-300, 1e150)], 1e150).to_bits(), 1e150_f64.to_bits());
    }

    #[test]
    fn an_odd_one_does_not_move_the_median_far() {
        let mut seen = vec![(50.0, 5.0); 5];
        seen.push((5e9, 4e9));
        assert!((typical_scale(&seen, 50.0) - 5.0).abs() < 1e-9);
    }

    #[test]
    fn an_odd_one_teaches_an_event_and_twice_what_is_expected() {
        let mut stats = GroupStats::new();
        let mut one = [Counts::new(); TAILS];
        let none = one;
        for row in 0..1000 {
            stats.add_counts(&none, &none, row as f32);
        }
        for row in 0..100_u16 {
            let before = one;
            one[4].add_event(0..4, EVENT, row);
            stats.add_counts(&before, &one, row.into());
        }
        assert_eq!(stats.counts[4], [4, 4, 4, 4, 0, 0, 0]);
        assert_eq!((stats.counts[3], stats.rows.to_bits()), ([0; LEVELS], 1100_f32.to_bits()));
    }

    #[test]
    fn what_rises_among_siblings_is_a_counter_and_what_falls_is_none() {
        let mut stats = GroupStats::new();
        stats.add_summary(summary(1.0, 1.0));
        (0..254).for_each(|_| stats.count_move(true));
        assert!(!stats.is_counter() && stats.summary_count == 1);
        stats.count_move(true);
        assert!(stats.is_counter() && stats.summary_count == 0, "what was known was of levels");
        (0..1000).for_each(|_| stats.count_move(true));
        (0..4).for_each(|_| stats.count_move(false));
        assert!(stats.is_counter(), "one among many does not change what they are");
        (0..100).for_each(|_| stats.count_move(false));
        assert!(!stats.is_counter());
        stats.add_summary(summary(1.0, 1.0));
        (0..4000).for_each(|_| stats.count_move(true));
        assert!(!stats.is_counter() && stats.summary_count == 1, "many start up together");
    }

    #[test]
    fn rows_are_lent_up_to_a_limit_with_their_events() {
        let mut stats = GroupStats::new();
        let none = [Counts::new(); TAILS];
        for row in 0..10_000 {
            stats.add_counts(&none, &none, row as f32);
        }
        let sibling_stats = stats.sibling_stats(2000.0);
        assert!((sibling_stats.rows - 2000.0).abs() < 0.1 && (sibling_stats.share - 0.2).abs() < 1e-6);
        assert!((GroupStats::new().sibling_stats(2000.0).rows).abs() < f32::EPSILON);
    }

    #[test]
    fn a_record_is_read_back_and_an_impossible_one_is_not() {
        let mut stats = GroupStats::new();
        stats.add_summary(summary(5.0, 1.0));
        stats.count_move(true);
        let mut bytes = Vec::new();
        stats.write_state(&mut bytes);
        assert_eq!(GroupStats::read_state(&mut bytes.as_slice()), Some(stats));
        let behind = bytes.len();
        for at in [3, behind - 4, behind - 3, behind - 1] {
            let mut bytes = bytes.clone();
            bytes[at] = 0x7f;
            assert_eq!(GroupStats::read_state(&mut bytes.as_slice()), None, "{at}");
        }
    }
}
