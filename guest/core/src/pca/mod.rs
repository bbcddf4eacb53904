//! `pca-mahalanobis`: how far a row is from what features do together.
//!
//! The directions in which ordinary rows vary most, the principal components, span a subspace. A row is far out in it
//! (Mahalanobis' distance, Hotelling's T²), or off it (the squared prediction error, SPE or Q): features that always moved
//! together did not. Monitoring by both is Jackson & Mudholkar, Control procedures for residuals associated with principal
//! component analysis (1979).
//!
//! By default the rows come whitened by the stages in front of the kernel ([`crate::trained`]), which makes both one, and
//! [`whitened`] has little left to do. Otherwise, [`learn`] makes a [`form`] of rows, by their [`covariance`] and its [`eigen`]vectors; [`form`] scores and explains,
//! four rows at a time ([`lanes`]).

pub(crate) mod covariance;
pub(crate) mod eigen;
mod form;
pub(crate) mod lanes;
mod learn;
mod whitened;

use std::str::FromStr;

use crate::model::Model;
use crate::trained::prepare::Scaling;
use crate::trained::{FitError, Rows, Settings, Trained};
use qualm_contract::{Batch, Error};
use whitened::Whitened;

/// The name of this kind of detector.
pub const KIND: &str = "pca-mahalanobis";

/// The most features: learning takes time in the third power of their number, seconds for so many.
pub const MOST_FEATURES: usize = 1024;

/// The farthest a prepared value lies out anyway: as good as no clip.
const NO_CLIP: f64 = 1e12;

/// What is set of this kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// Which components make the principal subspace.
    pub components: Components,
    /// How uncertain the covariance is taken to be.
    pub shrinkage: Shrinkage,
    /// How far out a scaled value counts when a row is scored: one farther out is as far. `None`: all the way. At less than
    /// 10 or so, a single feature can be arbitrarily far out and yet not reach the threshold: that of dozens of features is
    /// farther out than one feature's clip. Values that are not scaled ([`Scaling::None`]) have no unit to count in, and are
    /// never clipped.
    pub clip: Option<f64>,
    /// The same when mean and covariance are learnt, so that no few wild rows turn the components their way; at most
    /// [`clip`](Self::clip) anyway.
    pub learning_clip: Option<f64>,
    /// What the raw score is made of. [`Index::Whitened`] has use for none of the other
    /// parameters: its rows are clipped before (`Settings::clip`), and their whitened values at as much.
    pub index: Index,
    /// How features' errors are added up.
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

/// How many components make the principal subspace. A direction in which rows do not vary is never one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Components {
    /// As many as have this share of the variance: above 0, up to 1. For [`Index::Error`] never all.
    Share(f64),
    /// So many.
    Count(usize),
}

/// How much of the mean variance is mixed into each eigenvalue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shrinkage {
    /// As Ledoit & Wolf (2004) find it: much where rows are few for their features, hardly anything where they are many.
    Auto,
    /// This share: 0 is not at all, 1 is features that vary alike and independently.
    Fixed(f64),
}

/// What the raw score is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Index {
    /// The mean square of a row that the stages in front have whitened (`Settings::whiten`): how far out it is in any
    /// direction, the more the less rows vary in it.
    Whitened,
    /// How far out a row is within the principal subspace, in standard deviations: Mahalanobis' distance, √T².
    Distance,
    /// How far off the principal subspace it is: the root of the squared prediction error.
    Error,
    /// Both, each squared and over its limit.
    Combined,
}

/// How features' errors (what the components leave unexplained) are added up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Residuals {
    /// Squared as they are.
    Plain,
    /// Each over its own feature's ordinary error: a feature that the others foretell well counts by that.
    Weighted {
        /// How far out one error counts, in its feature's ordinary errors. `None`: all the way.
        clip: Option<f64>,
    },
}

impl Index {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Whitened, Self::Distance, Self::Error, Self::Combined];

    /// Its name.
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
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|index| index.name() == text);
        named.ok_or_else(|| format!("`{text}` is no index; known are whitened, distance, error and combined"))
    }
}

/// Learns from `train` and sets the threshold by `validation`.
///
/// # Errors
///
/// What is the matter with the rows or parameters.
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
            Ok(Box::new(Whitened::new(rows.features(), settings.clip)))
        }
        _ => Ok(Box::new(learn::learn(rows, &parameters)?)),
    })
}

pub(crate) fn open(model: &Model<'_>) -> Result<Trained, Error> {
    Trained::open(KIND, model, |model, features| match model.text("index")? {
        "whitened" => Ok(Box::new(Whitened::read(model, features)?)),
        _ => Ok(Box::new(form::Form::read(model, features)?)),
    })
}

#[cfg(test)]
pub(crate) mod tests;
