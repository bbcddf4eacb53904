//! What the time of day explains, learned on the fly: what is usual in each quarter of an hour of a working day, and in each
//! hour of a weekend, and how widely it spreads. Days are local ([`super::zone`]).

use super::level::MAX_VALUE;
use super::record::take;
use super::tuning::Tuning;
use super::zone::Clock;
use crate::math::{max, min, pulled_in};

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
/// What the square of a distance counts at most in a bin that is quieter than usual.
const QUIETEST: f64 = 2.0;
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
    /// Units in one of the metric's.
    units: f64,
    /// Mean squared distance from the profile and from the level, in the metric's unit, and the rows behind them.
    left: f64,
    from_level: f64,
    compared: f32,
    /// The day, since 1970.
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
    /// Its usual spread, mean square.
    pub(super) square: f64,
    /// What is usual at all times over that, mean square: what the square of a distance counts at this time.
    pub(super) counts: f64,
}

/// The local time of a row: its day since 1970, whether that is one of a weekend, and its bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Time {
    day: i32,
    weekend: bool,
    bin: u16,
}

impl Time {
    /// Of nanoseconds since 1970, as this clock has them.
    pub(super) fn new(time_ns: i64, clock: &mut Clock) -> Self {
        let seconds = clock.local(time_ns.div_euclid(1_000_000_000));
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
    /// Its distance from the level, and the level's mean square.
    pub(super) off_level: f64,
    pub(super) square: f64,
    /// Below what differences mean nothing.
    pub(super) floor: f64,
    /// Typical rows of the series in a second.
    pub(super) rate: f32,
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
            units: 1.0 / unit,
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
            let mean = ((seen.value - self.origin) * self.units).clamp(-FARTHEST, FARTHEST) as f32;
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

    /// Takes note of where in the day a row is. A day counts when a later one begins. A row of the day before ends none:
    /// it is late, or the clock was put back around midnight. Where times go back farther, days are counted from there.
    fn turn(&mut self, time: Time) {
        let ahead = time.day.saturating_sub(self.day);
        if ahead > 0 {
            let kind = usize::from(is_weekend(self.day.into()));
            self.days[kind] = min(self.days[kind] + 1, DAYS);
        }
        if !(-1..=0).contains(&ahead) {
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
        let gain = seen.share * f64::from(1.0 / (self.compared + 1.0));
        let most = COMPARED_DAYS * DAY as f32 * seen.rate;
        self.compared = min(self.compared + 1.0, max(most, COMPARED));
        let most = MOST * MOST * seen.square;
        let squared = |distance: f64| min(distance * distance, most);
        self.left += gain * (squared(rest) - self.left);
        self.from_level += gain * (squared(seen.off_level) - self.from_level);
        if self.compared < COMPARED || self.left >= f64::from(t.season_left) * self.from_level {
            return None;
        }
        let floor = seen.floor * seen.floor;
        let square = max(square + t.season_floor * t.season_floor * self.left, floor);
        Some(Usual { value, square, counts: min(max(self.left, floor) / square, QUIETEST) })
    }

    fn learn(&mut self, time: Time, known: bool, seen: &Seen, rest: f64, square: f64, t: &Tuning) {
        let a_day = max(time.bin_seconds() * seen.rate, 1.0);
        let days = f32::from(self.days[usize::from(time.weekend)]);
        let rows = min(days * a_day + f32::from(self.visits), t.season_memory * a_day);
        let least = max(max(square, t.season_floor * t.season_floor * self.left), seen.floor * seen.floor);
        let most = LESSON * LESSON * least;
        let rest = if known { pulled_in(rest, most) } else { rest } * self.units;
        let gain = seen.share * f64::from(1.0 / max(rows, 1.0));
        let bin = &mut self.bins[usize::from(time.bin)];
        bin.mean = (f64::from(bin.mean) + gain * rest).clamp(-FARTHEST, FARTHEST) as f32;
        let square = f64::from(bin.square);
        bin.square = min((square + gain * (rest * rest - square)) as f32, (FARTHEST * FARTHEST) as f32);
    }

    /// Appends the fields, little-endian.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { origin, unit, units: _, left, from_level, compared, day, bin, visits, days, bins } = self;
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
            && unit >= f64::MIN_POSITIVE
            && [left, from_level].iter().all(|mean| (0.0..f64::INFINITY).contains(mean))
            && (0.0..f32::INFINITY).contains(&compared)
            && usize::from(bin) < WORKDAY + WEEKEND
            && days.iter().all(|days| *days <= DAYS)
            && bins.clone().all(|bin| f64::from(bin.mean.abs()) <= FARTHEST)
            && bins.clone().all(|bin| (-1.0..f32::INFINITY).contains(&bin.square));
        possible.then_some(season)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Zone;
    use super::super::zone::tests::{AUTUMN, SPRING, berlin};
    use super::*;

    const HOUR: i64 = 3600;
    /// 0:00 UTC on Monday, 5 January 2026.
    const MONDAY: i64 = 1_767_571_200;

    fn zone(offsets: &[(i64, i64)]) -> Zone {
        Zone::new("Some/Where", offsets.to_vec()).unwrap()
    }

    /// The time of day in a zone at these seconds: its bin, counted from the first of its kind of day, and that kind.
    fn bin(zone: &Zone, seconds: i64) -> (usize, bool) {
        let Time { bin, weekend, .. } = Time::new(seconds * 1_000_000_000, &mut Clock::new(zone.clone()));
        (usize::from(bin) - if weekend { WORKDAY } else { 0 }, weekend)
    }

    /// What a season has seen after rows at these seconds, in order.
    fn turned(zone: &Zone, seconds: impl IntoIterator<Item = i64>) -> Season {
        let mut clock = Clock::new(zone.clone());
        let mut times = seconds.into_iter().map(|seconds| Time::new(seconds * 1_000_000_000, &mut clock));
        let mut season = Season::new(0.0, 1.0, times.next().expect("a first row"));
        times.for_each(|time| season.turn(time));
        season
    }

    #[test]
    fn quarters_of_an_hour_are_local() {
        let noon = MONDAY + 12 * HOUR;
        assert_eq!(bin(&Zone::UTC, noon), (48, false));
        assert_eq!(bin(&berlin(), noon), (52, false));
        assert_eq!(bin(&zone(&[(0, 19_800)]), noon), (48 + 22, false), "5:30 ahead, as Asia/Kolkata");
        assert_eq!(bin(&zone(&[(0, 20_700)]), noon), (48 + 23, false), "5:45 ahead, as Asia/Kathmandu");
        assert_eq!(bin(&zone(&[(0, -12_600)]), noon), (48 - 14, false), "3:30 behind, as America/St_Johns");
        assert_eq!(bin(&zone(&[(0, 19_800)]), -1), (21, false), "before 1970 too: 5:29:59 on a Thursday");
    }

    #[test]
    fn weekends_begin_and_end_at_local_midnight() {
        let saturday = MONDAY + 5 * DAY;
        for (zone, ahead) in
            [(Zone::UTC, 0), (berlin(), 3600), (zone(&[(0, 19_800)]), 19_800), (zone(&[(0, -36_000)]), -36_000)]
        {
            let (begins, ends) = (saturday - ahead, saturday + 2 * DAY - ahead);
            assert_eq!(bin(&zone, begins - 1), (95, false), "{ahead}");
            assert_eq!(bin(&zone, begins), (0, true), "{ahead}");
            assert_eq!(bin(&zone, ends - 1), (23, true), "{ahead}");
            assert_eq!(bin(&zone, ends), (0, false), "{ahead}");
        }
    }

    #[test]
    fn local_noon_stays_noon_when_summer_time_begins_and_ends() {
        // Mondays before and after.
        for (change, utc_before, utc_after) in [(SPRING, 11, 10), (AUTUMN, 10, 11)] {
            let midnight = change.div_euclid(DAY) * DAY; // UTC, of the Sunday
            assert_eq!(bin(&berlin(), midnight - 6 * DAY + utc_before * HOUR), (48, false));
            assert_eq!(bin(&berlin(), midnight + DAY + utc_after * HOUR), (48, false));
        }
        // Sydney's summer ends while Berlin's begins: 5 April 2026, 16:00 UTC on the day before.
        let sydney = zone(&[(0, 11 * HOUR), (1_775_318_400, 10 * HOUR)]);
        let noon = MONDAY + 12 * HOUR;
        assert_eq!(bin(&sydney, noon - 11 * HOUR), (48, false));
        assert_eq!(bin(&sydney, noon - 10 * HOUR + 182 * DAY), (48, false));
    }

    #[test]
    fn an_hour_is_missing_in_spring_and_comes_twice_in_autumn() {
        let hours = |from: i64| (0..4).map(move |hour| bin(&berlin(), from + hour * HOUR).0).collect::<Vec<_>>();
        assert_eq!(hours(SPRING - 2 * HOUR), [0, 1, 3, 4]);
        assert_eq!(hours(AUTUMN - 2 * HOUR), [1, 2, 2, 3]);
    }

    #[test]
    fn a_day_counts_once_however_many_hours_it_has() {
        for change in [SPRING, AUTUMN] {
            // From noon on Friday before to noon on Tuesday after.
            let noon = change.div_euclid(DAY) * DAY - 2 * DAY + 12 * HOUR;
            let season = turned(&berlin(), (0..=4 * 24).map(|hour| noon + hour * HOUR));
            assert_eq!(season.days, [2, 2], "Friday and Monday, Saturday and Sunday");
        }
    }

    #[test]
    fn a_day_counts_once_where_midnight_comes_twice() {
        // St. John's put its clocks back from 0:01 to 23:01 until 2011: here on the night to a Wednesday.
        let change = MONDAY + 2 * DAY + 150 * 60 + 60;
        let johns = zone(&[(0, -9000), (change, -12_600)]);
        assert_eq!(bin(&johns, change - 1), (0, false));
        assert_eq!(bin(&johns, change), (92, false));
        let season = turned(&johns, (-600..600).map(|minute| change + minute * 60));
        assert_eq!(season.days, [1, 0], "Tuesday");
    }

    #[test]
    fn late_rows_count_no_day_and_a_clock_set_right_goes_on() {
        let midnight = MONDAY + DAY;
        let late = (0..1000).map(|row| if row % 2 == 0 { midnight + row } else { midnight - row });
        assert_eq!(turned(&Zone::UTC, [MONDAY].into_iter().chain(late)).days, [1, 0]);
        // One row of the year 2099, then days as before.
        let days = (0..5).map(|day| MONDAY + day * DAY);
        let far = turned(&Zone::UTC, [MONDAY, MONDAY + 74 * 365 * DAY].into_iter().chain(days));
        assert_eq!(far.days, [5, 0]);
        // Before 1970, where days are negative.
        assert_eq!(turned(&berlin(), (0..5).map(|day| day * DAY - 70 * DAY)).days.iter().sum::<u8>(), 4);
        assert_eq!(turned(&berlin(), [i64::MIN / 1_000_000_000, i64::MAX / 1_000_000_000]).days.iter().sum::<u8>(), 1);
    }

    #[test]
    fn the_hour_that_comes_twice_is_one_visit() {
        // From 1:50 on, every ten minutes; the clock shows 2:00 to 2:59 twice.
        let season = |rows: i64| turned(&berlin(), (-7..rows - 7).map(|row| AUTUMN + row * 600));
        assert_eq!((season(13).bin, season(13).visits), ((WORKDAY + 2) as u16, 12));
        assert_eq!((season(14).bin, season(14).visits), ((WORKDAY + 3) as u16, 1));
    }
}
