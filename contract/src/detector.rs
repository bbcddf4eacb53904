//! What scores.

use std::fmt::Debug;

use crate::{Batch, Verdicts, Wanted};

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

/// Why a detector cannot be opened, or refused a call. The text is for people: what is wrong, and what would be right.
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
    /// The component is not one that can run here.
    #[error("{0}")]
    BadComponent(String),
    /// The model is a plugin's, and there is no sandbox here.
    #[error("its detector is a plugin, which runs in a sandbox only, as the `qualm` command has one")]
    NoSandbox,
    /// A plugin refused, with an error of its own.
    #[error("it refused: {0}")]
    Refused(String),
    /// It took longer than it may, which it may not another time.
    #[error("{0}")]
    Deadline(String),
    /// This machine lacks something, such as memory.
    #[error("{0}")]
    System(String),
    /// Anything else. No detector that is built in has such a reason; one that runs elsewhere may fail in many ways.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// Whether the same call may succeed at another time: the machine was busy, or lacked something.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Deadline(_) | Self::System(_))
    }
}

/// Scores batches of rows.
pub trait BatchScorer {
    /// Scores a batch and learns from it. `verdicts`, which is empty, gets one score a row, and contributions, reasons and
    /// bands for all rows or for none.
    ///
    /// # Errors
    ///
    /// With [`Error::BadShape`] nothing was scored or learnt. With any other, the rows that have no score yet are not
    /// scored; whether the scorer is of further use is its own to say.
    fn score_batch(&mut self, batch: Batch<'_>, wanted: Wanted, verdicts: &mut Verdicts) -> Result<(), Error>;

    /// Says to which group of siblings each of these series belongs, before the batch that has their first rows; groups are
    /// the same for all of one field of one measurement. To say so again changes nothing. A scorer that ignores it loses
    /// nothing.
    fn relate_series(&mut self, _series: &[u32], _groups: &[u64]) {}

    /// Drops all that is known of these series; their numbers may come again for others.
    ///
    /// # Errors
    ///
    /// Where it cannot: the scorer is of no further use then.
    fn forget_series(&mut self, series: &[u32]) -> Result<(), Error>;
}

/// A detector with its model and with the state of every series that it has seen.
pub trait Detector: BatchScorer + Debug + Send {
    /// What this is.
    fn describe(&self) -> Description;

    /// The state of these series, in this order.
    ///
    /// # Errors
    ///
    /// Where it cannot be had: that is not an empty state.
    fn save_series(&mut self, series: &[u32]) -> Result<Vec<u8>, Error>;

    /// Takes saved state back. `series` has the number that each saved series now has, in the order in which they were
    /// saved; none for one that is gone. Other series stay as they are.
    ///
    /// # Errors
    ///
    /// [`Error::BadState`]: nothing was changed.
    fn restore_series(&mut self, state: &[u8], series: &[Option<u32>]) -> Result<(), Error>;

    /// Scores a batch into verdicts of its own: see [`BatchScorer::score_batch`].
    ///
    /// # Errors
    ///
    /// As there.
    fn verdicts_of(&mut self, batch: Batch<'_>, wanted: Wanted) -> Result<Verdicts, Error> {
        let mut verdicts = Verdicts::default();
        self.score_batch(batch, wanted, &mut verdicts)?;
        Ok(verdicts)
    }
}
