//! Seeded random numbers, uniform, normal and Poisson.

use std::f64::consts::TAU;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};

pub(crate) struct Random {
    source: Xoshiro256PlusPlus,
    /// The other one of two normal numbers.
    spare: Option<f64>,
}

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self { source: Xoshiro256PlusPlus::seed_from_u64(seed), spare: None }
    }

    /// Above 0, and 1 at most.
    pub(crate) fn unit(&mut self) -> f64 {
        ((self.source.next_u64() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// With mean 0 and deviation 1 (Box & Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let (radius, angle) = ((-2.0 * self.unit().ln()).sqrt(), TAU * self.unit());
        self.spare = Some(radius * angle.sin());
        radius * angle.cos()
    }

    /// By the product of uniform numbers (Knuth, TAOCP 3.4.1), for means up to some hundred.
    pub(crate) fn poisson(&mut self, mean: f64) -> f64 {
        let (limit, mut product, mut count) = ((-mean).exp(), self.unit(), 0.0);
        while product > limit {
            product *= self.unit();
            count += 1.0;
        }
        count
    }
}
