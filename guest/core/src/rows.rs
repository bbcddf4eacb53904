//! Rows to fit a detector to.

/// Rows × features doubles, row after row and in order of time, NaN for what is missing.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    values: &'a [f64],
    features: usize,
    /// The series of each row; `None` where all are of one.
    series: Option<&'a [u32]>,
}

impl<'a> Rows<'a> {
    /// Rows of one series, of `features` values each.
    ///
    /// # Panics
    ///
    /// Where the values do not fill the rows.
    #[must_use]
    pub fn new(values: &'a [f64], features: usize) -> Self {
        assert!(features > 0 && values.len().is_multiple_of(features), "{} values, {features} a row", values.len());
        Self { values, features, series: None }
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

    /// All values, row after row.
    #[must_use]
    pub fn values(&self) -> &'a [f64] {
        self.values
    }

    /// Values in a row.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / self.features
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Row after row.
    pub fn iter(&self) -> impl Iterator<Item = &'a [f64]> + use<'a> {
        self.values.chunks_exact(self.features)
    }

    /// Row after row, each with its series.
    pub fn with_series(&self) -> impl Iterator<Item = (u32, &'a [f64])> + use<'a> {
        let series = self.series;
        self.iter().enumerate().map(move |(at, row)| (series.map_or(0, |series| series[at]), row))
    }

    /// One feature's values, those that are there.
    pub fn column(&self, feature: usize) -> impl Iterator<Item = f64> + use<'a> {
        self.iter().map(move |row| row[feature]).filter(|value| !value.is_nan())
    }
}
