//! The daily profile, learned online: mean and spread of each quarter of an hour of working days, and of each hour of
//! weekends. Days are local ([`super::zone`]).

use super::level::MAX_VALUE;
use super::record::take;
use super::tuning::Tuning;
use super::zone::Clock;
use crate::math::{clip_square, max, min};

/// Seconds of a day.
const DAY: i64 = 86_400;
/// Bins of a working day, and of a day of a weekend.
const WORKDAY: usize = 96;
const WEEKEND: usize = 24;
/// Days of weekends before the profile is used for them: fewer than working days, since a week has two.
const MIN_WEEKEND_DAYS: u8 = 2;
/// The largest count of days.
const MAX_DAYS: u8 = 100;
/// For the comparison of profile and level: the largest residual, in scales of the level; the least rows; and the days that
/// are remembered.
const MAX_COMPARED_SCALES: f64 = 32.0;
const MIN_COMPARED_ROWS: f32 = 50.0;
const MAX_COMPARED_DAYS: f32 = 3.0;
/// The largest residual that a known bin learns from, in its own spreads.
const MAX_LEARNED_SPREADS: f64 = 5.0;
/// The largest factor of squared distances in a bin that is quieter than others.
const MAX_QUIET_FACTOR: f64 = 2.0;
/// Largest mean of a bin, in units of `Season::scale`: its square is finite as `f32`.
const MAX_BIN_MEAN: f64 = 1e15;

/// Mean and mean squared residual of a time of day, in units of `Season::scale` from `Season::origin`. The mean square is
/// negative before the first row.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bin {
    mean: f32,
    square: f32,
}

/// The profile of one series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Season {
    /// Level and scale of the series when the season began.
    origin: f64,
    scale: f64,
    /// 1 / `scale`.
    inverse_scale: f64,
    /// Mean squared residuals of the profile and of the level, in the metric's unit, and the rows behind them.
    profile_square: f64,
    level_square: f64,
    compared_rows: f32,
    /// The day, since 1970.
    day: i32,
    /// The bin of the last row, and how many rows in succession had it.
    bin: u16,
    visits: u16,
    /// Days seen before this one: working days, and days of weekends.
    days: [u8; 2],
    /// Bins of working days, then of weekends.
    bins: [Bin; WORKDAY + WEEKEND],
}

/// What is expected of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// The value that is expected.
    pub(super) value: f64,
    /// Mean squared residual.
    pub(super) square: f64,
    /// Factor of the squared distance at this time: the mean square of all times over that of this one.
    pub(super) square_factor: f64,
}

/// The local time of a row: its day since 1970, whether that is one of a weekend, and its bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Time {
    day: i32,
    weekend: bool,
    bin: u16,
}

impl Time {
    /// The local time of nanoseconds since 1970.
    pub(super) fn new(time_ns: i64, clock: &mut Clock) -> Self {
        let seconds = clock.local(time_ns.div_euclid(1_000_000_000));
        let (day, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY) as usize);
        let weekend = is_weekend(day);
        let bin = if weekend { WORKDAY + second * WEEKEND / DAY as usize } else { second * WORKDAY / DAY as usize };
        Self { day: day as i32, weekend, bin: bin as u16 }
    }

    /// The length of its bin in seconds.
    fn bin_seconds(self) -> f32 {
        DAY as f32 / if self.weekend { WEEKEND as f32 } else { WORKDAY as f32 }
    }
}

/// Whether a day since 1970, which began on a Thursday, is a Saturday or Sunday.
fn is_weekend(day: i64) -> bool {
    matches!((day + 4).rem_euclid(7), 0 | 6)
}

/// A value, and what the level knows of its series.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeasonInput {
    pub(super) value: f64,
    /// Its signed distance from the level, and the level's mean square.
    pub(super) level_residual: f64,
    pub(super) square: f64,
    /// The least scale: smaller differences mean nothing.
    pub(super) min_scale: f64,
    /// Typical rows of the series per second.
    pub(super) rate: f32,
    /// Factor of the gain.
    pub(super) gain_factor: f64,
}

impl Season {
    /// Without rows, for a series with this level and scale.
    pub(super) fn new(origin: f64, scale: f64, time: Time) -> Self {
        let unknown = Bin { mean: 0.0, square: -1.0 };
        Self {
            origin,
            scale,
            inverse_scale: 1.0 / scale,
            profile_square: 0.0,
            level_square: 0.0,
            compared_rows: 0.0,
            day: time.day,
            bin: time.bin,
            visits: 0,
            days: [0; 2],
            bins: [unknown; WORKDAY + WEEKEND],
        }
    }

    /// Learns from a row, and returns what was expected of it; `None` while the profile is not known, or not better than the
    /// level.
    pub(super) fn update_expected(&mut self, time: Time, input: &SeasonInput, t: &Tuning) -> Option<Expected> {
        self.advance_day(time);
        let kind = usize::from(time.weekend);
        let known = self.days[kind] >= if time.weekend { min(MIN_WEEKEND_DAYS, t.season_days) } else { t.season_days };
        let bin = self.bins[usize::from(time.bin)];
        if bin.square < 0.0 {
            let mean = ((input.value - self.origin) * self.inverse_scale).clamp(-MAX_BIN_MEAN, MAX_BIN_MEAN) as f32;
            self.bins[usize::from(time.bin)] = Bin { mean, square: 0.0 };
            return None;
        }
        let value = self.origin + f64::from(bin.mean) * self.scale;
        let residual = (input.value - value).clamp(-MAX_VALUE, MAX_VALUE);
        let square = f64::from(bin.square) * self.scale * self.scale;
        let expected = if known { self.expected_if_better(input, residual, value, square, t) } else { None };
        self.update_bin(time, known, input, residual, square, t);
        expected
    }

    /// Counts days and rows of a bin. A day counts when a later one begins. A row of the previous day ends none: it is late,
    /// or the clock was set back around midnight. If times go back farther, days are counted from there.
    fn advance_day(&mut self, time: Time) {
        let ahead = time.day.saturating_sub(self.day);
        if ahead > 0 {
            let kind = usize::from(is_weekend(self.day.into()));
            self.days[kind] = min(self.days[kind] + 1, MAX_DAYS);
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

    /// Compares the residuals of profile and level, and returns what the profile expects if it is better.
    fn expected_if_better(
        &mut self,
        input: &SeasonInput,
        residual: f64,
        value: f64,
        square: f64,
        t: &Tuning,
    ) -> Option<Expected> {
        let gain = input.gain_factor * f64::from(1.0 / (self.compared_rows + 1.0));
        let most = MAX_COMPARED_DAYS * DAY as f32 * input.rate;
        self.compared_rows = min(self.compared_rows + 1.0, max(most, MIN_COMPARED_ROWS));
        let most = MAX_COMPARED_SCALES * MAX_COMPARED_SCALES * input.square;
        let squared = |distance: f64| min(distance * distance, most);
        self.profile_square += gain * (squared(residual) - self.profile_square);
        self.level_square += gain * (squared(input.level_residual) - self.level_square);
        if self.compared_rows < MIN_COMPARED_ROWS
            || self.profile_square >= f64::from(t.season_max_residual) * self.level_square
        {
            return None;
        }
        let min_scale = input.min_scale * input.min_scale;
        let square = max(square + t.season_min_scale * t.season_min_scale * self.profile_square, min_scale);
        Some(Expected {
            value,
            square,
            square_factor: min(max(self.profile_square, min_scale) / square, MAX_QUIET_FACTOR),
        })
    }

    fn update_bin(&mut self, time: Time, known: bool, input: &SeasonInput, residual: f64, square: f64, t: &Tuning) {
        let a_day = max(time.bin_seconds() * input.rate, 1.0);
        let days = f32::from(self.days[usize::from(time.weekend)]);
        let rows = min(days * a_day + f32::from(self.visits), t.season_memory_days * a_day);
        let least = max(
            max(square, t.season_min_scale * t.season_min_scale * self.profile_square),
            input.min_scale * input.min_scale,
        );
        let most = MAX_LEARNED_SPREADS * MAX_LEARNED_SPREADS * least;
        let residual = if known { clip_square(residual, most) } else { residual } * self.inverse_scale;
        let gain = input.gain_factor * f64::from(1.0 / max(rows, 1.0));
        let bin = &mut self.bins[usize::from(time.bin)];
        bin.mean = (f64::from(bin.mean) + gain * residual).clamp(-MAX_BIN_MEAN, MAX_BIN_MEAN) as f32;
        let square = f64::from(bin.square);
        bin.square = min((square + gain * (residual * residual - square)) as f32, (MAX_BIN_MEAN * MAX_BIN_MEAN) as f32);
    }

    /// Appends the fields, little-endian.
    pub(super) fn write_state(&self, out: &mut Vec<u8>) {
        let Self {
            origin,
            scale,
            inverse_scale: _,
            profile_square,
            level_square,
            compared_rows,
            day,
            bin,
            visits,
            days,
            bins,
        } = self;
        out.extend([origin, scale, profile_square, level_square].map(|value| value.to_le_bytes()).as_flattened());
        out.extend(compared_rows.to_le_bytes());
        out.extend(day.to_le_bytes());
        out.extend([bin, visits].map(|count| count.to_le_bytes()).as_flattened());
        out.extend(days);
        for &Bin { mean, square } in bins {
            out.extend([mean, square].map(f32::to_le_bytes).as_flattened());
        }
    }

    /// Reads the fields from the front; `None` where one is impossible.
    pub(super) fn read_state(bytes: &mut &[u8]) -> Option<Self> {
        let [origin, scale, profile_square, level_square] =
            [take(bytes)?, take(bytes)?, take(bytes)?, take(bytes)?].map(f64::from_le_bytes);
        let (compared_rows, day) = (f32::from_le_bytes(take(bytes)?), i32::from_le_bytes(take(bytes)?));
        let [bin, visits] = [take(bytes)?, take(bytes)?].map(u16::from_le_bytes);
        let days = take(bytes)?;
        let mut season = Self {
            profile_square,
            level_square,
            compared_rows,
            bin,
            visits,
            days,
            ..Self::new(origin, scale, Time { day, weekend: false, bin })
        };
        for bin in &mut season.bins {
            let [mean, square] = [take(bytes)?, take(bytes)?].map(f32::from_le_bytes);
            *bin = Bin { mean, square };
        }
        let bins = season.bins.iter();
        let possible = origin.abs() <= MAX_VALUE
            && (0.0..f64::INFINITY).contains(&scale)
            && scale >= f64::MIN_POSITIVE
            && [profile_square, level_square].iter().all(|mean| (0.0..f64::INFINITY).contains(mean))
            && (0.0..f32::INFINITY).contains(&compared_rows)
            && usize::from(bin) < WORKDAY + WEEKEND
            && days.iter().all(|days| *days <= MAX_DAYS)
            && bins.clone().all(|bin| f64::from(bin.mean.abs()) <= MAX_BIN_MEAN)
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

    /// A season after rows at these seconds, in order.
    fn season_after(zone: &Zone, seconds: impl IntoIterator<Item = i64>) -> Season {
        let mut clock = Clock::new(zone.clone());
        let mut times = seconds.into_iter().map(|seconds| Time::new(seconds * 1_000_000_000, &mut clock));
        let mut season = Season::new(0.0, 1.0, times.next().expect("a first row"));
        times.for_each(|time| season.advance_day(time));
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
            let season = season_after(&berlin(), (0..=4 * 24).map(|hour| noon + hour * HOUR));
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
        let season = season_after(&johns, (-600..600).map(|minute| change + minute * 60));
        assert_eq!(season.days, [1, 0], "Tuesday");
    }

    #[test]
    fn late_rows_count_no_day_and_a_clock_set_right_goes_on() {
        let midnight = MONDAY + DAY;
        let late = (0..1000).map(|row| if row % 2 == 0 { midnight + row } else { midnight - row });
        assert_eq!(season_after(&Zone::UTC, [MONDAY].into_iter().chain(late)).days, [1, 0]);
        // One row of the year 2099, then days as before.
        let days = (0..5).map(|day| MONDAY + day * DAY);
        let far = season_after(&Zone::UTC, [MONDAY, MONDAY + 74 * 365 * DAY].into_iter().chain(days));
        assert_eq!(far.days, [5, 0]);
        // Before 1970, where days are negative.
        assert_eq!(season_after(&berlin(), (0..5).map(|day| day * DAY - 70 * DAY)).days.iter().sum::<u8>(), 4);
        assert_eq!(
            season_after(&berlin(), [i64::MIN / 1_000_000_000, i64::MAX / 1_000_000_000]).days.iter().sum::<u8>(),
            1
        );
    }

    #[test]
    fn the_hour_that_comes_twice_is_one_visit() {
        // From 1:50 on, every ten minutes; the clock shows 2:00 to 2:59 twice.
        let season = |rows: i64| season_after(&berlin(), (-7..rows - 7).map(|row| AUTUMN + row * 600));
        assert_eq!((season(13).bin, season(13).visits), ((WORKDAY + 2) as u16, 12));
        assert_eq!((season(14).bin, season(14).visits), ((WORKDAY + 3) as u16, 1));
    }
}
