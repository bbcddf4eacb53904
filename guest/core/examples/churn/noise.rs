//! Random numbers from a seed.

/// A generator of 64 bits (xorshift*, Vigna, ACM Transactions on Mathematical Software 2016).
#[derive(Debug, Clone)]
pub(crate) struct Noise(u64);

impl Noise {
    /// Seeds that are near give sequences that are not (multiplicative hashing).
    pub(crate) fn new(seed: u64) -> Self {
        let mut noise = Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        (0..8).for_each(|_| _ = noise.next());
        noise
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Uniform in (0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Between these two.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.uniform() * (high - low)
    }

    /// Standard Gaussian (Box & Muller 1958).
    pub(crate) fn gaussian(&mut self) -> f64 {
        (-2.0 * libm::log(self.uniform())).sqrt() * libm::cos(std::f64::consts::TAU * self.uniform())
    }

    /// A lognormal factor around 1.
    pub(crate) fn factor(&mut self, sigma: f64) -> f64 {
        libm::exp(sigma * self.gaussian())
    }

    /// Poisson with this mean (Knuth, Seminumerical Algorithms 3.4.1; Gaussian where it is large).
    pub(crate) fn poisson(&mut self, mean: f64) -> f64 {
        if mean > 50.0 {
            return (mean + mean.sqrt() * self.gaussian()).round().max(0.0);
        }
        let (limit, mut product, mut count) = (libm::exp(-mean), self.uniform(), 0.0);
        while product > limit {
            product *= self.uniform();
            count += 1.0;
        }
        count
    }
}
