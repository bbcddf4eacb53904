//! Random numbers from a seed.

/// A linear congruential generator (Knuth's MMIX constants).
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    /// Uniform in (0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Standard Gaussian (Box & Muller 1958).
    pub(crate) fn gaussian(&mut self) -> f64 {
        (-2.0 * libm::log(self.uniform())).sqrt() * libm::cos(std::f64::consts::TAU * self.uniform())
    }
}
