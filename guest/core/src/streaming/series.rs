//! One series of the streaming detector: how unusual a value is, as one score.
//!
//! A value is compared with what is expected of it, by the time of day where that explains the series ([`super::season`]),
//! else by its level ([`super::level`]). Five looks at the rest, each with how rare it is in the series' own history
//! ([`super::tail`]): its mean over 4 and 32 rows ([`super::means`]), its distance from a quick mean
//! ([`super::signal`]), how far the value lies beyond all that the series ever had ([`super::range`]), and for how long it
//! has been the very same ([`super::stuck`]).
//!
//! The rarest look decides ([`super::judge`]). It is an onset where it exceeds what was reported before; from there on an
//! incident goes on until the values have returned.

use super::Parameters;
use super::band::Limits;
use super::counter::{Counter, Reading};
use super::counts::EVENT;
use super::judge::{Bar, Judge, Known};
use super::level::{Decay, Level, MAX_VALUE};
use super::looks::{JUMP, LOOKS, Looks, MEANS, NOVEL, STUCK};
use super::lore::Loan;
use super::means::Means;
use super::range::Range;
use super::record::take;
use super::season::{Season, Seen, Time, Usual};
use super::siblings::Kinship;
use super::signal::{Row, Signal};
use super::stuck::Runs;
use super::tail::{Hold, Tail};
use super::tuning::Tuning;
use super::zone::Clock;
use crate::math::{max, min};
use qualm_contract::{Band, Reason};

/// Rows that a scale remembers.
const SCALE_ROWS: f64 = 5000.0;
/// Rows that tails count before all counts are halved. The clock of 16 bits does not lap them.
const MOST_ROWS: f32 = 40_000.0;
/// What single precision holds of an offset, which is some scales of the level at most.
const LARGEST_OFFSET: f64 = f32::MAX as f64;
/// Least typical step, in seconds.
const LEAST_STEP: f32 = 1e-3;
/// While an incident goes on what it has teaches a quarter.
const LEARNING: f64 = 0.25;

/// What the detector thinks of one observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict {
    /// 0 is ordinary, 1 the threshold, above 1 an anomaly; NaN = not scored.
    pub(super) score: f64,
    /// Signed distance from what was expected, in the metric's own unit, of a counter per second; NaN where not scored.
    pub(super) deviation: f64,
    /// Why, while an incident goes on.
    pub(super) reason: Reason,
    /// Where asked for, what would have been ordinary.
    pub(super) band: Band,
}

impl Verdict {
    const NONE: Self = Self { score: f64::NAN, deviation: f64::NAN, reason: Reason::None, band: Band::UNKNOWN };
}

/// What all series share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) tuning: Tuning,
    pub(super) decay: Decay,
    /// Seasons that may still be learned.
    pub(super) seasons: usize,
    bar: Bar,
    /// How what tails hold decays, by look.
    holds: [Hold; LOOKS],
    /// Gains of the means.
    gains: [f32; MEANS],
    /// Local time, and the time of the last row: rows of a batch often share it.
    clock: Clock,
    time: (i64, Time),
}

impl Shared {
    pub(super) fn new(p: &Parameters, tuning: Tuning, seasons: usize) -> Self {
        let [short, long] = tuning.means.map(|rows| Hold::new(max(tuning.hold, 2.0 * rows)));
        let hold = Hold::new(tuning.hold);
        let mut clock = Clock::new(p.zone.clone());
        let time = (0, Time::new(0, &mut clock));
        Self {
            tuning,
            decay: Decay::default(),
            seasons,
            bar: Bar::new(p, &tuning),
            holds: [short, long, hold, hold, hold],
            gains: tuning.means.map(|rows| 1.0 / rows),
            clock,
            time,
        }
    }

    fn time(&mut self, time_ns: i64) -> Time {
        if self.time.0 != time_ns {
            self.time = (time_ns, Time::new(time_ns, &mut self.clock));
        }
        self.time.1
    }
}

/// The state of one series: what each row needs comes first, the tails that few rows ask come last.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    /// When the last value came, whichever way the clock went.
    time_ns: i64,
    counter: Counter,
    level: Level,
    season: Option<Box<Season>>,
    /// The last value, or rate.
    last: f64,
    /// Quick mean of the rest, in the metric's unit, and what the season then had above the level.
    quick: f64,
    offset: f32,
    /// Rows that the tails count, and all since scales mean anything, wrapping.
    rows: f32,
    clock: u16,
    judge: Judge,
    runs: Runs,
    range: Range,
    jump: Signal,
    means: Means,
}

impl Series {
    /// A series of which nothing is known.
    pub(super) const fn new() -> Self {
        Self {
            time_ns: 0,
            counter: Counter::new(),
            level: Level::new(),
            season: None,
            last: 0.0,
            quick: 0.0,
            offset: 0.0,
            rows: 0.0,
            clock: 0,
            judge: Judge::new(),
            runs: Runs::new(),
            range: Range::of(0.0),
            jump: Signal::new(),
            means: Means::new(),
        }
    }

    /// Whether it had a value that says something.
    pub(super) fn has_past(&self) -> bool {
        !self.counter.is_new()
    }

    /// Whether it learns a season.
    pub(super) fn has_season(&self) -> bool {
        self.season.is_some()
    }

    /// Scores a value and then learns from it. Times are in nanoseconds and may stand still or go backwards. The band is
    /// worked out where it is `banded`. One that has siblings learns from them, and teaches them.
    pub(super) fn observe(
        &mut self,
        p: &Parameters,
        shared: &mut Shared,
        mut kinship: Option<Kinship<'_>>,
        time_ns: i64,
        value: f64,
        banded: bool,
    ) -> Verdict {
        if !value.is_finite() {
            return Verdict::NONE;
        }
        let value = value.clamp(-MAX_VALUE, MAX_VALUE);
        let seconds = time_ns.saturating_sub(self.time_ns) as f64 * 1e-9;
        self.time_ns = time_ns;
        let reading = match &mut kinship {
            None => self.counter.read(seconds, value),
            Some(kinship) => kinship.read(&mut self.counter, seconds, value),
        };
        let value = match reading {
            Reading::Level => value,
            Reading::Rate(rate) => min(rate, MAX_VALUE), // in a nanosecond a large rise is infinitely fast
            Reading::Nothing => return Verdict::NONE,
            Reading::Other => {
                shared.seasons += usize::from(self.has_season());
                *self = Self { time_ns, counter: self.counter, ..Self::new() };
                return Verdict::NONE;
            }
        };
        self.level.advance(seconds, p.half_life, p.min_samples, &mut shared.decay);
        if self.level.weight == 0.0 {
            (self.last, self.range, self.level.center) = (value, Range::of(value), value);
        }
        let loan = kinship.as_ref().and_then(|kinship| kinship.loan(&shared.tuning));
        let lent = loan.map_or(0.0, |loan| loan.rows);
        let scored = self.level.is_warm(p.min_samples, lent);
        let taught = kinship.as_ref().filter(|kinship| kinship.teaches(&shared.tuning)).map(|_| self.counts());
        let settled = self.level.settled();
        self.level.resolve((value - self.last).abs());
        let floor = self.level.floor(shared.tuning.resolution);
        let square = self.level.square(floor);
        let off_level = value - self.level.center;
        let learning = if self.judge.is_new() { LEARNING } else { 1.0 };
        let time = shared.time(time_ns);
        if settled && self.season.is_none() && shared.seasons > 0 && begins(time_ns, value, self.last) {
            shared.seasons -= 1;
            self.season = Some(Box::new(Season::new(self.level.center, square.sqrt(), time)));
        }
        let rate = 1.0 / max(self.level.step, LEAST_STEP);
        let seen = Seen { value, off_level, square, floor, rate, share: learning };
        let usual = self.season.as_mut().and_then(|season| season.observe(time, &seen, &shared.tuning));
        let usual = usual.unwrap_or(Usual { value: self.level.center, square, counts: 1.0 });
        let rest = value - usual.value;
        self.follow(rest - off_level);
        let band = if banded && scored { self.band(shared, loan, &usual, square, floor) } else { Band::UNKNOWN };
        let gain = self.level.gain();
        let looks = self.look(shared, loan, &seen, &usual, gain, settled);
        self.last = value;
        self.level.learn(off_level, square, learning * gain);
        let score = scored.then(|| self.judge.judge(&shared.bar, &shared.tuning, self.known(lent), &looks));
        if score.is_some_and(|score| score > 1.0) {
            self.report(shared, lent);
        }
        if let Some(kinship) = kinship {
            self.grow(p, &shared.tuning, kinship, taught.as_ref().filter(|_| settled));
        }
        let Some(score) = score else { return Verdict::NONE };
        let reason = self.reason(matches!(reading, Reading::Rate(_)));
        Verdict { score, deviation: rest, reason, band }
    }

    /// What moves its bar, after so many rows that siblings lend.
    fn known(&self, lent: f32) -> Known {
        Known { rows: self.rows + lent, step: self.level.step }
    }

    /// The rows that events are counted among, with those that siblings lend. Events are remembered for longer than rows: what
    /// was seen once counts against the next for long, while the rows that it was rare among are those that the level
    /// remembers, or a few thousand where it remembers fewer.
    fn counted(&self, lent: f32, t: &Tuning) -> f64 {
        f64::from(max(self.level.weight, min(self.rows, t.least_rows)) + lent)
    }

    /// Why the incident that goes on was reported.
    fn reason(&self, rate: bool) -> Reason {
        match self.judge.cause() {
            None => Reason::None,
            Some(_) if rate => Reason::Rate,
            Some(JUMP) => Reason::OutsideBand,
            Some(NOVEL) => Reason::Novel,
            Some(STUCK) => Reason::Stuck,
            Some(_) => Reason::LevelShift,
        }
    }

    /// What would be ordinary for the next value: what neither jumps so far nor is so new that it is reported. While an
    /// incident goes on, what it jumps from is not ordinary: then what, if it stayed, would not move the shortest mean so far.
    #[inline(never)]
    fn band(&self, shared: &Shared, loan: Option<Loan<'_>>, usual: &Usual, square: f64, floor: f64) -> Band {
        let (t, center, lent) = (&shared.tuning, self.level.center, loan.map_or(0.0, |loan| loan.rows));
        let rows = self.counted(lent, t);
        let needed = self.judge.needed(&shared.bar, t, self.known(lent));
        let limits = if self.judge.cause().is_some() {
            self.means.limits(needed, rows, loan, t).scaled(usual.square.sqrt()).around(usual.value)
        } else {
            let jump = self.jump.limits(JUMP, needed, floor, rows, loan, t).scaled(1.0 / usual.counts.sqrt());
            let new = self.range.limits(needed, (center, square.sqrt()), self.rows + lent, loan, t);
            jump.around(usual.value + self.quick).narrowed(new.around(center))
        };
        let Limits { below, above } = limits;
        let lower = if self.range.is_positive() { max(below, 0.0) } else { below };
        Band { expected: usual.value, lower: min(lower, usual.value), upper: max(above, usual.value) }
    }

    /// Keeps the quick mean where it is on the metric's axis when what is expected changes from the level to the season's
    /// or back.
    fn follow(&mut self, offset: f64) {
        let before = f64::from(self.offset);
        if (offset == 0.0) != (before == 0.0) {
            self.quick += offset - before;
        }
        self.offset = offset.clamp(-LARGEST_OFFSET, LARGEST_OFFSET) as f32;
    }

    /// Looks at a value from all sides, and learns from it.
    fn look(
        &mut self,
        shared: &Shared,
        loan: Option<Loan<'_>>,
        seen: &Seen,
        usual: &Usual,
        gain: f64,
        settled: bool,
    ) -> Looks {
        let t = &shared.tuning;
        let &Seen { value, square, floor, .. } = seen;
        let rest = value - usual.value;
        if settled {
            self.count_row(&shared.holds);
        }
        let lent = loan.map_or(0.0, |loan| loan.rows);
        let ongoing = self.judge.cause().is_some();
        let row = Row {
            tuning: t,
            gain: max(gain, 1.0 / SCALE_ROWS),
            limit: t.scale_limit * t.scale_limit,
            settled,
            holds: &shared.holds,
            clock: self.clock,
            rows: self.counted(lent, t),
            counting: if ongoing { self.counts_reported(lent, t) } else { EVENT },
            loan,
        };
        let mut looks = Looks::default();
        let limited = min((rest * rest / usual.square) as f32, t.rest_limit * t.rest_limit).sqrt();
        let limited = if rest < 0.0 { -limited } else { limited };
        self.means.observe(&row, limited, shared.gains.map(|least| max(least, gain as f32)), &mut looks);
        let jump = rest - self.quick;
        let limited = if settled { self.jump.limit(jump, t.jump_limit, floor) } else { jump };
        self.quick += max(t.quick, gain) * limited;
        self.jump.observe(&row, JUMP, jump * jump * usual.counts, jump < 0.0, floor, &mut looks);
        self.range.observe(&row, value, self.level.center, square, self.rows + lent, &mut looks);
        if value.to_bits() == self.last.to_bits() {
            self.runs.repeat(&row, value, self.rows + lent, ongoing, &mut looks);
        } else {
            self.runs.end(&row, self.last);
        }
        looks
    }

    /// Counts a row of the tails, and halves all counts where they are many.
    fn count_row(&mut self, holds: &[Hold; LOOKS]) {
        self.rows += 1.0;
        self.clock = self.clock.wrapping_add(1);
        if self.rows >= MOST_ROWS {
            self.rows *= 0.5;
            let clock = self.clock;
            self.tails(|look, tail| tail.halve(clock, holds[look]));
            self.runs.halve();
        }
    }

    /// The clusters at hand are part of what is reported.
    fn report(&mut self, shared: &Shared, lent: f32) {
        let (clock, counting) = (self.clock, self.counts_reported(lent, &shared.tuning));
        self.tails(|look, tail| tail.report(clock, shared.holds[look], counting));
    }

    /// Does something to each tail, given its look.
    fn tails(&mut self, mut f: impl FnMut(usize, &mut Tail)) {
        for (look, sides) in self.means.sides().iter_mut().chain([self.jump.sides()]).enumerate() {
            sides.tails().into_iter().for_each(|tail| f(look, tail));
        }
        f(NOVEL, self.range.tail());
    }

    /// What an event counts that was reported, after so many rows that siblings lend. A series of which little is known has more
    /// that is not yet seen than incidents.
    fn counts_reported(&self, lent: f32, t: &Tuning) -> u8 {
        min(EVENT, 1 + (EVENT >> min(((self.rows + lent) / t.young) as u32, 7)))
    }

    /// Appends the state, little-endian.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { time_ns, counter, level, season, last, quick, offset, rows, clock, judge, runs, range, jump, means } =
            self;
        out.extend(time_ns.to_le_bytes());
        counter.write(out);
        level.write(out);
        out.extend([last, quick].map(|value| value.to_le_bytes()).as_flattened());
        out.extend([offset, rows].map(|value| value.to_le_bytes()).as_flattened());
        out.extend(clock.to_le_bytes());
        judge.write(out);
        runs.write(out);
        range.write(out);
        jump.write(out);
        means.write(out);
        out.push(u8::from(season.is_some()));
        if let Some(season) = season {
            season.write(out);
        }
    }

    /// Takes back off the front what `write` wrote; `None` where a value is impossible.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let time_ns = i64::from_le_bytes(take(bytes)?);
        let (counter, level) = (Counter::read_back(bytes)?, Level::read(bytes)?);
        let [last, quick] = [take(bytes)?, take(bytes)?].map(f64::from_le_bytes);
        let [offset, rows] = [take(bytes)?, take(bytes)?].map(f32::from_le_bytes);
        let clock = u16::from_le_bytes(take(bytes)?);
        let (judge, runs, range) = (Judge::read(bytes)?, Runs::read(bytes)?, Range::read(bytes)?);
        let (jump, means) = (Signal::read(bytes)?, Means::read(bytes)?);
        let season = match take(bytes)? {
            [0] => None,
            [1] => Some(Box::new(Season::read(bytes)?)),
            _ => return None,
        };
        let possible = last.abs() <= MAX_VALUE
            && quick.abs() <= 8.0 * MAX_VALUE
            && offset.is_finite()
            && (0.0..=MOST_ROWS).contains(&rows);
        possible.then_some(Self {
            time_ns,
            counter,
            level,
            season,
            last,
            quick,
            offset,
            rows,
            clock,
            judge,
            runs,
            range,
            jump,
            means,
        })
    }
}

/// Whether a row begins a season: where the value changes, one in sixteen, as drawn by the row itself (multiplicative
/// hashing, Knuth 6.4). Series that began together then do not all take the room for their seasons in one batch.
fn begins(time_ns: i64, value: f64, last: f64) -> bool {
    value.to_bits() != last.to_bits()
        && (value.to_bits() ^ time_ns as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60 == 0
}

mod start;
#[cfg(test)]
mod tests;
