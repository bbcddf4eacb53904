//! The input of a detector.

use crate::Error;

/// Rows to be scored, in order of arrival.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// The series of each row: small dense numbers. Its length is the number of rows.
    pub series: &'a [u32],
    /// The time of each row: nanoseconds since 1970.
    pub times: &'a [i64],
    /// The values, row by row: as many doubles for each as the detector has features. NaN is missing.
    pub values: &'a [f64],
}

impl Batch<'_> {
    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// How many values a row has; 1 without rows.
    #[must_use]
    pub fn features(&self) -> usize {
        self.values.len().checked_div(self.series.len()).unwrap_or(1)
    }

    /// Checks that there are `features` values for each row, and returns the number of rows.
    ///
    /// # Errors
    ///
    /// [`Error::BadShape`] if there are not.
    pub fn rows(&self, features: usize) -> Result<usize, Error> {
        let Self { series, times, values } = self;
        if times.len() == series.len() && values.len() == series.len().saturating_mul(features) {
            return Ok(series.len());
        }
        Err(Error::BadShape(format!(
            "{} series, {} timestamps and {} values, where there must be as many timestamps as series, and {features} values for each",
            series.len(),
            times.len(),
            values.len()
        )))
    }
}

/// Optional results for a batch, besides scores and reasons.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// How much each feature contributed to an anomaly.
    pub contributions: bool,
    /// The range of ordinary values.
    pub bands: bool,
}

impl Wanted {
    /// Scores and reasons only.
    pub const SCORES: Self = Self { contributions: false, bands: false };
    /// Contributions as well.
    pub const CONTRIBUTIONS: Self = Self { contributions: true, bands: false };
}
