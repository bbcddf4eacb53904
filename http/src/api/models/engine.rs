//! What scores: a detector with one model, wherever it runs.

use qualm_bundle::{Bundle, runtime};
use qualm_core::{Detector, Wanted};
use qualm_stream::{Rows, Verdicts};

/// A detector with its model.
pub trait Engine: Send {
    /// Scores rows: `verdicts`, which is empty, gets one score a row and, where `explain` is asked for, contributions for
    /// all rows (zeros where a row is no anomaly).
    ///
    /// # Errors
    ///
    /// Says why not. The engine is not used any more then.
    fn score(&mut self, rows: &Rows, explain: bool, verdicts: &mut Verdicts) -> Result<(), String>;

    /// Drops what is known of these series.
    ///
    /// # Errors
    ///
    /// As [`score`](Self::score).
    fn forget(&mut self, series: &[u32]) -> Result<(), String>;
}

/// Why a bundle cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is of no use: why, as anybody may know who asks.
    #[error("{0}")]
    Bundle(String),
    /// It was too slow, which it may not be next time: this machine was busy, perhaps.
    #[error("{0}")]
    Slow(String),
    /// This machine failed, and may not next time: why, for the log alone.
    #[error("{0}")]
    Machine(String),
}

/// Makes engines of bundles.
pub trait Engines: Send + Sync {
    /// Opens a bundle that is whole and trusted, and makes sure that its golden rows get their scores.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    fn open(&self, bundle: &Bundle) -> Result<Box<dyn Engine>, OpenError>;
}

/// Detectors that are built in, without a sandbox.
#[derive(Debug, Clone, Copy)]
pub struct Native;

impl Engines for Native {
    fn open(&self, bundle: &Bundle) -> Result<Box<dyn Engine>, OpenError> {
        let detector = bundle.open(&runtime::Native).map_err(|fault| OpenError::Bundle(fault.to_string()))?;
        Ok(Box::new(InProcess(detector)))
    }
}

/// A detector of this very program.
struct InProcess(Box<dyn Detector>);

impl Engine for InProcess {
    fn score(&mut self, rows: &Rows, explain: bool, verdicts: &mut Verdicts) -> Result<(), String> {
        let batch = qualm_core::Batch { series: &rows.series, times: &rows.times, values: &rows.values };
        let wanted = Wanted { contributions: explain, bands: false };
        let qualm_core::Verdicts { scores, contributions, .. } =
            self.0.observe(batch, wanted).map_err(|error| error.to_string())?;
        *verdicts = Verdicts { scores, contributions, ..Verdicts::default() };
        Ok(())
    }

    fn forget(&mut self, series: &[u32]) -> Result<(), String> {
        self.0.forget(series);
        Ok(())
    }
}
