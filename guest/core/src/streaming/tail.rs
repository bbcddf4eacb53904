//! How rare it is to be so far out: how often a series' own distances rise above each power of two.
//!
//! Exceedances come in clusters, and a cluster is one event, however long it lasts (declustering: Leadbetter, Lindgren &
//! Rootzén, Extremes and Related Properties of Random Sequences, 1983). So what is counted is upcrossings: a distance
//! that stays out, or comes back before `held` has decayed, is not counted again. Rows over events is then how many rows
//! lie between two events of that size.
//!
//! Beyond what was seen the counts fall by a power law (peaks over threshold, Pickands 1975), whose exponent is
//! estimated from the counts themselves (Hill, Annals of Statistics 1975) and drawn towards a prior. Events that were
//! reported count a quarter, so that an incident does not make its successor ordinary (as in SPOT, Siffer et al., KDD 2017).

use super::record::take;
use super::tuning::Tuning;
use crate::math::{ln, max, min, octaves};

/// Levels that are told apart: 1, 2, 4, … 128 scales.
const LEVELS: usize = 8;
/// What an event counts. One that was reported counts less.
pub(super) const EVENT: u8 = 4;
/// Distances below this are never rare.
const LEAST: f32 = 2.0;

/// The upcrossings of each level by one distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tail {
    counts: [u16; LEVELS],
    /// The largest distance of the cluster at hand, decaying.
    held: f32,
    /// The levels that the cluster at hand has crossed and that were counted in full; none where `to` is 0.
    from: u8,
    to: u8,
    /// What the cluster at hand counts.
    counting: u8,
}

/// What a distance is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rarity {
    /// -ln of the events of that size a row; 0 where it is ordinary.
    pub(super) nats: f64,
    /// Whether it is farther out than what is held: a new event, or one that gets worse.
    pub(super) rises: bool,
}

impl Tail {
    pub(super) const fn new() -> Self {
        Self { counts: [0; LEVELS], held: 0.0, from: 0, to: 0, counting: EVENT }
    }

    /// Lets a row pass: what is held decays to a share of `keep`. A cluster ends when it lies below the level it reached.
    pub(super) fn fade(&mut self, keep: f32) {
        // Below 1 nothing is held; and numbers next to zero take a processor long.
        self.held = if self.held < 0.1 { 0.0 } else { self.held * keep };
        if self.to > 0 && self.held < 0.5 * (1_u32 << self.to) as f32 {
            (self.from, self.to, self.counting) = (0, 0, EVENT);
        }
    }

    /// How rare `distance` is after so many rows; counts it. What is held decays where it is not held up.
    pub(super) fn observe(&mut self, distance: f32, rows: f64, keep: f32, t: &Tuning) -> Rarity {
        let rises = distance > self.held;
        if distance < self.held * keep {
            self.fade(keep);
        }
        let nats = self.nats(distance, rows, t);
        if rises {
            if distance >= 1.0 {
                let from = if self.held >= 1.0 { level(self.held) + 1 } else { 0 };
                self.count(from, level(distance) + 1);
            }
            self.held = distance;
        }
        Rarity { nats, rises }
    }

    /// Counts the levels `from..to` as crossed.
    fn count(&mut self, from: usize, to: usize) {
        for count in &mut self.counts[from.min(to)..to] {
            *count = count.saturating_add(self.counting.into());
        }
        if self.to == 0 {
            self.from = from as u8;
        }
        if self.counting == EVENT {
            self.from = min(self.from, from as u8);
        }
        self.to = max(self.to, to as u8);
    }

    /// The cluster at hand is part of what was reported: from its beginning it counts as little as `counting`.
    pub(super) fn report(&mut self, counting: u8) {
        if self.to > 0 && self.counting == EVENT {
            for count in &mut self.counts[usize::from(self.from)..usize::from(self.to)] {
                *count = count.saturating_sub((EVENT - counting).into());
            }
            self.counting = counting;
        }
    }

    /// A run of equal values that has ended after `length` rows, and what it counts.
    pub(super) fn end_run(&mut self, length: f32, counting: u8) {
        if length >= 1.0 {
            self.counting = counting;
            self.count(0, level(length) + 1);
        }
        (self.from, self.to, self.counting) = (0, 0, EVENT);
    }

    /// -ln of the events a row that reach `distance`.
    pub(super) fn nats(&self, distance: f32, rows: f64, t: &Tuning) -> f64 {
        if distance < LEAST {
            return 0.0;
        }
        let event = 1.0 / f64::from(EVENT);
        let of = |count: u16| f64::from(count) * event;
        // The tail proper begins where events are rarer than one in 32 rows.
        let begins = self.counts.iter().position(|&count| of(count) * 32.0 <= rows).unwrap_or(LEVELS - 1);
        let beyond: u32 = self.counts[begins + 1..].iter().map(|&count| u32::from(count)).sum();
        let first = of(self.counts[begins]);
        // Sum of ln(distance/level) over events, as the integral of the counts over ln of the level.
        let logs = std::f64::consts::LN_2 * (f64::from(beyond) * event + 0.5 * first);
        let exponent = (first + t.exponent_weight) / (logs + t.exponent_weight / t.exponent);
        let fall = libm::exp2(-exponent);
        let at = level(distance);
        // The most that any level says: one below falls by the power law, one above was seen more often.
        let below = self.counts[..at].iter().fold(0.0, |most, &count| max(most * fall, of(count))) * fall;
        let here = self.counts[at..].iter().fold(below, |most, &count| max(most, of(count)));
        let next = self.counts[(at + 1).min(LEVELS)..].iter().fold(here * fall, |most, &count| max(most, of(count)));
        // Straight between two levels, of the logarithms of both; beyond the last one by the law itself.
        let octaves_in =
            if at + 1 < LEVELS { mantissa(distance) } else { octaves(f64::from(distance) / f64::from(1_u32 << at)) };
        let slope = if at + 1 < LEVELS && here > 0.0 { octaves(next / here) } else { -exponent };
        let events = here * libm::exp2(max(slope, -exponent) * octaves_in);
        let far = f64::from(distance);
        let prior = t.prior_rows * t.prior_share / (far * far * far);
        ln(max((rows + t.prior_rows) / (events + prior), 1.0))
    }

    /// Halves all counts.
    pub(super) fn halve(&mut self) {
        self.counts = self.counts.map(|count| count / 2);
    }

    /// Appends the fields, little-endian.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { counts, held, from, to, counting } = self;
        out.extend(counts.map(u16::to_le_bytes).as_flattened());
        out.extend(held.to_le_bytes());
        out.extend([*from, *to, *counting]);
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut counts = [0; LEVELS];
        for count in &mut counts {
            *count = u16::from_le_bytes(take(bytes)?);
        }
        let held = f32::from_le_bytes(take(bytes)?);
        let [from, to, counting] = take(bytes)?;
        let possible = (0.0..f32::INFINITY).contains(&held)
            && from <= to
            && usize::from(to) <= LEVELS
            && (1..=EVENT).contains(&counting);
        possible.then_some(Self { counts, held, from, to, counting })
    }
}

/// The highest level that a distance of 1 or more reaches: its exponent.
fn level(distance: f32) -> usize {
    (((distance.to_bits() >> 23) as usize).saturating_sub(127)).min(LEVELS - 1)
}

/// How far a distance is into its octave, 0 to 1.
fn mantissa(distance: f32) -> f64 {
    f64::from(f32::from_bits(distance.to_bits() & 0x007f_ffff | 1_f32.to_bits())) - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Tuning = Tuning::SHIPPED;
    const KEEP: f32 = 0.957;

    /// A tail that saw `distance` for a row in each `every` of `rows`.
    fn seen(distance: f32, every: usize, rows: usize) -> Tail {
        let mut tail = Tail::new();
        for row in 0..rows {
            tail.observe(if row % every == 0 { distance } else { 0.5 }, row as f64, KEEP, &T);
        }
        tail
    }

    #[test]
    fn farther_is_never_less_rare_and_nothing_jumps() {
        let tail = seen(9.0, 300, 20_000);
        let mut before = 0.0;
        for step in 0..6000 {
            let nats = tail.nats(2.0 * libm::expf(0.002 * step as f32), 20_000.0, &T);
            assert!((0.0..0.6).contains(&(nats - before)) || step == 0, "{step}: {before} to {nats}");
            before = nats;
        }
        assert!(before > 10.0, "{before}");
    }

    #[test]
    fn events_a_row_are_found() {
        let nats = seen(9.0, 300, 30_000).nats(8.0, 30_000.0, &T);
        assert!((nats - libm::log(300.0)).abs() < 0.1, "{nats}");
    }

    #[test]
    fn a_cluster_is_one_event_however_long() {
        let mut tail = Tail::new();
        for row in 0..5000 {
            tail.observe(
                if (1000..1500).contains(&row) { 20.0 + (row % 7) as f32 } else { 0.1 },
                f64::from(row),
                KEEP,
                &T,
            );
        }
        assert_eq!(tail.counts[4], u16::from(EVENT));
        assert_eq!(tail.counts[5], 0);
    }

    #[test]
    fn what_was_reported_counts_less_and_stays_rarer() {
        let (mut told, mut untold) = (Tail::new(), Tail::new());
        for _ in 0..3 {
            for tail in [&mut told, &mut untold] {
                tail.observe(20.0, 5000.0, KEEP, &T);
            }
            told.report(1);
            for tail in [&mut told, &mut untold] {
                (0..200).for_each(|_| tail.fade(KEEP));
            }
        }
        let [told, untold] = [told, untold].map(|tail| tail.nats(20.0, 5000.0, &T));
        assert!(told > untold + 0.8, "{told} {untold}");
    }

    #[test]
    fn a_record_is_read_back_and_an_impossible_one_is_not() {
        let tail = seen(9.0, 300, 1000);
        let mut bytes = Vec::new();
        tail.write(&mut bytes);
        assert_eq!(Tail::read(&mut bytes.as_slice()), Some(tail));
        for (at, byte) in [(2 * LEVELS + 3, 0xff), (2 * LEVELS + 4, 9), (2 * LEVELS + 5, 9), (2 * LEVELS + 6, 5)] {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            assert_eq!(Tail::read(&mut bytes.as_slice()), None, "{at}");
        }
    }
}
