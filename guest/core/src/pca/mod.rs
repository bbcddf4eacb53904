//! `pca-mahalanobis`: how far a row is from the usual combinations of features.
//!
//! The directions in which ordinary rows vary most, the principal components, span a subspace. A row is far away
//! within it (Mahalanobis' distance, Hotelling's T²), or away from it (the squared prediction error, SPE or Q): features that
//! usually move together did not. Monitoring by both is Jackson & Mudholkar, Control procedures for residuals associated with principal
//! component analysis (1979).
//!
//! By default the rows come whitened by the stages in front of the kernel ([`crate::trained`]), which makes both one, and
//! [`whitened`] has little left to do. Otherwise [`learn`] makes a [`form`] of rows, by their covariance and its eigenvectors
//! ([`crate::linalg`]); [`form`] scores and explains, four rows at a time.

mod form;
mod learn;
mod whitened;

use std::str::FromStr;

use qualm_contract::{Batch, Error};

pub use crate::linalg::MAX_FEATURES;
pub use crate::linalg::covariance::Shrinkage;
use crate::model::Model;
use crate::trained::prepare::Scaling;
use crate::trained::{FitError, Rows, Settings, Trained, UnknownName};
use whitened::Whitened;

/// The name of this kind of detector.
pub const KIND: &str = "pca-mahalanobis";

/// The largest magnitude of a prepared value, so that this clip has no effect.
const NO_CLIP: f64 = 1e12;

/// The parameters of this kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// Which components make the principal subspace.
    pub components: Components,
    /// The shrinkage of the covariance.
    pub shrinkage: Shrinkage,
    /// The largest magnitude of a scaled value when a row is scored. `None`: no limit. Below 10 or so, no value of a single
    /// feature can reach the threshold if there are dozens of features. Values that are not scaled ([`Scaling::None`]) are
    /// never clipped.
    pub clip: Option<f64>,
    /// The same in training, so that a few extreme rows do not determine the components; at most [`clip`](Self::clip).
    pub learning_clip: Option<f64>,
    /// The index that is the raw score. [`Index::Whitened`] ignores the other parameters: its rows are clipped before
    /// (`Settings::clip`).
    pub index: Index,
    /// How features' errors are summed.
    pub residuals: Residuals,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            components: Components::Share(0.9),
            shrinkage: Shrinkage::Auto,
            clip: Some(20.0),
            learning_clip: Some(5.0),
            index: Index::Combined,
            residuals: Residuals::Plain,
        }
    }
}

/// How many components make the principal subspace. Directions without variance never count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Components {
    /// As many as explain this share of the variance: above 0, up to 1. For [`Index::Error`] never all.
    Share(f64),
    /// This number.
    Count(usize),
}

/// The index that is the raw score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Index {
    /// The mean energy of a whitened row (`Settings::whiten`): its distance in any direction, relative to the variance there.
    Whitened,
    /// The distance within the principal subspace, in standard deviations: Mahalanobis' distance, √T².
    Distance,
    /// The distance from the principal subspace: the root of the squared prediction error.
    Error,
    /// Both, each squared and divided by its limit.
    Combined,
}

/// How features' errors (what the components do not explain) are summed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Residuals {
    /// Squared as they are.
    Plain,
    /// Each divided by its feature's ordinary error, so that features that the others predict well count more.
    Weighted {
        /// The largest error that counts, in its feature's ordinary errors. `None`: no limit.
        clip: Option<f64>,
    },
}

impl Index {
    /// All values.
    pub const ALL: [Self; 4] = [Self::Whitened, Self::Distance, Self::Error, Self::Combined];

    /// The name in configuration and models.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Whitened => "whitened",
            Self::Distance => "distance",
            Self::Error => "error",
            Self::Combined => "combined",
        }
    }
}

impl FromStr for Index {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let named = Self::ALL.into_iter().find(|index| index.name() == text);
        let (what, known) = ("index", "whitened, distance, error and combined");
        named.ok_or_else(|| UnknownName { name: text.to_owned(), what, known })
    }
}

/// Fits the detector to `train` and the threshold to `validation`.
///
/// # Errors
///
/// What is wrong with the rows or parameters.
pub fn fit(
    train: Rows<'_>,
    validation: Batch<'_>,
    settings: &Settings,
    parameters: &Parameters,
) -> Result<Trained, FitError> {
    let mut parameters = parameters.clone();
    if settings.scaling == Scaling::None {
        (parameters.clip, parameters.learning_clip) = (None, None);
    }
    Trained::fit(KIND, train, validation, settings, |rows| match parameters.index {
        Index::Whitened => {
            parameters.check(rows)?;
            Ok(Box::new(Whitened))
        }
        _ => Ok(Box::new(learn::learn(rows, &parameters)?)),
    })
}

pub(crate) fn open(model: &Model<'_>) -> Result<Trained, Error> {
    Trained::open(KIND, model, |model, features| match model.text("index")? {
        "whitened" => Ok(Box::new(Whitened)),
        _ => Ok(Box::new(form::Form::read_model(model, features)?)),
    })
}

#[cfg(test)]
pub(crate) mod tests;
