//! What training rows looked like: what live ones are compared with.

use std::time::Duration;

use crate::bins;
use crate::error::{Error, Invalid};
use crate::moments::{Moments, is_known};
use crate::ordinary;
use crate::sample::nearest_rank;
use crate::window::is_alarm;

/// How many quantiles there are: 0, 0.5, … 100 %.
pub const QUANTILES: usize = 201;

/// The share of values beyond the usual range: half a percent at either end.
pub(crate) const BEYOND: f64 = 2.0 / (QUANTILES - 1) as f64;

/// How many bins there are at most.
pub const MAX_BINS: usize = 10;

/// What training rows looked like, for each feature and for the score.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// That of each feature, in the order of a row.
    pub features: Vec<Distribution>,
    /// That of the score, over rows that were not reported: those that are count in the alarm rate. Large scores come in bursts,
    /// which is what they are for, and an hour of them is no drift.
    pub score: Distribution,
    /// The share of scored rows that were reported: those with a score above 1.
    pub alarm_rate: f64,
    /// How far windows of training rows were from all of them, in score and alarms.
    pub ordinary: Ordinary,
}

/// How values were distributed.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// The share of rows in which it was missing, between 0 and 1.
    pub missing: f64,
    /// The mean of the values; 0 without any.
    pub mean: f64,
    /// Their standard deviation, that of a whole and not of a sample.
    pub deviation: f64,
    /// Their quantiles, ascending: [`QUANTILES`] of them, each a value that occurred. Empty where all are missing.
    pub quantiles: Vec<f64>,
    /// The limits between bins, strictly ascending: at most one less than [`MAX_BINS`]. The bin of a value is the number of
    /// edges that are not above it. They are about deciles; a value that a tenth of the rows have lies in a bin of its own,
    /// where there are enough.
    pub edges: Vec<f64>,
    /// How many values each bin had: one more than edges.
    pub counts: Vec<f64>,
    /// The largest effects that windows of these rows had.
    pub ordinary: Effects,
}

/// By how much values differ from a reference, each 0 where they do not; [`crate::Test`] says how.
///
/// As [`Distribution::ordinary`]: the largest that a window of the training rows had against all of them, as large as windows
/// of other rows would have it; all 0 where that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Effects {
    /// Kolmogorov and Smirnov's statistic, between 0 and 1.
    pub ks: f64,
    /// The population stability index, in nats.
    pub stability_index: f64,
    /// Wasserstein's distance in standard deviations of the reference.
    pub wasserstein: f64,
    /// Jensen and Shannon's distance, between 0 and 1.
    pub jensen_shannon: f64,
    /// Cramér's V of the chi-square test.
    pub chi_square: f64,
    /// By how much the share of missing values differs.
    pub missing: f64,
}

impl Effects {
    /// Those of the five tests, in the order of [`crate::Test::ALL`].
    #[must_use]
    pub fn tests(&self) -> [f64; 5] {
        [self.ks, self.stability_index, self.wasserstein, self.jensen_shannon, self.chi_square]
    }
}

/// How far windows of training rows were from all of them, in score and alarms; 0 where that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ordinary {
    /// By how much a window's median score differed at most, in the unit of [`Distribution::spread`].
    pub median: f64,
    /// By how much a window's 95 % quantile of the score differed at most, in the same unit.
    pub p95: f64,
    /// The alarm rate of the window with most alarms, without its two busiest eighths.
    pub alarm_rate: f64,
    /// How many alarms an incident has on average: 1 at least, but for 0 where there was none.
    pub burst: f64,
}

impl Reference {
    /// What these rows look like.
    ///
    /// `times` are in nanoseconds and ascend; `values` has row after row, each with as many values as there are `features`, NaN
    /// where one is missing; `scores` has one for each row, NaN where it is not scored. What is infinite, or beyond ±10¹⁵⁰, counts
    /// as missing.
    /// Windows of the length that live ones will have say which differences are ordinary; the rows must last for two of them
    /// at least, better five, else nothing is known of that.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] where the lengths do not fit together.
    pub fn new(
        times: &[i64],
        values: &[f64],
        features: usize,
        scores: &[f64],
        window: Duration,
    ) -> Result<Self, Error> {
        if times.len() != scores.len() || Some(values.len()) != times.len().checked_mul(features) {
            return Err(Error::Shape { times: times.len(), values: values.len(), scores: scores.len(), features });
        }
        let column = |feature: usize| values.iter().skip(feature).step_by(features.max(1)).copied();
        let alarms = scores.iter().filter(|score| is_alarm(**score)).count() as f64;
        let scored = scores.iter().filter(|score| is_known(**score)).count().max(1) as f64;
        let mut reference = Self {
            features: (0..features).map(|feature| Distribution::new(column(feature))).collect(),
            score: Distribution::new(scores.iter().copied().filter(|score| !is_alarm(*score))),
            alarm_rate: alarms / scored,
            ordinary: Ordinary::default(),
        };
        ordinary::find(&mut reference, times, values, scores, window);
        Ok(reference)
    }

    /// How many rows had a score.
    pub(crate) fn scored(&self) -> f64 {
        let unreported = 1.0 - self.alarm_rate;
        if unreported > 0.0 { (self.score.known() / unreported).min(1e15) } else { 0.0 }
    }

    /// Whether it can be what some rows looked like, as far as one can tell. One from elsewhere must be checked before it is
    /// used; use of an impossible one panics or says nothing of value.
    ///
    /// # Errors
    ///
    /// What is impossible, and where.
    pub fn check(&self) -> Result<(), Error> {
        for (feature, distribution) in self.features.iter().enumerate() {
            distribution.check().map_err(|source| Error::Feature { feature, source })?;
        }
        self.score.check().map_err(Error::Score)?;
        let Ordinary { median, p95, alarm_rate, burst } = self.ordinary;
        let shares = [self.alarm_rate, alarm_rate].iter().all(|share| (0.0..=1.0).contains(share));
        let known = [median, p95, burst].iter().all(|number| number.is_finite() && *number >= 0.0);
        if shares && known { Ok(()) } else { Err(Error::Alarms) }
    }
}

impl Distribution {
    /// That of a column of values; those that are NaN, infinite or beyond ±10¹⁵⁰ are missing. What is ordinary of it is not known.
    #[must_use]
    pub fn new(column: impl Iterator<Item = f64>) -> Self {
        let mut rows = 0_usize;
        let mut values: Vec<f64> = column.inspect(|_| rows += 1).filter(|value| is_known(*value)).collect();
        values.sort_unstable_by(f64::total_cmp);
        let mut moments = Moments::default();
        let edges = bins::edges(&values);
        let mut counts = vec![0.0; edges.len() + 1];
        for value in &values {
            moments.add(*value);
            counts[bins::bin(&edges, *value)] += 1.0;
        }
        let quantile = |at: usize| nearest_rank(&values, at as f64 / (QUANTILES - 1) as f64);
        Self {
            missing: if rows == 0 { 1.0 } else { (rows - values.len()) as f64 / rows as f64 },
            mean: moments.mean,
            deviation: moments.deviation(),
            quantiles: (0..QUANTILES).filter_map(quantile).collect(),
            edges,
            counts,
            ordinary: Effects::default(),
        }
    }

    /// How many values there were.
    #[must_use]
    pub fn known(&self) -> f64 {
        self.counts.iter().sum()
    }

    /// The median, the lower one of two; `None` without values.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        self.quantiles.get(QUANTILES / 2).copied()
    }

    /// The 95 % quantile; `None` without values.
    #[must_use]
    pub fn p95(&self) -> Option<f64> {
        self.quantiles.get((QUANTILES - 1) * 95 / 100).copied()
    }

    /// Between which limits all but 1 % of the values lie; `None` without values.
    #[must_use]
    pub fn usual_range(&self) -> Option<(f64, f64)> {
        self.quantiles.get(1).copied().zip(self.quantiles.get(QUANTILES - 2).copied())
    }

    /// What values differ by through rounding alone: 10⁻⁹ of the mean.
    #[must_use]
    pub fn rounding(&self) -> f64 {
        self.mean.abs() * bins::ROUNDING
    }

    /// The distance from the median to the 95 % quantile: how far large values lie from ordinary ones, in the unit of the
    /// values. A few of any size do not change it. Where both are the same it is the standard deviation.
    #[must_use]
    pub fn spread(&self) -> f64 {
        let spread = self.p95().zip(self.median()).map_or(0.0, |(p95, median)| p95 - median);
        if spread > self.rounding() { spread } else { self.deviation }
    }

    /// Whether it can be that of some values.
    ///
    /// # Errors
    ///
    /// What is impossible.
    pub fn check(&self) -> Result<(), Invalid> {
        let Self { missing, mean, deviation, quantiles, edges, counts, ordinary } = self;
        if !(0.0..=1.0).contains(missing) {
            return Err(Invalid::Missing);
        }
        let finite = |numbers: &[f64]| numbers.iter().all(|number| number.is_finite());
        if edges.len() >= MAX_BINS || !finite(edges) || !edges.is_sorted_by(|low, high| low < high) {
            return Err(Invalid::Edges);
        }
        let countable = finite(counts) && counts.iter().all(|count| *count >= 0.0);
        let none = quantiles.is_empty();
        if counts.len() != edges.len() + 1 || !countable || (self.known() <= 0.0) != none || !self.known().is_finite() {
            return Err(Invalid::Counts);
        }
        let ascending = quantiles.len() == QUANTILES && finite(quantiles) && quantiles.is_sorted();
        if !(none && *missing >= 1.0 || ascending && *missing < 1.0) {
            return Err(Invalid::Quantiles);
        }
        let (lowest, highest) = (quantiles.first().copied().unwrap_or(0.0), quantiles.last().copied().unwrap_or(0.0));
        // As wide as what a text or another order of summation may have rounded.
        let slack = lowest.abs().max(highest.abs()) * 1e-6;
        let between = *mean >= lowest - slack && *mean <= highest + slack;
        if !between || !(0.0..=highest - lowest + slack).contains(deviation) || !finite(&[*mean, *deviation]) {
            return Err(Invalid::Moments);
        }
        let known = finite(&ordinary.tests()) && ordinary.tests().iter().all(|effect| *effect >= 0.0);
        if !known || !(0.0..=1.0).contains(&ordinary.missing) {
            return Err(Invalid::Ordinary);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> Distribution {
        Distribution::new((0..=1000).map(f64::from))
    }

    #[test]
    fn a_distribution_is_that_of_its_values() {
        let with_holes = (0..=1000).map(f64::from).flat_map(|value| [value, f64::NAN]).chain([f64::INFINITY, f64::NAN]);
        let distribution = Distribution::new(with_holes);
        assert_eq!(distribution.check(), Ok(()));
        assert!((distribution.missing - 1003.0 / 2004.0).abs() < 1e-15);
        assert!((distribution.mean - 500.0).abs() < 1e-9 && (distribution.deviation - 288.96).abs() < 0.01);
        assert_eq!((distribution.median(), distribution.p95()), (Some(500.0), Some(950.0)));
        assert_eq!((distribution.quantiles.len(), distribution.counts.len(), distribution.known()), (201, 10, 1001.0));
        assert_eq!(distribution.spread(), 450.0);
    }

    #[test]
    fn without_values_it_is_empty() {
        for distribution in [Distribution::new([].into_iter()), Distribution::new([f64::NAN; 5].into_iter())] {
            assert_eq!(distribution.check(), Ok(()));
            assert_eq!((distribution.missing, distribution.known(), distribution.median()), (1.0, 0.0, None));
        }
    }

    #[test]
    fn what_is_impossible_is_refused() {
        type Change = fn(&mut Distribution);
        let cases: [(Change, Invalid); 17] = [
            (|d| d.missing = f64::NAN, Invalid::Missing),
            (|d| d.missing = 1.5, Invalid::Missing),
            (|d| d.missing = 1.0, Invalid::Quantiles),
            (|d| d.edges.swap(0, 1), Invalid::Edges),
            (|d| d.edges[8] = f64::INFINITY, Invalid::Edges),
            (|d| d.edges.push(1e9), Invalid::Edges),
            (|d| d.counts.truncate(9), Invalid::Counts),
            (|d| d.counts[0] = -1.0, Invalid::Counts),
            (|d| d.counts[0] = f64::NAN, Invalid::Counts),
            (|d| d.counts.fill(f64::MAX), Invalid::Counts),
            (|d| d.counts.fill(0.0), Invalid::Counts),
            (|d| d.quantiles.swap(3, 4), Invalid::Quantiles),
            (|d| d.quantiles.truncate(200), Invalid::Quantiles),
            (|d| d.quantiles[7] = f64::NAN, Invalid::Quantiles),
            (|d| d.mean = 2000.0, Invalid::Moments),
            (|d| d.deviation = -1.0, Invalid::Moments),
            (|d| d.ordinary.ks = f64::INFINITY, Invalid::Ordinary),
        ];
        for (at, (change, expected)) in cases.into_iter().enumerate() {
            let mut distribution = ramp();
            change(&mut distribution);
            assert_eq!(distribution.check(), Err(expected), "{at}");
        }
        let mut reference = Reference::new(&[1, 2], &[1.0, 2.0], 1, &[0.0, 2.0], Duration::from_secs(1)).unwrap();
        assert_eq!((reference.check(), reference.alarm_rate), (Ok(()), 0.5));
        reference.alarm_rate = -0.5;
        assert_eq!(reference.check(), Err(Error::Alarms));
        reference.features[0].missing = -1.0;
        assert_eq!(reference.check(), Err(Error::Feature { feature: 0, source: Invalid::Missing }));
    }

    #[test]
    fn lengths_must_fit() {
        let window = Duration::from_secs(1);
        assert!(matches!(Reference::new(&[1], &[1.0], 2, &[0.0], window), Err(Error::Shape { .. })));
        assert!(matches!(Reference::new(&[1, 2], &[1.0], 1, &[0.0], window), Err(Error::Shape { .. })));
        assert!(Reference::new(&[], &[], 3, &[], window).unwrap().check().is_ok());
    }
}
