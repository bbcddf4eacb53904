//! `autoencoder`: how far a row is from what networks expect that learnt to reconstruct windows of ordinary rows.
//!
//! An [`architecture`] has [`weights`], of which an [`Autoencoder`] is made: the forward pass of a network. An [`ensemble`] of
//! them scores the newest row of each window by its [`residual`]. Networks are trained elsewhere, on a [`history`] of rows; [`fit`]
//! makes a detector of them.

mod activation;
pub mod architecture;
mod conv;
mod ensemble;
pub mod history;
mod product;
mod recurrent;
mod residual;
pub mod weights;

use std::str::FromStr;

use qualm_contract::{Batch, Error};

use self::architecture::{Architecture, Network};
use self::conv::Conv;
use self::recurrent::{Gru, Lstm, Recurrent};
use self::weights::{LIMIT, Weights};
use crate::math::{max, min};
use crate::model::Model;
use crate::trained::calibrate::Calibration;
use crate::trained::{FitError, Rows, Settings, Trained, UnknownName};
use ensemble::Ensemble;
use history::History;

/// The name of this kind of detector.
pub const KIND: &str = "autoencoder";

/// The most rows of a batch that are explained: each takes as long as a score.
const MAX_EXPLAINED_ROWS: usize = 50;

/// How the errors of several networks become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// Their mean.
    Mean,
    /// Their mean, each by the inverse of its error on rows that it did not learn from.
    Weighted,
    /// The largest.
    Maximum,
    /// Their median, the higher of two: what more than half of them reach.
    Vote,
}

impl Combine {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Mean, Self::Weighted, Self::Maximum, Self::Vote];

    /// The name in specifications and models.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Weighted => "weighted",
            Self::Maximum => "maximum",
            Self::Vote => "vote",
        }
    }

    /// Combines errors, each with its weight; their order changes.
    fn of(self, errors: &mut [(f64, f64)]) -> f64 {
        match self {
            Self::Mean | Self::Weighted => {
                let all: f64 = errors.iter().map(|(_, weight)| weight).sum();
                errors.iter().map(|(error, weight)| error * weight).sum::<f64>() / all
            }
            Self::Maximum => errors.iter().fold(0.0, |largest, (error, _)| max(largest, *error)),
            Self::Vote => {
                errors.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
                errors[errors.len() / 2].0
            }
        }
    }
}

impl FromStr for Combine {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let named = Self::ALL.into_iter().find(|combine| combine.name() == text);
        let (what, known) = ("way to combine networks", "mean, weighted, maximum and vote");
        named.ok_or_else(|| UnknownName { name: text.to_owned(), what, known })
    }
}

/// Makes a detector of networks that `train` gives for rows of the training part. The threshold is fitted to `validation`, and
/// so is the one that each network would have alone.
///
/// # Errors
///
/// What is wrong with the rows or the settings, or what `train` says.
pub fn fit<E: From<FitError>>(
    rows: Rows<'_>,
    validation: Batch<'_>,
    settings: &Settings,
    window: usize,
    combine: Combine,
    hide_newest: bool,
    train: impl FnOnce(&History) -> Result<Vec<Weights>, E>,
) -> Result<Trained, E> {
    let mut fitted = None;
    let mut trained = Trained::fit(KIND, rows, validation, settings, |prepared| {
        let history = History::new(rows, prepared, window)?;
        let networks = train(&history)?;
        let ensemble = Ensemble::fit(networks, &history, combine, hide_newest)?;
        fitted = Some(ensemble.clone());
        Ok::<_, E>(Box::new(ensemble))
    })?;
    if let Some(mut ensemble) = fitted {
        let together = trained.calibration();
        ensemble.calibrate_alone(|alone| {
            trained.replace(Box::new(alone), together);
            Calibration::fit(&trained.raw_scores(validation), settings.threshold)
        })?;
        trained.replace(Box::new(ensemble), together);
    }
    Ok(trained)
}

pub(crate) fn open(model: &Model<'_>) -> Result<Trained, Error> {
    Trained::open(KIND, model, |model, features| Ok(Box::new(Ensemble::read_model(model, features)?)))
}

/// A model for each network of a model that has several: what it would report alone, at a threshold of its own. Models of
/// other kinds have none.
///
/// # Errors
///
/// [`Error::BadModel`] where the bytes are no model.
pub fn each_alone(model: &[u8]) -> Result<Vec<(Network, Vec<u8>)>, Error> {
    let model = Model::read(model)?;
    if model.text("kind")? != KIND {
        return Ok(Vec::new());
    }
    let mut all = None;
    let mut trained = Trained::open(KIND, &model, |model, features| {
        let ensemble = Ensemble::read_model(model, features)?;
        all = Some(ensemble.clone());
        Ok(Box::new(ensemble))
    })?;
    let alone = all.iter().flat_map(Ensemble::each_alone);
    let models = alone.map(|(network, alone, calibration)| {
        trained.replace(Box::new(alone), calibration);
        (network, trained.to_model())
    });
    Ok(models.collect())
}

/// A network that reconstructs windows.
///
/// A window's rows stand one after another, from the oldest to the newest. Numbers of a window are clipped to
/// ±[`LIMIT`], and so is what is between the layers of a convolution: so all sums are finite. Everything is allocated
/// when the network is made.
#[derive(Debug, Clone)]
pub struct Autoencoder {
    architecture: Architecture,
    network: Kind,
    /// The window, clipped.
    window: Vec<f32>,
    /// All rows, where only the newest is asked for.
    rows: Vec<f32>,
}

#[derive(Debug, Clone)]
enum Kind {
    Lstm(Recurrent<Lstm>),
    Gru(Recurrent<Gru>),
    Conv(Conv),
}

impl Autoencoder {
    /// Arranges the weights as the products read them.
    #[must_use]
    pub fn new(weights: &Weights) -> Self {
        let architecture = *weights.architecture();
        let network = match architecture.network {
            Network::Lstm => Kind::Lstm(Recurrent::new(weights)),
            Network::Gru => Kind::Gru(Recurrent::new(weights)),
            Network::Conv => Kind::Conv(Conv::new(weights)),
        };
        let length = architecture.window * architecture.features;
        Self { architecture, network, window: vec![0.0; length], rows: vec![0.0; length] }
    }

    /// What it is.
    #[must_use]
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Reconstructs a window: `out` gets as many rows, in the same order (whatever the order that they are decoded in).
    ///
    /// # Panics
    ///
    /// Where `window` or `out` is not of the architecture's window × features.
    pub fn reconstruct(&mut self, window: &[f32], out: &mut [f32]) {
        assert_eq!((window.len(), out.len()), (self.window.len(), self.window.len()), "window × features");
        clip(window, &mut self.window);
        match &mut self.network {
            Kind::Lstm(network) => network.reconstruct(&self.window, out),
            Kind::Gru(network) => network.reconstruct(&self.window, out),
            Kind::Conv(network) => network.reconstruct(&self.window, out),
        }
    }

    /// Reconstructs the newest row of a window: the same bits as the last row of [`Self::reconstruct`]. A recurrent network
    /// whose order is reversed decodes one step for it; others decode all.
    ///
    /// # Panics
    ///
    /// Where `window` is not of the architecture's window × features, or `out` of its features.
    pub fn reconstruct_newest(&mut self, window: &[f32], out: &mut [f32]) {
        let features = self.architecture.features;
        assert_eq!((window.len(), out.len()), (self.window.len(), features), "window × features, features");
        clip(window, &mut self.window);
        match &mut self.network {
            Kind::Lstm(network) => network.reconstruct_newest(&self.window, out),
            Kind::Gru(network) => network.reconstruct_newest(&self.window, out),
            Kind::Conv(network) => {
                network.reconstruct(&self.window, &mut self.rows);
                out.copy_from_slice(&self.rows[self.rows.len() - features..]);
            }
        }
    }
}

fn clip(window: &[f32], clipped: &mut [f32]) {
    for (clipped, number) in clipped.iter_mut().zip(window) {
        *clipped = max(min(*number, LIMIT), -LIMIT);
    }
}
