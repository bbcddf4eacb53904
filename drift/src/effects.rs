//! By how much a column of live values differs from its reference.

use crate::binned::{chi_square, jensen_shannon, stability_index};
use crate::reference::{Distribution, Effects};
use crate::two_sample::distances;
use crate::window::Column;

/// With fewer values than this, whether counted or in the sample, tests say nothing.
pub(crate) const LEAST_VALUES: usize = 20;

/// Effects that would be infinite are this: a constant that moved is as many deviations off.
const LARGEST_EFFECT: f64 = 1e9;

/// What the tests of a column found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Compared {
    pub(crate) effects: Effects,
    pub(crate) ks_p_value: f64,
    pub(crate) chi_square_p_value: f64,
    /// The share of values that lie beyond [`Distribution::usual_range`].
    pub(crate) beyond: f64,
}

/// How Kolmogorov and Smirnov's p-value is computed from the statistic and both sizes: [`crate::two_sample::ks_p_value`], or for a
/// window [`crate::two_sample::ks_asymptotic`], which is within a few per cent of it and takes a hundredth of the time.
pub(crate) type KsPValue = fn(f64, usize, usize) -> f64;

/// Compares a column with its reference; `sorted` is a sample of its values. The reference's quantiles are taken for a sample
/// of as many values as there are, which makes the test a little careful.
pub(crate) fn compare(reference: &Distribution, column: &Column, sorted: &[f64], ks: KsPValue) -> Compared {
    let missing = (missing(column) - reference.missing).abs();
    let Distribution { quantiles, counts, .. } = reference;
    if sorted.len() < LEAST_VALUES || quantiles.is_empty() {
        let effects = Effects { missing, ..Effects::default() };
        return Compared { effects, ks_p_value: 1.0, chi_square_p_value: 1.0, beyond: 0.0 };
    }
    let live = &column.counts[..counts.len()];
    let chi_square = chi_square(counts, live);
    let apart = distances(quantiles, sorted);
    let effects = Effects {
        ks: apart.ks,
        stability_index: stability_index(counts, live),
        wasserstein: in_units(apart.wasserstein, reference.deviation, reference.rounding()),
        jensen_shannon: jensen_shannon(counts, live),
        chi_square: chi_square.effect.min(LARGEST_EFFECT),
        missing,
    };
    let ks_p_value = ks(effects.ks, quantiles.len(), sorted.len());
    let beyond = beyond(reference, sorted);
    Compared { effects, ks_p_value, chi_square_p_value: chi_square.p_value, beyond }
}

/// The share of these values, which are sorted, that lie beyond the reference's usual range.
fn beyond(reference: &Distribution, sorted: &[f64]) -> f64 {
    let Some((low, high)) = reference.usual_range() else { return 0.0 };
    let rounding = reference.rounding();
    let below = sorted.partition_point(|value| *value < low - rounding);
    let above = sorted.len() - sorted.partition_point(|value| *value <= high + rounding);
    (below + above) as f64 / sorted.len().max(1) as f64
}

/// The share of rows in which it is missing; 0 without rows.
pub(crate) fn missing(column: &Column) -> f64 {
    if column.rows > 0.0 { 1.0 - column.moments.count / column.rows } else { 0.0 }
}

/// A distance in this unit. Where that is within rounding, as it is of a constant, so is the distance, or it is as large as can
/// be.
pub(crate) fn in_units(distance: f64, unit: f64, rounding: f64) -> f64 {
    if unit > rounding {
        (distance / unit).min(LARGEST_EFFECT)
    } else if distance > rounding {
        LARGEST_EFFECT
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_beyond_the_usual_range_are_counted() {
        let reference = Distribution::new((0..=1000).map(f64::from));
        assert_eq!(reference.usual_range(), Some((5.0, 995.0)));
        let sorted = [-7.0, 4.0, 5.0, 500.0, 995.0, 995.5, 1e9, 1e10];
        assert_eq!(beyond(&reference, &sorted), 5.0 / 8.0);
        let constant = Distribution::new([7.0; 50].into_iter());
        assert_eq!((beyond(&constant, &[7.0, 7.0 + 1e-10]), beyond(&constant, &[6.0])), (0.0, 1.0));
    }

    #[test]
    fn a_distance_from_a_constant_is_none_or_all() {
        assert_eq!(in_units(3.0, 2.0, 1e-9), 1.5);
        assert_eq!((in_units(1e-10, 0.0, 1e-9), in_units(1e-3, 1e-12, 1e-9)), (0.0, LARGEST_EFFECT));
        assert_eq!((in_units(f64::INFINITY, 1.0, 0.0), in_units(0.0, 0.0, 0.0)), (LARGEST_EFFECT, 0.0));
    }
}
