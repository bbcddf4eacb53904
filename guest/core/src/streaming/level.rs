//! Level and scale of a series: exponentially weighted mean and mean square, with a half-life in time.

use super::record::take;
use crate::math::{clip_square, max, min};

/// Observations before the scale is used: a scale of 16 values is accurate to about 20 %.
const MIN_SCALE_ROWS: f32 = 16.0;
/// The largest deviation that is learned from, in scales.
const MAX_LEARNED_SCALES: f64 = 5.0;
/// The least half-life in typical steps, for each observation of the warm-up. Without it hourly rows would never warm up: the
/// weight of a steady series tends to 1.44 half-lives. During the warm-up it is longer, so that `min_samples` rows suffice.
const MIN_HALF_LIFE_STEPS: f64 = 8.0;
const MIN_HALF_LIFE_STEPS_WARM_UP: f64 = 128.0;
/// The largest weight, so that learning does not stop with a clock that stands still.
pub(super) const MAX_WEIGHT: f32 = 100_000.0;
/// The largest magnitude of a value: squares of differences are finite.
pub(super) const MAX_VALUE: f64 = 1e150;
/// The least scale relative to the level, of a series that has never changed, and of one that has: the precision of a double.
const MIN_SCALE_UNCHANGED: f64 = 1e-4;
const MIN_RELATIVE_SCALE: f64 = 1e-9;
/// The least scale, in the metric's own unit: a picosecond, or a thousandth of a part per billion.
const MIN_ABSOLUTE_SCALE: f64 = 1e-12;

/// A cache of the last decay factor, which most observations of a batch share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decay {
    time: f64,
    half_life: f64,
    factor: f64,
}

impl Default for Decay {
    fn default() -> Self {
        Self { time: 0.0, half_life: 1.0, factor: 1.0 }
    }
}

impl Decay {
    /// 2^(-time/half-life), for a time of 0 or more.
    fn factor(&mut self, time: f64, half_life: f64) -> f64 {
        if (time.to_bits(), half_life.to_bits()) != (self.time.to_bits(), self.half_life.to_bits()) {
            *self = Self { time, half_life, factor: libm::exp2(-time / half_life) };
        }
        self.factor
    }
}

/// Exponentially weighted level and scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Level {
    /// Weighted mean of the values, which are clipped.
    pub(super) mean: f64,
    /// Weighted mean square of the deviations, which are clipped.
    mean_square: f64,
    /// The smallest step between two values ever seen; 0 before any.
    pub(super) min_step: f64,
    /// Effective number of observations: 1 each, halved every half-life. 0 before the first.
    pub(super) effective_rows: f32,
    /// Typical step in seconds, 0 while unknown.
    pub(super) typical_step: f32,
}

impl Level {
    /// Without values.
    pub(super) const fn new() -> Self {
        Self { mean: 0.0, mean_square: 0.0, min_step: 0.0, effective_rows: 0.0, typical_step: 0.0 }
    }

    /// Decays the weight by `dt` seconds: a factor of 2^(-dt/half-life). A backward step counts as none.
    pub(super) fn decay_weight(&mut self, dt: f64, half_life: f64, min_samples: u32, decay: &mut Decay) {
        if dt > 0.0 && self.effective_rows > 0.0 {
            if self.typical_step == 0.0 {
                self.typical_step = dt as f32;
            }
            let warm = self.is_warm(min_samples, 0.0);
            let steps = if warm { MIN_HALF_LIFE_STEPS } else { MIN_HALF_LIFE_STEPS_WARM_UP };
            let half_life = max(half_life, steps * f64::from(min_samples) * f64::from(self.typical_step));
            self.effective_rows *= decay.factor(dt, half_life) as f32;
            // A gap counts as two steps, so that it raises the typical step by a sixteenth at most.
            self.typical_step += (min(dt as f32, 2.0 * self.typical_step) - self.typical_step) / 16.0;
        }
    }

    /// The least scale: a share of the smallest step so far, which is the resolution of the data. Without it the scale of a
    /// series of zeros would be 0, and the first other value infinitely far away.
    pub(super) fn min_scale(&self, share: f64) -> f64 {
        let relative = if self.min_step > 0.0 { MIN_RELATIVE_SCALE } else { MIN_SCALE_UNCHANGED };
        max(share * self.min_step, relative * self.mean.abs() + MIN_ABSOLUTE_SCALE)
    }

    /// Mean square of the deviations, at least the square of `min_scale`.
    pub(super) fn mean_square(&self, min_scale: f64) -> f64 {
        max(self.mean_square, min_scale * min_scale)
    }

    /// The weight of a new row relative to all that are remembered.
    pub(super) fn gain(&self) -> f64 {
        f64::from(1.0 / (self.effective_rows + 1.0))
    }

    /// Whether there were enough rows for a score, with those of siblings.
    pub(super) fn is_warm(&self, min_samples: u32, sibling_rows: f32) -> bool {
        self.effective_rows + sibling_rows >= min_samples as f32 - 0.5
    }

    /// Whether there were enough rows for a scale.
    pub(super) fn has_scale(&self) -> bool {
        self.effective_rows >= MIN_SCALE_ROWS
    }

    /// Updates the smallest step between two values.
    pub(super) fn update_min_step(&mut self, step: f64) {
        if step > 0.0 && (self.min_step == 0.0 || step < self.min_step) {
            self.min_step = step;
        }
    }

    /// Learns from a value's deviation from the mean, with this gain. Once there is a scale, the deviation is clipped to a few
    /// scales, given their `mean_square`.
    pub(super) fn update_level(&mut self, deviation: f64, mean_square: f64, gain: f64) {
        let most = if self.has_scale() && self.mean_square > 0.0 {
            MAX_LEARNED_SCALES * MAX_LEARNED_SCALES * mean_square
        } else {
            f64::INFINITY
        };
        self.effective_rows = min(self.effective_rows + 1.0, MAX_WEIGHT);
        let deviation = clip_square(deviation, most);
        self.mean += gain * deviation;
        self.mean_square += gain * (deviation * deviation - self.mean_square);
    }

    /// Adds siblings' scale with the weight of `rows`, and their smallest step if there was none. Returns the share of
    /// siblings in the scale.
    pub(super) fn blend_siblings(&mut self, scale: f64, min_step: f64, rows: f32) -> f64 {
        self.effective_rows = min(self.effective_rows + rows, MAX_WEIGHT);
        let share = min(f64::from(rows / self.effective_rows), 1.0);
        self.mean_square += share * (scale * scale - self.mean_square);
        if self.min_step == 0.0 {
            self.min_step = min_step;
        }
        share
    }

    /// Appends the fields, little-endian.
    pub(super) fn write_state(self, out: &mut Vec<u8>) {
        let Self { mean, mean_square, min_step, effective_rows, typical_step } = self;
        out.extend([mean, mean_square, min_step].map(f64::to_le_bytes).as_flattened());
        out.extend([effective_rows, typical_step].map(f32::to_le_bytes).as_flattened());
    }

    /// Reads the fields from the front; `None` where one is impossible.
    pub(super) fn read_state(bytes: &mut &[u8]) -> Option<Self> {
        let [mean, mean_square, min_step] = [take(bytes)?, take(bytes)?, take(bytes)?].map(f64::from_le_bytes);
        let (effective_rows, typical_step) = (f32::from_le_bytes(take(bytes)?), f32::from_le_bytes(take(bytes)?));
        let possible = mean.abs() <= MAX_VALUE
            && (0.0..f64::INFINITY).contains(&mean_square)
            && (0.0..f64::INFINITY).contains(&min_step)
            && (0.0..=MAX_WEIGHT).contains(&effective_rows)
            && (0.0..f32::INFINITY).contains(&typical_step);
        possible.then_some(Self { mean, mean_square, min_step, effective_rows, typical_step })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_half_life_is_one_of_time_whatever_the_steps() {
        let run = |steps: &[f64]| {
            let (mut level, mut decay) = (Level::new(), Decay::default());
            level.effective_rows = 1000.0;
            for step in steps {
                level.decay_weight(*step, 3600.0, 0, &mut decay);
            }
            level.effective_rows
        };
        for steps in [vec![60.0; 60], vec![3600.0], [1.0, 119.0].repeat(30), [600.0, 600.0, 2400.0].to_vec()] {
            assert!((run(&steps) - 500.0).abs() < 0.01, "{}", run(&steps));
        }
    }

    #[test]
    fn a_gap_hardly_moves_the_typical_step() {
        let (mut level, mut decay) = (Level::new(), Decay::default());
        for step in [60.0; 100].into_iter().chain([1e6]) {
            level.decay_weight(step, 3600.0, 0, &mut decay);
            level.update_level(0.0, 1.0, level.gain());
        }
        assert!((level.typical_step - 60.0 * 17.0 / 16.0).abs() < 0.01, "{level:?}");
    }

    #[test]
    fn after_zeros_the_scale_is_that_of_the_data() {
        let mut level = Level::new();
        for _ in 0..1000 {
            level.update_level(0.0, level.mean_square(level.min_scale(0.5)), level.gain());
        }
        level.update_min_step(5.0);
        assert!((level.mean_square(level.min_scale(0.5)) - 6.25).abs() < 1e-9, "{level:?}");
    }
}
