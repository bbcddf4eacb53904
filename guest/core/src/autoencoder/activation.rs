//! The functions of gates, in single precision: without branches, so that compilers compute several at once.
//!
//! tanh x ≈ x·P(x²)/Q(x²), with P and Q of degree 4 and x clipped to ±9: the minimax rational of these degrees is off by
//! 10⁻⁸ (`tanh.py` finds it). In single precision tanh is off by up to 3.7·10⁻⁷, and the logistic function by up to
//! 2.0·10⁻⁷, of all numbers.

use crate::math::{max, min};

/// Where tanh is 1, but for 2·e⁻¹⁸ = 3·10⁻⁸.
const LIMIT: f32 = 9.0;

const P: [f32; 5] = [9.999_999_4e-1, 1.337_319_8e-1, 3.486_581_4e-3, 2.047_181e-5, 1.318_419_4e-8];
const Q: [f32; 5] = [1.0, 4.670_649_5e-1, 2.584_198e-2, 3.271_383_5e-4, 7.702_657_3e-7];

/// tanh x.
#[inline]
fn tanh_of(x: f32) -> f32 {
    let x = max(min(x, LIMIT), -LIMIT);
    let square = x * x;
    let p = P[0] + square * (P[1] + square * (P[2] + square * (P[3] + square * P[4])));
    let q = Q[0] + square * (Q[1] + square * (Q[2] + square * (Q[3] + square * Q[4])));
    x * p / q
}

/// tanh x of each number.
#[inline(never)]
pub(super) fn tanh(numbers: &mut [f32]) {
    for x in numbers {
        *x = tanh_of(*x);
    }
}

/// 1/(1 + e⁻ˣ) = (1 + tanh(x/2))/2 of each number.
#[inline(never)]
pub(super) fn sigmoid(numbers: &mut [f32]) {
    for x in numbers {
        *x = 0.5 + 0.5 * tanh_of(0.5 * *x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of all exponents and both signs, with 4,096 mantissas for each exponent around 1.
    fn samples() -> impl Iterator<Item = f32> {
        let exponents = (0..255_u32).flat_map(|exponent| {
            let step = if (110..135).contains(&exponent) { 1 << 11 } else { 1 << 17 };
            (0..1_u32 << 23)
                .step_by(step)
                .map(move |mantissa| (exponent << 23) | ((mantissa + exponent * 37) % (1 << 23)))
        });
        exponents.flat_map(|bits| [f32::from_bits(bits), -f32::from_bits(bits)])
    }

    fn largest_error(ours: fn(&mut [f32]), exact: impl Fn(f64) -> f64) -> f64 {
        let mut largest: f64 = 0.0;
        for x in samples() {
            // Of each place in a vector, and of what is left over.
            let mut numbers = [x; 7];
            ours(&mut numbers);
            assert!(numbers.iter().all(|number| number.to_bits() == numbers[0].to_bits()), "{x}: {numbers:?}");
            largest = largest.max((f64::from(numbers[0]) - exact(f64::from(x))).abs());
        }
        largest
    }

    #[test]
    fn they_are_as_exact_as_they_say() {
        let error = largest_error(tanh, libm::tanh);
        assert!(error < 3.7e-7, "tanh is {error:e} off");
        let error = largest_error(sigmoid, |x| 1.0 / (1.0 + libm::exp(-x)));
        assert!(error < 2.0e-7, "the logistic function is {error:e} off");
    }

    #[test]
    fn they_saturate() {
        let mut numbers = [f32::MAX, f32::INFINITY, -1e30, f32::NEG_INFINITY, 0.0, -0.0];
        tanh(&mut numbers);
        for (number, exact) in numbers.into_iter().zip([1.0, 1.0, -1.0, -1.0, 0.0, 0.0]) {
            assert!((number - exact).abs() < 2e-7, "{numbers:?}");
        }
        let mut numbers = [f32::MAX, -f32::MAX];
        sigmoid(&mut numbers);
        assert!((numbers[0] - 1.0).abs() < 2e-7 && numbers[1].abs() < 2e-7, "{numbers:?}");
    }
}
