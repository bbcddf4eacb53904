//! One series of the streaming detector: how unusual a value is, as one score.
//!
//! A value is compared with what is expected of it, by the time of day where that explains the series ([`super::season`]),
//! else by its level ([`super::level`]). Six looks at the rest, each with how rare it is in the series' own history
//! ([`super::tail`]): its mean over 4, 16 and 64 rows, its distance from a quick mean, how far the value lies beyond all
//! that the series ever had, and for how long it has been the very same.
//!
//! The rarest look decides. It is an onset where it exceeds what was reported before; from there on an incident goes on
//! until the values have returned.

use super::Parameters;
use super::counter::{Counter, Reading};
use super::level::{Decay, Level, MAX_VALUE};
use super::record::take;
use super::season::{Season, Seen, Time, Usual};
use super::signal::{Row, Signal};
use super::tail::{EVENT, Rarity, Tail};
use super::tuning::Tuning;
use super::zone::Clock;
use crate::math::{ln, max, min, octaves};

/// Rows that a scale remembers.
const SCALE_ROWS: f64 = 5000.0;
/// Rows that tails count before all counts are halved.
const MOST_ROWS: f32 = 40_000.0;
/// Least scale of a mean of rests, in scales of the rest.
const LEAST_MEAN: f64 = 0.02;
/// While an incident goes on, up to so many rows, what it has teaches a quarter.
const LEARNING: f64 = 0.25;
const LONGEST: u16 = 500;
/// A value that was once the same for so many rows is one at which the series rests.
const RESTING: u16 = 32;
/// Time steps are told apart within e^±5 of a minute.
const MOST_BY_TIME: f64 = 5.0;
/// Nats of rank at which the score of what raises no alarm is at half of its most, and gain and share of the mean of
/// recent ranks, so that what lasts outranks a blip.
const RANK: f64 = 15.0;
const LASTING_GAIN: f64 = 0.1;
const LASTING: f64 = 4.0;
/// What a score stays below where no incident goes on, and where it lies where one does.
const QUIET: f64 = 0.5;
const ONGOING: (f64, f64) = (0.51, 0.44);

/// The looks, in this order: the means, then these.
const MEANS: usize = 3;
const JUMP: usize = 3;
const NOVEL: usize = 4;
const STUCK: usize = 5;
const LOOKS: usize = 6;

/// What the detector thinks of one observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Verdict {
    /// 0 is ordinary, 1 the threshold, above 1 an anomaly; NaN = not scored.
    pub(super) score: f64,
    /// Signed distance from what was expected, in the metric's own unit, of a counter per second; NaN where not scored.
    pub(super) deviation: f64,
}

impl Verdict {
    const NONE: Self = Self { score: f64::NAN, deviation: f64::NAN };
}

/// What all series share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) tuning: Tuning,
    pub(super) decay: Decay,
    /// Seasons that may still be learned.
    pub(super) seasons: usize,
    /// The false-alarm rate, and -ln of that, less the slack.
    rate: f64,
    bar: f64,
    /// What is left after a row of what tails hold (by look), and of what was reported.
    keep: [f32; LOOKS],
    reported: f32,
    /// Gains of the means.
    gains: [f32; MEANS],
    /// Local time, and the time of the last row: rows of a batch often share it.
    clock: Clock,
    time: (i64, Time),
}

impl Shared {
    pub(super) fn new(p: &Parameters, tuning: Tuning, seasons: usize) -> Self {
        let after = |half: f32| libm::exp2(-1.0 / f64::from(half));
        let [short, middle, long] = tuning.means.map(|rows| after(max(tuning.hold, 2.0 * rows)) as f32);
        let hold = after(tuning.hold) as f32;
        let mut clock = Clock::new(p.zone.clone());
        let time = (0, Time::new(0, &mut clock));
        Self {
            tuning,
            decay: Decay::default(),
            seasons,
            rate: p.false_alarm_rate,
            bar: -libm::log(p.false_alarm_rate) - tuning.slack,
            keep: [short, middle, long, hold, hold, hold],
            reported: after(tuning.reported_half) as f32,
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

/// The state of one series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    counter: Counter,
    level: Level,
    /// The last value.
    last: f64,
    /// All that the series ever had.
    low: f64,
    high: f64,
    /// Means of the rest, in scales.
    means: [f32; MEANS],
    /// Quick mean of the rest, in the metric's unit, and what the season then had above the level.
    quick: f64,
    offset: f64,
    mean_signals: [Signal; MEANS],
    jump: Signal,
    novel: Tail,
    stuck: Tail,
    /// The value that was the same for the longest, and for how many rows.
    resting: f64,
    longest: u16,
    /// Rows for which the value has been the same, and how often it changed.
    run: u16,
    changes: u32,
    /// Rows that the tails count.
    rows: f32,
    /// Mean of recent ranks, in nats.
    lasting: f32,
    /// Nats on top of the bar, so that reports keep to their rate.
    learned: f32,
    /// Nats that were reported above and below what was expected, decaying.
    reported: [f32; 2],
    /// The look that reported the incident that goes on, and its rows; `LOOKS` where none does.
    cause: u8,
    age: u16,
    season: Option<Box<Season>>,
}

/// What a row shows.
struct Looks {
    /// Nats by look.
    nats: [f64; LOOKS],
    /// Whether a look exceeds what its tail holds.
    rises: [bool; LOOKS],
    /// Whether a look is on the side below.
    below: [bool; LOOKS],
}

impl Series {
    /// A series of which nothing is known.
    pub(super) const fn new() -> Self {
        Self {
            counter: Counter::new(),
            level: Level::new(),
            last: 0.0,
            low: 0.0,
            high: 0.0,
            means: [0.0; MEANS],
            quick: 0.0,
            offset: 0.0,
            mean_signals: [Signal::new(); MEANS],
            jump: Signal::new(),
            novel: Tail::new(),
            stuck: Tail::new(),
            resting: 0.0,
            longest: 0,
            run: 0,
            changes: 0,
            rows: 0.0,
            lasting: 0.0,
            learned: 0.0,
            reported: [0.0; 2],
            cause: LOOKS as u8,
            age: 0,
            season: None,
        }
    }

    /// Whether it learns a season.
    pub(super) fn has_season(&self) -> bool {
        self.season.is_some()
    }

    /// Scores a value and then learns from it. Times are in nanoseconds and may stand still or go backwards.
    pub(super) fn observe(&mut self, p: &Parameters, shared: &mut Shared, time_ns: i64, value: f64) -> Verdict {
        if !value.is_finite() {
            return Verdict::NONE;
        }
        let value = value.clamp(-MAX_VALUE, MAX_VALUE);
        let value = match self.counter.read(time_ns, value) {
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
            (self.last, self.low, self.high, self.level.center) = (value, value, value, value);
        }
        let scored = self.level.weight >= p.min_samples as f32;
        let settled = self.level.settled();
        self.level.resolve((value - self.last).abs());
        let floor = self.level.floor(shared.tuning.resolution);
        let scale = self.level.scale(floor);
        let off_level = value - self.level.center;
        let learning = if self.ongoing() && self.age < LONGEST { LEARNING } else { 1.0 };
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
        let looks = self.look(shared, &seen, &usual, settled);
        self.last = value;
        self.level.learn(value, scale, learning);
        if !scored {
            return Verdict::NONE;
        }
        Verdict { score: self.judge(shared, &looks), deviation: rest }
    }

    /// Whether an incident goes on.
    fn ongoing(&self) -> bool {
        usize::from(self.cause) < LOOKS
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
    fn look(&mut self, shared: &Shared, seen: &Seen, usual: &Usual, settled: bool) -> Looks {
        let t = &shared.tuning;
        let &Seen { value, scale, floor, .. } = seen;
        let rest = value - usual.value;
        if settled {
            self.count_row();
        }
        let weight = f64::from(self.level.weight);
        let gain = 1.0 / (weight + 1.0);
        // Events are remembered for longer than rows: what was seen once counts against the next for long, while the rows that
        // it was rare among are those that the level remembers. Measured on scenarios, that is worth 0.07 of recall at one
        // false episode in 10,000 rows.
        let row = Row { tuning: t, rows: weight, gain: max(gain, 1.0 / SCALE_ROWS), settled };
        let mut looks = Looks { nats: [0.0; LOOKS], rises: [false; LOOKS], below: [false; LOOKS] };
        let mut put = |look: usize, rarity: Rarity, below: bool| {
            let nats = rarity.nats * t.weights[look];
            (looks.nats[look], looks.rises[look], looks.below[look]) = (nats, rarity.rises, below);
        };
        let limit = f64::from(t.rest_limit);
        let limited = (rest / usual.scale).clamp(-limit, limit) as f32;
        for (look, (mean, signal)) in self.means.iter_mut().zip(&mut self.mean_signals).enumerate() {
            *mean = settle(*mean + max(shared.gains[look], gain as f32) * (limited - *mean));
            put(look, signal.observe(&row, (*mean).into(), LEAST_MEAN, shared.keep[look]), *mean < 0.0);
        }
        let jump = rest - self.quick;
        let limited = if settled { self.jump.limit(jump, t.jump_limit, floor) } else { jump };
        self.quick += max(t.quick, gain) * limited;
        put(JUMP, self.jump.observe(&row, jump / usual.ratio, floor, shared.keep[JUMP]), jump < 0.0);
        if settled {
            let outside = self.outside(value, t.novel_unit * scale) * t.novel_octave;
            let rarity = self.novel.observe(outside, self.rows.into(), shared.keep[NOVEL], t);
            put(NOVEL, rarity, value < self.level.center);
        }
        (self.low, self.high) = (min(self.low, value), max(self.high, value));
        put(STUCK, self.stay(value, &row), false);
        looks
    }

    /// Counts a row of the tails, and halves all counts where they are many.
    fn count_row(&mut self) {
        self.rows += 1.0;
        if self.rows >= MOST_ROWS {
            self.rows *= 0.5;
            self.tails(Tail::halve);
        }
    }

    /// How many octaves a value lies beyond all that the series ever had, seen from its level in units of `unit`.
    fn outside(&self, value: f64, unit: f64) -> f32 {
        let nearest = value.clamp(self.low, self.high);
        if nearest.to_bits() == value.to_bits() {
            return 0.0;
        }
        let place = |value: f64| {
            let far = (value - self.level.center) / unit;
            octaves(1.0 + min(far.abs(), 1e300)).copysign(far)
        };
        (place(value) - place(nearest)).abs() as f32
    }

    /// How rare it is that a value stays the very same for so long. Where there were few changes little can be said, and
    /// nothing of the value at which a series rests, within twice the longest rest: between two bursts of errors lie many
    /// zeros.
    fn stay(&mut self, value: f64, row: &Row<'_>) -> Rarity {
        if value.to_bits() != self.last.to_bits() {
            let counts = if self.ongoing() { self.counts_reported(row.tuning) } else { EVENT };
            self.stuck.end_run(self.run.into(), counts);
            if self.run > self.longest {
                (self.resting, self.longest) = (self.last, self.run);
            }
            self.run = 0;
            self.changes = self.changes.saturating_add(1);
            return Rarity::default();
        }
        self.run = self.run.saturating_add(1);
        let rests = self.longest >= RESTING && value.to_bits() == self.resting.to_bits() && self.run / 2 < self.longest;
        if !row.settled || self.run < 2 || rests {
            return Rarity::default();
        }
        let nats = self.stuck.nats(self.run.into(), self.rows.into(), row.tuning);
        let most = 2.0 * ln(f64::from(self.changes) + 1.0);
        Rarity { nats: min(nats, most), rises: !self.ongoing() }
    }

    /// Does something to each tail of distances.
    fn tails(&mut self, f: impl FnMut(&mut Tail)) {
        let signals = self.mean_signals.iter_mut().chain([&mut self.jump]);
        signals.flat_map(Signal::tails).chain([&mut self.novel, &mut self.stuck]).for_each(f);
    }

    /// What an event counts that was reported. A series of which little is known has more that is not yet seen than
    /// incidents.
    fn counts_reported(&self, t: &Tuning) -> u8 {
        min(EVENT, 1 + (EVENT >> min((self.rows / t.young) as u32, 7)))
    }

    /// What an alarm must exceed, in nats.
    fn bar(&self, shared: &Shared) -> f64 {
        let t = &shared.tuning;
        let early = t.early_rows / (t.early_rows + f64::from(self.rows));
        let by_time = octaves(f64::from(max(self.level.step, 1e-3)) / 60.0) * std::f64::consts::LN_2;
        let bar = max(shared.bar - t.by_time * by_time.clamp(-MOST_BY_TIME, MOST_BY_TIME), 1.0);
        (bar + f64::from(self.learned)) * (1.0 + t.early * early * early)
    }

    /// The score.
    fn judge(&mut self, shared: &Shared, looks: &Looks) -> f64 {
        let t = &shared.tuning;
        let rank = looks.nats.iter().fold(0.0, |most, &nats| max(most, nats));
        let lasting = f64::from(self.lasting);
        self.lasting = settle((lasting + LASTING_GAIN * (rank - lasting)) as f32);
        let squared = (rank + LASTING * lasting) * (rank + LASTING * lasting) * (1.0 / (RANK * RANK));
        let share = squared / (1.0 + squared);
        self.learned = max(self.learned - shared.rate as f32 * t.learned as f32, 0.0);
        // What was reported is held while the incident goes on.
        if !self.ongoing() {
            self.reported = self.reported.map(|nats| settle(nats * shared.reported));
            if rank == 0.0 {
                return QUIET * share; // as most rows are
            }
        }
        let bar = self.bar(shared);
        let onset = self.onset(looks, t);
        let score = onset.map_or(0.0, |(nats, _)| nats / bar);
        self.age = self.age.saturating_add(1);
        // What shows that the incident goes on: the shortest mean, and what reported it.
        let now = max(looks.nats[0], looks.nats.get(usize::from(self.cause)).copied().unwrap_or(0.0));
        if let Some((nats, look)) = onset
            && score > 1.0
        {
            // Adaptive conformal inference (Gibbs & Candès, NeurIPS 2021): a report raises the bar, rows without lower it.
            self.learned = min(self.learned + t.learned as f32, shared.bar as f32);
            let side = usize::from(looks.below[look]);
            self.reported[side] = max(self.reported[side], nats as f32);
            if !self.ongoing() {
                self.age = 0;
            }
            self.cause = look as u8;
        } else if now < t.ends * bar {
            self.cause = LOOKS as u8;
        }
        if !self.ongoing() {
            return max(score, QUIET * share);
        }
        let counts = self.counts_reported(t);
        self.tails(|tail| tail.report(counts));
        max(score, ONGOING.0 + ONGOING.1 * share)
    }

    /// The rarest look that is more than what its tail holds and than what was reported, and its nats.
    fn onset(&self, looks: &Looks, t: &Tuning) -> Option<(f64, usize)> {
        let Looks { nats, rises, below } = looks;
        let mut onset = None;
        for look in (0..LOOKS).filter(|&look| rises[look]) {
            let side = usize::from(below[look]);
            let reported = max(f64::from(self.reported[side]), t.across * f64::from(self.reported[1 - side]));
            if nats[look] > max(reported * t.again, onset.map_or(0.0, |(most, _)| most)) {
                onset = Some((nats[look], look));
            }
        }
        onset
    }

    /// Appends the state, little-endian.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let Self {
            counter,
            level,
            last,
            low,
            high,
            means,
            quick,
            offset,
            mean_signals,
            jump,
            novel,
            stuck,
            resting,
            longest,
            run,
            changes,
            rows,
            lasting,
            learned,
            reported,
            cause,
            age,
            season,
        } = self;
        counter.write(out);
        level.write(out);
        out.extend([last, low, high, quick, offset, resting].map(|value| value.to_le_bytes()).as_flattened());
        out.extend(means.map(f32::to_le_bytes).as_flattened());
        for signal in mean_signals.iter().chain([jump]) {
            signal.write(out);
        }
        novel.write(out);
        stuck.write(out);
        out.extend([longest, run].map(|rows| rows.to_le_bytes()).as_flattened());
        out.extend(changes.to_le_bytes());
        out.extend([*rows, *lasting, *learned, reported[0], reported[1]].map(f32::to_le_bytes).as_flattened());
        out.push(*cause);
        out.extend(age.to_le_bytes());
        out.push(u8::from(season.is_some()));
        if let Some(season) = season {
            season.write(out);
        }
    }

    /// Takes back off the front what `write` wrote; `None` where a value is impossible.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (counter, level) = (Counter::read_back(bytes)?, Level::read(bytes)?);
        let mut series = Self { counter, level, ..Self::new() };
        let Self { last, low, high, quick, offset, resting, .. } = &mut series;
        for value in [last, low, high, quick, offset, resting] {
            *value = f64::from_le_bytes(take(bytes)?);
        }
        for mean in &mut series.means {
            *mean = f32::from_le_bytes(take(bytes)?);
        }
        for signal in series.mean_signals.iter_mut().chain([&mut series.jump]) {
            *signal = Signal::read(bytes)?;
        }
        (series.novel, series.stuck) = (Tail::read(bytes)?, Tail::read(bytes)?);
        [series.longest, series.run] = [take(bytes)?, take(bytes)?].map(u16::from_le_bytes);
        series.changes = u32::from_le_bytes(take(bytes)?);
        let nats = [take(bytes)?, take(bytes)?, take(bytes)?, take(bytes)?, take(bytes)?].map(f32::from_le_bytes);
        [series.rows, series.lasting, series.learned, series.reported[0], series.reported[1]] = nats;
        [series.cause] = take(bytes)?;
        series.age = u16::from_le_bytes(take(bytes)?);
        let [has_season] = take(bytes)?;
        let Self { last, low, high, quick, offset, resting, means, rows, lasting, learned, reported, cause, .. } =
            &series;
        let possible = [last, low, high, resting].iter().all(|value| value.abs() <= MAX_VALUE)
            && low <= high
            && [quick, offset].iter().all(|value| value.abs() <= 8.0 * MAX_VALUE)
            && means.iter().all(|mean| mean.abs() <= 1e4)
            && (0.0..=MOST_ROWS).contains(rows)
            && [lasting, learned, &reported[0], &reported[1]].iter().all(|nats| (0.0..=1e4).contains(*nats))
            && usize::from(*cause) <= LOOKS
            && has_season <= 1;
        if !possible {
            return None;
        }
        if has_season == 1 {
            series.season = Some(Box::new(Season::read(bytes)?));
        }
        Some(series)
    }
}

/// What decays to nothing, without the numbers next to zero: they take a processor a hundred times as long.
fn settle(value: f32) -> f32 {
    if value.abs() < 1e-9 { 0.0 } else { value }
}

/// Whether a row begins a season: where the value changes, one in sixteen, as drawn by the row itself (multiplicative
/// hashing, Knuth 6.4). Series that began together then do not all take the room for their seasons in one batch.
fn begins(time_ns: i64, value: f64, last: f64) -> bool {
    value.to_bits() != last.to_bits()
        && (value.to_bits() ^ time_ns as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60 == 0
}

#[cfg(test)]
mod tests {
    use super::super::Zone;
    use super::*;

    const MINUTE: i64 = 60_000_000_000;
    const YEAR: i64 = 525_600 * MINUTE;
    /// Half-life of an hour, rows of a minute.
    const QUICK: Parameters = Parameters { half_life: 3600.0, false_alarm_rate: 1e-4, min_samples: 7, zone: Zone::UTC };

    /// Half-life of three days, as for daily swings.
    const USUAL: Parameters =
        Parameters { half_life: 259_200.0, false_alarm_rate: 1e-4, min_samples: 100, zone: Zone::UTC };

    const T: Tuning = Tuning::SHIPPED;

    /// A series with its parameters, and a linear congruential generator (Knuth's MMIX constants).
    struct Run(Series, Parameters, Shared, u64);

    impl Run {
        fn new(parameters: Parameters) -> Self {
            let shared = Shared::new(&parameters, T, 1);
            Self(Series::new(), parameters, shared, 1)
        }

        fn at(&mut self, time_ns: i64, value: f64) -> Verdict {
            self.0.observe(&self.1, &mut self.2, time_ns, value)
        }

        /// Uniform in (0, 1).
        fn uniform(&mut self) -> f64 {
            self.3 = self.3.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.3 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        }

        /// Standard Gaussian (Box & Muller 1958).
        fn gaussian(&mut self) -> f64 {
            (-2.0 * libm::log(self.uniform())).sqrt() * libm::cos(std::f64::consts::TAU * self.uniform())
        }

        fn gaussian_at(&mut self, _: i64) -> f64 {
            self.gaussian()
        }

        /// Scores `level` plus noise, a row a minute from row `from`; the alarms among them.
        fn alarms(&mut self, from: i64, rows: i64, level: f64) -> usize {
            (from..from + rows)
                .filter(|i| {
                    let value = level + self.gaussian();
                    self.at(i * MINUTE, value).score > 1.0
                })
                .count()
        }
    }

    /// What `read` makes of what `write` wrote.
    fn read_back(series: &Series) -> Option<Series> {
        let mut bytes = Vec::new();
        series.write(&mut bytes);
        let rest = &mut bytes.as_slice();
        Series::read(rest).filter(|_| rest.is_empty())
    }

    #[test]
    fn warm_up_lasts_min_samples_at_any_step() {
        for step in [0, 1, MINUTE, YEAR / 12] {
            let mut run = Run::new(Parameters { min_samples: 100, ..QUICK });
            let first = (0..200).find(|i| !run.at(i * step, 1.0).score.is_nan()).unwrap_or(200);
            assert!((100..=105).contains(&first), "step {step}: {first}");
        }
    }

    #[test]
    fn a_spike_alarms_and_is_not_learned() {
        let mut run = Run::new(QUICK);
        run.alarms(0, 1000, 0.0);
        let spike = run.at(1000 * MINUTE, 30.0);
        assert!(spike.score > 1.0 && spike.deviation > 20.0, "{spike:?}");
        assert!(run.at(1001 * MINUTE, -30.0).deviation < -20.0);
        assert!(run.at(1002 * MINUTE, 0.0).deviation.abs() < 1.0);
    }

    #[test]
    fn a_level_shift_is_absorbed_in_five_half_lives() {
        let mut run = Run::new(QUICK);
        run.alarms(0, 3000, 0.0);
        assert!(run.alarms(3000, 6, 100.0) >= 1);
        assert!(run.at(3006 * MINUTE, 100.0).deviation > 20.0, "not at once");
        run.alarms(3007, 5 * 60, 100.0);
        let absorbed = run.at(3307 * MINUTE, 100.0);
        assert!(absorbed.deviation.abs() < 10.0, "{absorbed:?}");
        assert_eq!(run.alarms(3308, 3000, 100.0), 0);
    }

    #[test]
    fn a_long_gap_leads_back_to_warming_up() {
        let mut run = Run::new(QUICK);
        run.alarms(0, 1000, 0.0);
        assert!(!run.at(1010 * MINUTE, 0.0).score.is_nan(), "a short one does not");
        let start = 1011 + YEAR / MINUTE;
        for i in start..start + 7 {
            let value = 500.0 + run.gaussian();
            assert!(run.at(i * MINUTE, value).score.is_nan());
        }
        let alarms = run.alarms(start + 7, 1000, 500.0);
        assert!(alarms <= 3, "{alarms} alarms");
    }

    #[test]
    fn strange_clocks_raise_no_alarm_storm() {
        let clocks: [fn(i64) -> i64; 6] = [
            |_| 0,
            |i| -i * MINUTE,
            |i| i % 2 * YEAR,
            |i| i * MINUTE + i64::from(i > 2000) * YEAR,
            |i| if i % 2 == 0 { i64::MIN } else { i64::MAX },
            |i| i * i * 1_000_000_000,
        ];
        for (kind, clock) in clocks.iter().enumerate() {
            let mut run = Run::new(QUICK);
            let alarms = (0..4000)
                .filter(|&i| {
                    let value = run.gaussian();
                    run.at(clock(i), value).score > 1.0
                })
                .count();
            assert!(alarms <= 4, "clock {kind}: {alarms} alarms");
        }
    }

    #[test]
    fn learning_goes_on_after_a_clock_was_put_back() {
        let mut run = Run::new(QUICK);
        run.at(YEAR, 0.0);
        run.alarms(0, 1000, 0.0);
        run.alarms(1000, 600, 3.0);
        assert!(run.at(1600 * MINUTE, 3.0).deviation.abs() < 1.0, "an unfaded weight would still be near 0");
    }

    #[test]
    fn a_constant_then_a_change() {
        for (constant, changed) in [(0.0, 1.0), (5.0, 6.0), (1e9, 2e9), (1e-6, 2e-6)] {
            let mut run = Run::new(QUICK);
            // An ever longer run is no news.
            assert!((0..500).all(|i| run.at(i * MINUTE, constant).score.max(0.0) < 1e-4));
            let score = run.at(500 * MINUTE, changed).score;
            assert!((1.0..100.0).contains(&score), "{constant} to {changed}: {score}");
        }
    }

    #[test]
    fn rare_events_stop_alarming_once_known() {
        let mut run = Run::new(USUAL);
        let scores: Vec<_> =
            (0..20_000).map(|i| run.at(i * MINUTE, f64::from(u8::from(i % 500 == 499))).score).collect();
        assert!(scores[499] > 1.0);
        let late = scores.iter().skip(5000).filter(|score| **score > 1.0).count();
        assert_eq!(late, 0);
    }

    #[test]
    fn ordinary_streams_alarm_no_more_often_than_asked_and_not_never() {
        let rows = 300_000;
        let heavy: [fn(&mut Run) -> f64; 3] =
            [Run::gaussian, |run| libm::log(run.uniform()), |run| libm::exp(-0.5 * libm::log(run.uniform()))];
        for (kind, draw) in heavy.iter().enumerate() {
            let mut run = Run::new(Parameters { false_alarm_rate: 1e-2, ..USUAL });
            let alarms = (0..rows)
                .filter(|i| {
                    let value = draw(&mut run);
                    run.at(i * MINUTE, value).score > 1.0
                })
                .count();
            let rate = alarms as f64 / rows as f64;
            assert!((1e-3..1.2e-2).contains(&rate), "stream {kind}: {rate}");
        }
    }

    #[test]
    fn a_counter_that_leaps_leaves_the_state_finite() {
        let mut run = Run::new(QUICK);
        (0..200).for_each(|i| _ = run.at(i, i as f64 * 1e290));
        let leap = run.at(200, f64::MAX);
        assert!(leap.score.is_finite() && leap.deviation.is_finite(), "{leap:?}");
        let mut bytes = Vec::new();
        run.0.write(&mut bytes);
        assert!(Series::read(&mut bytes.as_slice()).is_some(), "{:?}", run.0);
    }

    #[test]
    fn missing_and_infinite_values_teach_nothing() {
        let mut run = Run::new(QUICK);
        run.alarms(0, 100, 0.0);
        let before = run.0.clone();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(run.at(YEAR, value).score.is_nan());
        }
        assert_eq!(run.0, before);
    }

    #[test]
    fn any_finite_value_leaves_scores_and_state_finite() {
        let values = [0.0, 1e300, -1e300, f64::MAX, -f64::MAX, 5e-324, 1.0, -1e-300, 1e150];
        for start in 0..values.len() {
            let mut run = Run::new(QUICK);
            for i in 0..3000 {
                let pick = (run.uniform() * if i < 50 { 1.0 } else { values.len() as f64 }) as usize;
                let verdict = run.at(i * MINUTE, values[(start + pick) % values.len()]);
                assert!(verdict.score.is_nan() || (0.0..1000.0).contains(&verdict.score), "{verdict:?}");
                let mut bytes = Vec::new();
                run.0.write(&mut bytes);
                assert!(Series::read(&mut bytes.as_slice()).is_some(), "{:?}", run.0);
            }
        }
    }

    #[test]
    fn farther_beyond_everything_seen_scores_no_less() {
        let mut run = Run::new(QUICK);
        run.alarms(0, 500, 0.0);
        let mut most = 0.0;
        for i in 0..2000 {
            let score = Run(run.0.clone(), QUICK, run.2.clone(), 1).at(500 * MINUTE, 8.0 + f64::from(i) * 0.02).score;
            // But for the liveliness, which may reach where it once was.
            assert!(score > most - 0.1 && (i == 0 || score - most < 0.3), "{i}: {most} {score}");
            most = max(most, score);
        }
        assert!(most > 1.0);
    }

    #[test]
    fn an_incident_is_reported_once() {
        let mut run = Run::new(USUAL);
        run.alarms(0, 5000, 0.0);
        let begin = run.alarms(5000, 5, 100.0);
        let lasting = run.alarms(5005, 600, 100.0);
        assert!((1..=3).contains(&begin) && lasting <= 1, "{begin} {lasting}");
        let below = run.at(5605 * MINUTE, 100.0);
        assert!(below.score < 1.0 && below.deviation > 3.0, "{below:?}");
    }

    #[test]
    fn a_flat_line_where_there_was_noise_alarms_once() {
        let mut run = Run::new(USUAL);
        run.alarms(0, 5000, 0.0);
        let alarms: Vec<_> = (5000..6000).filter(|i| run.at(i * MINUTE, 0.3).score > 1.0).collect();
        assert!(alarms.len() == 1 && alarms[0] < 5010, "{alarms:?}");
    }

    #[test]
    fn a_variance_that_grows_is_reported() {
        let found = (1..=10).filter(|&seed| {
            let mut run = Run::new(USUAL);
            run.3 = seed * 7919;
            run.alarms(0, 5000, 0.0);
            let alarms = (5000..5120).filter(|i| {
                let value = 3.0 * run.gaussian();
                run.at(i * MINUTE, value).score > 1.0
            });
            alarms.count() > 0
        });
        assert_eq!(found.count(), 10);
    }

    #[test]
    fn what_is_usual_by_day_is_new_at_night() {
        let daily = |run: &mut Run, i: i64| {
            let phase = i as f64 * std::f64::consts::TAU / 288.0;
            10.0 * libm::sin(phase) + 0.3 * run.gaussian()
        };
        let mut run = Run::new(USUAL);
        let mut early = 0;
        for i in 0..12 * 288 {
            let value = daily(&mut run, i);
            early += usize::from(run.at(i * 5 * MINUTE, value).score > 1.0);
        }
        assert!(early <= 2, "{early}");
        let mut without = Run(run.0.clone(), USUAL, run.2.clone(), run.3);
        without.0.season = None;
        without.2.seasons = 0;
        // The trough's value, reached as smoothly as ever, but at the time of the peak.
        let mut alarms = [0; 2];
        for i in 12 * 288..13 * 288 {
            for (run, alarms) in [&mut run, &mut without].into_iter().zip(&mut alarms) {
                let value = -daily(run, i);
                *alarms += usize::from(run.at(i * 5 * MINUTE, value).score > 1.0);
            }
        }
        assert!((1..=6).contains(&alarms[0]) && alarms[1] == 0, "{alarms:?}");
    }

    #[test]
    fn a_drop_at_the_daily_peak_is_below_what_was_expected() {
        let mut run = Run::new(USUAL);
        let rows = 12 * 288 + 72; // to the peak
        for i in 0..rows {
            let phase = i as f64 * std::f64::consts::TAU / 288.0;
            let value = 10.0 * libm::sin(phase) + 0.3 * run.gaussian();
            run.at(i * 5 * MINUTE, value);
        }
        let drop = run.at(rows * 5 * MINUTE, 6.0);
        assert!((-4.5..-3.5).contains(&drop.deviation), "{drop:?}");
    }

    #[test]
    fn a_week_without_rows_raises_no_alarm_storm() {
        let mut run = Run::new(USUAL);
        run.alarms(0, 5000, 0.0);
        let week = 7 * 24 * 60;
        let alarms = run.alarms(5000 + week, 5000, 1.0);
        assert!(alarms <= 2, "{alarms}");
    }

    #[test]
    fn counters_and_whole_numbers_behave() {
        let kinds: [fn(&mut Run, i64) -> f64; 4] = [
            |run, i| (i as f64 * 1000.0 + run.uniform() * 100.0).floor(),
            |run, _| (run.uniform() * 4.0).floor(),
            |run, _| if run.uniform() < 0.02 { (run.uniform() * 10.0).floor() } else { 0.0 },
            |run, i| if i / 200 % 5 == 0 { run.uniform() * 100.0 } else { 0.0 },
        ];
        for (kind, draw) in kinds.iter().enumerate() {
            let mut run = Run::new(USUAL);
            let alarms = (0..20_000)
                .filter(|&i| {
                    let value = draw(&mut run, i);
                    run.at(i * MINUTE, value).score > 1.0 && i > 2000
                })
                .count();
            assert!(alarms <= if kind == 3 { 20 } else { 6 }, "kind {kind}: {alarms}"); // the last has 18 cycles
        }
    }

    #[test]
    fn a_counter_that_runs_faster_or_stops_alarms_and_its_reset_does_not() {
        for (begin, times, alarms) in [(None, 5.0, 1..=4), (None, 0.0, 1..=4), (Some(0.0), 1.0, 0..=0)] {
            let (mut run, mut count) = (Run::new(USUAL), 1e6);
            let mut counted = |rows: std::ops::Range<i64>, times: f64, begin: Option<f64>| {
                count = begin.unwrap_or(count);
                let raised = rows.filter(|i| {
                    count += (times * 1000.0 * (0.9 + 0.2 * run.uniform())).floor();
                    run.at(i * MINUTE, count).score > 1.0
                });
                raised.count()
            };
            assert!(counted(0..10_000, 1.0, None) <= 3);
            let raised = counted(10_000..10_060, times, begin);
            assert!(alarms.contains(&raised), "{begin:?} {times}: {raised}");
        }
    }

    #[test]
    fn without_room_for_a_season_there_is_none() {
        let mut run = Run::new(QUICK);
        run.2.seasons = 0;
        run.alarms(0, 100, 0.0);
        assert!(!run.0.has_season());
        run.2.seasons = 1;
        (100..300).for_each(|i| _ = run.at(i * MINUTE, 0.0));
        assert!(!run.0.has_season(), "what does not change needs none");
        run.alarms(300, 200, 0.0);
        assert!(run.0.has_season() && run.2.seasons == 0);
    }

    /// Rows of `score`, above 1.
    fn reported(
        run: &mut Run,
        rows: std::ops::Range<i64>,
        step: i64,
        value: impl Fn(&mut Run, i64) -> f64,
    ) -> Vec<i64> {
        rows.filter(|&i| {
            let value = value(run, i);
            run.at(i * step, value).score > 1.0
        })
        .collect()
    }

    /// Office hours: 0 at night, 1 at noon, and much less at weekends. 1970 began on a Thursday.
    fn office(minute: i64) -> f64 {
        let far = ((minute % 1440) as f64 / 1440.0 - 0.5) / 0.16;
        libm::exp(-0.5 * far * far) * if matches!((minute / 1440 + 4) % 7, 0 | 6) { 0.4 } else { 1.0 }
    }

    #[test]
    fn bursts_after_zeros_are_each_reported() {
        let mut run = Run::new(USUAL);
        let burst = |run: &mut Run, i: i64| {
            let (day, row) = (i / 8820, i % 8820);
            if row < 8640 {
                0.0
            } else {
                (5.0 * libm::pow(10.0, (day - 1).max(0) as f64) * (1.0 + run.uniform())).floor()
            }
        };
        let found = reported(&mut run, 0..6 * 8820, 10_000_000_000, burst);
        for day in 0..6 {
            let began = day * 8820 + 8640;
            assert!(found.iter().any(|row| (began..began + 10).contains(row)), "day {day}: {found:?}");
        }
        assert!(found.len() <= 14, "{found:?}");
    }

    #[test]
    fn one_step_after_zeros_is_reported_once() {
        let mut run = Run::new(USUAL);
        let found = reported(&mut run, 0..6 * 8640, 10_000_000_000, |_, i| f64::from(u8::from(i >= 8640)));
        assert_eq!(found, [8640]);
    }

    #[test]
    fn outages_of_what_is_else_constant_are_each_reported() {
        let mut run = Run::new(USUAL);
        let down = |i: i64| i % 4320 >= 4300;
        let found = reported(&mut run, 0..8 * 4320, MINUTE, |_, i| f64::from(u8::from(!down(i))));
        assert!((0..8).all(|outage| found.contains(&(outage * 4320 + 4300))), "{found:?}");
        let false_ones = found.iter().filter(|&&i| !down(i) && !down(i - 10)).count();
        assert_eq!(false_ones, 0, "{found:?}");
    }

    #[test]
    fn an_outage_at_noon_is_reported_where_zero_is_usual_at_night() {
        let mut run = Run::new(USUAL);
        let noon = 17 * 1440 + 720; // a Sunday's are fewer: a Monday
        let requests = |run: &mut Run, i: i64| {
            let usual = 1000.0 * office(i) * (1.0 + 0.05 * run.gaussian());
            if (noon..noon + 20).contains(&i) { 0.0 } else { usual.max(0.0).floor() }
        };
        let found = reported(&mut run, 0..19 * 1440, MINUTE, requests);
        assert!(found.iter().any(|row| (noon..noon + 3).contains(row)), "{found:?}");
        let before: Vec<_> = found.iter().filter(|&&row| (8 * 1440..noon).contains(&row)).collect();
        assert!(before.len() <= 2, "{before:?}");
    }

    #[test]
    fn a_daily_job_that_does_not_run_is_reported() {
        let mut run = Run::new(USUAL);
        let job = |run: &mut Run, i: i64| {
            let works = (150..170).contains(&(i % 1440)) && i / 1440 != 18;
            10.0 + run.gaussian() + if works { 40.0 } else { 0.0 }
        };
        let found = reported(&mut run, 0..19 * 1440, MINUTE, job);
        let missing = 18 * 1440 + 150;
        assert!(found.iter().any(|row| (missing..missing + 25).contains(row)), "{found:?}");
    }

    #[test]
    fn a_frozen_value_is_reported_though_the_day_explains_the_series() {
        let mut run = Run::new(USUAL);
        let from = 9 * 1440 + 720;
        let mut held = 0.0;
        let mut found = Vec::new();
        for i in 0..from + 720 {
            if i < from {
                held = 500.0 + 500.0 * office(i) * (1.0 + 0.02 * run.gaussian());
            }
            if run.at(i * MINUTE, held).score > 1.0 && i >= from {
                found.push(i - from);
            }
        }
        assert!(found.first().is_some_and(|&row| row < 10), "{found:?}");
    }

    #[test]
    fn a_counter_with_decimals_is_looked_at_as_a_rate() {
        let (mut run, mut count) = (Run::new(USUAL), 0.0);
        let mut found = Vec::new();
        for i in 0..30_180_i64 {
            if matches!(i, 12_000 | 18_000) {
                count = 0.0;
            }
            let times =
                if (20_000..20_180).contains(&i) { 3.0 } else { f64::from(u8::from(!(25_000..25_180).contains(&i))) };
            count += times * 0.0137 * (80.0 + (run.uniform() * 41.0).floor());
            if run.at(i * 10_000_000_000, (count * 100.0).floor() / 100.0).score > 1.0 {
                found.push(i);
            }
        }
        for (from, to) in [(20_000, 20_003), (25_000, 25_003)] {
            assert!(found.iter().any(|row| (from..to).contains(row)), "{from}: {found:?}");
        }
        assert!(found.iter().all(|row| !(11_990..19_000).contains(row)), "resets: {found:?}");
    }

    #[test]
    fn minutes_full_of_errors_are_reported_though_each_was_seen() {
        let mut run = Run::new(USUAL);
        // A row in thirty has errors, and each further one is half as frequent.
        let errors = |run: &mut Run, i: i64| {
            let uniform = run.uniform();
            match i {
                30_000..30_003 => 8.0,
                _ if uniform < 1.0 / 30.0 => 1.0 - libm::log2(30.0 * uniform).ceil(),
                _ => 0.0,
            }
        };
        let found = reported(&mut run, 0..30_015, MINUTE, errors);
        assert!(found.iter().any(|&row| row >= 30_000), "{found:?}");
        assert!(found.len() <= 6, "{found:?}");
    }

    #[test]
    fn an_incident_on_the_other_side_is_reported_as_well() {
        let mut run = Run::new(USUAL);
        run.alarms(0, 5000, 0.0);
        assert!(run.alarms(5000, 30, 15.0) >= 1);
        run.alarms(5030, 60, 0.0);
        assert!(run.alarms(5090, 10, -20.0) >= 1);
    }

    #[test]
    fn while_an_incident_goes_on_scores_stay_above_a_half_and_then_fall() {
        let mut run = Run::new(USUAL);
        run.alarms(0, 5000, 0.0);
        let mut during = |rows: std::ops::Range<i64>, level: f64| {
            let scores = rows.map(|i| {
                let value = level + run.gaussian();
                run.at(i * MINUTE, value).score
            });
            scores.collect::<Vec<_>>()
        };
        let incident = during(5000..5090, 20.0);
        assert!(incident[0] > 1.0 && incident.iter().all(|&score| score > 0.5), "{incident:?}");
        let after = during(5090..5200, 0.0);
        assert!(after[60..].iter().all(|&score| score <= 0.5), "{after:?}");
    }

    #[test]
    fn series_of_any_kind_leave_scores_finite_and_few_above_1() {
        type Kind = (&'static str, i64, fn(&mut Run, i64) -> f64);
        let kinds: [Kind; 6] = [
            ("a year of zeros, hourly", 60 * MINUTE, |_, _| 0.0),
            ("1e15 with steps of 1", MINUTE, |run, _| 1e15 + (run.uniform() * 4.0).floor()),
            ("denormals", MINUTE, |run, _| 5e-324 * (run.uniform() * 9.0).floor()),
            ("alternating signs", MINUTE, |_, i| if i % 2 == 0 { 1.0 } else { -1.0 }),
            ("100 Hz", 10_000_000, Run::gaussian_at),
            ("a row a day", 1440 * MINUTE, Run::gaussian_at),
        ];
        for (name, step, value) in kinds {
            let mut run = Run::new(USUAL);
            let found = reported(&mut run, 0..9000, step, value);
            assert!(found.len() <= 3, "{name}: {found:?}");
            assert_eq!(read_back(&run.0), Some(run.0), "{name}");
        }
    }

    #[test]
    fn a_saved_series_continues_bit_for_bit() {
        let mut run = Run::new(QUICK);
        for i in 0..500 {
            let mut bytes = Vec::new();
            run.0.write(&mut bytes);
            let rest = &mut bytes.as_slice();
            assert_eq!(Series::read(rest), Some(run.0.clone()), "row {i}");
            assert!(rest.is_empty());
            run.alarms(i, 1, 1e6);
        }
    }

    #[test]
    fn corrupt_records_are_rejected() {
        let mut run = Run::new(QUICK);
        run.alarms(0, 500, 10.0);
        let mut bytes = Vec::new();
        run.0.write(&mut bytes);
        // Of the counter, the level, the last value and range, a scale, and the season.
        let doubles = [0, 19, 35, 43, 59, 67, 75, 83, 91, 99, 119, 413, 421, 429, 437];
        let fields = doubles.into_iter().map(|at| (at, f64::NAN.to_le_bytes().to_vec()));
        // Weight, step, means, a held distance, rows, ranks, what was reported, and rows of the season.
        let singles = [51, 55, 107, 111, 115, 143, 389, 393, 397, 401, 405, 445];
        let fields = fields.chain(singles.into_iter().map(|at| (at, f32::NAN.to_le_bytes().to_vec())));
        // A kind that is none, a negative mean square, levels of a tail out of order, an event that counts nothing, a look that is
        // none, a flag, a unit of nothing, a bin that is none.
        let fields = fields.chain([
            (17, vec![3]),
            (35, (-1.0_f64).to_le_bytes().to_vec()),
            (147, vec![8, 7]),
            (149, vec![0]),
            (409, vec![7]),
            (412, vec![2]),
            (421, 0.0_f64.to_le_bytes().to_vec()),
            (453, vec![255; 2]),
            (75, (-1e9_f64).to_le_bytes().to_vec()), // a range that ends before it begins
        ]);
        for (at, corrupt) in fields {
            let mut bytes = bytes.clone();
            bytes[at..at + corrupt.len()].copy_from_slice(&corrupt);
            assert_eq!(Series::read(&mut bytes.as_slice()), None, "offset {at}");
        }
    }
}
