//! The rows of a batch.

use qualm_contract::{Batch, Wanted};

/// A batch of rows for one detector, in order of arrival.
#[derive(Debug, Clone)]
pub struct Rows {
    features: usize,
    /// Whether a rule needs contributions, even if they are not emitted.
    pub explain: bool,
    /// Whether bands are shown.
    pub bands: bool,
    /// Whether groups of siblings are passed on to the detector.
    pub related: bool,
    /// The series of each row, by number. Its length is the number of rows.
    pub series: Vec<u32>,
    /// The time of each row: nanoseconds since 1970.
    pub times: Vec<i64>,
    /// The values, row by row. NaN is missing.
    pub values: Vec<f64>,
    /// If `related`, the group of each row's series: the same for all series of one field of one measurement. Otherwise empty.
    pub groups: Vec<u64>,
}

impl Default for Rows {
    /// Rows of one value.
    fn default() -> Self {
        Self::new(1)
    }
}

impl Rows {
    /// Without rows; each will have `features` values.
    #[must_use]
    pub fn new(features: usize) -> Self {
        Self {
            features,
            explain: false,
            bands: false,
            related: false,
            series: Vec::new(),
            times: Vec::new(),
            values: Vec::new(),
            groups: Vec::new(),
        }
    }

    /// How many values a row has.
    #[must_use]
    pub fn features(&self) -> usize {
        self.features
    }

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

    /// Adds a row of one value.
    pub fn add(&mut self, series: u32, time: i64, value: f64) {
        self.add_vector(series, time, &[value]);
    }

    /// Adds a row.
    pub fn add_vector(&mut self, series: u32, time: i64, values: &[f64]) {
        debug_assert_eq!(values.len(), self.features);
        self.series.push(series);
        self.times.push(time);
        self.values.extend_from_slice(values);
    }

    /// The rows as a batch for a detector.
    #[must_use]
    pub fn batch(&self) -> Batch<'_> {
        Batch { series: &self.series, times: &self.times, values: &self.values }
    }

    /// The optional results that are wanted.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        Wanted { contributions: self.explain, bands: self.bands }
    }

    /// Removes the rows and keeps the memory.
    pub fn clear(&mut self) {
        let Self { features: _, explain: _, bands: _, related: _, series, times, values, groups } = self;
        series.clear();
        times.clear();
        values.clear();
        groups.clear();
    }
}
