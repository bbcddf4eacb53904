//! A detector that stops, waits or fails as a test wants.

use std::fmt;

use qualm_contract::{Batch, BatchScorer, Description, Detector, Error, Verdicts, Wanted};

/// A detector that calls a hook before each batch, once its golden rows are scored.
pub(crate) struct Hooked<H> {
    detector: Box<dyn Detector>,
    hook: H,
    is_verified: bool,
}

impl<H> Hooked<H> {
    /// Of a detector that was just opened.
    pub(crate) fn new(detector: Box<dyn Detector>, hook: H) -> Self {
        Self { detector, hook, is_verified: false }
    }
}

impl<H: FnMut(Batch<'_>) -> Result<(), Error> + Send> BatchScorer for Hooked<H> {
    fn score_batch(&mut self, batch: Batch<'_>, wanted: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
        if self.is_verified {
            (self.hook)(batch)?;
        }
        self.detector.score_batch(batch, wanted, verdicts)
    }

    fn forget_series(&mut self, series: &[u32]) -> Result<(), Error> {
        self.is_verified = true;
        self.detector.forget_series(series)
    }
}

impl<H: FnMut(Batch<'_>) -> Result<(), Error> + Send> Detector for Hooked<H> {
    fn describe(&self) -> Description {
        self.detector.describe()
    }

    fn save_series(&mut self, series: &[u32]) -> Result<Vec<u8>, Error> {
        self.detector.save_series(series)
    }

    fn restore_series(&mut self, state: &[u8], series: &[Option<u32>]) -> Result<(), Error> {
        self.detector.restore_series(state, series)
    }
}

impl<H> fmt::Debug for Hooked<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hooked({:?})", self.detector)
    }
}
