//! Scorers and detectors.

use std::fmt::Debug;

use crate::{Batch, Verdicts, Wanted};

/// The description of a detector.
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

/// Why a detector cannot be opened, or refused a call. The text names what is wrong and what is right.
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
    /// It exceeded its deadline, and may succeed at another time.
    #[error("{0}")]
    Deadline(String),
    /// This machine lacks something, such as memory.
    #[error("{0}")]
    System(String),
    /// Any other failure, of a plugin.
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
    /// Scores a batch and learns from it. `verdicts`, which is empty, gets one score a row; contributions of every row where
    /// they are wanted (0 for an ordinary one), else none; reasons of all rows, or of none; bands likewise, where they are
    /// wanted.
    ///
    /// # Errors
    ///
    /// With [`Error::BadShape`] nothing was scored or learnt. With any other error the rows without a score stay
    /// unscored; the implementation documents whether the scorer can still be used.
    fn score_batch(&mut self, batch: Batch<'_>, wanted: Wanted, verdicts: &mut Verdicts) -> Result<(), Error>;

    /// Sets the group of siblings of each of these series, before the batch with their first rows. All series of one field of
    /// one measurement have the same group. A repeated call changes nothing. A scorer may ignore it.
    fn relate_series(&mut self, _series: &[u32], _groups: &[u64]) {}

    /// Drops the state of these series. Their numbers may be used for others.
    ///
    /// # Errors
    ///
    /// If it fails, the scorer can no longer be used.
    fn forget_series(&mut self, series: &[u32]) -> Result<(), Error>;
}

/// A detector with its model and the state of all its series.
pub trait Detector: BatchScorer + Debug + Send {
    /// Kind, version and shape of this detector.
    fn describe(&self) -> Description;

    /// The state of these series, in this order.
    ///
    /// # Errors
    ///
    /// If the state cannot be saved.
    fn save_series(&mut self, series: &[u32]) -> Result<Vec<u8>, Error>;

    /// Restores saved state. `series` has the current number of each saved series, in the order in which they were saved;
    /// `None` for one that was dropped. Other series are not changed.
    ///
    /// # Errors
    ///
    /// [`Error::BadState`], and no series has changed.
    fn restore_series(&mut self, state: &[u8], series: &[Option<u32>]) -> Result<(), Error>;

    /// Scores a batch and returns new verdicts: see [`BatchScorer::score_batch`].
    ///
    /// # Errors
    ///
    /// Those of [`BatchScorer::score_batch`].
    fn verdicts_of(&mut self, batch: Batch<'_>, wanted: Wanted) -> Result<Verdicts, Error> {
        let mut verdicts = Verdicts::default();
        self.score_batch(batch, wanted, &mut verdicts)?;
        Ok(verdicts)
    }
}
