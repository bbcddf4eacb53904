//! History as a table: one row an entity and time, one column a feature.

/// A table of feature values, in order of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// The features' names, in the order of the columns.
    pub names: Vec<String>,
    /// The entity of each row, by its place in [`entities`](Self::entities). Its length is the number of rows.
    pub series: Vec<u32>,
    /// What each entity is called: its tags as they stand in a line, such as `host=a`; empty where there are none.
    pub entities: Vec<String>,
    /// When each row was measured: nanoseconds since 1970.
    pub times: Vec<i64>,
    /// Row after row, as many doubles as there are features; NaN is missing.
    pub values: Vec<f64>,
}

impl Table {
    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Values in a row.
    #[must_use]
    pub fn features(&self) -> usize {
        self.names.len()
    }

    /// The rows in `range`, as a detector takes them.
    #[must_use]
    pub fn batch(&self, range: std::ops::Range<usize>) -> qualm_core::Batch<'_> {
        let features = self.features();
        qualm_core::Batch {
            series: &self.series[range.clone()],
            times: &self.times[range.clone()],
            values: &self.values[range.start * features..range.end * features],
        }
    }

    /// One feature's values, NaN for what is missing.
    pub fn column(&self, feature: usize) -> impl Iterator<Item = f64> + '_ {
        self.values.iter().skip(feature).step_by(self.features().max(1)).copied()
    }
}
