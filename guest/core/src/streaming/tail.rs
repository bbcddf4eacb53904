//! How rare it is to be so far out: how often a series' own distances rise above each power of two.
//!
//! Exceedances come in clusters, and a cluster is one event, however long it lasts (declustering: Leadbetter, Lindgren &
//! Rootzén, Extremes and Related Properties of Random Sequences, 1983). So what is counted ([`super::counts`]) is
//! upcrossings: a distance that stays out, or comes back before what the cluster holds has decayed, is not counted again.
//! Rows over events is then how many rows lie between two events of that size.
//!
//! Beyond what was seen the counts fall by a power law ([`super::curve`]; peaks over threshold, Pickands 1975), whose exponent
//! is estimated from the counts themselves (Hill, Annals of Statistics 1975) and drawn towards a prior. Events that were
//! reported count a quarter, so that an incident does not make its successor ordinary (as in SPOT, Siffer et al., KDD 2017).

use super::counts::{Counts, EVENT, LEVELS, Lent};
use super::record::take;
use super::tuning::Tuning;
use crate::math::{max, min, octaves};

/// The events of one distance, and the cluster at hand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tail {
    /// The row of the cluster's last exceedance, by the series' clock.
    at: u16,
    /// The largest distance of the cluster, as of that row.
    held: Octaves,
    cluster: Cluster,
    counts: Counts,
}

/// A distance of 1 or more as its binary logarithm, in units of 1/2048: to three digits. What decays by halves falls
/// straight.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
struct Octaves(u16);

impl Octaves {
    const BITS: u32 = 11;

    /// Those of a distance; 0 where it is nearer than 1.
    fn of(distance: f32) -> Self {
        Self((octaves(distance.into()) * f64::from(1_u16 << Self::BITS)) as u16) // `as` keeps within the type
    }

    /// Less what so many rows take.
    fn after(self, rows: u16, hold: Hold) -> Self {
        Self(u32::from(self.0).saturating_sub(u32::from(rows) * u32::from(hold.0)) as u16)
    }

    /// How many levels it crosses: the first is at one octave.
    fn levels(self) -> u8 {
        min(self.0 >> Self::BITS, LEVELS as u16) as u8
    }
}

/// How what a cluster holds decays: what a row takes of its octaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold(u16);

impl Hold {
    /// Decays to half within so many rows.
    pub(super) fn new(half_life: f32) -> Self {
        Self(max(f32::from(1_u16 << Octaves::BITS) / half_life + 0.5, 1.0) as u16)
    }
}

/// The levels that a cluster has crossed and that were counted in full, and what it counts: three, three and two bits. There
/// is none where it has crossed no level.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cluster(u8);

impl Cluster {
    const NONE: Self = Self::new(0, 0, EVENT);

    const fn new(from: u8, to: u8, counting: u8) -> Self {
        Self(from | to << 3 | (counting - 1) << 6)
    }

    fn levels(self) -> std::ops::Range<usize> {
        (self.0 & 7).into()..(self.0 >> 3 & 7).into()
    }

    fn counting(self) -> u8 {
        (self.0 >> 6) + 1
    }
}

/// When a distance is met.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment<'a> {
    /// The series' clock: rows, wrapping.
    pub(super) clock: u16,
    /// How what a cluster holds decays.
    pub(super) hold: Hold,
    /// Rows that the counts are of, those that siblings lend among them.
    pub(super) rows: f64,
    pub(super) lent: Option<Lent<'a>>,
    /// What an event counts now.
    pub(super) counting: u8,
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
        Self { at: 0, held: Octaves(0), cluster: Cluster::NONE, counts: Counts::new() }
    }

    /// How rare `distance`, of [`super::counts::LEAST`] or more, is; counts it. Other rows need not be shown to a tail.
    pub(super) fn observe(&mut self, distance: f32, now: &Moment<'_>, t: &Tuning) -> Rarity {
        self.fade(now.clock.wrapping_sub(1), now.hold);
        let nats = self.counts.curve(now.rows, now.lent, t).nats(distance);
        let distance = Octaves::of(distance);
        let rises = distance > self.held;
        if rises {
            self.rise(distance, now);
        }
        if distance >= self.held.after(1, now.hold) {
            self.at = now.clock; // it is held up
        }
        Rarity { nats, rises }
    }

    /// The distance from which on an event is as rare as so many nats.
    pub(super) fn distance(&self, nats: f64, rows: f64, lent: Option<Lent<'_>>, t: &Tuning) -> f32 {
        self.counts.curve(rows, lent, t).distance(nats)
    }

    /// What it has counted.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Brings what the cluster holds up to date. It has ended where that lies below the highest level it crossed.
    fn fade(&mut self, clock: u16, hold: Hold) {
        self.held = self.held.after(clock.wrapping_sub(self.at), hold);
        self.at = clock;
        if usize::from(self.held.levels()) < self.cluster.levels().end {
            self.cluster = Cluster::NONE;
        }
    }

    /// The cluster, which may be a new one, reaches `distance`.
    fn rise(&mut self, distance: Octaves, now: &Moment<'_>) {
        let (from, to) = (self.held.levels(), distance.levels());
        let known = self.cluster.levels();
        let (first, counting) =
            if known.end == 0 { (from, now.counting) } else { (known.start as u8, self.cluster.counting()) };
        self.cluster = Cluster::new(min(first, from), max(known.end as u8, to), counting);
        self.counts.add(from.into()..to.into(), counting, now.clock);
        self.held = distance;
    }

    /// The cluster at hand is part of what was reported: from its beginning it counts as little as `counting`.
    pub(super) fn report(&mut self, clock: u16, hold: Hold, counting: u8) {
        self.fade(clock, hold);
        let levels = self.cluster.levels();
        if levels.end > 0 && self.cluster.counting() == EVENT {
            self.cluster = Cluster::new(levels.start as u8, levels.end as u8, counting);
            self.counts.take_back(levels, EVENT - counting, clock);
        }
    }

    /// Halves all counts. Done often enough, the clock of no cluster laps it.
    pub(super) fn halve(&mut self, clock: u16, hold: Hold) {
        self.fade(clock, hold);
        self.counts.halve();
    }

    /// Appends the fields, little-endian.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { at, held, cluster, counts } = self;
        out.extend([*at, held.0].map(u16::to_le_bytes).as_flattened());
        out.push(cluster.0);
        counts.write(out);
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let [at, held] = [take(bytes)?, take(bytes)?].map(u16::from_le_bytes);
        let [cluster] = take(bytes)?;
        let (cluster, counts) = (Cluster(cluster), Counts::read(bytes)?);
        (cluster.levels().start <= cluster.levels().end).then_some(Self { at, held: Octaves(held), cluster, counts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Tuning = Tuning::SHIPPED;

    /// In row `row`, all told.
    fn moment(row: usize) -> Moment<'static> {
        Moment { clock: row as u16, hold: Hold::new(16.0), rows: row as f64, lent: None, counting: EVENT }
    }

    /// A tail that saw `distance` for a row in each `every` of `rows`.
    fn seen(distance: f32, every: usize, rows: usize) -> Tail {
        let mut tail = Tail::new();
        for row in (0..rows).step_by(every) {
            tail.observe(distance, &moment(row + 1), &T);
        }
        tail
    }

    /// The events that were counted at each level, in quarters.
    fn counted(tail: &Tail) -> Vec<u8> {
        let mut bytes = Vec::new();
        tail.counts.write(&mut bytes);
        bytes
    }

    #[test]
    fn it_takes_twelve_bytes() {
        assert_eq!(size_of::<Tail>(), 12);
    }

    #[test]
    fn octaves_grow_with_distance_and_fall_to_half_in_time() {
        assert_eq!([1.0, 2.0, 3.0, 1e9].map(|distance| Octaves::of(distance).0), [0, 2048, 3072, 61_158]);
        for (distance, levels) in [(1.9, 0), (2.0, 1), (4.0, 2), (100.0, 6), (128.0, 7), (1e30, 7)] {
            assert_eq!(Octaves::of(distance).levels(), levels, "{distance}");
        }
        assert_eq!(Octaves::of(40.0).after(16, Hold::new(16.0)), Octaves::of(20.0));
        assert_eq!(Octaves::of(40.0).after(u16::MAX, Hold::new(16.0)), Octaves(0));
    }

    #[test]
    fn events_a_row_are_found() {
        let nats = seen(9.0, 300, 30_000).counts.curve(30_000.0, None, &T).nats(8.0);
        assert!((nats - libm::log(300.0)).abs() < 0.1, "{nats}");
    }

    #[test]
    fn a_cluster_is_one_event_however_long() {
        let mut tail = Tail::new();
        for row in 1000..1500 {
            tail.observe(20.0 + (row % 7) as f32, &moment(row), &T);
        }
        assert_eq!(counted(&tail), [4, 4, 4, 4, 0, 0, 0]);
    }

    #[test]
    fn a_cluster_ends_when_what_it_holds_has_decayed() {
        for (pause, events) in [(10, 1), (20, 2)] {
            let mut tail = Tail::new();
            for row in [0, pause] {
                tail.observe(31.0, &moment(1000 + row), &T);
            }
            assert_eq!(counted(&tail)[3], events * EVENT, "{pause}");
        }
    }

    #[test]
    fn what_was_reported_counts_less_and_stays_rarer() {
        let (mut reported, mut not) = (Tail::new(), Tail::new());
        for row in [1000, 1200, 1400] {
            for tail in [&mut reported, &mut not] {
                tail.observe(20.0, &moment(row), &T);
            }
            let Moment { clock, hold, .. } = moment(row);
            reported.report(clock, hold, 1);
        }
        let [reported, not] = [reported, not].map(|tail| tail.counts.curve(5000.0, None, &T).nats(20.0));
        assert!(reported > not + 0.8, "{reported} {not}");
    }

    #[test]
    fn a_record_is_read_back_and_an_impossible_one_is_not() {
        let tail = seen(9.0, 300, 1000);
        let mut bytes = Vec::new();
        tail.write(&mut bytes);
        assert_eq!(Tail::read(&mut bytes.as_slice()), Some(tail));
        bytes[4] = 0b00_001_010; // from level 2 to level 1
        assert_eq!(Tail::read(&mut bytes.as_slice()), None);
    }
}
