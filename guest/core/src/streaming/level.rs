//! What a series is used to: its level and scale, forgotten by a half-life in time.

use super::record::take;
use crate::math::{max, min};

/// Observations before winsorising and the tail begin: a mean absolute deviation of 16 values is good to about 20 %.
const SETTLED: f32 = 16.0;
/// Deviations are pulled in to this many scales before they are learned from; measured, 3 to 10 are alike.
pub(crate) const WINSOR: f64 = 5.0;
/// Least scale relative to the level, for series that are all but constant; measured, 1e-3 is alike and 1e-6 triples
/// the false alarms of ASD.
const RELATIVE_FLOOR: f64 = 1e-4;
/// Least scale around zero, in the metric's own unit: a picosecond or a thousandth of a part per billion.
const ABSOLUTE_FLOOR: f64 = 1e-12;
/// Least half-life in typical steps per observation of warm-up, so that hourly rows can ever warm up: the weight of a
/// steady series tends to 1.44 half-lives and reaches `min_samples` after 1.05 `min_samples` rows.
const STEPS_PER_SAMPLE: f64 = 8.0;
/// Most weight, so that a clock that stands still cannot stop the learning.
pub(crate) const MAX_WEIGHT: f32 = 100_000.0;
/// Largest distance looked at, in scales, so that the scale's floor cannot make one change outrank every other; measured,
/// 1e3 to 1e6 are alike.
pub(crate) const MAX_DEVIATION: f64 = 1e4;

/// Largest magnitude of a value: leaves room for a few doublings before infinity.
pub(crate) const MAX_VALUE: f64 = 1e300;

/// The transcendental functions that most observations of a detector share, of the last argument: a cache, not a state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decay {
    /// x and 2^-x.
    exp2: (f64, f64),
    /// A false-alarm rate and its nats.
    nats: (f64, f64),
}

impl Default for Decay {
    fn default() -> Self {
        Self { exp2: (0.0, 1.0), nats: (1.0, 0.0) }
    }
}

impl Decay {
    /// 2^-`x`, x ≥ 0: what is left of a weight after x half-lives.
    fn after(&mut self, x: f64) -> f64 {
        if x.to_bits() != self.exp2.0.to_bits() {
            self.exp2 = (x, libm::exp2(-x));
        }
        self.exp2.1
    }

    /// -ln(`rate`), the bar of an alarm; rate in (0, 1).
    pub(crate) fn nats(&mut self, rate: f64) -> f64 {
        if rate.to_bits() != self.nats.0.to_bits() {
            self.nats = (rate, -libm::log(rate));
        }
        self.nats.1
    }
}

/// Exponentially weighted level and scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Level {
    /// Weighted mean of the winsorised values.
    pub(crate) center: f64,
    /// Mean absolute winsorised deviation from the level.
    scale: f64,
    /// Of the last value, whichever way the clock went.
    time_ns: i64,
    /// Effective number of observations: 1 each, halved every half-life. 0 before the first.
    pub(crate) weight: f32,
    /// Typical step in seconds, 0 while unknown.
    pub(crate) step: f32,
}

impl Level {
    /// Nothing known yet.
    pub(crate) const fn new() -> Self {
        Self { center: 0.0, scale: 0.0, time_ns: 0, weight: 0.0, step: 0.0 }
    }

    /// Lets time pass: fades the weight by 2^(-dt/half-life), where a backward step counts as none.
    pub(crate) fn advance(&mut self, time_ns: i64, half_life: f64, min_samples: u32, decay: &mut Decay) {
        let dt = time_ns.saturating_sub(self.time_ns).max(0) as f64 * 1e-9;
        self.time_ns = time_ns;
        if dt > 0.0 && self.weight > 0.0 {
            if self.step == 0.0 {
                self.step = dt as f32;
            }
            let half_life = max(half_life, STEPS_PER_SAMPLE * f64::from(min_samples) * f64::from(self.step));
            self.weight *= decay.after(dt / half_life) as f32;
            // A gap counts as two steps, so that it raises the typical step by a sixteenth at most.
            self.step += (min(dt as f32, 2.0 * self.step) - self.step) / 16.0;
        }
    }

    /// The scale with its floor, in the metric's unit, always positive.
    pub(crate) fn scale(&self) -> f64 {
        max(self.scale, RELATIVE_FLOOR * self.center.abs() + ABSOLUTE_FLOOR)
    }

    /// Whether enough was seen for the scale to mean something.
    pub(crate) fn settled(&self) -> bool {
        self.weight >= SETTLED
    }

    /// Learns a value by a step of 1/weight, pulled in to a few times `scale` once settled.
    pub(crate) fn learn(&mut self, value: f64, scale: f64) {
        if self.weight == 0.0 {
            self.center = value;
        }
        let settled = self.settled();
        self.weight = min(self.weight + 1.0, MAX_WEIGHT);
        let gain = 1.0 / f64::from(self.weight);
        let limit = if settled { WINSOR * scale } else { f64::INFINITY };
        let deviating = (value - self.center).clamp(-limit, limit);
        self.center += gain * deviating;
        self.scale += gain * (deviating.abs() - self.scale);
    }

    /// Appends the fields, little-endian.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let Self { center, scale, time_ns, weight, step } = self;
        out.extend([center.to_le_bytes(), scale.to_le_bytes(), time_ns.to_le_bytes()].as_flattened());
        out.extend([weight, step].map(f32::to_le_bytes).as_flattened());
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(crate) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (center, scale) = (f64::from_le_bytes(take(bytes)?), f64::from_le_bytes(take(bytes)?));
        let time_ns = i64::from_le_bytes(take(bytes)?);
        let (weight, step) = (f32::from_le_bytes(take(bytes)?), f32::from_le_bytes(take(bytes)?));
        let possible = center.abs() <= MAX_VALUE
            && (0.0..=2.0 * MAX_VALUE).contains(&scale)
            && (0.0..=MAX_WEIGHT).contains(&weight)
            && (0.0..f32::INFINITY).contains(&step);
        possible.then_some(Self { center, scale, time_ns, weight, step })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_half_life_is_one_of_time_whatever_the_steps() {
        let run = |steps: &[i64]| {
            let (mut level, mut decay) = (Level::new(), Decay::default());
            level.learn(0.0, 1.0);
            level.weight = 1000.0;
            let mut time = 0;
            for step in steps {
                time += step;
                level.advance(time * 1_000_000_000, 3600.0, 0, &mut decay);
            }
            level.weight
        };
        for steps in [vec![60; 60], vec![3600], [1, 119].repeat(30), [600, 600, 2400].to_vec()] {
            assert!((run(&steps) - 500.0).abs() < 0.01, "{}", run(&steps));
        }
    }

    #[test]
    fn a_gap_hardly_moves_the_typical_step() {
        let (mut level, mut decay) = (Level::new(), Decay::default());
        for time in (0..100).chain([1_000_000]) {
            level.advance(time * 60_000_000_000, 3600.0, 0, &mut decay);
            level.learn(0.0, 1.0);
        }
        assert!((level.step - 60.0 * 17.0 / 16.0).abs() < 0.01, "{level:?}");
    }
}
