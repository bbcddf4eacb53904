//! Preparation of rows for a kernel: missing values are filled in, the rest is scaled.

use std::str::FromStr;

use qualm_contract::Error;

use super::{FitError, Rows, UnknownName};
use crate::model::{Model, Writer};

/// The largest magnitude of a scaled value; it is clipped, so that no later sum can overflow.
const MAX_SCALED: f64 = 1e12;

/// The largest magnitude of a value in training; it is clipped, so that no sum of squares overflows.
const MAX_LEARNED_VALUE: f64 = 1e150;

/// A constant feature is unchanged as long as it differs by at most this share of its magnitude, or of 1.
const CONSTANT_TOLERANCE: f64 = 1e-9;

/// How values are scaled: (value − center) / spread, for each feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scaling {
    /// Mean and standard deviation.
    Standard,
    /// Median and interquartile range, the latter over 1.349: for a normal distribution, the standard deviation.
    Robust,
    /// Smallest value, and the range from it to the largest.
    MinMax,
    /// No scaling.
    None,
}

impl Scaling {
    /// All values.
    pub const ALL: [Self; 4] = [Self::Standard, Self::Robust, Self::MinMax, Self::None];

    /// The name in configuration and models.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Robust => "robust",
            Self::MinMax => "min-max",
            Self::None => "none",
        }
    }
}

impl FromStr for Scaling {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let named = Self::ALL.into_iter().find(|scaling| scaling.name() == text);
        let (what, known) = ("scaling", "standard, robust, min-max and none");
        named.ok_or_else(|| UnknownName { name: text.to_owned(), what, known })
    }
}

/// What each feature is filled in with, and how it is scaled.
#[derive(Debug, Clone, PartialEq)]
pub struct Preparation {
    /// The substitute for a missing value: the feature's median.
    fill: Vec<f64>,
    center: Vec<f64>,
    /// Never 0.
    spread: Vec<f64>,
    /// The largest magnitude of a scaled value; it is clipped.
    clip: f64,
}

impl Preparation {
    /// Fits it to rows. With a `clip`, scaled values are clipped to this magnitude, and any change of a constant feature is at
    /// the clip.
    ///
    /// # Errors
    ///
    /// The position of a feature without values, or what is wrong with the clip.
    pub fn fit(rows: Rows<'_>, scaling: Scaling, clip: Option<f64>) -> Result<Self, FitError> {
        if let Some(clip) = clip
            && !(clip > 0.0 && clip <= MAX_SCALED)
        {
            return Err(FitError(format!("`clip` is {clip}; it must lie above 0, and be {MAX_SCALED:e} at most")));
        }
        let features = rows.features();
        let (fill, center, spread) = (Vec::new(), Vec::new(), Vec::new());
        let mut this = Self { fill, center, spread, clip: clip.unwrap_or(MAX_SCALED) };
        for feature in 0..features {
            let mut column: Vec<f64> =
                rows.column(feature).map(|x| x.clamp(-MAX_LEARNED_VALUE, MAX_LEARNED_VALUE)).collect();
            if column.is_empty() {
                return Err(FitError(format!("feature {feature} has no value in any row")));
            }
            column.sort_unstable_by(f64::total_cmp);
            let median = quantile(&column, 0.5);
            let (center, spread) = match scaling {
                Scaling::Standard => mean_and_deviation(&column),
                Scaling::Robust => (median, (quantile(&column, 0.75) - quantile(&column, 0.25)) / 1.349),
                Scaling::MinMax => (column[0], column[column.len() - 1] - column[0]),
                Scaling::None => (0.0, 1.0),
            };
            // A feature that does not vary, or whose middle half does not: any unit will do in which rounding errors are
            // small.
            let least = f64::max(center.abs() * 1e-9, f64::MIN_POSITIVE);
            let constant = match clip {
                // Any difference larger than rounding is at the clip.
                Some(clip) => (center.abs() + 1.0) * CONSTANT_TOLERANCE / clip,
                None => 1.0,
            };
            let spread = if spread > least { spread } else { fallback(&column, least, constant) };
            this.fill.push(median);
            this.center.push(center);
            this.spread.push(spread);
        }
        Ok(this)
    }

    /// A preparation that was fitted elsewhere.
    ///
    /// # Errors
    ///
    /// Where the arrays are not of one length, or a spread is not positive, or anything is not finite.
    pub fn from_parts(fill: Vec<f64>, center: Vec<f64>, spread: Vec<f64>) -> Result<Self, Error> {
        let bad = |what: &str| Err(Error::BadModel(what.to_owned()));
        if fill.len() != center.len() || fill.len() != spread.len() {
            return bad("its fill, center and spread are not of one length");
        }
        if [&fill, &center, &spread].into_iter().flatten().any(|number| !number.is_finite()) {
            return bad("a fill, center or spread in it is not finite");
        }
        if spread.iter().any(|spread| *spread <= 0.0) {
            return bad("a spread in it is not positive");
        }
        Ok(Self { fill, center, spread, clip: MAX_SCALED })
    }

    /// Values in a row.
    #[must_use]
    pub fn features(&self) -> usize {
        self.fill.len()
    }

    pub(super) fn center(&self) -> &[f64] {
        &self.center
    }

    pub(super) fn spread(&self) -> &[f64] {
        &self.spread
    }

    /// The largest magnitude of a scaled value.
    pub(super) fn clip(&self) -> f64 {
        self.clip
    }

    /// Appends a row, filled in and scaled, to `out`.
    pub fn prepare(&self, row: &[f64], out: &mut Vec<f64>) {
        let Self { fill, center, spread, clip } = self;
        out.extend(row.iter().zip(fill).zip(center).zip(spread).map(|(((&value, &fill), &center), &spread)| {
            let value = if value.is_nan() { fill } else { value };
            ((value - center) / spread).clamp(-clip, *clip)
        }));
    }

    pub(super) fn write_model(&self, model: &mut Writer) {
        let shape = [self.features()];
        model.set("scaled_clip", format_args!("{:e}", self.clip));
        model.doubles("fill", &shape, &self.fill);
        model.doubles("center", &shape, &self.center);
        model.doubles("spread", &shape, &self.spread);
    }

    pub(super) fn read_model(model: &Model<'_>, features: usize) -> Result<Self, Error> {
        let array = |name| model.doubles(name, features);
        let clip = model.finite("scaled_clip")?;
        if !(clip > 0.0 && clip <= MAX_SCALED) {
            return Err(Error::BadModel(format!(
                "its `scaled_clip` of {clip} is not above 0 and up to {MAX_SCALED:e}"
            )));
        }
        Ok(Self { clip, ..Self::from_parts(array("fill")?, array("center")?, array("spread")?)? })
    }
}

/// A quantile of sorted numbers, linear between two of them (Hyndman & Fan 1996, type 7). NaN without numbers.
#[must_use]
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = share * last as f64;
    let below = libm::floor(at);
    let (low, high) = (sorted[below as usize], sorted[libm::ceil(at) as usize]);
    low + (at - below) * (high - low)
}

/// Mean and standard deviation (of a population, as scikit-learn's), in two passes.
fn mean_and_deviation(column: &[f64]) -> (f64, f64) {
    let count = column.len() as f64;
    let mean = column.iter().sum::<f64>() / count;
    let squares: f64 = column.iter().map(|value| (value - mean) * (value - mean)).sum();
    (mean, libm::sqrt(squares / count))
}

/// The spread of a feature whose own measure is 0: its standard deviation, but `least` at least.
fn fallback(column: &[f64], least: f64, constant: f64) -> f64 {
    let (_, deviation) = mean_and_deviation(column);
    if deviation > least { deviation } else { constant }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(scaling: Scaling, column: &[f64]) -> Vec<f64> {
        let preparation = Preparation::fit(Rows::new(column, 1), scaling, None).unwrap();
        let mut out = Vec::new();
        for value in column {
            preparation.prepare(&[*value], &mut out);
        }
        out
    }

    #[test]
    fn each_scaling_is_what_it_says() {
        let column = [1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!(prepared(Scaling::MinMax, &column), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(prepared(Scaling::None, &column), column);
        assert_eq!(prepared(Scaling::Robust, &column)[3].to_bits(), (1.349_f64 / 2.0).to_bits());
        assert!((prepared(Scaling::Standard, &column)[4] - 2.0 / 2.0_f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn what_is_missing_is_the_median() {
        assert_eq!(prepared(Scaling::None, &[1.0, f64::NAN, 7.0, 8.0])[1].to_bits(), 7.0_f64.to_bits());
    }

    #[test]
    fn a_feature_that_does_not_vary_blows_nothing_up() {
        for scaling in Scaling::ALL {
            for constant in [0.0, 0.1, 1e9, 1e-300] {
                assert!(prepared(scaling, &[constant; 7]).iter().all(|value| value.abs() <= constant), "{scaling:?}");
            }
        }
        // The middle half does not vary, the rest does.
        assert!(prepared(Scaling::Robust, &[5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 100.0])[6] < 10.0);
        let preparation = Preparation::fit(Rows::new(&[1.0, 2.0], 1), Scaling::Standard, None).unwrap();
        let mut out = Vec::new();
        preparation.prepare(&[f64::MAX], &mut out);
        assert_eq!(out, [MAX_SCALED]);
    }

    #[test]
    fn values_as_large_as_can_be_are_learnt_from() {
        for scaling in Scaling::ALL {
            for column in [[f64::MAX, -f64::MAX, 1.0, 2.0], [f64::INFINITY, f64::NEG_INFINITY, 0.0, 1.0], [1e300; 4]] {
                let rows = prepared(scaling, &column);
                assert!(rows.iter().all(|x| x.is_finite()), "{scaling:?}: {rows:?}");
                let Preparation { fill, center, spread, .. } =
                    Preparation::fit(Rows::new(&column, 1), scaling, None).unwrap();
                Preparation::from_parts(fill, center, spread).unwrap();
            }
        }
    }

    #[test]
    fn a_feature_without_a_value_is_named() {
        let error =
            Preparation::fit(Rows::new(&[1.0, f64::NAN, 2.0, f64::NAN], 2), Scaling::Standard, None).unwrap_err();
        assert_eq!(error.to_string(), "feature 1 has no value in any row");
    }

    #[test]
    fn clipped_any_change_of_what_never_changed_is_as_far_out_as_can_be() {
        for constant in [0.0, 0.1, -1e9, 1e-300] {
            for scaling in [Scaling::Standard, Scaling::Robust, Scaling::MinMax] {
                let preparation = Preparation::fit(Rows::new(&[constant; 7], 1), scaling, Some(10.0)).unwrap();
                let mut out = Vec::new();
                let least = 2e-9 * (constant.abs() + 1.0);
                let rounded = constant + 2.0 * f64::EPSILON * constant;
                for value in [constant, rounded, constant + least, constant - least, f64::INFINITY] {
                    preparation.prepare(&[value], &mut out);
                }
                assert!(out[0].abs() < 1e-4 && out[1].abs() < 1e-4, "{out:?}");
                assert_eq!(out[2..], [10.0, -10.0, 10.0]);
            }
        }
        let preparation = Preparation::fit(Rows::new(&[0.0, 10.0], 1), Scaling::Standard, Some(2.0)).unwrap();
        let mut out = Vec::new();
        for value in [12.5, 50.0, -50.0] {
            preparation.prepare(&[value], &mut out);
        }
        assert_eq!(out, [1.5, 2.0, -2.0]);
        Preparation::fit(Rows::new(&[1.0], 1), Scaling::None, Some(0.0)).unwrap_err();
    }
}
