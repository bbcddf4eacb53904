//! What siblings know in common, from which a new series starts.
//!
//! Series of one field differ in level and scale, and are alike in shape. So what is handed on has no unit: how often looks
//! rose above each power of two of their scales, and how large jumps and means are beside the scale. The scale is handed on as
//! what a few rows would have told, in the metric's unit or as a share of the level, whichever siblings agree on; the level
//! is not.
//!
//! It is of young series alone, as those who ask are young: they start up, and their scales are guesses as yet. And it is of
//! many: each teaches the first rows of its life, and no more events than twice what the others expect of it and one; and what
//! siblings look like is the median of the last ones. So one that is odd does not spoil the others.

use std::ops::RangeInclusive;

use super::counts::{Counts, EVENT, LEVELS, Lent};
use super::level::MAX_VALUE;
use super::looks::{MEANS, NOVEL};
use super::means::LARGEST;
use super::record::take;
use crate::math::{max, min, octaves};

/// Tails of all looks: means and jumps above and below, what is new, and what is the same again.
pub(super) const TAILS: usize = 2 * NOVEL + 2;
/// Rows that are counted before all counts are halved.
const MOST_ROWS: f32 = 16_384.0;
/// Portraits that are kept, and those without which nothing is known.
const PORTRAITS: usize = 9;
const LEAST_PORTRAITS: u8 = 3;
/// Largest jumps in a portrait, in scales of the level.
pub(super) const MOST_JUMP: f64 = 100.0;
/// Rises of siblings that make them counters. A fall undoes as many as make one series a counter; what has fallen often is not
/// taken for one because many start up together.
const RISES: i16 = 255;
const FALL: i16 = 64;
const RISEN: RangeInclusive<i16> = -4096..=1024;

/// What siblings know in common.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lore {
    /// Rows of young siblings, and the events in them.
    rows: f32,
    counts: [[u16; LEVELS]; TAILS],
    /// The last ones; how many there are, and the place of the next.
    portraits: [Portrait; PORTRAITS],
    known: u8,
    next: u8,
    /// Rises, less what falls undid.
    risen: i16,
}

/// What a series looks like at some age.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Portrait {
    /// Level and scale, and the smallest step between two values.
    pub(super) center: f64,
    pub(super) scale: f64,
    pub(super) resolution: f64,
    /// Root mean square of jumps, in scales of the level.
    pub(super) jump: f32,
    /// Mean squares of means, in scales of the rest.
    pub(super) means: [f32; MEANS],
}

/// What a series is lent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loan<'a> {
    counts: &'a [[u16; LEVELS]; TAILS],
    /// So much of a row and its events counts.
    share: f64,
    /// So many rows count in all.
    pub(super) rows: f32,
}

impl<'a> Loan<'a> {
    /// Of one look on a side.
    pub(super) fn of(&self, look: usize, below: bool) -> Lent<'a> {
        let at = if look < NOVEL { 2 * look + usize::from(below) } else { NOVEL + look };
        Lent { counts: &self.counts[at], share: self.share }
    }
}

impl Lore {
    /// Nothing known yet.
    pub(super) const fn new() -> Self {
        const NONE: Portrait = Portrait { center: 0.0, scale: 0.0, resolution: 0.0, jump: 0.0, means: [0.0; MEANS] };
        Self { rows: 0.0, counts: [[0; LEVELS]; TAILS], portraits: [NONE; PORTRAITS], known: 0, next: 0, risen: 0 }
    }

    /// Whether it is enough to start from for one that is in so many of the portraits itself.
    pub(super) fn is_known(&self, own: u8) -> bool {
        self.known.saturating_sub(own) >= LEAST_PORTRAITS
    }

    /// Whether siblings are counters.
    pub(super) fn counts_up(&self) -> bool {
        self.risen >= RISES
    }

    /// A sibling's value rises, or falls otherwise than a counter that is reset. What was known of levels says nothing of
    /// rates.
    pub(super) fn moves(&mut self, up: bool) {
        let before = self.counts_up();
        let risen = if up { self.risen + 1 } else { self.risen - FALL };
        self.risen = risen.clamp(*RISEN.start(), *RISEN.end());
        if self.counts_up() != before {
            *self = Self { risen: self.risen, ..Self::new() };
        }
    }

    /// What it lends, of so many rows at most.
    pub(super) fn loan(&self, most: f64) -> Loan<'_> {
        let known = max(f64::from(self.rows), 1.0);
        let share = min(most / known, 1.0);
        Loan { counts: &self.counts, share, rows: self.rows * share as f32 }
    }

    /// Takes in what a sibling's tails had counted before a row and after it, in so many rows all told.
    pub(super) fn count(&mut self, before: &[Counts; TAILS], after: &[Counts; TAILS], rows: f32) {
        self.rows += 1.0;
        if before != after {
            let share = rows / self.rows;
            let counted = before.iter().zip(after);
            for (ours, (before, after)) in self.counts.iter_mut().zip(counted) {
                learn(ours, before.numbers(), after.numbers(), share);
            }
        }
        if self.rows >= MOST_ROWS {
            self.rows *= 0.5;
            self.counts.as_flattened_mut().iter_mut().for_each(|count| *count /= 2);
        }
    }

    /// Takes in what a sibling looks like.
    pub(super) fn portray(&mut self, portrait: Portrait) {
        self.portraits[usize::from(self.next)] = portrait;
        self.next = (self.next + 1) % PORTRAITS as u8;
        self.known = min(self.known + 1, PORTRAITS as u8);
    }

    /// What a series with this level should look like.
    pub(super) fn typical(&self, center: f64) -> Portrait {
        let known = &self.portraits[..self.known.into()];
        let share_of = |one: &Portrait| min(one.scale / max(one.center.abs(), f64::MIN_POSITIVE), f64::MAX);
        let (scale, share) = (median(known, |one| one.scale), median(known, share_of));
        let place = |value: f64| octaves(max(value, f64::MIN_POSITIVE));
        let apart = |of: &dyn Fn(&Portrait) -> f64, middle: f64| -> f64 {
            known.iter().map(|one| (place(of(one)) - place(middle)).abs()).sum()
        };
        let agree_on_share = apart(&share_of, share) < apart(&|one| one.scale, scale);
        Portrait {
            center,
            scale: if agree_on_share { min(share * center.abs(), MAX_VALUE) } else { scale },
            resolution: median(known, |one| one.resolution),
            jump: median(known, |one| one.jump.into()) as f32,
            means: std::array::from_fn(|at| median(known, |one| one.means[at].into()) as f32),
        }
    }

    /// Appends the fields, little-endian.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { rows, counts, portraits, known, next, risen } = self;
        out.extend(rows.to_le_bytes());
        out.extend(counts.as_flattened().iter().flat_map(|count| count.to_le_bytes()));
        for Portrait { center, scale, resolution, jump, means } in portraits {
            out.extend([center, scale, resolution].map(|value| value.to_le_bytes()).as_flattened());
            out.extend(jump.to_le_bytes());
            out.extend(means.map(f32::to_le_bytes).as_flattened());
        }
        out.extend([*known, *next]);
        out.extend(risen.to_le_bytes());
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut lore = Self::new();
        lore.rows = f32::from_le_bytes(take(bytes)?);
        for count in lore.counts.as_flattened_mut() {
            *count = u16::from_le_bytes(take(bytes)?);
        }
        for portrait in &mut lore.portraits {
            *portrait = Portrait::read(bytes)?;
        }
        [lore.known, lore.next] = take(bytes)?;
        lore.risen = i16::from_le_bytes(take(bytes)?);
        let possible = (0.0..MOST_ROWS).contains(&lore.rows)
            && usize::from(lore.known) <= PORTRAITS
            && usize::from(lore.next) < PORTRAITS
            && RISEN.contains(&lore.risen);
        possible.then_some(lore)
    }
}

impl Portrait {
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let [center, scale, resolution] = [take(bytes)?, take(bytes)?, take(bytes)?].map(f64::from_le_bytes);
        let jump = f32::from_le_bytes(take(bytes)?);
        let mut means = [0.0; MEANS];
        for mean in &mut means {
            *mean = f32::from_le_bytes(take(bytes)?);
        }
        let possible = center.abs() <= MAX_VALUE
            && (0.0..=2.0 * MAX_VALUE).contains(&scale)
            && (0.0..f64::INFINITY).contains(&resolution)
            && (0.0..=MOST_JUMP).contains(&jump.into())
            && means.iter().all(|mean| (0.0..=LARGEST * LARGEST).contains(mean));
        possible.then_some(Self { center, scale, resolution, jump, means })
    }
}

/// Takes in what a sibling counted in a row, as long as it has had no more than an event and twice its `share` of those that are
/// here. What it takes back is taken back here.
fn learn(counts: &mut [u16; LEVELS], before: [u16; LEVELS], after: [u16; LEVELS], share: f32) {
    for (count, (before, after)) in counts.iter_mut().zip(before.into_iter().zip(after)) {
        let most = f32::from(EVENT) + 2.0 * share * f32::from(*count);
        if f32::from(after) <= most {
            *count = count.saturating_add(after.saturating_sub(before));
        }
        *count = count.saturating_sub(before.saturating_sub(after));
    }
}

/// The middle one; of an even number, the larger of both in the middle.
fn median(known: &[Portrait], of: impl Fn(&Portrait) -> f64) -> f64 {
    let mut values = [0.0; PORTRAITS];
    let values = &mut values[..known.len()];
    for (value, one) in values.iter_mut().zip(known) {
        *value = of(one);
    }
    values.sort_unstable_by(f64::total_cmp);
    values.get(known.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn portrait(center: f64, scale: f64) -> Portrait {
        Portrait { center, scale, resolution: 1.0, jump: 1.0, means: [0.1, 0.01] }
    }

    /// What a lore tells of a level that has seen these levels and scales.
    fn told(seen: &[(f64, f64)], center: f64) -> f64 {
        let mut lore = Lore::new();
        for &(center, scale) in seen {
            lore.portray(portrait(center, scale));
        }
        lore.typical(center).scale
    }

    #[test]
    fn a_scale_is_told_in_the_unit_that_siblings_agree_on() {
        let shares = [(10.0, 1.0), (100.0, 11.0), (1000.0, 95.0)];
        assert!((told(&shares, 400.0) - 40.0).abs() < 5.0);
        let scales = [(10.0, 5.0), (100.0, 5.5), (1000.0, 4.5)];
        assert!((told(&scales, 400.0) - 5.0).abs() < 0.1);
        assert_eq!(told(&[(0.0, 1e150), (1.0, 1.0), (1e-300, 1e150)], 1e150).to_bits(), 1e150_f64.to_bits());
    }

    #[test]
    fn an_odd_one_does_not_move_the_median_far() {
        let mut seen = vec![(50.0, 5.0); 5];
        seen.push((5e9, 4e9));
        assert!((told(&seen, 50.0) - 5.0).abs() < 1e-9);
    }

    #[test]
    fn an_odd_one_teaches_an_event_and_twice_what_is_expected() {
        let mut lore = Lore::new();
        let mut one = [Counts::new(); TAILS];
        let none = one;
        for row in 0..1000 {
            lore.count(&none, &none, row as f32);
        }
        for row in 0..100_u16 {
            let before = one;
            one[4].add(0..4, EVENT, row);
            lore.count(&before, &one, row.into());
        }
        assert_eq!(lore.counts[4], [4, 4, 4, 4, 0, 0, 0]);
        assert_eq!((lore.counts[3], lore.rows.to_bits()), ([0; LEVELS], 1100_f32.to_bits()));
    }

    #[test]
    fn what_rises_among_siblings_is_a_counter_and_what_falls_is_none() {
        let mut lore = Lore::new();
        lore.portray(portrait(1.0, 1.0));
        (0..254).for_each(|_| lore.moves(true));
        assert!(!lore.counts_up() && lore.known == 1);
        lore.moves(true);
        assert!(lore.counts_up() && lore.known == 0, "what was known was of levels");
        (0..1000).for_each(|_| lore.moves(true));
        (0..4).for_each(|_| lore.moves(false));
        assert!(lore.counts_up(), "one among many does not change what they are");
        (0..100).for_each(|_| lore.moves(false));
        assert!(!lore.counts_up());
        lore.portray(portrait(1.0, 1.0));
        (0..4000).for_each(|_| lore.moves(true));
        assert!(!lore.counts_up() && lore.known == 1, "many start up together");
    }

    #[test]
    fn rows_are_lent_up_to_a_limit_with_their_events() {
        let mut lore = Lore::new();
        let none = [Counts::new(); TAILS];
        for row in 0..10_000 {
            lore.count(&none, &none, row as f32);
        }
        let loan = lore.loan(2000.0);
        assert!((loan.rows - 2000.0).abs() < 0.1 && (loan.share - 0.2).abs() < 1e-6);
        assert!((Lore::new().loan(2000.0).rows).abs() < f32::EPSILON);
    }

    #[test]
    fn a_record_is_read_back_and_an_impossible_one_is_not() {
        let mut lore = Lore::new();
        lore.portray(portrait(5.0, 1.0));
        lore.moves(true);
        let mut bytes = Vec::new();
        lore.write(&mut bytes);
        assert_eq!(Lore::read(&mut bytes.as_slice()), Some(lore));
        let behind = bytes.len();
        for at in [3, behind - 4, behind - 3, behind - 1] {
            let mut bytes = bytes.clone();
            bytes[at] = 0x7f;
            assert_eq!(Lore::read(&mut bytes.as_slice()), None, "{at}");
        }
    }
}
