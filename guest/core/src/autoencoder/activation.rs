//! The functions of gates, in single precision: without branches, so that compilers compute several at once.
//!
//! tanh x ≈ x·P(x²)/Q(x²), with P and Q of degree 4 and x clipped to ±9, from where on single precision rounds to ±1. The
//! coefficients are `tanh.py`'s.

use crate::math::{max, min};

/// Where tanh is 1, but for 2·e⁻¹⁸ = 3·10⁻⁸.
const LIMIT: f32 = 9.0;

const P: [f32; 5] = [9.999_999_4e-1, 1.337_319_8e-1, 3.486_581_4e-3, 2.047_181e-5, 1.318_419_4e-8];
const Q: [f32; 5] = [1.0, 4.670_649_5e-1, 2.584_198e-2, 3.271_383_5e-4, 7.702_657_3e-7];

/// tanh x.
#[inline(always)]
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
