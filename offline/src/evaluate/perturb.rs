//! Perturbs rows: noise, missing values, outliers, and shifts of mean and variance.

use super::random::Random;
use super::spread::Spread;

/// A perturbation of rows. A spread is a feature's interquartile range over 1.349: for a normal distribution, the standard
/// deviation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Perturbation {
    /// Normal noise of this many spreads on every value.
    Noise(f64),
    /// This share of the values is missing.
    Missing(f64),
    /// One in a hundred values is ten times what it was.
    Outliers,
    /// Every value is this many spreads greater.
    Mean(f64),
    /// The variance is multiplied by this.
    Variance(f64),
}

/// The share of values that become outliers, and their factor.
const OUTLIERS: (f64, f64) = (0.01, 10.0);

impl Perturbation {
    /// All perturbations of an evaluation.
    pub const ALL: [Self; 11] = [
        Self::Noise(0.01),
        Self::Noise(0.05),
        Self::Noise(0.1),
        Self::Missing(0.05),
        Self::Missing(0.2),
        Self::Missing(0.5),
        Self::Outliers,
        Self::Mean(1.0),
        Self::Mean(2.0),
        Self::Variance(1.5),
        Self::Variance(2.0),
    ];

    /// Its name in reports.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Noise(spreads) => format!("noise of {spreads} spreads"),
            Self::Missing(share) => format!("{:.0} % of values missing", share * 100.0),
            Self::Outliers => format!("{:.0} % of values ×{:.0}", OUTLIERS.0 * 100.0, OUTLIERS.1),
            Self::Mean(1.0) => "mean up by 1 spread".to_owned(),
            Self::Mean(spreads) => format!("mean up by {spreads} spreads"),
            Self::Variance(times) => format!("variance ×{times}"),
        }
    }

    /// Perturbs a copy of the values, deterministically for a seed. Missing values stay missing, and a value that would not be
    /// finite stays unchanged.
    pub(crate) fn apply(&self, values: &[f64], spreads: &[Spread], seed: u64) -> Vec<f64> {
        let mut random = Random::new(seed);
        let changed = |(value, spread): (&f64, &Spread)| {
            let changed = match *self {
                Self::Noise(spreads) => value + spreads * spread.width * random.normal(),
                Self::Missing(share) if random.unit() < share => return f64::NAN,
                Self::Outliers if random.unit() < OUTLIERS.0 => value * OUTLIERS.1,
                Self::Missing(_) | Self::Outliers => *value,
                Self::Mean(spreads) => value + spreads * spread.width,
                Self::Variance(times) => spread.center + (value - spread.center) * times.sqrt(),
            };
            if changed.is_finite() { changed } else { *value }
        };
        values.iter().zip(spreads.iter().cycle()).map(changed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::servers;
    use super::*;

    fn perturbed(perturbation: Perturbation) -> (Vec<f64>, Vec<f64>, Vec<Spread>) {
        let mut table = servers(1, 5000, 2, 1);
        table.values[0] = f64::NAN;
        let spreads = Spread::of_each(&table.values, 2);
        let values = perturbation.apply(&table.values, &spreads, 9);
        (table.values, values, spreads)
    }

    #[test]
    fn each_does_what_it_says() {
        for perturbation in Perturbation::ALL {
            let (before, after, spreads) = perturbed(perturbation);
            assert!(after[0].is_nan(), "what is missing stays so");
            let pairs = || before.iter().zip(&after).skip(2).step_by(2);
            let count = pairs().count() as f64;
            let share = |holds: &dyn Fn(f64, f64) -> bool| {
                pairs().filter(|(before, after)| holds(**before, **after)).count() as f64 / count
            };
            let width = spreads[0].width;
            let right = match perturbation {
                Perturbation::Noise(spreads) => {
                    let squares: f64 = pairs().map(|(before, after)| (after - before).powi(2)).sum();
                    ((squares / count).sqrt() / (spreads * width) - 1.0).abs() < 0.05
                }
                Perturbation::Missing(missing) => (share(&|_, after| after.is_nan()) - missing).abs() < 0.02,
                Perturbation::Outliers => {
                    (share(&|before, after| (after - 10.0 * before).abs() < 1e-9) - 0.01).abs() < 0.005
                }
                Perturbation::Mean(spreads) => {
                    pairs().all(|(before, after)| (after - before - spreads * width).abs() < 1e-9)
                }
                Perturbation::Variance(times) => {
                    let column = after.iter().step_by(2).copied();
                    (Spread::of(column).width.powi(2) / width.powi(2) / times - 1.0).abs() < 1e-6
                }
            };
            assert!(right, "{}", perturbation.name());
        }
    }

    #[test]
    fn a_seed_decides() {
        let (before, after, spreads) = perturbed(Perturbation::Missing(0.2));
        let apply = |seed| Perturbation::Missing(0.2).apply(&before, &spreads, seed);
        let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
        assert_eq!(bits(apply(9)), bits(after));
        assert_ne!(bits(apply(9)), bits(apply(10)));
    }
}
