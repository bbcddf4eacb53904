//! The interface between detectors and the rest of qualm: `wit/detection.wit` as Rust types.
//!
//! - [`Batch`] and [`Wanted`] go in, [`Verdicts`] come out;
//! - a [`BatchScorer`] scores batches, a [`Detector`] also keeps state per series that can be saved and restored;
//! - a [`ModelFactory`] opens detectors of models, and a plugin's [`Trainer`];
//! - [`Transform`] converts a metric's value to a feature.
//!
//! Built-in detectors, components in a sandbox and ensembles implement the same traits.
//!
//! ```
//! use qualm_contract::{Batch, BatchScorer, Error, Verdicts, Wanted};
//!
//! /// Flags values above 100.
//! struct Above100;
//! impl BatchScorer for Above100 {
//!     fn score_batch(&mut self, batch: Batch<'_>, _: Wanted, verdicts: &mut Verdicts) -> Result<(), Error> {
//!         batch.rows(1)?;
//!         verdicts.scores.extend(batch.values.iter().map(|value| value / 100.0));
//!         Ok(())
//!     }
//!     fn forget_series(&mut self, _: &[u32]) -> Result<(), Error> {
//!         Ok(())
//!     }
//! }
//!
//! let batch = Batch { series: &[0, 0], times: &[0, 1], values: &[50.0, 250.0] };
//! let mut verdicts = Verdicts::default();
//! Above100.score_batch(batch, Wanted::SCORES, &mut verdicts)?;
//! assert_eq!(verdicts.scores, [0.5, 2.5]);
//! # Ok::<_, Error>(())
//! ```

#![forbid(unsafe_code)]

mod batch;
mod detector;
mod factory;
mod transform;
mod verdict;

pub use batch::{Batch, Wanted};
pub use detector::{BatchScorer, Description, Detector, Error};
pub use factory::{ModelFactory, ModelSource, ParameterValue, Trainer};
pub use transform::Transform;
pub use verdict::{Band, Reason, Verdicts};
