//! What time explains, learned on the fly.
//!
//! Three profiles: the day in half hours and the week in hours, UTC, and one shorter period, which is searched among those
//! that clocks make (a job every five minutes, every hour): each is tried in turn until one explains the series. A profile
//! is the mean of its bins with a memory of some periods. What it does not explain is looked at like a value: how far
//! from all such rests it is. That counts only while the profile explains three quarters of the squared distance from the
//! level, and once it has seen enough periods.

use super::level::{Level, MAX_VALUE, MAX_WEIGHT, WINSOR};
use super::record::take;
use super::visited::{Axis, Visited};
use super::{Bins, PLACES};
use crate::math::{max, min};

/// Bins of the day, of the week, and of a shorter period.
const HALF_HOURS: usize = 48;
const HOURS: usize = 168;
const PARTS: usize = 60;
/// Seconds of a day and of a week.
const DAY: u32 = 86_400;
const WEEK: u32 = 7 * DAY;
/// Seconds of the shorter periods that are tried; the profile of the day shows longer ones. All divide the week.
const SHORTER: [u32; 8] = [300, 600, 900, 1200, 1800, 3600, 5400, 7200];
/// Rows that a period must have.
const ROWS: f64 = 4.5;
/// Days before the day's profile tells anything; measured, 3 to 6 are alike.
const DAYS: f64 = 4.0;
/// Weeks before the week's does; measured, 2 has more false alarms.
const WEEKS: f64 = 3.0;
/// Periods before a shorter one's does; measured, 6 to 12 are alike.
const TAUGHT: f64 = 8.0;
/// Rows told before a shorter one is kept or given up; measured, 400 to 1,000 are alike, and 100 has more false alarms.
const TRIAL: f32 = 600.0;
/// Periods that a bin remembers, of a day or a week; measured, 8 loses three points of NAB.
const MEMORY: f64 = 4.0;
/// Of a shorter one; measured, 4 to 16 are alike.
const SHORTER_MEMORY: f64 = 8.0;
/// Largest share of the squared distance from the level that may be left; measured, 0.15 to 0.4 are alike.
const LEFT: f64 = 0.25;
/// Rows told before its rests mean anything.
const TOLD: f32 = 100.0;
/// Rests and distances count up to so many scales.
const LIMIT: f64 = 8.0;
/// Once a bin is known, values teach it so many scales at most.
const LESSON: f64 = 6.0;

/// The profiles of one series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Season {
    /// When learning began.
    since_ns: i64,
    day: Profile<HALF_HOURS>,
    week: Profile<HOURS>,
    /// The one of `SHORTER` that is tried or kept, and since when.
    shorter: Profile<PARTS>,
    trial_ns: i64,
    tried: u8,
}

impl Season {
    /// Nothing known yet. The level's step says how fine the profiles can be.
    pub(crate) fn new(now_ns: i64, level: &Level) -> Self {
        Self {
            since_ns: now_ns,
            day: Profile::new(DAY, level),
            week: Profile::new(WEEK, level),
            shorter: Profile::new(SHORTER[0], level),
            trial_ns: now_ns,
            tried: 0,
        }
    }

    /// What the profiles leave unexplained, the rarest of it; `None` where they are of no use. `turn` says that marks may
    /// be moved. Learns.
    pub(crate) fn observe(
        &mut self,
        level: &Level,
        scale: f64,
        time_ns: i64,
        value: f64,
        turn: bool,
    ) -> Option<Unexplained> {
        let since = |begin: i64| time_ns.saturating_sub(begin) as f64 * 1e-9;
        // Into the week, which begins on a Thursday as the epoch did.
        let seconds = time_ns.div_euclid(1_000_000_000).rem_euclid(i64::from(WEEK)) as u32;
        let row = Row { level, scale, value, turn, rate: 1.0 / f64::from(max(level.step, 1e-3)) };
        let age = since(self.since_ns);
        let of_day = self.day.observe(&row, seconds, DAY, MEMORY, age > DAYS * f64::from(DAY));
        let of_week = self.week.observe(&row, seconds, WEEK, MEMORY, age > WEEKS * f64::from(WEEK));
        let period = SHORTER[usize::from(self.tried)];
        let taught = since(self.trial_ns) > TAUGHT * f64::from(period);
        let of_shorter = self.shorter.observe(&row, seconds, period, SHORTER_MEMORY, taught);
        let tried = self.shorter.told >= TRIAL;
        if f64::from(period) * row.rate < ROWS || (tried && !self.shorter.explains()) {
            self.tried = (self.tried + 1) % SHORTER.len() as u8;
            self.trial_ns = time_ns;
            self.shorter = Profile::new(SHORTER[usize::from(self.tried)], level);
        }
        let told = [of_day, of_week, of_shorter.filter(|_| tried)];
        told.into_iter().flatten().reduce(|one, other| if other.rarity > one.rarity { other } else { one })
    }

    /// Appends the fields, little-endian.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let Self { since_ns, day, week, shorter, trial_ns, tried } = self;
        out.extend(since_ns.to_le_bytes());
        day.write(out);
        week.write(out);
        shorter.write(out);
        out.extend(trial_ns.to_le_bytes());
        out.push(*tried);
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(crate) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let since_ns = i64::from_le_bytes(take(bytes)?);
        let (day, week, shorter) = (Profile::read(bytes)?, Profile::read(bytes)?, Profile::read(bytes)?);
        let trial_ns = i64::from_le_bytes(take(bytes)?);
        let [tried] = take(bytes)?;
        (usize::from(tried) < SHORTER.len()).then_some(Self { since_ns, day, week, shorter, trial_ns, tried })
    }
}

/// What a profile leaves of a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unexplained {
    /// The value less what the profile has for this time.
    pub(crate) rest: f64,
    /// How rare that is, as 1/P.
    pub(crate) rarity: f64,
}

/// One observation.
struct Row<'a> {
    level: &'a Level,
    scale: f64,
    value: f64,
    turn: bool,
    /// Rows a second.
    rate: f64,
}

/// A part of a period: the mean of its values, and the rows behind that, up to some periods' worth. Packed, so that both lie
/// in one line of the cache.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, packed(2))]
struct Bin {
    mean: f64,
    rows: u16,
}

/// A period's bins, and what they leave unexplained. What each row needs comes first: the memory of many series is far away.
#[derive(Clone, Debug, PartialEq)]
#[repr(C)]
struct Profile<const N: usize> {
    /// Mean squared distance left by the profile, and that from the level, in scales.
    left: f64,
    from_level: f64,
    /// Mean rest, winsorised: its scale.
    rest: f64,
    axis: Axis,
    /// Rows told. The means forget as the level does.
    told: f32,
    seen: Visited<PLACES>,
    tail: Bins,
    /// Bins in use: no more than a period has rows.
    used: u8,
    bins: [Bin; N],
}

impl<const N: usize> Profile<N> {
    /// Of a period in seconds.
    fn new(period: u32, level: &Level) -> Self {
        let rows = f64::from(period) / f64::from(max(level.step, 1e-3));
        Self { used: (rows + 0.5).clamp(1.0, N as f64) as u8, ..Self::EMPTY }
    }

    const EMPTY: Self = Self {
        left: 0.0,
        from_level: 0.0,
        rest: 0.0,
        axis: Axis::new(),
        told: 0.0,
        seen: Visited::new(),
        tail: Bins::new(),
        used: 1,
        bins: [Bin { mean: 0.0, rows: 0 }; N],
    };

    /// What the profile leaves unexplained, where it is `taught` and of use. Learns.
    fn observe(&mut self, row: &Row<'_>, seconds: u32, period: u32, memory: f64, taught: bool) -> Option<Unexplained> {
        let a_second = f64::from(self.used) / f64::from(period);
        let into = f64::from(seconds % period) * a_second;
        let rows_a_bin = max(row.rate / a_second, 1.0);
        let unexplained = if taught { self.tell(row, into, rows_a_bin) } else { None };
        self.learn(row, min(into as usize, N - 1), rows_a_bin, memory);
        unexplained
    }

    /// Whether it explains enough.
    fn explains(&self) -> bool {
        self.left < LEFT * self.from_level
    }

    /// The value that the profile has for so many bins into the period: between the middles of two, where each has
    /// several rows.
    fn expected(&self, into: f64, rows_a_bin: f64) -> Option<f64> {
        let used = usize::from(self.used);
        let of = |bin: usize| {
            let Bin { mean, rows } = self.bins[bin % used];
            (rows > 0).then_some(mean)
        };
        if rows_a_bin < 2.0 {
            return of(into as usize);
        }
        let shifted = into + used as f64 - 0.5;
        let (first, share) = (shifted as usize, shifted - f64::from(shifted as u32));
        let (first, second) = (of(first)?, of(first + 1)?);
        Some(first + (second - first) * share)
    }

    /// Judges the value by the profile.
    fn tell(&mut self, row: &Row<'_>, into: f64, rows_a_bin: f64) -> Option<Unexplained> {
        let rest = (row.value - self.expected(into, rows_a_bin)?).clamp(-MAX_VALUE, MAX_VALUE);
        let settled = self.told >= 16.0;
        self.told = min(self.told + 1.0, MAX_WEIGHT);
        let gain = 1.0 / f64::from(min(self.told, max(row.level.weight, TOLD)));
        let squared = |distance: f64| {
            let scales = min(distance.abs() / row.scale, LIMIT);
            scales * scales
        };
        self.left += gain * (squared(rest) - self.left);
        self.from_level += gain * (squared(row.value - row.level.center) - self.from_level);
        let most = if settled { WINSOR * self.rest } else { f64::INFINITY };
        self.rest += gain * (min(rest.abs(), most) - self.rest);
        if !settled {
            return None;
        }
        if row.turn {
            self.axis.follow(0.0, max(self.rest, super::LEAST_SCALE * row.scale), [&mut self.seen]);
        }
        if !self.axis.drawn() {
            return None;
        }
        let rarity = self.tail.observe(self.seen.visit(self.axis.place(rest)));
        (self.told >= TOLD && self.explains()).then_some(Unexplained { rest, rarity })
    }

    fn learn(&mut self, row: &Row<'_>, at: usize, rows_a_bin: f64, memory: f64) {
        let Bin { mean, rows } = self.bins[at];
        let lesson = if f64::from(rows) > 1.5 * rows_a_bin { LESSON * row.scale } else { f64::INFINITY };
        let taught = (row.value - mean).clamp(-lesson, lesson);
        let rows = max(min(f64::from(rows) + 1.0, memory * rows_a_bin) as u16, 1);
        self.bins[at] = Bin { mean: mean + taught / f64::from(rows), rows };
    }

    fn write(&self, out: &mut Vec<u8>) {
        let Self { left, from_level, rest, axis, told, seen, tail, used, bins } = self;
        out.extend([left, from_level, rest].map(|value| value.to_le_bytes()).as_flattened());
        axis.write(out);
        out.extend(told.to_le_bytes());
        seen.write(out);
        tail.write(out);
        out.push(*used);
        for &Bin { mean, rows } in bins {
            out.extend(mean.to_le_bytes());
            out.extend(rows.to_le_bytes());
        }
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut profile = Self::EMPTY;
        for mean in [&mut profile.left, &mut profile.from_level, &mut profile.rest] {
            *mean = f64::from_le_bytes(take(bytes)?);
        }
        profile.axis = Axis::read(bytes)?;
        profile.told = f32::from_le_bytes(take(bytes)?);
        profile.seen = Visited::read(bytes)?;
        profile.tail = Bins::read(bytes)?;
        [profile.used] = take(bytes)?;
        for bin in &mut profile.bins {
            *bin = Bin { mean: f64::from_le_bytes(take(bytes)?), rows: u16::from_le_bytes(take(bytes)?) };
        }
        let Self { left, from_level, rest, told, used, bins, .. } = &profile;
        let possible = bins.iter().all(|&Bin { mean, .. }| mean.abs() <= 2.0 * MAX_VALUE)
            && [left, from_level, rest].iter().all(|mean| (0.0..=1e306).contains(*mean))
            && (1..=N).contains(&usize::from(*used))
            && (0.0..=MAX_WEIGHT).contains(told);
        possible.then_some(profile)
    }
}
