//! The detectors: rows of numbers in, scores out.
//!
//! Results depend only on the model and the rows so far: there is no clock, no randomness, no I/O, and no mathematics but
//! IEEE 754's own operations and the `libm` crate's. So a score has the same bits natively and in WebAssembly, on every
//! machine.
//!
//! [`open`] makes a [`Detector`] of a model's bytes. Scores of all detectors mean the same: 0 is ordinary,
//! 1 is the threshold, above 1 is an anomaly, and NaN is not scored.

#![forbid(unsafe_code)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "views of ndarray are passed by value, as slices are: they can be copied"
)]

pub mod autoencoder;
pub mod forest;
pub mod linalg;
mod math;
pub mod model;
pub mod pca;
mod rows;
pub mod streaming;
pub mod trained;
pub mod zscore;

use qualm_contract::{Detector, Error, ModelFactory, ModelSource, Trainer};

use model::Model;
use streaming::Streaming;
use trained::Trained;

/// The kinds of detectors that [`open`] knows.
pub const KINDS: [&str; 6] =
    [streaming::KIND, zscore::KIND, pca::KIND, forest::KIND, forest::extended::KIND, autoencoder::KIND];

/// Makes a trained detector of a model, as its own type.
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
        autoencoder::KIND => autoencoder::open(&model),
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
        autoencoder::KIND => Ok(Box::new(autoencoder::open(&model)?)),
        other => Err(Error::BadModel(format!("it is of the kind `{other}`; known here are {}", KINDS.join(", ")))),
    }
}

/// Opens the detectors that are built in, without a sandbox.
#[derive(Debug, Clone, Copy)]
pub struct BuiltIn;

impl ModelFactory for BuiltIn {
    fn open_model(&self, source: ModelSource<'_>) -> Result<Box<dyn Detector>, Error> {
        if source.component.is_some() { Err(Error::NoSandbox) } else { open(source.model) }
    }

    fn open_trainer(&self, _component: &[u8]) -> Result<Box<dyn Trainer + '_>, Error> {
        Err(Error::NoSandbox)
    }
}
