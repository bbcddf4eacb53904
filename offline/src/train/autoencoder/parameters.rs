//! The parameters of autoencoders, with their defaults.

use std::path::PathBuf;
use std::str::FromStr;

use qualm_core::autoencoder::Combine;
use qualm_core::autoencoder::architecture::{Architecture, Network, Order};
use qualm_core::trained::{FitError, UnknownName};
use toml::Value;

use crate::train::Fault;
use crate::train::grid::{Choice, Error};

/// Their names.
pub(super) const NAMES: [&str; 17] = [
    "networks",
    "window",
    "stride",
    "hidden",
    "layers",
    "conv_layers",
    "bottleneck",
    "kernel",
    "dropout",
    "order",
    "hide_newest",
    "combine",
    "epochs",
    "patience",
    "batch",
    "learning_rate",
    "weights",
];

/// What is trained, and how.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parameters {
    pub(super) networks: Vec<Network>,
    /// Rows in a window, and between the first rows of two that are learnt from.
    pub(super) window: usize,
    pub(super) stride: usize,
    hidden: usize,
    layers: usize,
    conv_layers: usize,
    bottleneck: usize,
    kernel: usize,
    pub(super) dropout: f64,
    order: Order,
    /// Whether networks do not see the row that they reconstruct for its score.
    pub(super) hide_newest: bool,
    pub(super) combine: Combine,
    pub(super) epochs: usize,
    pub(super) patience: usize,
    pub(super) batch: usize,
    pub(super) learning_rate: f64,
    /// Weights that were trained elsewhere.
    pub(super) weights: Option<PathBuf>,
}

impl Parameters {
    /// Takes them out of a combination.
    pub(super) fn take(choice: &mut Choice) -> Result<Self, Fault> {
        let mut networks = Vec::new();
        for name in choice.text("networks", "lstm,gru,conv")?.split(',').map(str::trim) {
            let network = named("networks", name)?;
            if networks.contains(&network) {
                return Err(Error::Range(FitError(format!("`networks` names {name} twice"))).into());
            }
            networks.push(network);
        }
        let hide_newest = match choice.take("hide_newest") {
            None => true,
            Some(Value::Boolean(hide)) => hide,
            Some(value) => {
                let (name, must) = ("hide_newest".to_owned(), "true or false");
                return Err(Error::Value { name, value, must }.into());
            }
        };
        let order = choice.text("order", Order::Reversed.name())?;
        let combine = choice.text("combine", Combine::Mean.name())?;
        let weights = choice.text("weights", "")?;
        let mut count = |name, default| choice.count(name, default).map(|count| count as usize);
        Ok(Self {
            networks,
            window: count("window", 16)?,
            stride: count("stride", 8)?,
            hidden: count("hidden", 32)?,
            layers: count("layers", 1)?,
            conv_layers: count("conv_layers", 2)?,
            bottleneck: count("bottleneck", 32)?,
            kernel: count("kernel", 5)?,
            epochs: count("epochs", 12)?,
            patience: count("patience", 4)?,
            batch: count("batch", 64)?,
            dropout: choice.number("dropout", 0.0)?,
            learning_rate: choice.number("learning_rate", 4e-3)?,
            order: named("order", &order)?,
            hide_newest,
            combine: named("combine", &combine)?,
            weights: (!weights.is_empty()).then(|| weights.into()),
        })
    }

    /// The architecture of a network for rows of so many features.
    pub(super) fn architecture(&self, network: Network, features: usize) -> Architecture {
        let Self { window, hidden, layers, conv_layers, bottleneck, kernel, order, .. } = *self;
        let layers = if network == Network::Conv { conv_layers } else { layers };
        Architecture { network, features, window, hidden, layers, bottleneck, kernel, order }
    }
}

/// The one of this name.
fn named<T: FromStr<Err = UnknownName>>(parameter: &'static str, name: &str) -> Result<T, Error> {
    name.parse().map_err(|UnknownName { name: value, known, .. }| Error::Word { name: parameter, value, known })
}
