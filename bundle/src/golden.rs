//! Golden rows: some rows with the scores that a fresh detector must give them.
//!
//! They are checked wherever a bundle is loaded, so that a runtime with different arithmetic never scores.

use std::fmt;

use qualm_contract::{Batch, Detector, Wanted};
use qualm_core::model::{Model, Writer};

/// The version of the layout.
const VERSION: &str = "1";

/// Golden rows and their scores.
#[derive(Clone)]
pub struct Golden {
    /// Values in a row.
    pub features: usize,
    /// The series of each row.
    pub series: Vec<u32>,
    /// When each row was measured.
    pub times: Vec<i64>,
    /// Row after row; NaN is missing.
    pub values: Vec<f64>,
    /// The score of each row; NaN is not scored.
    pub scores: Vec<f64>,
    /// The file as it was read: another writer may have laid it out differently.
    bytes: Vec<u8>,
}

/// Why a file holds no golden rows, or a detector does not reproduce their scores.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The detector does not score them.
    #[error(transparent)]
    Detector(#[from] qualm_contract::Error),
    /// The file's layout is invalid.
    #[error("{0}")]
    Layout(String),
    /// The file is of another kind.
    #[error("it holds no golden rows, but `{0}`")]
    Kind(String),
    /// The file is of another version of qualm.
    #[error("it is of version {0}; known here is {VERSION}")]
    Version(String),
    /// A series has a number that is too large.
    #[error("its series are not numbered from 0 on")]
    Series,
    /// The columns differ in length.
    #[error("its {series} series, {times} times, {values} values and {scores} scores make no rows")]
    Rows {
        /// Series.
        series: usize,
        /// Times.
        times: usize,
        /// Values.
        values: usize,
        /// Scores.
        scores: usize,
    },
    /// There are more or fewer scores than rows.
    #[error("{rows} rows got {scores} scores")]
    Count {
        /// Rows.
        rows: usize,
        /// Scores that they got.
        scores: usize,
    },
    /// A row got another score.
    #[error("row {row} got the score {got} where it must get {expected}")]
    Score {
        /// Which row, the first being 1.
        row: usize,
        /// Its score.
        got: f64,
        /// The score that it must get.
        expected: f64,
    },
}

impl Golden {
    /// Scores rows with a fresh detector.
    ///
    /// # Errors
    ///
    /// Those of the detector.
    pub fn of(detector: &mut dyn Detector, rows: Batch<'_>) -> Result<Self, Error> {
        let scores = detector.verdicts_of(rows, Wanted::SCORES)?.scores;
        Ok(Self::new(detector.describe().features as usize, rows, &scores))
    }

    /// Rows with known scores.
    ///
    /// # Panics
    ///
    /// If there are not `features` values for each row.
    #[must_use]
    pub fn new(features: usize, rows: Batch<'_>, scores: &[f64]) -> Self {
        let Batch { series, times, values } = rows;
        let mut file = Writer::default();
        file.set("kind", "golden").set("version", VERSION);
        file.integers("series", series).times("times", times);
        file.doubles("values", &[series.len(), features], values).doubles("scores", &[scores.len()], scores);
        let (series, times, values) = (series.to_vec(), times.to_vec(), values.to_vec());
        Self { features, series, times, values, scores: scores.to_vec(), bytes: file.finish() }
    }

    /// Parses the file.
    ///
    /// # Errors
    ///
    /// If it holds no golden rows.
    pub fn read(bytes: Vec<u8>) -> Result<Self, Error> {
        let plain = |error: qualm_contract::Error| match error {
            qualm_contract::Error::BadModel(what) => Error::Layout(what),
            other => Error::Detector(other),
        };
        let file = Model::read(&bytes).map_err(plain)?;
        let kind = file.text("kind").map_err(plain)?;
        if kind != "golden" {
            return Err(Error::Kind(kind.to_owned()));
        }
        let version = file.text("version").map_err(plain)?;
        if version != VERSION {
            return Err(Error::Version(version.to_owned()));
        }
        let series = file.integers("series").map_err(plain)?;
        let times = file.times("times").map_err(plain)?;
        let values = file.values("values").map_err(plain)?;
        let scores = file.values("scores").map_err(plain)?;
        let rows = series.len();
        // A detector allocates for series up to the largest number.
        if series.iter().any(|series| *series as usize >= rows) {
            return Err(Error::Series);
        }
        if rows == 0 || values.is_empty() || values.len() % rows != 0 || times.len() != rows || scores.len() != rows {
            let (times, values, scores) = (times.len(), values.len(), scores.len());
            return Err(Error::Rows { series: rows, times, values, scores });
        }
        Ok(Self { features: values.len() / rows, series, times, values, scores, bytes })
    }

    /// The file's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.series.len()
    }

    /// Scores the rows with `score`, which must be of a fresh detector, and compares the scores bit by bit.
    ///
    /// # Errors
    ///
    /// Those of `score`; and the row with another score.
    pub fn check(&self, score: impl FnOnce(Batch<'_>) -> Result<Vec<f64>, qualm_contract::Error>) -> Result<(), Error> {
        let Self { series, times, values, scores, .. } = self;
        let got = score(Batch { series, times, values })?;
        if got.len() != scores.len() {
            return Err(Error::Count { rows: scores.len(), scores: got.len() });
        }
        let same = |one: f64, other: f64| one.to_bits() == other.to_bits() || one.is_nan() && other.is_nan();
        match scores.iter().zip(got).enumerate().find(|(_, (expected, got))| !same(**expected, *got)) {
            None => Ok(()),
            Some((row, (&expected, got))) => Err(Error::Score { row: row + 1, got, expected }),
        }
    }
}

/// Without all the numbers.
impl fmt::Debug for Golden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Golden({} rows of {} features)", self.rows(), self.features)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn the_first_row_with_another_score_is_named() {
        let open = |shift| qualm_core::open(&testing::model(shift)).unwrap();
        let score = |mut detector: Box<dyn Detector>| {
            move |rows: Batch<'_>| Ok(detector.verdicts_of(rows, Wanted::SCORES).unwrap().scores)
        };
        let batch =
            Batch { series: &[0, 1, 0], times: &[1, 2, 3], values: &[4.0, 50.0, f64::NAN, 200.0, f64::NAN, f64::NAN] };
        let golden = Golden::of(&mut *open(0.0), batch).unwrap();
        assert!(golden.scores[2].is_nan());
        let read = Golden::read(golden.bytes().to_vec()).unwrap();
        assert_eq!((read.rows(), read.features, &read.times), (3, 2, &golden.times));
        read.check(score(open(0.0))).unwrap();
        let other = read.check(score(open(1.0))).unwrap_err().to_string();
        assert!(other.starts_with("row 1 got the score"), "{other}");
        let next = |x: f64| f64::from_bits(x.to_bits() + 1);
        let off = read.check(|_| Ok(vec![read.scores[0], next(read.scores[1]), f64::NAN])).unwrap_err().to_string();
        assert!(off.starts_with("row 2 got"), "the last bit counts: {off}");
        assert_eq!(read.check(|_| Ok(vec![0.0])).unwrap_err().to_string(), "3 rows got 1 scores");
        let trapped = |_: Batch<'_>| Err(qualm_contract::Error::Internal("it trapped".to_owned()));
        assert_eq!(read.check(trapped).unwrap_err().to_string(), "it trapped");
    }

    #[test]
    fn malformed_files_are_refused() {
        let empty = Golden::new(2, Batch { series: &[], times: &[], values: &[] }, &[]);
        assert!(Golden::read(empty.bytes).unwrap_err().to_string().contains("0 series, 0 times"));
        let uneven = Golden::new(1, Batch { series: &[0], times: &[], values: &[1.0] }, &[1.0]);
        assert!(Golden::read(uneven.bytes).unwrap_err().to_string().contains("make no rows"));
        assert!(Golden::read(b"rows".to_vec()).unwrap_err().to_string().contains("safetensors"));
        assert!(Golden::read(testing::model(0.0)).unwrap_err().to_string().contains("no golden rows, but `zscore`"));
    }
}
