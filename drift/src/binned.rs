//! Two distributions compared by their counts in the same bins: population stability index, Jensen and Shannon's distance,
//! chi-square.
//!
//! Counts are finite and not negative, as many on both sides; the totals may differ. Where a side has no counts at all,
//! nothing differs.

/// The least share that a bin has in [`stability_index`]: a bin that is empty on one side would make it infinite. It is one
/// row in ten thousand, about that of a day.
pub const LEAST_SHARE: f64 = 1e-4;

/// What a bin that is empty in the reference counts as in [`chi_square`], in rows: between none and one.
pub const EMPTY_COUNT: f64 = 0.5;

/// The population stability index: the sum of `(q − p) ln(q / p)` over the bins, `p` being the reference's share and `q` the
/// live one, both at least [`LEAST_SHARE`]. It is Jeffreys' divergence (1946), in nats: 0 where nothing differs.
#[must_use]
pub fn stability_index(reference: &[f64], live: &[f64]) -> f64 {
    let term = |(p, q): (f64, f64)| {
        let (p, q) = (p.max(LEAST_SHARE), q.max(LEAST_SHARE));
        (q - p) * libm::log(q / p)
    };
    shares(reference, live).map_or(0.0, |shares| shares.map(term).sum())
}

/// Jensen and Shannon's distance, between 0 and 1: `scipy.spatial.distance.jensenshannon(p, q, base=2)`, the square root of
/// their divergence in bits (Endres & Schindelin 2003, "A new metric for probability distributions", IEEE Trans. Inf. Theory
/// 49(7)). A bin that is empty on one side counts as it is.
#[must_use]
pub fn jensen_shannon(reference: &[f64], live: &[f64]) -> f64 {
    let term = |(p, q): (f64, f64)| {
        let middle = f64::midpoint(p, q);
        let part = |share: f64| if share > 0.0 { share * libm::log2(share / middle) } else { 0.0 };
        part(p) + part(q)
    };
    // Rounding may leave less than 0.
    shares(reference, live).map_or(0.0, |shares| (shares.map(term).sum::<f64>() / 2.0).clamp(0.0, 1.0).sqrt())
}

/// The shares of both sides, bin by bin; `None` where a side has none.
fn shares<'a>(reference: &'a [f64], live: &'a [f64]) -> Option<impl Iterator<Item = (f64, f64)> + 'a> {
    let (all, all_live) = (reference.iter().sum::<f64>(), live.iter().sum::<f64>());
    let shares = reference.iter().zip(live).map(move |(p, q)| (p / all, q / all_live));
    (all > 0.0 && all_live > 0.0).then_some(shares)
}

/// What Pearson's chi-square test found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChiSquare {
    /// The sum of `(live − expected)² / expected`.
    pub statistic: f64,
    /// One less than the bins that count.
    pub degrees: u32,
    /// How likely live counts of the reference's distribution are as far off.
    pub p_value: f64,
    /// Cramér's V for one sample: the root of the statistic over live rows and degrees of freedom. It is 0 where nothing
    /// differs, 1 where all rows of equally likely bins fall into one, more where they fall into bins that were unlikely; it
    /// does not grow with the number of rows.
    pub effect: f64,
}

/// Pearson's chi-square test of live counts against the reference's shares scaled to the live total:
/// `scipy.stats.chisquare(live, reference / reference.sum() * live.sum())`. The reference is taken for exact.
///
/// A bin that is empty on both sides is left out, and takes no degree of freedom. One that is empty in the reference alone
/// counts as [`EMPTY_COUNT`] there (where the statistic of `scipy` is infinite): the reference too is a sample. With fewer than two
/// bins the statistic is 0, and the p-value 1.
#[must_use]
pub fn chi_square(reference: &[f64], live: &[f64]) -> ChiSquare {
    let bins = || {
        let kept = reference.iter().zip(live).filter(|(then, now)| **then > 0.0 || **now > 0.0);
        kept.map(|(then, now)| (if *then > 0.0 { *then } else { EMPTY_COUNT }, *now))
    };
    let (bin_count, total, rows) =
        bins().fold((0_u32, 0.0, 0.0), |(count, total, rows), (then, now)| (count + 1, total + then, rows + now));
    if bin_count < 2 || rows <= 0.0 || reference.iter().sum::<f64>() <= 0.0 {
        return ChiSquare { statistic: 0.0, degrees: 0, p_value: 1.0, effect: 0.0 };
    }
    let term = |(then, now): (f64, f64)| {
        let expected = then / total * rows;
        (now - expected) * ((now - expected) / expected)
    };
    let (statistic, degrees) = (bins().map(term).sum::<f64>(), bin_count - 1);
    let effect = (statistic / (rows * f64::from(degrees))).sqrt();
    ChiSquare { statistic, degrees, p_value: chi_square_survival(statistic, degrees), effect }
}

/// How likely a chi-square variable with these degrees of freedom is above `x`: `scipy.stats.chi2.sf`. It is a finite sum of
/// positive terms, with which small p-values are as precise as large ones: Abramowitz & Stegun 26.4.4 for odd degrees,
/// 26.4.5 for even ones. Without degrees of freedom it is 1 up to 0, and 0 above.
#[must_use]
pub fn chi_square_survival(x: f64, degrees: u32) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let half = x / 2.0;
    if half.is_infinite() || degrees == 0 {
        return 0.0;
    }
    let odd = degrees % 2 == 1;
    // For even degrees the terms are halfᵏ / k!, for odd ones halfᵏ⁻½ / Γ(k + ½).
    let (mut term, mut order) = if odd { ((half / std::f64::consts::PI).sqrt() * 2.0, 1.5) } else { (1.0, 1.0) };
    let mut sum = 0.0;
    for _ in 0..degrees / 2 {
        sum += term;
        term *= half / order;
        order += 1.0;
    }
    let tail = if odd { libm::erfc(half.sqrt()) } else { 0.0 };
    // In two steps: neither factor underflows before their product does.
    (tail + libm::exp(-half / 2.0) * sum * libm::exp(-half / 2.0)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_counts_nothing_differs() {
        for (reference, live) in [(&[0.0, 0.0], &[1.0, 2.0]), (&[1.0, 2.0], &[0.0, 0.0])] {
            assert_eq!((stability_index(reference, live), jensen_shannon(reference, live)), (0.0, 0.0));
            assert_eq!(chi_square(reference, live).p_value, 1.0);
        }
    }

    #[test]
    fn a_constant_that_stays_does_not_differ_and_one_that_moves_does() {
        let (then, moved) = ([0.0, 1000.0, 0.0], [0.0, 0.0, 100.0]);
        let same = chi_square(&then, &[0.0, 100.0, 0.0]);
        assert_eq!((same.statistic, same.degrees, same.p_value, same.effect), (0.0, 0, 1.0, 0.0));
        assert_eq!(stability_index(&then, &[0.0, 100.0, 0.0]), 0.0);
        let test = chi_square(&then, &moved);
        assert!(test.degrees == 1 && test.p_value < 1e-100 && test.effect > 1.0, "{test:?}");
        assert_eq!(jensen_shannon(&then, &moved), 1.0);
        assert!(stability_index(&then, &moved) > 10.0);
    }

    #[test]
    fn all_rows_in_one_of_equally_likely_bins_have_an_effect_of_one() {
        let test = chi_square(&[10.0; 10], &[0.0, 0.0, 0.0, 0.0, 50.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert!((test.effect - 1.0).abs() < 1e-12, "{test:?}");
    }
}
