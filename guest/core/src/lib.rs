//! The detectors: rows of numbers in, scores out.
//!
//! Everything here is a pure function of a model, the rows seen so far and nothing else: no clock, no randomness, no
//! I/O, and no mathematics but IEEE 754's own operations and the `libm` crate's, so that a score has the same bits
//! natively and in WebAssembly, on every machine.
//!
//! [`open`] makes a [`Detector`] of a model's bytes. A score means the same whichever detector gave it: 0 is ordinary,
//! 1 is the threshold, above 1 is an anomaly, and NaN is not scored.

#![forbid(unsafe_code)]

pub mod forest;
mod math;
pub mod model;
pub mod pca;
pub mod streaming;
pub mod trained;
pub mod zscore;

use model::Model;
use streaming::Streaming;
use trained::Trained;

/// Rows to be scored, in order of arrival.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// The series of each row: small dense numbers. Its length is the number of rows.
    pub series: &'a [u32],
    /// When each row was measured: nanoseconds since 1970. One a row.
    pub times: &'a [i64],
    /// Row after row, as many doubles each as the detector has features. NaN is missing.
    pub values: &'a [f64],
}

/// What is wanted of a batch besides scores and reasons.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// How much each feature contributed to an anomaly.
    pub contributions: bool,
    /// What would have been ordinary.
    pub bands: bool,
}

impl Wanted {
    /// Nothing else.
    pub const SCORES: Self = Self { contributions: false, bands: false };
    /// Contributions too.
    pub const CONTRIBUTIONS: Self = Self { contributions: true, bands: false };
}

/// Why a row is an anomaly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reason {
    /// It is ordinary, or nothing can be said.
    #[default]
    None,
    /// The value lies outside of what is ordinary.
    OutsideBand,
    /// The values have been higher or lower than usual for a while.
    LevelShift,
    /// The value is the very same for longer than usual.
    Stuck,
    /// The value is of a kind that the series never had.
    Novel,
    /// A counter rises faster or more slowly than usual.
    Rate,
    /// The values vary more or less than usual.
    Variance,
}

/// What would have been ordinary for a row of one value: in the metric's own unit, of a counter per second. Each number is
/// finite, or NaN where it is not known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// The value that was expected.
    pub expected: f64,
    /// The least ordinary value.
    pub lower: f64,
    /// The greatest ordinary value.
    pub upper: f64,
}

impl Band {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { expected: f64::NAN, lower: f64::NAN, upper: f64::NAN };
}

/// What a detector thinks of a batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdicts {
    /// One a row: NaN, or finite and not negative.
    pub scores: Vec<f64>,
    /// Where asked for, rows × features: how much each feature contributed, for anomalies; zeros for other rows. Otherwise
    /// empty.
    pub contributions: Vec<f64>,
    /// One a row; empty where no row has any.
    pub reasons: Vec<Reason>,
    /// Where asked for, one a row; empty too where the detector knows none.
    pub bands: Vec<Band>,
}

/// What a detector is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its kind, such as `streaming`.
    pub kind: String,
    /// Changes when the same rows may get other scores.
    pub version: String,
    /// Values in a row.
    pub features: u32,
    /// Rows of a series before its first score.
    pub warm_up: u32,
    /// What one unit of score means, for people.
    pub scale: String,
}

/// Why a detector refused. The text is for people: what is wrong, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The model is malformed, or of a kind or version that is not known here.
    #[error("the model cannot be used: {0}")]
    BadModel(String),
    /// The columns of a batch do not fit together.
    #[error("the batch has the wrong shape: {0}")]
    BadShape(String),
    /// The state is malformed, or was saved by another kind or version.
    #[error("the saved state cannot be used: {0}")]
    BadState(String),
    /// Anything else. No detector in here has such a reason; one that runs elsewhere may fail in many ways.
    #[error("{0}")]
    Internal(String),
}

/// A detector with its model and with the state of every series that it has seen.
pub trait Detector: std::fmt::Debug + Send {
    /// What this is.
    fn describe(&self) -> Description;

    /// Scores a batch and learns from it.
    ///
    /// # Errors
    ///
    /// [`Error::BadShape`]: nothing was scored or learnt. With [`Error::Internal`] the detector is of no further use.
    fn observe(&mut self, batch: Batch<'_>, wanted: Wanted) -> Result<Verdicts, Error>;

    /// Tells that each of these series is one of a group of siblings, before its first row; a detector may start it from what
    /// they know. One that does not listen loses nothing.
    fn relate(&mut self, _series: &[u32], _groups: &[u64]) {}

    /// Drops all that is known of these series.
    fn forget(&mut self, series: &[u32]);

    /// The state of these series, in this order.
    fn save(&self, series: &[u32]) -> Vec<u8>;

    /// Takes saved state back. `series` has the number that each saved series now has, in the order in which they were
    /// saved; none for one that is gone. Other series stay as they are.
    ///
    /// # Errors
    ///
    /// [`Error::BadState`]: nothing was changed.
    fn restore(&mut self, state: &[u8], series: &[Option<u32>]) -> Result<(), Error>;
}

impl Batch<'_> {
    /// The number of rows, once the columns are seen to fit `features` values a row.
    ///
    /// # Errors
    ///
    /// [`Error::BadShape`] where they do not.
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

/// The kinds of detectors that [`open`] knows.
pub const KINDS: [&str; 5] = [streaming::KIND, zscore::KIND, pca::KIND, forest::KIND, forest::extended::KIND];

/// Makes a trained detector of a model: as [`open`], and it can be asked what only a trained one knows.
///
/// # Errors
///
/// [`Error::BadModel`] says what is wrong with it.
pub fn open_trained(model: &[u8]) -> Result<Trained, Error> {
    let model = Model::read(model)?;
    match model.text("kind")? {
        zscore::KIND => zscore::open(&model),
        pca::KIND => pca::open(&model),
        forest::KIND => forest::open(&model),
        forest::extended::KIND => forest::extended::open(&model),
        other => Err(Error::BadModel(format!("it is of the kind `{other}`, which is not one that is trained"))),
    }
}

/// Makes a detector of a model.
///
/// # Errors
///
/// [`Error::BadModel`] says what is wrong with it.
pub fn open(model: &[u8]) -> Result<Box<dyn Detector>, Error> {
    let model = Model::read(model)?;
    match model.text("kind")? {
        streaming::KIND => Ok(Box::new(Streaming::open(&model)?)),
        zscore::KIND => Ok(Box::new(zscore::open(&model)?)),
        pca::KIND => Ok(Box::new(pca::open(&model)?)),
        forest::KIND => Ok(Box::new(forest::open(&model)?)),
        forest::extended::KIND => Ok(Box::new(forest::extended::open(&model)?)),
        other => Err(Error::BadModel(format!("it is of the kind `{other}`; known here are {}", KINDS.join(", ")))),
    }
}
