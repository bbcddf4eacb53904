//! How rare a deviation is: a heavy tail fitted to the excesses of one series over a high quantile.

use super::level::MAX_DEVIATION;
use super::record::take;
use crate::math::{ln, max, min};

/// Share of deviations above the quantile: the tail begins at 98 %, as in Siffer et al., KDD 2017.
const SHARE: f32 = 0.02;
/// -ln(`SHARE`): the surprise of a deviation that just reaches the quantile.
const SURPRISE_AT_QUANTILE: f64 = 3.912_023_005_428_146;
/// Weight of the prior in excesses, so that an event seen three times is half learned; measured, 2 to 10 are alike.
const PRIOR_COUNT: f32 = 3.0;
/// Mean log excess before any was seen, a survival falling with z^-2; measured, 1 has fewer false alarms and 0.25 more.
const PRIOR_EXCESS: f32 = 0.5;
/// Excesses remembered: 200 estimate the mean to 7 %; measured, 100 to 1000 are alike.
const MAX_COUNT: f32 = 200.0;
/// No less than the log excess of the largest deviation over the least quantile.
const MAX_EXCESS: f64 = 10.0;
/// Smallest mean log excess, so that scores of bounded series stay finite and moderate.
const MIN_EXCESS: f32 = 0.02;
/// Quantile of a series before anything is known, in mean absolute deviations: 2.9 for a Gaussian.
const INITIAL_QUANTILE: f32 = 3.0;
/// Least quantile: half a scale is never rare, however quiet the series was.
pub(crate) const MIN_QUANTILE: f32 = 0.5;
/// Most quantile: that of deviations that are all as large as can be.
const MAX_QUANTILE: f32 = MAX_DEVIATION as f32;
/// Relative step of the quantile per observation; measured, 0.001 to 0.004 are alike, and 0.1 follows incidents.
const QUANTILE_STEP: f32 = 0.002;
/// Before that, a step falling with the number of exceedances expected so far.
const EARLY_STEP: f32 = 0.2;

/// The running quantile that `SHARE` of the deviations exceed, in the unit of the deviations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quantile(f32);

impl Quantile {
    /// The quantile of a series of which nothing is known.
    pub(crate) const fn new() -> Self {
        Self(INITIAL_QUANTILE)
    }

    /// The quantile, at least `MIN_QUANTILE`.
    pub(crate) fn value(self) -> f64 {
        f64::from(self.0)
    }

    /// Moves by a relative step (Robbins & Monro 1951); `weight` is the effective number of observations so far.
    pub(crate) fn learn(&mut self, deviation: f64, weight: f32) {
        let step = max(QUANTILE_STEP, EARLY_STEP / (1.0 + weight * SHARE));
        let above = f32::from(u8::from(deviation > self.value()));
        self.0 = (self.0 * (1.0 + step * (above - SHARE))).clamp(MIN_QUANTILE, MAX_QUANTILE);
    }

    /// Appends the fields, little-endian.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.extend(self.0.to_le_bytes());
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(crate) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let value = f32::from_le_bytes(take(bytes)?);
        (MIN_QUANTILE..=MAX_QUANTILE).contains(&value).then_some(Self(value))
    }
}

/// The tail above a quantile u: P(z > x) = `SHARE` (x/u)^(-1/m), the generalised Pareto law with shape m and scale m u.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tail {
    /// m, the mean of ln(z/u) over the excesses and the prior (Hill, Annals of Statistics 1975).
    excess: f32,
    /// Excesses seen, up to `MAX_COUNT`.
    count: f32,
}

impl Tail {
    /// The prior alone.
    pub(crate) const fn new() -> Self {
        Self { excess: PRIOR_EXCESS, count: 0.0 }
    }

    /// -ln P(z > `deviation`) in nats, and learns from it if `learn`. Below the quantile it is linear from 0.
    pub(crate) fn observe(&mut self, deviation: f64, quantile: f64, learn: bool) -> f64 {
        if deviation <= quantile {
            return SURPRISE_AT_QUANTILE * deviation / quantile;
        }
        let excess = ln(deviation / quantile);
        let surprise = SURPRISE_AT_QUANTILE + excess / f64::from(self.excess);
        if learn {
            self.count = min(self.count + 1.0, MAX_COUNT);
            self.excess += (excess as f32 - self.excess) / (self.count + PRIOR_COUNT);
            self.excess = max(self.excess, MIN_EXCESS);
        }
        surprise
    }

    /// Appends the fields, little-endian.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let Self { excess, count } = self;
        out.extend(excess.to_le_bytes());
        out.extend(count.to_le_bytes());
    }

    /// Takes the fields back off the front; `None` where one is impossible.
    pub(crate) fn read(bytes: &mut &[u8]) -> Option<Self> {
        let excess = f32::from_le_bytes(take(bytes)?);
        let count = f32::from_le_bytes(take(bytes)?);
        let possible = (MIN_EXCESS..=MAX_EXCESS as f32).contains(&excess) && (0.0..=MAX_COUNT).contains(&count);
        possible.then_some(Self { excess, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surprise_is_continuous_and_monotone() {
        let mut tail = Tail::new();
        assert!(tail.observe(0.0, 3.0, false).abs() < 1e-12);
        let mut previous = 0.0;
        for i in 1..2000 {
            let surprise = tail.observe(f64::from(i) * 0.01, 3.0, false);
            assert!(surprise > previous && surprise - previous < 0.02, "{i}: {previous} to {surprise}");
            previous = surprise;
        }
        assert!(tail.observe(MAX_DEVIATION, 0.5, false).is_finite());
    }

    #[test]
    fn a_rare_event_is_learned_in_a_few_occurrences() {
        let mut tail = Tail::new();
        let first = tail.observe(MAX_DEVIATION, 0.5, true);
        let sixth = (0..5).fold(0.0, |_, _| tail.observe(MAX_DEVIATION, 0.5, true));
        assert!(first > 12.0 && sixth < 7.0, "{first} {sixth}");
    }

    #[test]
    fn the_mean_log_excess_of_a_pareto_law_is_found() {
        let mut tail = Tail::new();
        // Quantiles of a Pareto law with mean log excess 0.25, in a scattered order.
        for i in 0..1000_u32 {
            let uniform = (f64::from(i * 617 % 1000) + 0.5) / 1000.0;
            tail.observe(libm::exp(-0.25 * libm::log(uniform)) * 2.0, 2.0, true);
        }
        assert!((tail.excess - 0.25).abs() < 0.05, "{tail:?}");
    }

    #[test]
    fn the_quantile_is_found_and_bounded() {
        let mut quantile = Quantile::new();
        for i in 0..100_000_u32 {
            quantile.learn(f64::from(i * 617 % 1000) * 0.01, i as f32);
        }
        assert!((quantile.value() - 9.8).abs() < 0.5, "{quantile:?}");
        (0..1_000_000).for_each(|_| quantile.learn(0.0, 1e5));
        assert!(quantile.value() <= f64::from(MIN_QUANTILE));
    }
}
