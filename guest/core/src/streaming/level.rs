//! What a series is used to: its level and scale, forgotten by a half-life in time.

use super::record::take;
use crate::math::{max, min};

/// Observations before scales mean anything: one of 16 values is good to about 20 %.
const SETTLED: f32 = 16.0;
/// Deviations are pulled in to this many scales before they are learned from.
const LIMIT: f64 = 5.0;
/// Least half-life in typical steps per observation of warm-up, so that hourly rows can ever warm up: the weight of a
/// steady series tends to 1.44 half-lives and reaches `min_samples` after 1.05 `min_samples` rows.
const STEPS_PER_SAMPLE: f64 = 8.0;
/// Most weight, so that a clock that stands still cannot stop the learning.
pub(super) const MAX_WEIGHT: f32 = 100_000.0;
/// Largest magnitude of a value: leaves room for squares of differences before infinity.
pub(super) const MAX_VALUE: f64 = 1e150;
/// Least scale relative to the level, of a series that was never seen to change, and of one that was: what is left of a
/// double's digits.
const UNCHANGED_FLOOR: f64 = 1e-4;
const RELATIVE_FLOOR: f64 = 1e-9;
/// Least scale around zero, in the metric's own unit: a picosecond or a thousandth of a part per billion.
const ABSOLUTE_FLOOR: f64 = 1e-12;

/// The exponential that most observations of a detector share, of the last arguments: a cache, not a state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decay {
    time: f64,
    half_life: f64,
    left: f64,
}

impl Default for Decay {
    fn default() -> Self {
        Self { time: 0.0, half_life: 1.0, left: 1.0 }
    }
}

impl Decay {
    /// What is left of a weight after some time, 0 or more.
    fn after(&mut self, time: f64, half_life: f64) -> f64 {
        if (time.to_bits(), half_life.to_bits()) != (self.time.to_bits(), self.half_life.to_bits()) {
            *self = Self { time, half_life, left: libm::exp2(-time / half_life) };
        }
        self.left
    }
}

/// Exponentially weighted level and scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Level {
    /// Weighted mean of the values, limited.
    pub(super) center: f64,
    /// Of the last value, whichever way the clock went.
    time_ns: i64,
    /// Weighted mean square of the deviations, limited.
    square: f64,
    /// The smallest step between two values ever seen; 0 before any.
    pub(super) resolution: f64,
    /// Effective number of observations: 1 each, halved every half-life. 0 before the first.
    pub(super) weight: f32,
    /// Typical step in seconds, 0 while unknown.
    pub(super) step: f32,
}

impl Level {
    /// Nothing known yet.
    pub(super) const fn new() -> Self {
        Self { center: 0.0, time_ns: 0, square: 0.0, resolution: 0.0, weight: 0.0, step: 0.0 }
    }

    /// Lets time pass: fades the weight by 2^(-dt/half-life), where a backward step counts as none.
    pub(super) fn advance(&mut self, time_ns: i64, half_life: f64, min_samples: u32, decay: &mut Decay) {
        let dt = time_ns.saturating_sub(self.time_ns).max(0) as f64 * 1e-9;
        self.time_ns = time_ns;
        if dt > 0.0 && self.weight > 0.0 {
            if self.step == 0.0 {
                self.step = dt as f32;
            }
            let half_life = max(half_life, STEPS_PER_SAMPLE * f64::from(min_samples) * f64::from(self.step));
            self.weight *= decay.after(dt, half_life) as f32;
            // A gap counts as two steps, so that it raises the typical step by a sixteenth at most.
            self.step += (min(dt as f32, 2.0 * self.step) - self.step) / 16.0;
        }
    }

    /// Below what differences mean nothing: a share of the smallest step ever seen, of the data's own resolution. Without it
    /// the scale of a series of zeros is nothing, and each value after the first other one is infinitely far out.
    pub(super) fn floor(&self, share: f64) -> f64 {
        let relative = if self.resolution > 0.0 { RELATIVE_FLOOR } else { UNCHANGED_FLOOR };
        max(share * self.resolution, relative * self.center.abs() + ABSOLUTE_FLOOR)
    }

    /// Root mean square of the deviations, at least `floor`.
    pub(super) fn scale(&self, floor: f64) -> f64 {
        max(self.square.sqrt(), floor)
    }

    /// Whether enough was seen for the scale to mean something.
    pub(super) fn settled(&self) -> bool {
        self.weight >= SETTLED
    }

    /// Takes note of how far a value is from the one before.
    pub(super) fn resolve(&mut self, step: f64) {
        if step > 0.0 && (self.resolution == 0.0 || step < self.resolution) {
            self.resolution = step;
        }
    }

    /// Learns a value, by a `share` of a step of 1/weight, pulled in to a few scales once settled.
    pub(super) fn learn(&mut self, value: f64, scale: f64, share: f64) {
        if self.weight == 0.0 {
            self.center = value;
        }
        let limit = if self.settled() && self.square > 0.0 { LIMIT * scale } else { f64::INFINITY };
        self.weight = min(self.weight + 1.0, MAX_WEIGHT);
        let gain = share / f64::from(self.weight);
        let deviation = (value - self.center).clamp(-limit, limit);
        self.center += gain * deviation;
        self.square += gain * (deviation * deviation - self.square);
    }

    /// Takes in what siblings tell of its scale, as though so many rows had shown it, and of its resolution where it has not
    /// changed yet. Returns the share that siblings have in what is known then.
    pub(super) fn start(&mut self, scale: f64, resolution: f64, rows: f32) -> f64 {
        self.weight = min(self.weight + rows, MAX_WEIGHT);
        let share = min(f64::from(rows / self.weight), 1.0);
        self.square += share * (scale * scale - self.square);
        if self.resolution == 0.0 {
            self.resolution = resolution;
        }
        share
    }

    /// Appends the fields, little-endian.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let Self { center, time_ns, square, resolution, weight, step } = self;
        out.extend(center.to_le_bytes());
        out.extend(time_ns.to_le_bytes());
        out.extend([square, resolution].map(f64::to_le_bytes).as_flattened());
        out.extend([weight, step].map(f32::to_le_bytes).as_flattened());
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let center = f64::from_le_bytes(take(bytes)?);
        let time_ns = i64::from_le_bytes(take(bytes)?);
        let (square, resolution) = (f64::from_le_bytes(take(bytes)?), f64::from_le_bytes(take(bytes)?));
        let (weight, step) = (f32::from_le_bytes(take(bytes)?), f32::from_le_bytes(take(bytes)?));
        let possible = center.abs() <= MAX_VALUE
            && (0.0..f64::INFINITY).contains(&square)
            && (0.0..f64::INFINITY).contains(&resolution)
            && (0.0..=MAX_WEIGHT).contains(&weight)
            && (0.0..f32::INFINITY).contains(&step);
        possible.then_some(Self { center, time_ns, square, resolution, weight, step })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_half_life_is_one_of_time_whatever_the_steps() {
        let run = |steps: &[i64]| {
            let (mut level, mut decay) = (Level::new(), Decay::default());
            level.learn(0.0, 1.0, 1.0);
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
            level.learn(0.0, 1.0, 1.0);
        }
        assert!((level.step - 60.0 * 17.0 / 16.0).abs() < 0.01, "{level:?}");
    }

    #[test]
    fn after_zeros_the_scale_is_that_of_the_data() {
        let mut level = Level::new();
        for _ in 0..1000 {
            level.learn(0.0, level.scale(level.floor(0.5)), 1.0);
        }
        level.resolve(5.0);
        assert!((level.scale(level.floor(0.5)) - 2.5).abs() < 1e-9, "{level:?}");
    }
}
