//! Mean and variance of values as they come.

/// Values farther from 0 than this count as missing, as infinite ones do: a double cannot hold their square.
pub(crate) const LARGEST: f64 = 1e150;

/// Whether a value is there: not NaN, not infinite, nor as good as that.
#[inline]
pub(crate) fn is_known(value: f64) -> bool {
    value.abs() <= LARGEST
}

/// Count, mean and sum of squared deviations (Welford 1962, "Note on a method for calculating corrected sums of squares and
/// products", Technometrics 4(3)).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Moments {
    /// How many values there were: a double, which divides sooner.
    pub(crate) count: f64,
    /// Their mean; 0 without any.
    pub(crate) mean: f64,
    squares: f64,
}

impl Moments {
    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        let off = value - self.mean;
        self.mean += off / self.count;
        self.squares += off * (value - self.mean);
    }

    /// Both together (Chan et al. 1983, "Algorithms for computing the sample variance", equation 2.1).
    pub(crate) fn merge(&mut self, other: &Self) {
        let count = self.count + other.count;
        if count > 0.0 {
            let off = other.mean - self.mean;
            self.mean += off * (other.count / count);
            self.squares += other.squares + off * (off * (self.count * (other.count / count)));
            self.count = count;
        }
    }

    /// The standard deviation of these values as a whole; at most what a double can hold.
    pub(crate) fn deviation(&self) -> f64 {
        (self.squares / self.count.max(1.0)).clamp(0.0, f64::MAX).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_merged_into_the_whole() {
        let values: Vec<f64> = (0..100).map(|at| f64::from(at * at % 37) + 1e6).collect();
        let (mut whole, mut merged) = (Moments::default(), Moments::default());
        for value in &values {
            whole.add(*value);
        }
        for part in values.chunks(30) {
            let mut moments = Moments::default();
            for value in part {
                moments.add(*value);
            }
            merged.merge(&moments);
            merged.merge(&Moments::default());
        }
        assert_eq!(merged.count, 100.0);
        assert!((merged.mean - whole.mean).abs() < 1e-9 && (merged.deviation() - whole.deviation()).abs() < 1e-9);
        assert!((whole.deviation() - 11.644).abs() < 1e-3, "{whole:?}");
    }
}
