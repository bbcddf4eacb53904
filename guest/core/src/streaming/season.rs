//! What time of day and of week explain, learned on the fly.
//!
//! Two profiles: the day in half hours and the week in hours, UTC, each the mean of its bins with a memory of some four
//! periods. What a profile does not explain is looked at like a value: how far from all such rests it is. That counts
//! only while the profile more than halves the distance from the level, and once it has seen enough periods.

use super::Bins;
use super::level::{Level, MAX_VALUE, MAX_WEIGHT, WINSOR};
use super::record::take;
use super::visited::{Axis, Visited};
use crate::math::{max, min};

/// Intervals that hold all rests.
const SEASON_PLACES: usize = 8;
/// Bins of the day.
const HALF_HOURS: usize = 48;
/// Bins of the week.
const HOURS: usize = 168;
/// Seconds of either.
const DAY: f64 = 86_400.0;
const WEEK: f64 = 7.0 * DAY;
/// Days before the day's profile tells anything; measured, 3 to 6 are alike.
const DAYS: f64 = 4.0;
/// Weeks before the week's does; measured, 2 has more false alarms.
const WEEKS: f64 = 3.0;
/// Periods that a bin remembers; measured, NAB is 82 with 4 and 79 and 80 with 8 and 16, for two holidays on the edge.
const MEMORY: f64 = 4.0;
/// Largest share of the distance from the level that may be left; measured, 0.3 to 0.5 are alike, and 0.7 has more false
/// alarms.
const LEFT: f64 = 0.4;
/// Rows told before its rests mean anything.
const TOLD: f32 = 100.0;
/// Rests and distances count up to so many scales.
const LIMIT: f64 = 8.0;
/// Once a bin is known, values teach it so many scales at most.
const LESSON: f64 = 6.0;

/// Both profiles of one series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Season {
    /// When learning began.
    since_ns: i64,
    day: Profile<HALF_HOURS>,
    week: Profile<HOURS>,
}

impl Season {
    /// Nothing known yet.
    pub(crate) fn new(now_ns: i64) -> Self {
        Self { since_ns: now_ns, day: Profile::new(), week: Profile::new() }
    }

    /// The surprise of what neither profile explains, in nats, the larger one; 0 where they are of no use. `turn` says
    /// that marks may be moved. Learns.
    pub(crate) fn observe(&mut self, level: &Level, scale: f64, time_ns: i64, value: f64, turn: bool) -> f64 {
        let Self { since_ns, day, week } = self;
        let age = time_ns.saturating_sub(*since_ns) as f64 * 1e-9;
        // Into the week, which begins on a Thursday as the epoch did, and into the day.
        let seconds = time_ns.div_euclid(1_000_000_000).rem_euclid(WEEK as i64) as u32;
        let row = Row { level, scale, value, turn };
        let of_day = day.observe(&row, seconds % DAY as u32, DAY, age > DAYS * DAY);
        max(of_day, week.observe(&row, seconds, WEEK, age > WEEKS * WEEK))
    }

    /// Appends the fields, little-endian.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let Self { since_ns, day, week } = self;
        out.extend(since_ns.to_le_bytes());
        day.write(out);
        week.write(out);
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(crate) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let since_ns = i64::from_le_bytes(take(bytes)?);
        Some(Self { since_ns, day: Profile::read(bytes)?, week: Profile::read(bytes)? })
    }
}

/// One observation.
struct Row<'a> {
    level: &'a Level,
    scale: f64,
    value: f64,
    turn: bool,
}

/// The means of a period's bins, and what they leave unexplained.
#[derive(Clone, Debug, PartialEq)]
struct Profile<const N: usize> {
    means: [f64; N],
    /// Rows behind each mean, up to `MEMORY` periods' worth.
    rows: [u16; N],
    /// Mean distance left by the profile, and that from the level.
    left: f64,
    from_level: f64,
    /// Mean rest, winsorised: its scale.
    rest: f64,
    /// Rows told. The means above forget as the level does.
    told: f32,
    axis: Axis,
    seen: Visited<SEASON_PLACES>,
    tail: Bins,
}

impl<const N: usize> Profile<N> {
    const fn new() -> Self {
        Self {
            means: [0.0; N],
            rows: [0; N],
            left: 0.0,
            from_level: 0.0,
            rest: 0.0,
            told: 0.0,
            axis: Axis::new(),
            seen: Visited::new(),
            tail: Bins::new(),
        }
    }

    fn observe(&mut self, row: &Row<'_>, seconds: u32, period: f64, ripe: bool) -> f64 {
        let bins = f64::from(seconds) * (N as f64 / period);
        let at = min(bins as usize, N - 1);
        let surprise = if ripe { self.tell(row, bins) } else { 0.0 };
        self.learn(row, at, period);
        surprise
    }

    /// Judges the value by the profile, between the middles of two bins.
    fn tell(&mut self, row: &Row<'_>, bins: f64) -> f64 {
        let shifted = bins + N as f64 - 0.5;
        let (first, share) = (shifted as usize, shifted - f64::from(shifted as u32));
        let (first, second) = (first % N, (first + 1) % N);
        if self.rows[first] == 0 || self.rows[second] == 0 {
            return 0.0;
        }
        let expected = self.means[first] + (self.means[second] - self.means[first]) * share;
        let rest = (row.value - expected).clamp(-MAX_VALUE, MAX_VALUE);
        let settled = self.told >= 16.0;
        self.told = min(self.told + 1.0, MAX_WEIGHT);
        let gain = 1.0 / f64::from(min(self.told, max(row.level.weight, TOLD)));
        let limit = LIMIT * row.scale;
        self.left += gain * (min(rest.abs(), limit) - self.left);
        self.from_level += gain * (min((row.value - row.level.center).abs(), limit) - self.from_level);
        let most = if settled { WINSOR * self.rest } else { f64::INFINITY };
        self.rest += gain * (min(rest.abs(), most) - self.rest);
        if !settled {
            return 0.0;
        }
        if row.turn {
            self.seen.settle();
            let scale = max(self.rest, super::LEAST_SCALE * row.scale);
            if !self.axis.drawn() {
                self.axis = Axis::at(0.0, scale);
            } else if !self.axis.fits(0.0, scale) {
                let axis = Axis::at(0.0, scale);
                self.seen.redraw(self.axis, axis);
                self.axis = axis;
            }
        }
        if !self.axis.drawn() {
            return 0.0;
        }
        let surprise = self.tail.observe(self.seen.visit(self.axis.place(rest)), true);
        if self.told >= TOLD && self.left < LEFT * self.from_level { surprise } else { 0.0 }
    }

    fn learn(&mut self, row: &Row<'_>, at: usize, period: f64) {
        let a_period = max(period / N as f64 / f64::from(max(row.level.step, 1e-3)), 1.0);
        let (mean, rows) = (&mut self.means[at], &mut self.rows[at]);
        let lesson = if f64::from(*rows) > 1.5 * a_period { LESSON * row.scale } else { f64::INFINITY };
        let taught = (row.value - *mean).clamp(-lesson, lesson);
        *rows = min(f64::from(*rows) + 1.0, MEMORY * a_period) as u16;
        *rows = max(*rows, 1);
        *mean += taught / f64::from(*rows);
    }

    fn write(&self, out: &mut Vec<u8>) {
        let Self { means, rows, left, from_level, rest, told, axis, seen, tail } = self;
        out.extend(means.map(f64::to_le_bytes).as_flattened());
        out.extend(rows.map(u16::to_le_bytes).as_flattened());
        out.extend([left, from_level, rest].map(|value| value.to_le_bytes()).as_flattened());
        out.extend(told.to_le_bytes());
        axis.write(out);
        seen.write(out);
        tail.write(out);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut profile = Self::new();
        for mean in &mut profile.means {
            *mean = f64::from_le_bytes(take(bytes)?);
        }
        for rows in &mut profile.rows {
            *rows = u16::from_le_bytes(take(bytes)?);
        }
        for mean in [&mut profile.left, &mut profile.from_level, &mut profile.rest] {
            *mean = f64::from_le_bytes(take(bytes)?);
        }
        profile.told = f32::from_le_bytes(take(bytes)?);
        profile.axis = Axis::read(bytes)?;
        profile.seen = Visited::read(bytes)?;
        profile.tail = Bins::read(bytes)?;
        let Self { means, left, from_level, rest, told, .. } = &profile;
        let possible = means.iter().all(|mean| mean.abs() <= 2.0 * MAX_VALUE)
            && [left, from_level, rest].iter().all(|mean| (0.0..=1e306).contains(*mean))
            && (0.0..=MAX_WEIGHT).contains(told);
        possible.then_some(profile)
    }
}
