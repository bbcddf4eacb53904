//! What is to be scored, and who scores it.

use crate::band::Band;
use crate::reason::Reason;

/// A batch of rows for one detector, in order of arrival.
#[derive(Debug, Clone)]
pub struct Rows {
    features: usize,
    /// Whether a rule needs contributions, be anomalies explained to people or not.
    pub explain: bool,
    /// Whether bands are shown.
    pub bands: bool,
    /// Whether it is told which series are siblings.
    pub related: bool,
    /// The series of each row, by number. Its length is the number of rows.
    pub series: Vec<u32>,
    /// When each was measured: nanoseconds since 1970.
    pub times: Vec<i64>,
    /// Row after row, as many values each as there are features. NaN is missing.
    pub values: Vec<f64>,
    /// Where siblings are told: the group of each row's series, the same for all of one field of one measurement. Otherwise
    /// empty.
    pub groups: Vec<u64>,
}

impl Default for Rows {
    /// Rows of one value.
    fn default() -> Self {
        Self::new(1)
    }
}

impl Rows {
    /// No rows as yet; each will have `features` values.
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

    /// Forgets the rows, keeps the memory.
    pub fn clear(&mut self) {
        let Self { features: _, explain: _, bands: _, related: _, series, times, values, groups } = self;
        series.clear();
        times.clear();
        values.clear();
        groups.clear();
    }
}

/// What a detector thinks of a batch.
#[derive(Debug, Clone, Default)]
pub struct Verdicts {
    /// One a row: 0 is ordinary, 1 the threshold; NaN where there is none, and never negative or infinite.
    pub scores: Vec<f64>,
    /// Rows × features, where the detector explains anomalies: how much each feature contributed. Otherwise empty. Of a
    /// row of one value: how far that is from what was expected, with its sign.
    pub contributions: Vec<f64>,
    /// One a row; empty where no row has any.
    pub reasons: Vec<Reason>,
    /// One a row where [`Rows::bands`] asks for them and the detector knows any. Otherwise empty.
    pub bands: Vec<Band>,
}

impl Verdicts {
    /// Forgets them, keeps the memory.
    pub fn clear(&mut self) {
        self.scores.clear();
        self.contributions.clear();
        self.reasons.clear();
        self.bands.clear();
    }

    /// Says of all rows after those that have a score that they have none.
    pub fn leave(&mut self, rows: &Rows) {
        let Self { scores, contributions, reasons, bands } = self;
        scores.resize(rows.len(), f64::NAN);
        if !contributions.is_empty() {
            contributions.resize(rows.values.len(), 0.0);
        }
        if !reasons.is_empty() {
            reasons.resize(rows.len(), Reason::None);
        }
        if !bands.is_empty() {
            bands.resize(rows.len(), Band::UNKNOWN);
        }
    }

    /// Why a row is an anomaly.
    pub(crate) fn reason(&self, row: usize) -> Reason {
        self.reasons.get(row).copied().unwrap_or_default()
    }

    /// What would have been ordinary for a row. One without a score has no band.
    pub(crate) fn band(&self, row: usize) -> Band {
        let scored = self.scores.get(row).is_some_and(|score| !score.is_nan());
        self.bands.get(row).copied().filter(|_| scored).unwrap_or(Band::UNKNOWN)
    }
}

/// Something that scores rows: a detector, wherever it runs.
///
/// It never fails, as far as the pipeline is concerned: what cannot be scored has no score.
pub trait Scorer {
    /// Puts one score a row into `verdicts`, which is empty; contributions, reasons and bands for all rows or for none.
    fn score(&mut self, rows: &Rows, verdicts: &mut Verdicts);

    /// Drops what is known of these series; their numbers may come again for others.
    fn forget(&mut self, series: &[u32]);
}
