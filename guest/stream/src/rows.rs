//! What is to be scored, and who scores it.

/// A batch of rows for one detector, in order of arrival: columns of the same length.
#[derive(Debug, Default, Clone)]
pub struct Rows {
    /// The series of each row, by number.
    pub series: Vec<u32>,
    /// When each was measured: nanoseconds since 1970.
    pub times: Vec<i64>,
    /// Their values, one a row.
    pub values: Vec<f64>,
    /// Where each came from.
    pub(crate) origins: Vec<Origin>,
}

/// Where a row came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    /// Which of the run's events that are to be scored.
    pub(crate) event: u32,
    /// Where the field's key starts in the input.
    pub(crate) key: u32,
    pub(crate) key_len: u32,
}

impl Rows {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Adds a row that comes from no event: for those who drive a [`Scorer`] without a pipeline.
    pub fn add(&mut self, series: u32, time: i64, value: f64) {
        self.push(series, time, value, Origin { event: 0, key: 0, key_len: 0 });
    }

    /// Forgets the rows, keeps the memory.
    pub fn clear(&mut self) {
        let Self { series, times, values, origins } = self;
        series.clear();
        times.clear();
        values.clear();
        origins.clear();
    }

    pub(crate) fn push(&mut self, series: u32, time: i64, value: f64, origin: Origin) {
        self.series.push(series);
        self.times.push(time);
        self.values.push(value);
        self.origins.push(origin);
    }
}

/// Something that scores rows: a detector, wherever it runs.
///
/// It never fails, as far as the pipeline is concerned: what cannot be scored has no score.
pub trait Scorer {
    /// Appends one score a row to `scores`: 0 is ordinary, 1 the threshold; NaN where there is none, and never negative
    /// or infinite.
    fn score(&mut self, rows: &Rows, scores: &mut Vec<f64>);

    /// Drops what is known of these series; their numbers may come again for others.
    fn forget(&mut self, series: &[u32]);
}
