//! How rare a distance is: how often a series' own distances rise above each power of two.
//!
//! Exceedances come in clusters, and a cluster is one event, however long it lasts (declustering: Leadbetter, Lindgren &
//! Rootzén, Extremes and Related Properties of Random Sequences, 1983). So upcrossings are
//! counted ([`super::counts`]): a distance that stays large, or returns before the cluster's distance has decayed, is not
//! counted again. Rows divided by events is how many rows lie between two events of that size.
//!
//! Beyond the largest distance so far the counts fall by a power law ([`super::curve`]; peaks over threshold, Pickands 1975), whose exponent
//! is estimated from the counts themselves (Hill, Annals of Statistics 1975) and drawn towards a prior. Events that were
//! reported count a quarter, so that an incident does not make the next one ordinary (as in SPOT, Siffer et al., KDD 2017).

use super::counts::{Counts, EVENT, LEVELS, SiblingCounts};
use super::curve::Curve;
use super::record::take;
use super::tuning::Tuning;
use crate::math::{max, min, octaves};

/// The event counts of one signal and side, and the current cluster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tail {
    /// The row of the cluster's last exceedance, by the series' clock.
    at: u16,
    /// The largest distance of the cluster, as of that row.
    held: Octaves,
    cluster: Cluster,
    counts: Counts,
}

/// The binary logarithm of a distance of 1 or more, in units of 1/2048: three digits. An exponential decay is linear in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
struct Octaves(u16);

impl Octaves {
    const BITS: u32 = 11;

    /// Of a distance; 0 if it is less than 1.
    fn of(distance: f32) -> Self {
        Self((octaves(distance.into()) * f64::from(1_u16 << Self::BITS)) as u16) // `as` saturates
    }

    /// After the decay of so many rows.
    fn after(self, rows: u16, hold: Hold) -> Self {
        Self(u32::from(self.0).saturating_sub(u32::from(rows) * u32::from(hold.0)) as u16)
    }

    /// How many levels it reaches: the first is at one octave.
    fn levels(self) -> u8 {
        min(self.0 >> Self::BITS, LEVELS as u16) as u8
    }
}

/// The decay of a cluster's distance: octaves per row, in units of 1/2048.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold(u16);

impl Hold {
    /// From the half-life in rows.
    pub(super) fn new(half_life: f32) -> Self {
        Self(max(f32::from(1_u16 << Octaves::BITS) / half_life + 0.5, 1.0) as u16)
    }
}

/// The first and the last level that a cluster has crossed, and its weight in the counts: three, three and two bits. A cluster
/// without levels is none.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cluster(u8);

impl Cluster {
    const NONE: Self = Self::new(0, 0, EVENT);

    const fn new(from: u8, to: u8, event_weight: u8) -> Self {
        Self(from | to << 3 | (event_weight - 1) << 6)
    }

    fn levels(self) -> std::ops::Range<usize> {
        (self.0 & 7).into()..(self.0 >> 3 & 7).into()
    }

    fn event_weight(self) -> u8 {
        (self.0 >> 6) + 1
    }
}

/// What a tail needs to know of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct TailContext<'a> {
    /// The series' clock: rows, wrapping.
    pub(super) clock: u16,
    /// Decay of clusters.
    pub(super) hold: Hold,
    /// Rows behind the event counts, with those of siblings.
    pub(super) rows: f64,
    pub(super) sibling_counts: Option<SiblingCounts<'a>>,
    /// The weight of an event now.
    pub(super) event_weight: u8,
}

/// How rare a distance is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rarity {
    /// -ln of the events of that size per row; 0 is ordinary.
    pub(super) nats: f64,
    /// Whether it is larger than the cluster's decayed distance: a new event, or one that becomes worse.
    pub(super) rises: bool,
}

impl Tail {
    pub(super) const fn new() -> Self {
        Self { at: 0, held: Octaves(0), cluster: Cluster::NONE, counts: Counts::new() }
    }

    /// Counts `distance`, of [`super::counts::MIN_DISTANCE`] or more, and returns how rare it was before. Smaller distances
    /// need no call.
    pub(super) fn count_distance(&mut self, distance: f32, now: &TailContext<'_>, t: &Tuning) -> Rarity {
        self.decay_cluster(now.clock.wrapping_sub(1), now.hold);
        let nats = Curve::new(self.counts.events(now.sibling_counts), now.rows, t).nats(distance);
        let distance = Octaves::of(distance);
        let rises = distance > self.held;
        if rises {
            self.extend_cluster(distance, now);
        }
        if distance >= self.held.after(1, now.hold) {
            self.at = now.clock; // the cluster does not decay
        }
        Rarity { nats, rises }
    }

    /// The distance from which on an event has so many nats.
    pub(super) fn distance_at(
        &self,
        nats: f64,
        rows: f64,
        sibling_counts: Option<SiblingCounts<'_>>,
        t: &Tuning,
    ) -> f32 {
        Curve::new(self.counts.events(sibling_counts), rows, t).distance_at(nats)
    }

    /// The event counts.
    pub(super) fn event_counts(&self) -> Counts {
        self.counts
    }

    /// Decays the cluster's distance until the row `clock`. The cluster ends once that is below the highest level it crossed.
    fn decay_cluster(&mut self, clock: u16, hold: Hold) {
        self.held = self.held.after(clock.wrapping_sub(self.at), hold);
        self.at = clock;
        if usize::from(self.held.levels()) < self.cluster.levels().end {
            self.cluster = Cluster::NONE;
        }
    }

    /// Extends the cluster, or begins one, to `distance`.
    fn extend_cluster(&mut self, distance: Octaves, now: &TailContext<'_>) {
        let (from, to) = (self.held.levels(), distance.levels());
        let known = self.cluster.levels();
        let (first, event_weight) =
            if known.end == 0 { (from, now.event_weight) } else { (known.start as u8, self.cluster.event_weight()) };
        self.cluster = Cluster::new(min(first, from), max(known.end as u8, to), event_weight);
        self.counts.add_event(from.into()..to.into(), event_weight, now.clock);
        self.held = distance;
    }

    /// Marks the current cluster as reported: all of it then has the weight `event_weight`.
    pub(super) fn mark_reported(&mut self, clock: u16, hold: Hold, event_weight: u8) {
        self.decay_cluster(clock, hold);
        let levels = self.cluster.levels();
        if levels.end > 0 && self.cluster.event_weight() == EVENT {
            self.cluster = Cluster::new(levels.start as u8, levels.end as u8, event_weight);
            self.counts.subtract_event(levels, EVENT - event_weight, clock);
        }
    }

    /// Halves all counts. It must be called before the row clock of 16 bits wraps.
    pub(super) fn halve_counts(&mut self, clock: u16, hold: Hold) {
        self.decay_cluster(clock, hold);
        self.counts.halve_counts();
    }

    /// Appends the fields, little-endian.
    pub(super) fn write_state(&self, out: &mut Vec<u8>) {
        let Self { at, held, cluster, counts } = self;
        out.extend([*at, held.0].map(u16::to_le_bytes).as_flattened());
        out.push(cluster.0);
        counts.write_state(out);
    }

    /// Reads the fields from the front; `None` where one is impossible.
    pub(super) fn read_state(bytes: &mut &[u8]) -> Option<Self> {
        let [at, held] = [take(bytes)?, take(bytes)?].map(u16::from_le_bytes);
        let [cluster] = take(bytes)?;
        let (cluster, counts) = (Cluster(cluster), Counts::read_state(bytes)?);
        (cluster.levels().start <= cluster.levels().end).then_some(Self { at, held: Octaves(held), cluster, counts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Tuning = Tuning::SHIPPED;

    /// In row `row`.
    fn moment(row: usize) -> TailContext<'static> {
        TailContext {
            clock: row as u16,
            hold: Hold::new(16.0),
            rows: row as f64,
            sibling_counts: None,
            event_weight: EVENT,
        }
    }

    /// A tail that saw `distance` for a row in each `every` of `rows`.
    fn seen(distance: f32, every: usize, rows: usize) -> Tail {
        let mut tail = Tail::new();
        for row in (0..rows).step_by(every) {
            tail.count_distance(distance, &moment(row + 1), &T);
        }
        tail
    }

    /// The events that were counted at each level, in quarters.
    fn counted(tail: &Tail) -> Vec<u8> {
        let mut bytes = Vec::new();
        tail.counts.write_state(&mut bytes);
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
        let nats = Curve::new(seen(9.0, 300, 30_000).counts.events(None), 30_000.0, &T).nats(8.0);
        assert!((nats - libm::log(300.0)).abs() < 0.1, "{nats}");
    }

    #[test]
    fn a_cluster_is_one_event_however_long() {
        let mut tail = Tail::new();
        for row in 1000..1500 {
            tail.count_distance(20.0 + (row % 7) as f32, &moment(row), &T);
        }
        assert_eq!(counted(&tail), [4, 4, 4, 4, 0, 0, 0]);
    }

    #[test]
    fn a_cluster_ends_when_what_it_holds_has_decayed() {
        for (pause, events) in [(10, 1), (20, 2)] {
            let mut tail = Tail::new();
            for row in [0, pause] {
                tail.count_distance(31.0, &moment(1000 + row), &T);
            }
            assert_eq!(counted(&tail)[3], events * EVENT, "{pause}");
        }
    }

    #[test]
    fn what_was_reported_counts_less_and_stays_rarer() {
        let (mut reported, mut not) = (Tail::new(), Tail::new());
        for row in [1000, 1200, 1400] {
            for tail in [&mut reported, &mut not] {
                tail.count_distance(20.0, &moment(row), &T);
            }
            let TailContext { clock, hold, .. } = moment(row);
            reported.mark_reported(clock, hold, 1);
        }
        let [reported, not] = [reported, not].map(|tail| Curve::new(tail.counts.events(None), 5000.0, &T).nats(20.0));
        assert!(reported > not + 0.8, "{reported} {not}");
    }

    #[test]
    fn a_record_is_read_back_and_an_impossible_one_is_not() {
        let tail = seen(9.0, 300, 1000);
        let mut bytes = Vec::new();
        tail.write_state(&mut bytes);
        assert_eq!(Tail::read_state(&mut bytes.as_slice()), Some(tail));
        bytes[4] = 0b00_001_010; // from level 2 to level 1
        assert_eq!(Tail::read_state(&mut bytes.as_slice()), None);
    }
}
