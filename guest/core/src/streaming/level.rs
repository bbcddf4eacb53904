//! What a series is used to: its level and scale, forgotten by a half-life in time.

use super::record::take;
use crate::math::{max, min, pulled_in};

/// Observations before scales mean anything: one of 16 values is good to about 20 %.
const SETTLED: f32 = 16.0;
/// Deviations are pulled in to this many scales before they are learned from.
const LIMIT: f64 = 5.0;
/// Least half-life in typical steps per observation of warm-up, so that hourly rows can ever warm up: the weight of a steady
/// series tends to 1.44 half-lives. While it warms up hardly anything is forgotten, and `min_samples` rows are just that.
const STEPS_PER_SAMPLE: f64 = 8.0;
const STEPS_PER_SAMPLE_AT_FIRST: f64 = 128.0;
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
        Self { center: 0.0, square: 0.0, resolution: 0.0, weight: 0.0, step: 0.0 }
    }

    /// Lets so many seconds pass: fades the weight by 2^(-dt/half-life), where a backward step counts as none.
    pub(super) fn advance(&mut self, dt: f64, half_life: f64, min_samples: u32, decay: &mut Decay) {
        if dt > 0.0 && self.weight > 0.0 {
            if self.step == 0.0 {
                self.step = dt as f32;
            }
            let warm = self.is_warm(min_samples, 0.0);
            let steps = if warm { STEPS_PER_SAMPLE } else { STEPS_PER_SAMPLE_AT_FIRST };
            let half_life = max(half_life, steps * f64::from(min_samples) * f64::from(self.step));
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

    /// Mean square of the deviations, at least that of `floor`.
    pub(super) fn square(&self, floor: f64) -> f64 {
        max(self.square, floor * floor)
    }

    /// The share that a row has among those that are remembered.
    pub(super) fn gain(&self) -> f64 {
        f64::from(1.0 / (self.weight + 1.0))
    }

    /// Whether enough was seen for a score, with the rows that siblings lend.
    pub(super) fn is_warm(&self, min_samples: u32, lent: f32) -> bool {
        self.weight + lent >= min_samples as f32 - 0.5
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

    /// Learns a value that is so far from the center, by this gain; once settled it is pulled in to a few scales, given their
    /// mean square.
    pub(super) fn learn(&mut self, deviation: f64, square: f64, gain: f64) {
        let most = if self.settled() && self.square > 0.0 { LIMIT * LIMIT * square } else { f64::INFINITY };
        self.weight = min(self.weight + 1.0, MAX_WEIGHT);
        let deviation = pulled_in(deviation, most);
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
        let Self { center, square, resolution, weight, step } = self;
        out.extend([center, square, resolution].map(f64::to_le_bytes).as_flattened());
        out.extend([weight, step].map(f32::to_le_bytes).as_flattened());
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(super) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let [center, square, resolution] = [take(bytes)?, take(bytes)?, take(bytes)?].map(f64::from_le_bytes);
        let (weight, step) = (f32::from_le_bytes(take(bytes)?), f32::from_le_bytes(take(bytes)?));
        let possible = center.abs() <= MAX_VALUE
            && (0.0..f64::INFINITY).contains(&square)
            && (0.0..f64::INFINITY).contains(&resolution)
            && (0.0..=MAX_WEIGHT).contains(&weight)
            && (0.0..f32::INFINITY).contains(&step);
        possible.then_some(Self { center, square, resolution, weight, step })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_half_life_is_one_of_time_whatever_the_steps() {
        let run = |steps: &[f64]| {
            let (mut level, mut decay) = (Level::new(), Decay::default());
            level.weight = 1000.0;
            for step in steps {
                level.advance(*step, 3600.0, 0, &mut decay);
            }
            level.weight
        };
        for steps in [vec![60.0; 60], vec![3600.0], [1.0, 119.0].repeat(30), [600.0, 600.0, 2400.0].to_vec()] {
            assert!((run(&steps) - 500.0).abs() < 0.01, "{}", run(&steps));
        }
    }

    #[test]
    fn a_gap_hardly_moves_the_typical_step() {
        let (mut level, mut decay) = (Level::new(), Decay::default());
        for step in [60.0; 100].into_iter().chain([1e6]) {
            level.advance(step, 3600.0, 0, &mut decay);
            level.learn(0.0, 1.0, level.gain());
        }
        assert!((level.step - 60.0 * 17.0 / 16.0).abs() < 0.01, "{level:?}");
    }

    #[test]
    fn after_zeros_the_scale_is_that_of_the_data() {
        let mut level = Level::new();
        for _ in 0..1000 {
            level.learn(0.0, level.square(level.floor(0.5)), level.gain());
        }
        level.resolve(5.0);
        assert!((level.square(level.floor(0.5)) - 6.25).abs() < 1e-9, "{level:?}");
    }
}
