//! Rows to fit a detector to.

use ndarray::ArrayView2;

use crate::linalg::{as_matrix, as_rows};

/// Rows × features doubles in order of time, NaN for what is missing.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    values: ArrayView2<'a, f64>,
    /// The series of each row; `None` where all are of one.
    series: Option<&'a [u32]>,
}

impl<'a> Rows<'a> {
    /// Rows of one series, of `features` values each, row after row as a [batch](qualm_contract::Batch) has them.
    ///
    /// # Panics
    ///
    /// Where the values do not fill the rows.
    #[must_use]
    pub fn new(values: &'a [f64], features: usize) -> Self {
        Self { values: as_matrix(values, features), series: None }
    }

    /// Rows of several series; `series` has the number of each row's series, small and dense.
    ///
    /// # Panics
    ///
    /// If the values do not fill the rows, or there are not as many series.
    #[must_use]
    pub fn of_series(series: &'a [u32], values: &'a [f64], features: usize) -> Self {
        let this = Self::new(values, features);
        assert_eq!(series.len(), this.len(), "not one series a row");
        Self { series: Some(series), ..this }
    }

    /// Values in a row.
    #[must_use]
    pub fn features(&self) -> usize {
        self.values.ncols()
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.nrows()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Row after row, each with its series.
    pub fn with_series(&self) -> impl Iterator<Item = (u32, &'a [f64])> + use<'a> {
        let series = self.series;
        as_rows(self.values).enumerate().map(move |(at, row)| (series.map_or(0, |series| series[at]), row))
    }

    /// One feature's values, those that are there.
    pub fn column(&self, feature: usize) -> impl Iterator<Item = f64> + use<'a> {
        as_rows(self.values).map(move |row| row[feature]).filter(|value| !value.is_nan())
    }
}
