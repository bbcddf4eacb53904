//! Mathematics that is the same to the bit natively and in WebAssembly, and quick in both.

/// The smaller value. No argument may be NaN: `f64::min` handles it, for which WebAssembly calls a function.
pub(crate) fn min<T: PartialOrd>(a: T, b: T) -> T {
    if b < a { b } else { a }
}

/// The larger value; see [`min`].
pub(crate) fn max<T: PartialOrd>(a: T, b: T) -> T {
    if b > a { b } else { a }
}

/// The value, clipped so that its square is at most `square`.
pub(crate) fn clip_square(value: f64, square: f64) -> f64 {
    if value * value > square { square.sqrt().copysign(value) } else { value }
}

/// The natural logarithm of a finite number from 1 on, to ten digits: a score has four.
///
/// x = 2ᵉ·m with m in [√½, √2], and ln m = 2·artanh t with t = (m−1)/(m+1), by the first six terms of its series
/// t·(1 + t²/3 + t⁴/5 + …) (Abramowitz & Stegun, 4.1.27); the error is below 2·t¹³/13 < 2·10⁻¹¹.
pub(crate) fn ln(x: f64) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    let bits = x.to_bits();
    let mantissa = f64::from_bits(bits & MANTISSA | 1_f64.to_bits()); // in [1, 2)
    let high = mantissa > std::f64::consts::SQRT_2;
    let mantissa = if high { 0.5 * mantissa } else { mantissa };
    let exponent = f64::from((bits >> 52) as i32 - 1023 + i32::from(high));
    let t = (mantissa - 1.0) / (mantissa + 1.0);
    let t2 = t * t;
    let t4 = t2 * t2;
    let low = (1.0 + t2 * (1.0 / 3.0)) + t4 * (0.2 + t2 * (1.0 / 7.0));
    let series = low + (t4 * t4) * (1.0 / 9.0 + t2 * (1.0 / 11.0));
    exponent * std::f64::consts::LN_2 + 2.0 * t * series
}

/// The binary logarithm of a positive number, exact at powers of two and straight between them: the bits of a double are
/// just that (Mitchell, IRE Transactions on Electronic Computers 1962). The error is 0.086 at most.
pub(crate) fn octaves(x: f64) -> f64 {
    const ONE: i64 = 1_f64.to_bits() as i64;
    (x.to_bits() as i64 - ONE) as f64 * (1.0 / (1_u64 << 52) as f64)
}

/// The number of so many octaves, from -1022 to 1023: the inverse of [`octaves`].
pub(crate) fn from_octaves(octaves: f64) -> f64 {
    let bits = max(min(octaves, 1023.0), -1022.0) * (1_u64 << 52) as f64;
    f64::from_bits(1_f64.to_bits().wrapping_add_signed(bits as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_has_ten_digits() {
        assert_eq!(ln(1.0).to_bits(), 0);
        let mut x = 1.0 + f64::EPSILON;
        while x < 1e300 {
            let (ours, exact) = (ln(x), libm::log(x));
            assert!(
                (ours - exact).abs() <= 2e-11 && (ours - exact).abs() <= 1e-9 * exact,
                "ln {x} is {exact}, not {ours}"
            );
            x *= 1.0 + (x - 1.0).min(0.001);
        }
    }

    #[test]
    fn octaves_are_straight_between_powers_of_two() {
        for (x, exact) in [(1.0, 0.0), (1.5, 0.5), (2.0, 1.0), (3.0, 1.5), (0.5, -1.0), (0.75, -0.5), (1024.0, 10.0)] {
            assert_eq!(octaves(x).to_bits(), f64::to_bits(exact));
        }
        assert!((octaves(1.44) - libm::log2(1.44)).abs() < 0.087);
    }

    #[test]
    fn octaves_and_back_are_the_same() {
        for x in [1.0, 1.25, 3.7, 1e9, 1e300, 0.75, 0.1, 1e-300] {
            assert!((from_octaves(octaves(x)) / x - 1.0).abs() < 1e-9, "{x}");
        }
        assert!(from_octaves(5000.0).is_finite() && from_octaves(-5000.0) > 0.0);
    }

    #[test]
    fn the_logarithm_grows() {
        for power in [1.0, 2.0, 1024.0] {
            let around = power * std::f64::consts::SQRT_2;
            assert!(ln(around * (1.0 - 1e-9)) < ln(around * (1.0 + 1e-9)));
        }
    }
}
