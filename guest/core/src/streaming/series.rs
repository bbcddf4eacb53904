//! One series of the streaming detector: how new it is what the series does, as one score.
//!
//! Seven looks at each value: how far it is from the level, and from the value before; how far it, the mean of the last
//! few, the difference to a longer mean, and the liveliness of the last few are from everything that they ever were; and
//! for how long it has not changed. An eighth, where time explains the series: how far the unexplained rest is from all
//! rests ([`super::season`]). Each is turned into nats by its own history ([`super::tail`]).
//!
//! The sum of what is new raises alarms; the largest of all, lasting for some rows, ranks what raises none.

use super::counter::{Counter, Reading};
use super::level::{Decay, Level, MAX_DEVIATION, MAX_VALUE, WINSOR};
use super::record::take;
use super::season::Season;
use super::tail::Tail;
use super::visited::{Axis, Visited};
use super::{Bins, LEAST_SCALE, PLACES, Parameters};
use crate::math::{ln, max, min, octaves};

/// Gain of the mean of the last few values; measured, 0.15 to 0.4 are alike, within three points of NAB.
const FEW: f64 = 0.2;
/// Gain of a longer mean, some ten values; measured, 0.035 to 0.14 are alike, within two points of NAB.
const MORE: f64 = 0.1;
/// Gain of the mean log change; measured, 0.1 to 0.4 are alike.
const LIVELY: f64 = 0.2;
/// Steps below this many scales are as good as none; measured, 0.02 to 0.1 are alike.
const LEAST_STEP: f64 = 0.1;
/// Octaves of liveliness that are always ordinary; measured, 0.15 to 0.6 are alike.
const LEAST_LIVELY: f64 = 0.3;
/// What a row of a run without steps counts as a distance; measured, 0.1 to 1 are alike.
const A_ROW: f64 = 0.25;
/// Share of such a run in an alarm: it finds the flat line where there was noise. In the rank it would put idle metrics
/// above all others, and SMD would lose a fifth.
const OF_RUN: f64 = 0.75;
/// Share of a rest that time does not explain: it stands alone, where a novel value shows in three ways. Measured, 1
/// finds a little less on NAB, and 2 has a third more false alarms.
const OF_REST: f64 = 1.5;
/// Share of the rank in an alarm; measured, 0.4 to 0.6 are alike, with fewer and with more alarms.
const OF_RANK: f64 = 0.5;
/// Gain and share of the mean of recent largest surprises in the rank, so that a lasting incident outranks a blip;
/// measured, 0.05 to 0.2 and 1 to 3 are alike.
const LASTING_GAIN: f64 = 0.1;
const LASTING: f64 = 2.0;
/// Nats of rank at which the score without an alarm bends towards `MOST_RANK`; measured, 4 to 7 are alike.
const RANK: f64 = 5.0;
/// What a score without an alarm stays below.
const MOST_RANK: f64 = 0.81;
/// After an alarm only what is so much more alarming is told as well, which then falls row by row: by half in 230 rows.
/// Measured, 1.1 to 1.25 and 0.99 to 0.997 are alike, and 1.5 loses four points of NAB.
const AGAIN: f32 = 1.25;
const RECOVERY: f32 = 0.997;
/// Nats by which an alarm raises the bar, and rows without one lower it, so that both balance at the wanted rate (adaptive
/// conformal inference, Gibbs & Candès, `NeurIPS` 2021); measured, 0.1 and 0.2 are alike, and from 0.4 on NAB loses at the
/// threshold.
const LEARNED_BAR: f64 = 0.2;
/// Bounds of that, in bars.
const LOWEST_BAR: f64 = -0.5;
const HIGHEST_BAR: f64 = 1.0;
/// How much higher the bar is for a series of which nothing is known, and the weight at which a quarter of that is left;
/// measured, without it there are a tenth more false alarms.
const EARLY: f64 = 0.5;
const EARLY_ROWS: f64 = 200.0;
/// Rows between moves of the marks, and so how long an incident stays new at most; measured, 8 to 40 are alike.
const TURN: u8 = 16;

/// Bins of distances in scales, from a sixteenth to 128.
type Scales = Tail<12, -4>;

/// What the detector thinks of one observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Verdict {
    /// 0 is ordinary, 1 the threshold, above 1 an anomaly; NaN = not scored.
    pub(crate) score: f64,
    /// Signed distance from what was expected, which is the level or what the time explains, in the metric's own unit, of a
    /// counter per second; NaN where not scored.
    pub(crate) deviation: f64,
}

impl Verdict {
    const NONE: Self = Self { score: f64::NAN, deviation: f64::NAN };
}

/// How rare a row is by each look, as 1/P and from 1 on.
struct Rarity {
    far: f64,
    step: f64,
    run: f64,
    value: f64,
    few: f64,
    apart: f64,
    lively: f64,
    rest: f64,
}

impl Rarity {
    const NOT: Self = Self { far: 1.0, step: 1.0, run: 1.0, value: 1.0, few: 1.0, apart: 1.0, lively: 1.0, rest: 1.0 };

    /// Nats of all that is new, together.
    fn novelty(&self) -> f64 {
        // Each is below 1e9: their product has room.
        nats(self.value * self.few * self.apart * self.lively) + OF_RUN * nats(self.run) + OF_REST * nats(self.rest)
    }

    /// Nats of the rarest. The mean of the last few is left out: it stays new for long after an incident.
    fn largest(&self) -> f64 {
        let Self { far, step, value, apart, lively, rest, .. } = *self;
        nats(max(max(max(far, step), value), max(max(apart, lively), rest)))
    }
}

/// What all series share.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shared {
    pub(crate) decay: Decay,
    /// Seasons that may still be learned.
    pub(crate) seasons: usize,
}

/// The state of one series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    counter: Counter,
    level: Level,
    /// The last value.
    last: f64,
    /// Mean of the last few, and of some more.
    few: f64,
    more: f64,
    /// Mean log change, in octaves above a scale a row.
    lively: f64,
    /// Mean of `lively`, and its mean absolute deviation.
    usual_lively: f64,
    lively_scale: f64,
    /// Mean absolute difference to the longer mean.
    apart: f64,
    value_axis: Axis,
    apart_axis: Axis,
    lively_axis: Axis,
    values_seen: Visited<PLACES>,
    few_seen: Visited<PLACES>,
    apart_seen: Visited<PLACES>,
    lively_seen: Visited<2>,
    far_tail: Scales,
    step_tail: Scales,
    value_tail: Bins,
    few_tail: Bins,
    apart_tail: Bins,
    lively_tail: Bins,
    run_tail: Bins,
    /// Rows since the last step.
    run: u16,
    /// Mean of recent largest surprises, in nats.
    lasting: f32,
    /// What an alarm must exceed, falling; in bars.
    told: f32,
    /// Nats on top of the bar.
    bar: f32,
    /// Counts up to `TURN`.
    turn: u8,
    season: Option<Box<Season>>,
}

impl Series {
    /// A series of which nothing is known.
    pub(crate) const fn new() -> Self {
        Self {
            counter: Counter::new(),
            level: Level::new(),
            last: 0.0,
            few: 0.0,
            more: 0.0,
            lively: 0.0,
            usual_lively: 0.0,
            lively_scale: 0.0,
            apart: 0.0,
            value_axis: Axis::new(),
            apart_axis: Axis::new(),
            lively_axis: Axis::new(),
            values_seen: Visited::new(),
            few_seen: Visited::new(),
            apart_seen: Visited::new(),
            lively_seen: Visited::new(),
            far_tail: Tail::new(),
            step_tail: Tail::new(),
            value_tail: Tail::new(),
            few_tail: Tail::new(),
            apart_tail: Tail::new(),
            lively_tail: Tail::new(),
            run_tail: Tail::new(),
            run: 0,
            lasting: 0.0,
            told: 0.0,
            bar: 0.0,
            turn: 0,
            season: None,
        }
    }

    /// Whether it learns a season.
    pub(crate) fn has_season(&self) -> bool {
        self.season.is_some()
    }

    /// Scores a value and then learns from it. Times are in nanoseconds and may stand still or go backwards.
    pub(crate) fn observe(&mut self, p: &Parameters, shared: &mut Shared, time_ns: i64, value: f64) -> Verdict {
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
        let scored = self.level.weight >= p.min_samples as f32;
        let settled = self.level.settled();
        if self.level.weight == 0.0 {
            (self.last, self.few, self.more) = (value, value, value);
        }
        let scale = self.level.scale();
        self.turn = (self.turn + 1) % TURN;
        let turn = self.turn == 0 && settled;
        if turn || (settled && !self.value_axis.drawn()) {
            self.move_marks(scale);
        }
        let mut deviation = if self.level.weight > 0.0 { value - self.level.center } else { 0.0 };
        // Nothing that does not change needs a season.
        let begins =
            settled && self.season.is_none() && value.to_bits() != self.last.to_bits() && is_drawn(time_ns, value);
        let mut rare = self.look(value, deviation, scale, settled);
        if begins && shared.seasons > 0 {
            shared.seasons -= 1;
            self.season = Some(Box::new(Season::new(time_ns, &self.level)));
        }
        if let Some(season) = &mut self.season
            && let Some(left) = season.observe(&self.level, scale, time_ns, value, turn)
        {
            rare.rest = left.rarity;
            deviation = left.rest;
        }
        self.level.learn(value, scale);
        if !scored {
            return Verdict::NONE;
        }
        let bar = shared.decay.nats(p.false_alarm_rate);
        Verdict { score: self.judge(&rare, bar, p.false_alarm_rate), deviation }
    }

    /// Once in a while each axis follows its series.
    fn move_marks(&mut self, scale: f64) {
        let Self { values_seen, few_seen, apart_seen, lively_seen, .. } = self;
        self.value_axis.follow(self.level.center, scale, [values_seen, few_seen]);
        self.apart_axis.follow(0.0, max(self.apart, LEAST_SCALE * scale), [apart_seen]);
        self.lively_axis.follow(self.usual_lively, max(self.lively_scale, LEAST_LIVELY), [lively_seen]);
    }

    /// Looks at a value from all sides and learns from it.
    fn look(&mut self, value: f64, deviation: f64, scale: f64, settled: bool) -> Rarity {
        let gain = 1.0 / (f64::from(self.level.weight) + 1.0);
        let in_scales = 1.0 / scale;
        let step = min((value - self.last).abs() * in_scales, MAX_DEVIATION);
        self.last = value;
        self.few += max(FEW, gain) * (value - self.few);
        self.more += max(MORE, gain) * (value - self.more);
        self.lively += max(LIVELY, gain) * (octaves(max(step, LEAST_STEP)) - self.lively);
        let apart = value - self.more;
        let mut rare = Rarity::NOT;
        if settled {
            self.run = if step < LEAST_STEP { self.run.saturating_add(1) } else { 0 };
            rare.run = self.run_tail.observe(f64::from(self.run) * A_ROW);
            rare.far = self.far_tail.observe(min(deviation.abs() * in_scales, MAX_DEVIATION));
            rare.step = self.step_tail.observe(step);
        }
        if settled && self.value_axis.drawn() {
            rare.value = self.value_tail.observe(self.values_seen.visit(self.value_axis.place(value)));
            rare.few = self.few_tail.observe(self.few_seen.visit(self.value_axis.place(self.few)));
            rare.apart = self.apart_tail.observe(self.apart_seen.visit(self.apart_axis.place(apart)));
            rare.lively = self.lively_tail.observe(self.lively_seen.visit(self.lively_axis.place(self.lively)));
        }
        let limited = |distance: f64, scale: f64| if settled { min(distance, WINSOR * scale) } else { distance };
        self.apart += gain * (limited(apart.abs(), self.apart) - self.apart);
        let livelier = self.lively - self.usual_lively;
        let learned = limited(livelier.abs(), self.lively_scale);
        self.usual_lively += gain * if livelier < 0.0 { -learned } else { learned };
        self.lively_scale += gain * (learned - self.lively_scale);
        rare
    }

    /// The score.
    fn judge(&mut self, rare: &Rarity, bar: f64, rate: f64) -> f64 {
        let largest = rare.largest();
        let rank = largest + LASTING * f64::from(self.lasting);
        self.lasting += (LASTING_GAIN * (largest - f64::from(self.lasting))) as f32;
        let early = EARLY_ROWS / (EARLY_ROWS + f64::from(self.level.weight));
        let raised = (bar + f64::from(self.bar)) * (1.0 + EARLY * early * early);
        let alarm = (rare.novelty() + OF_RANK * rank) / raised;
        let told = self.told * AGAIN;
        self.told *= RECOVERY;
        // To the fourth power: below the threshold what is ordinary is told as close to 0.
        let fourth = |x: f64| (x * x) * (x * x);
        let ranked = fourth(rank / RANK);
        let mut score = MOST_RANK * ranked / (1.0 + ranked);
        if alarm > f64::from(told) {
            self.told = alarm as f32;
            score = max(score, if alarm < 1.0 { fourth(alarm) } else { alarm });
        }
        let excess = f64::from(u8::from(score > 1.0)) - rate;
        self.bar = (f64::from(self.bar) + LEARNED_BAR * excess).clamp(LOWEST_BAR * bar, HIGHEST_BAR * bar) as f32;
        score
    }

    /// Appends the state, little-endian.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let Self {
            counter,
            level,
            last,
            few,
            more,
            lively,
            usual_lively,
            lively_scale,
            apart,
            value_axis,
            apart_axis,
            lively_axis,
            values_seen,
            few_seen,
            apart_seen,
            lively_seen,
            far_tail,
            step_tail,
            value_tail,
            few_tail,
            apart_tail,
            lively_tail,
            run_tail,
            run,
            lasting,
            told,
            bar,
            turn,
            season,
        } = self;
        counter.write(out);
        level.write(out);
        let means = [last, few, more, lively, usual_lively, lively_scale, apart];
        out.extend(means.map(|mean| mean.to_le_bytes()).as_flattened());
        for axis in [value_axis, apart_axis, lively_axis] {
            axis.write(out);
        }
        for seen in [values_seen, few_seen, apart_seen] {
            seen.write(out);
        }
        lively_seen.write(out);
        for tail in [far_tail, step_tail] {
            tail.write(out);
        }
        for tail in [value_tail, few_tail, apart_tail, lively_tail, run_tail] {
            tail.write(out);
        }
        out.extend(run.to_le_bytes());
        out.extend([lasting, told, bar].map(|value| value.to_le_bytes()).as_flattened());
        out.extend([*turn, u8::from(season.is_some())]);
        if let Some(season) = season {
            season.write(out);
        }
    }

    /// Takes back off the front what `write` wrote; `None` where a value is impossible.
    pub(crate) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let counter = Counter::read_back(bytes)?;
        let level = Level::read(bytes)?;
        let mut means = [0.0; 7];
        for mean in &mut means {
            *mean = f64::from_le_bytes(take(bytes)?);
        }
        let [last, few, more, lively, usual_lively, lively_scale, apart] = means;
        let mut series =
            Self { counter, level, last, few, more, lively, usual_lively, lively_scale, apart, ..Self::new() };
        for axis in [&mut series.value_axis, &mut series.apart_axis, &mut series.lively_axis] {
            *axis = Axis::read(bytes)?;
        }
        for seen in [&mut series.values_seen, &mut series.few_seen, &mut series.apart_seen] {
            *seen = Visited::read(bytes)?;
        }
        series.lively_seen = Visited::read(bytes)?;
        for tail in [&mut series.far_tail, &mut series.step_tail] {
            *tail = Tail::read(bytes)?;
        }
        let Self { value_tail, few_tail, apart_tail, lively_tail, run_tail, .. } = &mut series;
        for tail in [value_tail, few_tail, apart_tail, lively_tail, run_tail] {
            *tail = Tail::read(bytes)?;
        }
        series.run = u16::from_le_bytes(take(bytes)?);
        let [lasting, told, bar] = [take(bytes)?, take(bytes)?, take(bytes)?].map(f32::from_le_bytes);
        let [turn, has_season] = take(bytes)?;
        (series.lasting, series.told, series.bar, series.turn) = (lasting, told, bar, turn);
        let possible = means.iter().all(|mean| mean.abs() <= 4.0 * MAX_VALUE)
            && lively_scale >= 0.0
            && apart >= 0.0
            && [lasting, told].iter().all(|nats| (0.0..=1000.0).contains(nats))
            && bar.abs() <= 1000.0
            && [&series.apart_axis, &series.lively_axis].iter().all(|axis| axis.drawn() == series.value_axis.drawn())
            && turn < TURN
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

/// True of one row in sixteen, as drawn by the row itself (multiplicative hashing, Knuth 6.4): series that began together
/// then do not all take the room for their seasons in one batch.
fn is_drawn(time_ns: i64, value: f64) -> bool {
    (value.to_bits() ^ time_ns as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60 == 0
}

/// -ln P of a rarity.
fn nats(rarity: f64) -> f64 {
    if rarity > 1.0 { ln(rarity) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000_000;
    const YEAR: i64 = 525_600 * MINUTE;
    /// Half-life of an hour, rows of a minute.
    const QUICK: Parameters = Parameters { half_life: 3600.0, false_alarm_rate: 1e-4, min_samples: 7 };

    /// Half-life of three days, as for daily swings.
    const USUAL: Parameters = Parameters { half_life: 259_200.0, false_alarm_rate: 1e-4, min_samples: 100 };

    /// A series with its parameters, and a linear congruential generator (Knuth's MMIX constants).
    struct Run(Series, Parameters, Shared, u64);

    impl Run {
        fn new(parameters: Parameters) -> Self {
            Self(Series::new(), parameters, Shared { seasons: 1, ..Shared::default() }, 1)
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
    fn a_value_never_seen_outranks_a_farther_one_seen_often() {
        let mut run = Run::new(USUAL);
        for i in 0..3000 {
            let value = run.gaussian() + if i % 20 == 0 { 100.0 } else { 0.0 };
            run.at(i * MINUTE, value);
        }
        let [between, far] = [50.0, 100.0].map(|value| Run(run.0.clone(), USUAL, run.2, 1).at(3000 * MINUTE, value));
        assert!(between.deviation < far.deviation && between.score > 2.0 * far.score, "{between:?} {far:?}");
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
            assert!((5e-5..1e-2).contains(&rate), "stream {kind}: {rate}");
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
            let score = Run(run.0.clone(), QUICK, run.2, 1).at(500 * MINUTE, 8.0 + f64::from(i) * 0.02).score;
            // But for the liveliness, which may reach where it once was.
            assert!(score > most - 0.1 && (i == 0 || score - most < 0.3), "{i}: {most} {score}");
            most = max(most, score);
        }
        assert!(most > 1.0);
    }

    #[test]
    fn an_incident_is_told_once() {
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
    fn a_collapsed_and_a_grown_variance_alarm() {
        for (times, within, least) in [(0.1, 30, 8), (3.0, 30, 10)] {
            let found = (1..=10).filter(|&seed| {
                let mut run = Run::new(USUAL);
                run.3 = seed * 7919;
                run.alarms(0, 5000, 0.0);
                let alarms = (5000..5000 + within).filter(|i| {
                    let value = times * run.gaussian();
                    run.at(i * MINUTE, value).score > 1.0
                });
                alarms.count() > 0
            });
            let found = found.count();
            assert!(found >= least, "{times} times the usual: {found}");
        }
    }

    #[test]
    fn a_job_at_another_time_than_usual_alarms() {
        for period in [10, 15, 30, 60] {
            let mut run = Run::new(USUAL);
            let rows = 80 * period + 20_000;
            let job = |run: &mut Run, works: bool| 10.0 + 0.5 * run.gaussian() + if works { 12.0 } else { 0.0 };
            for i in 0..rows {
                let value = job(&mut run, i % period < 3);
                run.at(i * MINUTE, value);
            }
            let alarms = (0..period).filter(|i| {
                let value = job(&mut run, (period / 2..period / 2 + 3).contains(i));
                run.at((rows - rows % period + period + i) * MINUTE, value).score > 1.0
            });
            assert!((1..=2).contains(&alarms.count()), "every {period} minutes");
        }
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
        let mut without = Run(run.0.clone(), USUAL, run.2, run.3);
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
        assert!((1..=4).contains(&alarms[0]) && alarms[1] == 0, "{alarms:?}");
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
            assert!(alarms <= 6, "kind {kind}: {alarms}");
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
        // The last value, level, means and axes; weight, step, lasting, told, bar; the first mean of the season.
        let doubles = [0, 19, 27].into_iter().chain((51..155).step_by(8)).chain([409]);
        let fields = doubles.map(|at| (at, f64::NAN.to_le_bytes().to_vec()));
        let fields = fields.chain([43, 47, 387, 391, 395].map(|at| (at, f32::NAN.to_le_bytes().to_vec())));
        // A kind that is none, a negative scale, too many places, places out of order, counts that overflow, a turn too many, a flag, no bins of
        // a day, a period that is none.
        let fields = fields.chain([
            (17, vec![3]),
            (27, (-1.0_f64).to_le_bytes().to_vec()),
            (179, vec![6]),
            (155, vec![255, 255]),
            (247, vec![255; 4]),
            (399, vec![16]),
            (400, vec![2]),
            (497, vec![0]),
            (bytes.len() - 1, vec![8]),
        ]);
        for (at, corrupt) in fields {
            let mut bytes = bytes.clone();
            bytes[at..at + corrupt.len()].copy_from_slice(&corrupt);
            assert_eq!(Series::read(&mut bytes.as_slice()), None, "offset {at}");
        }
    }
}
