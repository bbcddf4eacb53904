//! Which values a series has ever taken, in a sketch of 18 bytes.

use super::record::take;
use crate::math::min;

/// 64 equal cells, twice as wide whenever a value falls outside.
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
    /// Narrowest cells: the reciprocal of their width is still a normal double.
    const LEAST: i16 = -1000;
    /// Widest cells: 64 of them hold any value.
    const MOST: i16 = 1000;

    /// No value seen yet.
    pub(crate) const fn new() -> Self {
        Self { base: 0.0, cells: 0, exponent: 0 }
    }

    /// Whether no value was seen yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.cells == 0
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
        min(down, up) * Self::power(self.exponent)
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
