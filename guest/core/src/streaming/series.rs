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
use super::tail::{EVENT, Hold, Tail};
use super::tuning::Tuning;
use super::zone::Clock;
use crate::math::{max, min};
use crate::{Band, Reason};

/// Rows that a scale remembers.
const SCALE_ROWS: f64 = 5000.0;
/// Rows that tails count before all counts are halved. The clock of 16 bits does not lap them.
const MOST_ROWS: f32 = 40_000.0;
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
    counter: Counter,
    level: Level,
    season: Option<Box<Season>>,
    /// The last value.
    last: f64,
    /// Quick mean of the rest, in the metric's unit, and what the season then had above the level.
    quick: f64,
    offset: f64,
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
        let reading = match &mut kinship {
            None => self.counter.read(time_ns, value),
            Some(kinship) => kinship.read(&mut self.counter, time_ns, value),
        };
        let value = match reading {
            Reading::Level => value,
            Reading::Rate(rate) => min(rate, MAX_VALUE), // in a nanosecond a large rise is infinitely fast
            Reading::Nothing => return Verdict::NONE,
            Reading::Other => {
                shared.seasons += usize::from(self.has_season());
                *self = Self { counter: self.counter, ..Self::new() };
                return Verdict::NONE;
            }
        };
        self.level.advance(time_ns, p.half_life, p.min_samples, &mut shared.decay);
        if self.level.weight == 0.0 {
            (self.last, self.range, self.level.center) = (value, Range::of(value), value);
        }
        let loan = kinship.as_ref().and_then(|kinship| kinship.loan(&shared.tuning));
        let lent = loan.map_or(0.0, |loan| loan.rows);
        let scored = self.level.weight + lent >= p.min_samples as f32;
        let taught = kinship.as_ref().filter(|kinship| kinship.teaches(&shared.tuning)).map(|_| self.counts());
        let settled = self.level.settled();
        self.level.resolve((value - self.last).abs());
        let floor = self.level.floor(shared.tuning.resolution);
        let scale = self.level.scale(floor);
        let off_level = value - self.level.center;
        let learning = if self.judge.is_new() { LEARNING } else { 1.0 };
        let time = shared.time(time_ns);
        if settled && self.season.is_none() && shared.seasons > 0 && begins(time_ns, value, self.last) {
            shared.seasons -= 1;
            self.season = Some(Box::new(Season::new(self.level.center, scale, time)));
        }
        let seen = Seen { value, off_level, scale, floor, step: self.level.step, share: learning };
        let usual = self.season.as_mut().and_then(|season| season.observe(time, &seen, &shared.tuning));
        let usual = usual.unwrap_or(Usual { value: self.level.center, scale, ratio: 1.0 });
        let rest = value - usual.value;
        self.follow(rest - off_level);
        let band = if banded && scored { self.band(shared, loan, &usual, scale, floor) } else { Band::UNKNOWN };
        let looks = self.look(shared, loan, &seen, &usual, settled);
        self.last = value;
        self.level.learn(value, scale, learning);
        let judgement = scored.then(|| self.judge.judge(&shared.bar, &shared.tuning, self.known(lent), &looks));
        if judgement.is_some_and(|judgement| judgement.reports) {
            self.report(shared, lent);
        }
        if let Some(kinship) = kinship {
            self.grow(p, &shared.tuning, kinship, taught.as_ref().filter(|_| settled));
        }
        let Some(judgement) = judgement else { return Verdict::NONE };
        let reason = self.reason(matches!(reading, Reading::Rate(_)));
        Verdict { score: judgement.score, deviation: rest, reason, band }
    }

    /// What moves its bar, after so many rows that siblings lend.
    fn known(&self, lent: f32) -> Known {
        Known { rows: self.rows + lent, step: self.level.step }
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
    fn band(&self, shared: &Shared, loan: Option<Loan<'_>>, usual: &Usual, scale: f64, floor: f64) -> Band {
        let lent = loan.map_or(0.0, |loan| loan.rows);
        let (t, rows, center) = (&shared.tuning, f64::from(self.level.weight + lent), self.level.center);
        let needed = self.judge.needed(&shared.bar, t, self.known(lent));
        let limits = if self.judge.cause().is_some() {
            self.means.limits(needed, rows, loan, t).scaled(usual.scale).around(usual.value)
        } else {
            let jump = self.jump.limits(needed, floor, rows, loan, t).scaled(usual.ratio);
            let new = self.range.limits(needed, (center, scale), self.rows + lent, loan, t);
            jump.around(usual.value + self.quick).narrowed(new.around(center))
        };
        let Limits { below, above } = limits;
        let lower = if self.range.is_positive() { max(below, 0.0) } else { below };
        Band { expected: usual.value, lower: min(lower, usual.value), upper: max(above, usual.value) }
    }

    /// Keeps the quick mean where it is on the metric's axis when what is expected changes from the level to the season's
    /// or back.
    fn follow(&mut self, offset: f64) {
        if (offset == 0.0) != (self.offset == 0.0) {
            self.quick += offset - self.offset;
        }
        self.offset = offset;
    }

    /// Looks at a value from all sides, and learns from it.
    fn look(&mut self, shared: &Shared, loan: Option<Loan<'_>>, seen: &Seen, usual: &Usual, settled: bool) -> Looks {
        let t = &shared.tuning;
        let &Seen { value, scale, floor, .. } = seen;
        let rest = value - usual.value;
        if settled {
            self.count_row(&shared.holds);
        }
        let lent = loan.map_or(0.0, |loan| loan.rows);
        let weight = f64::from(self.level.weight);
        let gain = 1.0 / (weight + 1.0);
        let ongoing = self.judge.cause().is_some();
        let row = Row {
            tuning: t,
            gain: max(gain, 1.0 / SCALE_ROWS),
            settled,
            holds: &shared.holds,
            clock: self.clock,
            // Events are remembered for longer than rows: what was seen once counts against the next for long, while the rows that
            // it was rare among are those that the level remembers. Measured on scenarios, that is worth 0.07 of recall at one
            // false episode in 10,000 rows.
            rows: weight + f64::from(lent),
            counting: if ongoing { self.counts_reported(lent, t) } else { EVENT },
            loan,
        };
        let mut looks = Looks::default();
        let limit = f64::from(t.rest_limit);
        let limited = (rest / usual.scale).clamp(-limit, limit) as f32;
        self.means.observe(&row, limited, shared.gains.map(|least| max(least, gain as f32)), &mut looks);
        let jump = rest - self.quick;
        let limited = if settled { self.jump.limit(jump, t.jump_limit, floor) } else { jump };
        self.quick += max(t.quick, gain) * limited;
        self.jump.observe(&row, JUMP, jump / usual.ratio, floor, &mut looks);
        self.range.observe(&row, value, self.level.center, scale, self.rows + lent, &mut looks);
        if value.to_bits() == self.last.to_bits() {
            self.runs.repeat(&row, value, self.rows + lent, ongoing, &mut looks);
        } else {
            self.runs.end(self.last, row.counting);
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
        for (look, tails) in self.means.tails().iter_mut().enumerate() {
            for tail in tails {
                f(look, tail);
            }
        }
        self.jump.tails().into_iter().for_each(|tail| f(JUMP, tail));
        f(NOVEL, self.range.tail());
    }

    /// What an event counts that was reported, after so many rows that siblings lend. A series of which little is known has more
    /// that is not yet seen than incidents.
    fn counts_reported(&self, lent: f32, t: &Tuning) -> u8 {
        min(EVENT, 1 + (EVENT >> min(((self.rows + lent) / t.young) as u32, 7)))
    }

    /// Appends the state, little-endian.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self { counter, level, season, last, quick, offset, rows, clock, judge, runs, range, jump, means } = self;
        counter.write(out);
        level.write(out);
        out.extend([last, quick, offset].map(|value| value.to_le_bytes()).as_flattened());
        out.extend(rows.to_le_bytes());
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
        let (counter, level) = (Counter::read_back(bytes)?, Level::read(bytes)?);
        let [last, quick, offset] = [take(bytes)?, take(bytes)?, take(bytes)?].map(f64::from_le_bytes);
        let (rows, clock) = (f32::from_le_bytes(take(bytes)?), u16::from_le_bytes(take(bytes)?));
        let (judge, runs, range) = (Judge::read(bytes)?, Runs::read(bytes)?, Range::read(bytes)?);
        let (jump, means) = (Signal::read(bytes)?, Means::read(bytes)?);
        let season = match take(bytes)? {
            [0] => None,
            [1] => Some(Box::new(Season::read(bytes)?)),
            _ => return None,
        };
        let possible = last.abs() <= MAX_VALUE
            && [quick, offset].iter().all(|value| value.abs() <= 8.0 * MAX_VALUE)
            && (0.0..=MOST_ROWS).contains(&rows);
        possible.then_some(Self {
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
