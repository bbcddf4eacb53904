//! One series of the streaming detector: how far a value is, how new, and for how long, as one score.

use super::Parameters;
use super::level::{Decay, Level, MAX_DEVIATION, MAX_VALUE, SETTLED};
use super::record::take;
use super::seen::Seen;
use super::tail::{MIN_QUANTILE, Quantile, Tail};
use crate::math::{ln, max, min};

/// Share of the change since the last value in the deviation; measured, 0.25 to 1 are alike.
const CHANGE: f64 = 0.5;
/// Gain of the mean of recent surprise, about the last ten values.
const LASTING_GAIN: f64 = 0.1;
/// Share of that mean in the score: enough to rank a lasting incident first, too little to bury a single spike.
const LASTING: f64 = 0.5;
/// More than the surprise of any one value, in nats: two tails with the largest deviation over the least mean excess.
const MAX_SURPRISE: f64 = 1000.0;

/// What the detector thinks of one observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Verdict {
    /// 0 is ordinary, 1 the threshold, above 1 an anomaly; NaN = not scored.
    pub(crate) score: f64,
    /// Signed distance from the level in scales; NaN where not scored.
    pub(crate) deviation: f64,
}

/// The state of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Series {
    level: Level,
    seen: Seen,
    /// Tail of the deviations, above their quantile.
    far: Tail,
    quantile: Quantile,
    /// Tail of the distances to the nearest value seen before, above `MIN_QUANTILE` scales.
    new: Tail,
    /// Mean surprise of recent values, in nats.
    lasting: f32,
}

const _: () = assert!(size_of::<Series>() <= 88);

impl Series {
    /// Bytes of a saved series.
    pub(crate) const SIZE: usize = 82;

    /// A series of which nothing is known.
    pub(crate) const fn new() -> Self {
        Self {
            level: Level::new(),
            seen: Seen::new(),
            far: Tail::new(),
            quantile: Quantile::new(),
            new: Tail::new(),
            lasting: 0.0,
        }
    }

    /// Scores a value and then learns from it. Beyond all values seen, farther never scores less. Times are in
    /// nanoseconds and may stand still or go backwards.
    pub(crate) fn observe(&mut self, p: &Parameters, decay: &mut Decay, time_ns: i64, value: f64) -> Verdict {
        if !value.is_finite() {
            return Verdict { score: f64::NAN, deviation: f64::NAN };
        }
        let value = value.clamp(-MAX_VALUE, MAX_VALUE);
        let Self { level, seen, far, quantile, new, lasting } = self;
        level.advance(time_ns, p.half_life, p.min_samples, decay);
        let settled = level.weight >= SETTLED;
        let scored = level.weight >= p.min_samples as f32;

        let scale = level.scale();
        let deviation = if level.weight > 0.0 { level.deviation(value, scale) } else { 0.0 };
        let distance = min(deviation.abs() + CHANGE * level.change(deviation), MAX_DEVIATION);
        // Most values fall where others did: they are not new, and leave no new mark.
        let nearest = seen.distance(value);
        let unseen = nearest > 0.0 || seen.is_empty();
        let mut surprise = far.observe(distance, quantile.value(), settled);
        if unseen {
            let novelty = min(nearest / scale, MAX_DEVIATION);
            surprise += new.observe(novelty, f64::from(MIN_QUANTILE), settled);
        }
        let evidence = surprise + LASTING * f64::from(*lasting);

        if settled {
            quantile.learn(distance, level.weight);
        }
        level.learn(value, deviation, scale);
        if unseen {
            seen.mark(value, level.scale(), settled);
        }
        if !scored {
            return Verdict { score: f64::NAN, deviation: f64::NAN };
        }
        *lasting += (LASTING_GAIN * (surprise - f64::from(*lasting))) as f32;
        Verdict { score: combined(evidence) * decay.unit(p.false_alarm_rate), deviation }
    }

    /// Appends the state as `SIZE` bytes, little-endian.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let Self { level, seen, far, quantile, new, lasting } = self;
        level.write(out);
        seen.write(out);
        far.write(out);
        quantile.write(out);
        new.write(out);
        out.extend(lasting.to_le_bytes());
    }

    /// Takes back what `write` wrote; `None` where a value is impossible.
    pub(crate) fn read(bytes: &[u8; Self::SIZE]) -> Option<Self> {
        let bytes = &mut bytes.as_slice();
        let level = Level::read(bytes)?;
        let seen = Seen::read(bytes)?;
        let far = Tail::read(bytes)?;
        let quantile = Quantile::read(bytes)?;
        let new = Tail::read(bytes)?;
        let lasting = f32::from_le_bytes(take(bytes)?);
        let possible = (0.0..=MAX_SURPRISE as f32).contains(&lasting);
        possible.then_some(Self { level, seen, far, quantile, new, lasting })
    }
}

/// -ln P of three surprises (far, new, lasting) with this sum, by Fisher's method (Statistical Methods for Research
/// Workers, 1925): the chi-squared survival with six degrees of freedom, e^-s (1 + s + s²/2).
fn combined(sum: f64) -> f64 {
    max(sum - ln(1.0 + sum + 0.5 * sum * sum), 0.0)
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
    struct Run(Series, Parameters, Decay, u64);

    impl Run {
        fn new(parameters: Parameters) -> Self {
            Self(Series::new(), parameters, Decay::default(), 1)
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
        let [between, far] = [50.0, 100.0].map(|value| Run(run.0, USUAL, run.2, 1).at(3000 * MINUTE, value));
        assert!(between.deviation < far.deviation && between.score > 2.0 * far.score, "{between:?} {far:?}");
    }

    #[test]
    fn a_level_shift_is_absorbed_in_five_half_lives() {
        let mut run = Run::new(QUICK);
        run.alarms(0, 3000, 0.0);
        assert!(run.alarms(3000, 6, 100.0) >= 1);
        assert!(run.at(3006 * MINUTE, 100.0).deviation > 20.0, "not at once");
        run.alarms(3007, 5 * 60, 100.0);
        assert!(run.at(3307 * MINUTE, 100.0).deviation.abs() < 1.5, "{:?}", run.at(3307 * MINUTE, 100.0));
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
            assert!((0..500).all(|i| run.at(i * MINUTE, constant).score.max(0.0) == 0.0));
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
    fn missing_and_infinite_values_teach_nothing() {
        let mut run = Run::new(QUICK);
        run.alarms(0, 100, 0.0);
        let before = run.0;
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
                assert!(bytes.first_chunk().and_then(Series::read).is_some(), "{:?}", run.0);
            }
        }
    }

    #[test]
    fn farther_beyond_everything_seen_never_scores_less() {
        let mut run = Run::new(QUICK);
        run.alarms(0, 500, 0.0);
        let mut previous = 0.0;
        for i in 0..2000 {
            let score = Run(run.0, QUICK, Decay::default(), 1).at(500 * MINUTE, 4.0 + f64::from(i) * 0.02).score;
            assert!(score >= previous && (i == 0 || score - previous < 0.3), "{i}: {previous} {score}");
            previous = score;
        }
        assert!(previous > 1.0);
    }

    #[test]
    fn a_saved_series_continues_bit_for_bit() {
        let mut run = Run::new(QUICK);
        for i in 0..500 {
            let mut bytes = Vec::new();
            run.0.write(&mut bytes);
            assert_eq!(bytes.len(), Series::SIZE);
            let read = bytes.first_chunk().and_then(Series::read);
            assert_eq!(read, Some(run.0), "row {i}");
            run.alarms(i, 1, 1e6);
        }
    }

    #[test]
    fn corrupt_records_are_rejected() {
        let mut run = Run::new(QUICK);
        run.alarms(0, 500, 10.0);
        let mut bytes = Vec::new();
        run.0.write(&mut bytes);
        // Level, scale, weight, step, last, change, base, exponent, both tails and their quantile, lasting.
        let doubles = [0, 8, 40];
        let singles = [24, 28, 32, 36, 58, 62, 66, 70, 74, 78];
        let fields = doubles.map(|at| (at, f64::NAN.to_le_bytes().to_vec())).into_iter();
        let fields = fields.chain(singles.map(|at| (at, f32::NAN.to_le_bytes().to_vec())));
        let fields = fields.chain([(8, (-1.0_f64).to_le_bytes().to_vec()), (56, i16::MAX.to_le_bytes().to_vec())]);
        for (at, corrupt) in fields {
            let mut bytes = bytes.clone();
            bytes[at..at + corrupt.len()].copy_from_slice(&corrupt);
            assert_eq!(bytes.first_chunk().and_then(Series::read), None, "offset {at}");
        }
    }
}
