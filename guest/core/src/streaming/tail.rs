//! How rare it is to be so far out: how often a series' own distances rise above each power of two.
//!
//! Exceedances come in clusters, and a cluster is one event, however long it lasts (declustering: Leadbetter, Lindgren &
//! Rootzén, Extremes and Related Properties of Random Sequences, 1983). So what is counted is upcrossings: a distance
//! that stays out, or comes back before what the cluster holds has decayed, is not counted again. Rows over events is
//! then how many rows lie between two events of that size.
//!
//! Beyond what was seen the counts fall by a power law (peaks over threshold, Pickands 1975), whose exponent is
//! estimated from the counts themselves (Hill, Annals of Statistics 1975) and drawn towards a prior. Events that were
//! reported count a quarter, so that an incident does not make its successor ordinary (as in SPOT, Siffer et al., KDD 2017).

use super::record::take;
use super::tuning::Tuning;
use crate::math::{ln, max, min, octaves};

/// Levels that are counted: 2, 4, 8, … 128 scales. Nearer than the first nothing is rare, and a tail is not touched.
const LEVELS: usize = 7;
pub(super) const LEAST: f32 = 2.0;
/// What an event counts. One that was reported counts less.
pub(super) const EVENT: u8 = 4;

/// The events that reach each level, in units of 1/[`EVENT`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Counts([u16; LEVELS]);

/// The events of one distance, and the cluster at hand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tail {
    counts: Counts,
    /// The row of the cluster's last exceedance, by the series' clock.
    at: u16,
    /// The largest distance of the cluster, as of that row.
    held: f32,
    /// The levels that the cluster has crossed and that were counted in full; none where `to` is 0.
    from: u8,
    to: u8,
    /// What the cluster counts.
    counting: u8,
}

/// What siblings lend a tail: what they counted, of which this share counts here too.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lent<'a> {
    pub(super) counts: &'a Counts,
    pub(super) share: f64,
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

/// How what a cluster holds decays: halvings a row, and the share that is left after one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    halvings: f32,
    left: f32,
}

/// What a distance is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rarity {
    /// -ln of the events of that size a row; 0 where it is ordinary.
    pub(super) nats: f64,
    /// Whether it is farther out than what is held: a new event, or one that gets worse.
    pub(super) rises: bool,
}

/// How the events of a tail fall with distance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Curve {
    /// Those that reach each level, at least as many as the law leaves of those that reach the one below.
    events: [f64; LEVELS],
    /// By which they fall from one octave to the next, beyond the last one that was seen.
    exponent: f64,
    /// Rows behind them, those of the prior among them; and the events of the prior that reach 1.
    rows: f64,
    prior: f64,
}

impl Hold {
    /// Decays to half within so many rows.
    pub(super) fn new(half_life: f32) -> Self {
        Self { halvings: 1.0 / half_life, left: libm::exp2f(-1.0 / half_life) }
    }
}

impl Counts {
    pub(super) const fn new() -> Self {
        Self([0; LEVELS])
    }

    /// An event that crosses all levels up to `distance`.
    pub(super) fn add(&mut self, distance: f32, counting: u8) {
        if distance >= LEAST {
            self.add_levels(0, level(distance) + 1, counting);
        }
    }

    fn add_levels(&mut self, from: usize, to: usize, counting: u8) {
        for count in &mut self.0[from.min(to)..to] {
            *count = count.saturating_add(counting.into());
        }
    }

    /// How events fall with distance, after so many rows.
    pub(super) fn curve(&self, rows: f64, lent: Option<Lent<'_>>, t: &Tuning) -> Curve {
        let event = 1.0 / f64::from(EVENT);
        let mut counted = self.0.map(|count| f64::from(count) * event);
        if let Some(Lent { counts, share }) = lent {
            for (own, theirs) in counted.iter_mut().zip(counts.0) {
                *own += f64::from(theirs) * event * share;
            }
        }
        // The tail proper begins where events are rarer than one in 32 rows.
        let begins = counted.iter().position(|events| events * 32.0 <= rows).unwrap_or(LEVELS - 1);
        let beyond: f64 = counted[begins + 1..].iter().sum();
        let first = counted[begins];
        // Sum of ln(distance/level) over events, as the integral of the counts over ln of the level.
        let logs = std::f64::consts::LN_2 * (beyond + 0.5 * first);
        let exponent = (first + t.exponent_weight) / (logs + t.exponent_weight / t.exponent);
        let fall = libm::exp2(-exponent);
        let mut least = 0.0;
        let events = counted.map(|counted| {
            let events = max(counted, least);
            least = events * fall;
            events
        });
        Curve { events, exponent, rows: rows + t.prior_rows, prior: t.prior_rows * t.prior_share }
    }

    /// Takes in what a sibling counted in a row, as long as it has had no more than an event and twice its `share` of those that
    /// are here. What it takes back is taken back here.
    pub(super) fn learn(&mut self, before: &Self, after: &Self, share: f32) {
        for (count, (&before, &after)) in self.0.iter_mut().zip(before.0.iter().zip(&after.0)) {
            let most = f32::from(EVENT) + 2.0 * share * f32::from(*count);
            if f32::from(after) <= most {
                *count = count.saturating_add(after.saturating_sub(before));
            }
            *count = count.saturating_sub(before.saturating_sub(after));
        }
    }

    /// Halves all counts.
    pub(super) fn halve(&mut self) {
        self.0 = self.0.map(|count| count / 2);
    }

    /// Appends the fields, little-endian.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.0.map(u16::to_le_bytes).as_flattened());
    }

    /// Takes the fields back off the front.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut counts = [0; LEVELS];
        for count in &mut counts {
            *count = u16::from_le_bytes(take(bytes)?);
        }
        Some(Self(counts))
    }
}

impl Curve {
    /// -ln of the events a row that reach `distance`, of [`LEAST`] or more.
    pub(super) fn nats(&self, distance: f32) -> f64 {
        ln(max(self.rows / self.events(distance), 1.0))
    }

    /// The events that reach `distance`: those that were seen, and a few more.
    fn events(&self, distance: f32) -> f64 {
        let at = level(distance);
        let here = self.events[at];
        // Straight between two levels, of the logarithms of both; beyond the last one by the law itself.
        let (slope, octaves_in) = match self.events.get(at + 1) {
            Some(next) if here > 0.0 => (max(octaves(next / here), -self.exponent), mantissa(distance)),
            _ => (-self.exponent, octaves(f64::from(distance / LAST))),
        };
        let far = f64::from(distance);
        here * libm::exp2(slope * octaves_in) + self.prior / (far * far * far)
    }

    /// The distance from which on events are as rare as so many nats: the inverse of [`nats`](Self::nats), to a hundredth.
    pub(super) fn distance(&self, nats: f64) -> f32 {
        let allowed = self.rows * libm::exp(-nats);
        let (mut near, mut far) = (LEAST, LEAST);
        while far < FARTHEST && self.events(far) > allowed {
            (near, far) = (far, 2.0 * far);
        }
        while far - near > 0.01 * near {
            let middle = 0.5 * (near + far);
            *if self.events(middle) > allowed { &mut near } else { &mut far } = middle;
        }
        far
    }
}

impl Tail {
    pub(super) const fn new() -> Self {
        Self { counts: Counts::new(), at: 0, held: 0.0, from: 0, to: 0, counting: EVENT }
    }

    /// How rare `distance`, of [`LEAST`] or more, is; counts it. Other rows need not be shown to a tail.
    pub(super) fn observe(&mut self, distance: f32, now: &Moment<'_>, t: &Tuning) -> Rarity {
        self.fade(now.clock.wrapping_sub(1), now.hold);
        let nats = self.counts.curve(now.rows, now.lent, t).nats(distance);
        let rises = distance > self.held;
        if rises {
            self.rise(distance, now.counting);
        }
        if distance >= self.held * now.hold.left {
            self.at = now.clock; // it is held up
        }
        Rarity { nats, rises }
    }

    /// The distance from which on an event is as rare as so many nats.
    pub(super) fn distance(&self, nats: f64, rows: f64, lent: Option<Lent<'_>>, t: &Tuning) -> f32 {
        self.counts.curve(rows, lent, t).distance(nats)
    }

    /// What it has counted.
    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Brings what the cluster holds up to date. It has ended where that lies below the highest level it crossed.
    fn fade(&mut self, clock: u16, hold: Hold) {
        let rows = clock.wrapping_sub(self.at);
        if rows > 0 {
            self.at = clock;
            self.held *= libm::exp2f(-hold.halvings * f32::from(rows));
        }
        if self.held < reached(self.to) {
            (self.from, self.to, self.counting) = (0, 0, EVENT);
        }
        if self.held < 1.0 {
            self.held = 0.0; // numbers next to zero take a processor long
        }
    }

    /// The cluster, which may be a new one, reaches `distance`.
    fn rise(&mut self, distance: f32, counting: u8) {
        let from = if self.held >= LEAST { level(self.held) + 1 } else { 0 };
        let to = level(distance) + 1;
        if self.to == 0 {
            (self.from, self.counting) = (from as u8, counting);
        }
        self.from = min(self.from, from as u8);
        self.to = max(self.to, to as u8);
        self.counts.add_levels(from, to, self.counting);
        self.held = distance;
    }

    /// The cluster at hand is part of what was reported: from its beginning it counts as little as `counting`.
    pub(super) fn report(&mut self, clock: u16, hold: Hold, counting: u8) {
        self.fade(clock, hold);
        if self.to > 0 && self.counting == EVENT {
            for count in &mut self.counts.0[usize::from(self.from)..usize::from(self.to)] {
                *count = count.saturating_sub((EVENT - counting).into());
            }
            self.counting = counting;
        }
    }

    /// Halves all counts. Done often enough, the clock of no cluster laps it.
    pub(super) fn halve(&mut self, clock: u16, hold: Hold) {
        self.fade(clock, hold);
        self.counts.halve();
    }

    /// Appends the fields, little-endian.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { counts, at, held, from, to, counting } = self;
        counts.write(out);
        out.extend(at.to_le_bytes());
        out.extend(held.to_le_bytes());
        out.extend([*from, *to, *counting]);
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let counts = Counts::read(bytes)?;
        let (at, held) = (u16::from_le_bytes(take(bytes)?), f32::from_le_bytes(take(bytes)?));
        let [from, to, counting] = take(bytes)?;
        let possible = (0.0..f32::INFINITY).contains(&held)
            && from <= to
            && usize::from(to) <= LEVELS
            && (1..=EVENT).contains(&counting);
        possible.then_some(Self { counts, at, held, from, to, counting })
    }
}

/// The highest level, and a distance that is beyond all that matters.
const LAST: f32 = (1_u32 << LEVELS) as f32;
const FARTHEST: f32 = 1e6;

/// The highest of the levels below `to`.
fn reached(to: u8) -> f32 {
    (1_u32 << to) as f32
}

/// The highest level that a distance of [`LEAST`] or more reaches, by its exponent.
fn level(distance: f32) -> usize {
    (((distance.to_bits() >> 23) as usize).saturating_sub(128)).min(LEVELS - 1)
}

/// How far a distance is into its octave, 0 to 1.
fn mantissa(distance: f32) -> f64 {
    f64::from(f32::from_bits(distance.to_bits() & 0x007f_ffff | 1_f32.to_bits())) - 1.0
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

    #[test]
    fn farther_is_never_less_rare_and_nothing_jumps() {
        let curve = seen(9.0, 300, 20_000).counts.curve(20_000.0, None, &T);
        let mut before = 0.0;
        for step in 0..6000 {
            let nats = curve.nats(2.0 * libm::expf(0.002 * step as f32));
            assert!((0.0..0.6).contains(&(nats - before)) || step == 0, "{step}: {before} to {nats}");
            before = nats;
        }
        assert!(before > 10.0, "{before}");
    }

    #[test]
    fn a_distance_is_found_by_its_nats() {
        let curve = seen(9.0, 300, 20_000).counts.curve(20_000.0, None, &T);
        for nats in [6.0, 7.0, 9.0, 12.0] {
            let distance = curve.distance(nats);
            assert!(curve.nats(distance) >= nats && curve.nats(distance / 1.02) < nats, "{nats}: {distance}");
        }
        assert_eq!(curve.distance(0.0).to_bits(), LEAST.to_bits());
        assert!(curve.distance(1e3) >= FARTHEST);
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
        assert_eq!(tail.counts.0, [4, 4, 4, 4, 0, 0, 0]);
    }

    #[test]
    fn a_cluster_ends_when_what_it_holds_has_decayed() {
        for (pause, events) in [(10, 1), (20, 2)] {
            let mut tail = Tail::new();
            for row in [0, pause] {
                tail.observe(31.0, &moment(1000 + row), &T);
            }
            assert_eq!(tail.counts.0[3], events * u16::from(EVENT), "{pause}");
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
        for (at, byte) in [(2 * LEVELS + 5, 0xff), (2 * LEVELS + 6, 9), (2 * LEVELS + 7, 9), (2 * LEVELS + 8, 5)] {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            assert_eq!(Tail::read(&mut bytes.as_slice()), None, "{at}");
        }
    }
}
