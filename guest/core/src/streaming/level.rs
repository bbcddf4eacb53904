//! What a series is used to: its level, scale and step, forgotten by a half-life in time, and the values it has taken.

use super::series::take;

/// Observations before winsorising and the tail begin: a mean absolute deviation of 16 values is good to about 20 %.
pub(crate) const SETTLED: f32 = 16.0;
/// Deviations are pulled in to this many scales before they are learned from; measured, 3 to 10 are alike.
const WINSOR: f64 = 5.0;
/// Least scale relative to the level, for series that are all but constant; measured, 1e-3 is alike and 1e-6 triples
/// the false alarms of ASD.
const RELATIVE_FLOOR: f64 = 1e-4;
/// Least scale around zero, in the metric's own unit: a picosecond or a thousandth of a part per billion.
const ABSOLUTE_FLOOR: f64 = 1e-12;
/// Least half-life in typical steps per observation of warm-up, so that hourly rows can ever warm up: the weight of a
/// steady series tends to 1.44 half-lives and reaches `min_samples` after 1.05 `min_samples` rows.
const STEPS_PER_SAMPLE: f64 = 8.0;
/// Most weight, so that a clock that stands still cannot stop the learning.
const MAX_WEIGHT: f32 = 100_000.0;
/// Largest deviation told, in scales, so that the scale's floor cannot make one change outrank every other; measured,
/// 1e3 to 1e6 are alike.
pub(crate) const MAX_DEVIATION: f64 = 1e4;

/// The transcendental functions that most observations of a detector share, of the last argument: a cache, not a state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decay {
    /// x and 2^-x.
    exp2: (f64, f64),
    /// A false-alarm rate and -1 over its logarithm.
    unit: (f64, f64),
}

impl Default for Decay {
    fn default() -> Self {
        Self { exp2: (0.0, 1.0), unit: (1.0, f64::INFINITY) }
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

    /// -1/ln(`rate`), by which nats become a score; rate in (0, 1).
    pub(crate) fn unit(&mut self, rate: f64) -> f64 {
        if rate.to_bits() != self.unit.0.to_bits() {
            self.unit = (rate, -1.0 / libm::log(rate));
        }
        self.unit.1
    }
}

/// Exponentially weighted level and scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Level {
    /// Weighted mean of the winsorised values.
    center: f64,
    /// Mean absolute winsorised deviation from the level.
    scale: f64,
    /// Of the last value, whichever way the clock went.
    time_ns: i64,
    /// Effective number of observations: 1 each, halved every half-life. 0 before the first.
    pub(crate) weight: f32,
    /// Typical step in seconds, 0 while unknown.
    step: f32,
    /// Deviation of the last value, in scales.
    last: f32,
    /// Mean absolute change of the deviation from one value to the next.
    change: f32,
}

impl Level {
    /// Nothing known yet.
    pub(crate) const fn new() -> Self {
        Self { center: 0.0, scale: 0.0, time_ns: 0, weight: 0.0, step: 0.0, last: 0.0, change: 0.0 }
    }

    /// Lets time pass: fades the weight by 2^(-dt/half-life), where a backward step counts as none.
    pub(crate) fn advance(&mut self, time_ns: i64, half_life: f64, min_samples: u32, decay: &mut Decay) {
        let dt = time_ns.saturating_sub(self.time_ns).max(0) as f64 * 1e-9;
        self.time_ns = time_ns;
        if dt > 0.0 && self.weight > 0.0 {
            if self.step == 0.0 {
                self.step = dt as f32;
            }
            let half_life = half_life.max(STEPS_PER_SAMPLE * f64::from(min_samples) * f64::from(self.step));
            self.weight *= decay.after(dt / half_life) as f32;
            // A gap counts as two steps, so that it raises the typical step by a sixteenth at most.
            self.step += ((dt as f32).min(2.0 * self.step) - self.step) / 16.0;
        }
    }

    /// The scale with its floor, in the metric's unit, always positive.
    pub(crate) fn scale(&self) -> f64 {
        self.scale.max(RELATIVE_FLOOR * self.center.abs() + ABSOLUTE_FLOOR)
    }

    /// Signed deviation of `value` from the level, in units of `scale`.
    pub(crate) fn deviation(&self, value: f64, scale: f64) -> f64 {
        ((value - self.center) / scale).clamp(-MAX_DEVIATION, MAX_DEVIATION)
    }

    /// Change of the deviation since the last value, in scales, 1 being that of an average step.
    pub(crate) fn change(&self, deviation: f64) -> f64 {
        // A tenth of a scale is never a great change, however smooth the series was.
        (deviation - f64::from(self.last)).abs() / f64::from(self.change).max(0.1)
    }

    /// Learns a value and its deviation in units of `scale` by a step of 1/weight, pulled in once settled.
    pub(crate) fn learn(&mut self, value: f64, deviation: f64, scale: f64) {
        if self.weight == 0.0 {
            self.center = value;
        }
        let settled = self.weight >= SETTLED;
        self.weight = (self.weight + 1.0).min(MAX_WEIGHT);
        let gain = 1.0 / f64::from(self.weight);
        let limit = if settled { WINSOR * scale } else { f64::INFINITY };
        let deviating = (value - self.center).clamp(-limit, limit);
        let changed = (deviation - f64::from(self.last)).abs().min(WINSOR * f64::from(self.change).max(0.1));
        self.center += gain * deviating;
        self.scale += gain * (deviating.abs() - self.scale);
        self.change += (gain * (changed - f64::from(self.change))) as f32;
        self.last = deviation as f32;
    }

    /// Appends the fields, little-endian.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let Self { center, scale, time_ns, weight, step, last, change } = self;
        out.extend([center.to_le_bytes(), scale.to_le_bytes(), time_ns.to_le_bytes()].as_flattened());
        out.extend([weight, step, last, change].map(f32::to_le_bytes).as_flattened());
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(crate) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (center, scale) = (f64::from_le_bytes(take(bytes)?), f64::from_le_bytes(take(bytes)?));
        let time_ns = i64::from_le_bytes(take(bytes)?);
        let (weight, step) = (f32::from_le_bytes(take(bytes)?), f32::from_le_bytes(take(bytes)?));
        let (last, change) = (f32::from_le_bytes(take(bytes)?), f32::from_le_bytes(take(bytes)?));
        let possible = center.abs() <= Seen::MAX_VALUE
            && (0.0..=2.0 * Seen::MAX_VALUE).contains(&scale)
            && (0.0..=MAX_WEIGHT).contains(&weight)
            && (0.0..f32::INFINITY).contains(&step)
            && f64::from(last).abs() <= MAX_DEVIATION
            && (0.0..=2.0 * MAX_DEVIATION as f32).contains(&change);
        possible.then_some(Self { center, scale, time_ns, weight, step, last, change })
    }
}

/// Which values a series has taken: 64 equal cells, twice as wide whenever a value falls outside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seen {
    /// Lower edge of the first cell.
    base: f64,
    /// Bit i is set where cell i has held a value; 0 before the first.
    cells: u64,
    /// A cell is 2^exponent wide.
    exponent: i16,
}

impl Seen {
    /// Largest magnitude of a value: leaves room for a few doublings before infinity.
    pub(crate) const MAX_VALUE: f64 = 1e300;
    /// Narrowest cells: the reciprocal of their width is still a normal double.
    const LEAST: i16 = -1000;
    /// Widest cells: 64 of them hold any value.
    const MOST: i16 = 1000;

    /// No value seen yet.
    pub(crate) const fn new() -> Self {
        Self { base: 0.0, cells: 0, exponent: 0 }
    }

    /// 2^`exponent`.
    fn power(exponent: i16) -> f64 {
        f64::from_bits(((i64::from(exponent) + 1023) as u64) << 52)
    }

    /// Where `value` lies, in cells from the base.
    fn position(&self, value: f64) -> f64 {
        (value - self.base) * Self::power(-self.exponent)
    }

    /// Distance from `value` to the nearest cell that has held a value, in the metric's unit; 0 inside one.
    pub(crate) fn distance(&self, value: f64) -> f64 {
        let position = self.position(value);
        let seen = (0.0..64.0).contains(&position) && self.cells >> position as u32 & 1 == 1;
        if seen || self.cells == 0 {
            return 0.0;
        }
        // One cell more on either side, so that a value outside has a cell too; casts truncate towards zero.
        let (cells, bit) = (u128::from(self.cells) << 1, (position.clamp(-1.0, 64.0) + 1.0) as u32);
        let (below, above) = (cells & ((1 << bit) - 1), cells >> bit << bit);
        let down = if below == 0 { f64::INFINITY } else { position - f64::from(below.ilog2()) };
        let up = if above == 0 { f64::INFINITY } else { f64::from(above.trailing_zeros()) - 1.0 - position };
        down.min(up) * Self::power(self.exponent)
    }

    /// Marks the cell of `value`. Outside, the cells first double towards it; once `settled` only once a value, so that
    /// one absurd value costs little resolution (it is then marked when it comes again). `scale` sizes the first cells.
    pub(crate) fn mark(&mut self, value: f64, scale: f64, settled: bool) {
        if self.cells == 0 {
            self.exponent = ((scale.to_bits() >> 52) as i16 - 1023).clamp(Self::LEAST, Self::MOST);
            self.base = value - 32.0 * Self::power(self.exponent);
        }
        let mut position = self.position(value);
        while !(0.0..64.0).contains(&position) && self.exponent < Self::MOST {
            self.cells = halve(self.cells);
            if position < 0.0 {
                self.base -= 64.0 * Self::power(self.exponent);
                self.cells <<= 32;
            }
            self.exponent += 1;
            position = self.position(value);
            if settled {
                break;
            }
        }
        if (0.0..64.0).contains(&position) {
            self.cells |= 1 << position as u32;
        }
    }

    /// Appends the fields, little-endian.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let Self { base, cells, exponent } = self;
        out.extend(base.to_le_bytes());
        out.extend(cells.to_le_bytes());
        out.extend(exponent.to_le_bytes());
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(crate) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let base = f64::from_le_bytes(take(bytes)?);
        let cells = u64::from_le_bytes(take(bytes)?);
        let exponent = i16::from_le_bytes(take(bytes)?);
        // Doubling moves the base by at most 64 of the widest cells.
        let possible = base.abs() <= 1e304 && (Self::LEAST..=Self::MOST).contains(&exponent);
        possible.then_some(Self { base, cells, exponent })
    }
}

/// Joins each pair of neighbouring cells into one: 64 cells become the lower 32.
fn halve(cells: u64) -> u64 {
    let mut x = (cells | cells >> 1) & 0x5555_5555_5555_5555;
    x = (x | x >> 1) & 0x3333_3333_3333_3333;
    x = (x | x >> 2) & 0x0f0f_0f0f_0f0f_0f0f;
    x = (x | x >> 4) & 0x00ff_00ff_00ff_00ff;
    x = (x | x >> 8) & 0x0000_ffff_0000_ffff;
    (x | x >> 16) & 0x0000_0000_ffff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_half_life_is_one_of_time_whatever_the_steps() {
        let run = |steps: &[i64]| {
            let (mut level, mut decay) = (Level::new(), Decay::default());
            level.learn(0.0, 0.0, 1.0);
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
    fn distance_is_to_the_nearest_value_seen() {
        let near = |distance: f64, expected: f64| (distance - expected).abs() < 1e-9;
        let mut seen = Seen::new();
        assert!(near(seen.distance(5.0), 0.0), "before the first value nothing is new");
        // Cells one wide from -32 on, then two wide so that 40 has one.
        for value in [0.0, 1.0, 2.0, 40.0] {
            seen.mark(value, 1.0, false);
        }
        assert!(near(seen.distance(1.5), 0.0) && near(seen.distance(10.5), 6.5) && near(seen.distance(39.5), 0.5));
        assert!(seen.distance(-7.0) >= 6.0 && seen.distance(100.0) > 50.0 && seen.distance(1e300) > 1e299);
        let before = seen.exponent;
        seen.mark(-1e12, 1.0, true);
        assert_eq!(seen.exponent, before + 1, "one doubling a value");
        assert!(seen.distance(-1e12) > 1e11 && near(seen.distance(0.5), 0.0));
    }

    #[test]
    fn halving_joins_neighbours() {
        for i in 0..64 {
            assert_eq!(halve(1 << i), 1 << (i / 2));
        }
    }
}
