//! Why training fails, and which input is at fault.

use std::io;
use std::path::PathBuf;

use qualm_bundle::{golden, manifest};
use qualm_core::autoencoder;
use qualm_core::autoencoder::weights::WeightsError;
use qualm_core::trained::calibrate::MIN_SCORES;
use qualm_core::trained::{FitError, UnknownName};

use super::{MIN_ROWS, grid, kinds, plugin, spec};
use crate::history::order::OutOfOrder;

/// Why training fails, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A parameter is invalid.
    #[error(transparent)]
    Parameters(#[from] grid::Error),
    /// A parameter with named values has an unknown one.
    #[error(transparent)]
    Choice(#[from] UnknownName),
    /// No kind is given.
    #[error("name one with --detector: {}", known())]
    NoKind,
    /// The kind is unknown.
    #[error("`{}` is no detector that is trained; there are {}", .0, known())]
    Kind(String),
    /// The specification names another kind than the plugin's.
    #[error("[detector] is `{said}`, but the plugin is `{is}`; leave it out")]
    OtherKind {
        /// The kind in the specification.
        said: String,
        /// The plugin's kind.
        is: String,
    },
    /// The threshold's rule is invalid.
    #[error(transparent)]
    Rule(#[from] spec::BadRule),
    /// A feature is invalid.
    #[error(transparent)]
    Features(#[from] manifest::Error),
    /// There are too few rows.
    #[error(
        "there are {rows} rows, {validation} of them to set the threshold by; {MIN_ROWS} and {MIN_SCORES} are the least that says anything. Give it a longer history (`qualm collect`), or a shorter `interval`"
    )]
    TooFewRows {
        /// All rows.
        rows: usize,
        /// Rows of the validation part.
        validation: usize,
    },
    /// A feature has no value.
    #[error(
        "`{name}` has no value in the first {rows} rows, which are learnt from: is {of} what the data call it? If so, leave it out, or give it a history that has some"
    )]
    NoValue {
        /// The feature.
        name: String,
        /// Rows of the training part.
        rows: usize,
        /// The feature's field.
        of: String,
    },
    /// All features are constant.
    #[error("no feature ever changes; there is nothing to learn from")]
    Constant,
    /// A value is too large.
    #[error(
        "column `{name}`: {value:e} is too large to learn from; is it a mark for what is missing? Then leave it empty"
    )]
    TooLarge {
        /// The column.
        name: String,
        /// The value.
        value: f64,
    },
    /// Too many rows are out of order.
    #[error("{0}")]
    OutOfOrder(OutOfOrder),
    /// A built-in kind cannot be fitted to the rows or with the parameters.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// Networks cannot be trained by this program.
    #[error(
        "this qualm was built without the feature `deep`, which trains `{0}`; it scores such models, and makes them of `weights`"
    )]
    NotDeep(&'static str),
    /// A network cannot be trained.
    #[error("the training of `{network}` fails: {source}")]
    Network {
        /// Which.
        network: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file of weights cannot be read.
    #[error("{}: {source}", path.display())]
    WeightsFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Weights are not those of the networks.
    #[error("{}: {source}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// Why.
        source: WeightsError,
    },
    /// A built-in kind does not open its model.
    #[error(transparent)]
    Open(qualm_contract::Error),
    /// A built-in kind does not score.
    #[error("the detector does not score: {0}")]
    Unscored(qualm_contract::Error),
    /// A built-in kind does not score the golden rows.
    #[error("the detector does not score: {0}")]
    Golden(golden::Error),
    /// A plugin violates the contract.
    #[error(transparent)]
    Plugin(#[from] plugin::Error),
}

/// The kinds that can be trained.
fn known() -> String {
    [&kinds::KINDS[..], &[autoencoder::KIND]].concat().join(", ")
}

/// The input at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// The settings.
    Settings,
    /// The plugin.
    Plugin,
    /// The history.
    History,
}

impl Fault {
    /// The input at fault.
    pub(super) fn blame(&self) -> Blame {
        match self {
            Self::NotDeep(_) | Self::Network { .. } | Self::WeightsFile { .. } | Self::Weights { .. } => {
                Blame::Settings
            }
            Self::Parameters(_) | Self::NoKind | Self::Kind(_) | Self::OtherKind { .. } | Self::Rule(_) => {
                Blame::Settings
            }
            Self::Plugin(_) => Blame::Plugin,
            _ => Blame::History,
        }
    }
}
