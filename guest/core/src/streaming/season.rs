//! What the time of day explains, learned on the fly: what is usual in each quarter of an hour of a working day, and in each
//! hour of a weekend, and how widely it spreads.

use super::level::MAX_VALUE;
use super::record::take;
use super::tuning::Tuning;
use crate::math::{max, min};

/// Seconds of a day.
const DAY: i64 = 86_400;
/// Bins of a working day, and of a day of a weekend.
const WORKDAY: usize = 96;
const WEEKEND: usize = 24;
/// Days of a weekend that judge the next one, where a working day needs more: there are two a week.
const WEEKEND_DAYS: u8 = 2;
/// Days that are counted.
const DAYS: u8 = 100;
/// Rests count so many scales of the level at most, where season and level are compared; rows before that means anything;
/// and days that are remembered of it.
const MOST: f64 = 32.0;
const COMPARED: f32 = 50.0;
const COMPARED_DAYS: f32 = 3.0;
/// A bin that is known is taught so many of its own spreads at most.
const LESSON: f64 = 5.0;
/// Least spread of a bin over the usual one: what is quieter than usual is not held to that.
const QUIETEST: f64 = 0.7;
/// Largest mean of a bin, in units: an `f32` keeps seven digits of it, and its square is finite.
const FARTHEST: f64 = 1e15;

/// What a time of day usually has, in units from the origin. The mean square is negative before the first row.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bin {
    mean: f32,
    square: f32,
}

/// The profile of one series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Season {
    /// Where the series was, and how widely it spread, when the season began.
    origin: f64,
    unit: f64,
    /// Mean squared distance from the profile and from the level, in the metric's unit, and the rows behind them.
    left: f64,
    from_level: f64,
    compared: f32,
    /// The day of the last row, since 1970.
    day: i32,
    /// The bin of the last row, and rows in a row there.
    bin: u16,
    visits: u16,
    /// Days seen before this one: working days, and days of weekends.
    days: [u8; 2],
    /// Working days first.
    bins: [Bin; WORKDAY + WEEKEND],
}

/// What the season has for a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usual {
    /// The value that is expected.
    pub(super) value: f64,
    /// Its usual spread, root mean square.
    pub(super) scale: f64,
    /// That spread over the usual one of all times.
    pub(super) ratio: f64,
}

/// The time of a row: its day since 1970, whether that is one of a weekend, and its bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Time {
    day: i32,
    weekend: bool,
    bin: u16,
}

impl Time {
    /// Of nanoseconds since 1970.
    pub(super) fn new(time_ns: i64) -> Self {
        let seconds = time_ns.div_euclid(1_000_000_000);
        let (day, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY) as usize);
        let weekend = is_weekend(day);
        let bin = if weekend { WORKDAY + second * WEEKEND / DAY as usize } else { second * WORKDAY / DAY as usize };
        Self { day: day as i32, weekend, bin: bin as u16 }
    }

    /// Seconds that its bin lasts.
    fn bin_seconds(self) -> f32 {
        DAY as f32 / if self.weekend { WEEKEND as f32 } else { WORKDAY as f32 }
    }
}

/// Whether a day since 1970, which began on a Thursday, is a Saturday or Sunday.
fn is_weekend(day: i64) -> bool {
    matches!((day + 4).rem_euclid(7), 0 | 6)
}

/// A value, and what is known of its series without the season.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) value: f64,
    /// Its distance from the level, and the level's scale.
    pub(super) off_level: f64,
    pub(super) scale: f64,
    /// Below what differences mean nothing.
    pub(super) floor: f64,
    /// Typical step of the series, in seconds.
    pub(super) step: f32,
    /// Share of what is learned.
    pub(super) share: f64,
}

impl Season {
    /// Nothing known yet.
    pub(super) fn new(origin: f64, unit: f64, time: Time) -> Self {
        let unknown = Bin { mean: 0.0, square: -1.0 };
        Self {
            origin,
            unit,
            left: 0.0,
            from_level: 0.0,
            compared: 0.0,
            day: time.day,
            bin: time.bin,
            visits: 0,
            days: [0; 2],
            bins: [unknown; WORKDAY + WEEKEND],
        }
    }

    /// What is usual at this time; `None` while that is not known, or no better than the level. Learns.
    pub(super) fn observe(&mut self, time: Time, seen: &Seen, t: &Tuning) -> Option<Usual> {
        self.turn(time);
        let kind = usize::from(time.weekend);
        let known = self.days[kind] >= if time.weekend { min(WEEKEND_DAYS, t.season_days) } else { t.season_days };
        let bin = self.bins[usize::from(time.bin)];
        if bin.square < 0.0 {
            let mean = ((seen.value - self.origin) / self.unit).clamp(-FARTHEST, FARTHEST) as f32;
            self.bins[usize::from(time.bin)] = Bin { mean, square: 0.0 };
            return None;
        }
        let value = self.origin + f64::from(bin.mean) * self.unit;
        let rest = (seen.value - value).clamp(-MAX_VALUE, MAX_VALUE);
        let square = f64::from(bin.square) * self.unit * self.unit;
        let usual = if known { self.judge(seen, rest, value, square, t) } else { None };
        self.learn(time, known, seen, rest, square, t);
        usual
    }

    /// Takes note of where in the day a row is.
    fn turn(&mut self, time: Time) {
        if time.day != self.day {
            let kind = usize::from(is_weekend(self.day.into()));
            self.days[kind] = min(self.days[kind] + 1, DAYS);
            self.day = time.day;
            self.visits = 0;
        }
        if time.bin != self.bin {
            self.bin = time.bin;
            self.visits = 0;
        }
        self.visits = self.visits.saturating_add(1);
    }

    /// Compares profile and level, and gives what the profile has where it is better.
    fn judge(&mut self, seen: &Seen, rest: f64, value: f64, square: f64, t: &Tuning) -> Option<Usual> {
        let gain = seen.share / f64::from(self.compared + 1.0);
        let most = COMPARED_DAYS * DAY as f32 / max(seen.step, 1e-3);
        self.compared = min(self.compared + 1.0, max(most, COMPARED));
        let most = MOST * MOST * seen.scale * seen.scale;
        let squared = |distance: f64| min(distance * distance, most);
        self.left += gain * (squared(rest) - self.left);
        self.from_level += gain * (squared(seen.off_level) - self.from_level);
        if self.compared < COMPARED || self.left >= f64::from(t.season_left) * self.from_level {
            return None;
        }
        let floor = seen.floor * seen.floor;
        let scale = max(square + t.season_floor * t.season_floor * self.left, floor);
        let ratio = max((scale / max(self.left, floor)).sqrt(), QUIETEST);
        Some(Usual { value, scale: scale.sqrt(), ratio })
    }

    fn learn(&mut self, time: Time, known: bool, seen: &Seen, rest: f64, square: f64, t: &Tuning) {
        let a_day = max(time.bin_seconds() / max(seen.step, 1e-3), 1.0);
        let days = f32::from(self.days[usize::from(time.weekend)]);
        let rows = min(days * a_day + f32::from(self.visits), t.season_memory * a_day);
        let least = max(max(square, t.season_floor * t.season_floor * self.left), seen.floor * seen.floor);
        let most = LESSON * LESSON * least;
        let rest = if known && rest * rest > most { most.sqrt().copysign(rest) } else { rest } / self.unit;
        let gain = seen.share / f64::from(max(rows, 1.0));
        let bin = &mut self.bins[usize::from(time.bin)];
        bin.mean = (f64::from(bin.mean) + gain * rest).clamp(-FARTHEST, FARTHEST) as f32;
        let square = f64::from(bin.square);
        bin.square = min((square + gain * (rest * rest - square)) as f32, (FARTHEST * FARTHEST) as f32);
    }

    /// Appends the fields, little-endian.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { origin, unit, left, from_level, compared, day, bin, visits, days, bins } = self;
        out.extend([origin, unit, left, from_level].map(|value| value.to_le_bytes()).as_flattened());
        out.extend(compared.to_le_bytes());
        out.extend(day.to_le_bytes());
        out.extend([bin, visits].map(|count| count.to_le_bytes()).as_flattened());
        out.extend(days);
        for &Bin { mean, square } in bins {
            out.extend([mean, square].map(f32::to_le_bytes).as_flattened());
        }
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let [origin, unit, left, from_level] =
            [take(bytes)?, take(bytes)?, take(bytes)?, take(bytes)?].map(f64::from_le_bytes);
        let (compared, day) = (f32::from_le_bytes(take(bytes)?), i32::from_le_bytes(take(bytes)?));
        let [bin, visits] = [take(bytes)?, take(bytes)?].map(u16::from_le_bytes);
        let days = take(bytes)?;
        let mut season = Self {
            left,
            from_level,
            compared,
            bin,
            visits,
            days,
            ..Self::new(origin, unit, Time { day, weekend: false, bin })
        };
        for bin in &mut season.bins {
            let [mean, square] = [take(bytes)?, take(bytes)?].map(f32::from_le_bytes);
            *bin = Bin { mean, square };
        }
        let bins = season.bins.iter();
        let possible = origin.abs() <= MAX_VALUE
            && (0.0..f64::INFINITY).contains(&unit)
            && unit > 0.0
            && [left, from_level].iter().all(|mean| (0.0..f64::INFINITY).contains(mean))
            && (0.0..f32::INFINITY).contains(&compared)
            && usize::from(bin) < WORKDAY + WEEKEND
            && days.iter().all(|days| *days <= DAYS)
            && bins.clone().all(|bin| f64::from(bin.mean.abs()) <= FARTHEST)
            && bins.clone().all(|bin| (-1.0..f32::INFINITY).contains(&bin.square));
        possible.then_some(season)
    }
}
