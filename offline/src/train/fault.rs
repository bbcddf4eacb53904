//! Why nothing can be learnt, and what is at fault.

use qualm_bundle::{golden, manifest};
use qualm_core::trained::FitError;
use qualm_core::trained::calibrate::MIN_SCORES;

use super::{MIN_ROWS, grid, kinds, plugin, spec};
use crate::history::order::OutOfOrder;

/// Why nothing can be learnt, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A parameter cannot be.
    #[error(transparent)]
    Parameters(#[from] grid::Error),
    /// A parameter that names one of several things names none of them.
    #[error("{0}")]
    Choice(String),
    /// Nobody says what learns.
    #[error("name one with --detector: {}", kinds::KINDS.join(", "))]
    NoKind,
    /// There is no such kind.
    #[error("`{}` is no detector that is trained; there are {}", .0, kinds::KINDS.join(", "))]
    Kind(String),
    /// The specification says that the plugin is another one.
    #[error("[detector] is `{said}`, but the plugin is `{is}`; leave it out")]
    OtherKind {
        /// What the specification says.
        said: String,
        /// What the plugin says.
        is: String,
    },
    /// The threshold's rule cannot be.
    #[error(transparent)]
    Rule(#[from] spec::BadRule),
    /// A feature cannot be taken from metrics.
    #[error(transparent)]
    Features(#[from] manifest::Error),
    /// There are too few rows.
    #[error(
        "there are {rows} rows, {validation} of them to set the threshold by; {MIN_ROWS} and {MIN_SCORES} are the least that says anything. Give it a longer history (`qualm collect`), or a shorter `interval`"
    )]
    TooFewRows {
        /// All rows.
        rows: usize,
        /// Those to set the threshold by.
        validation: usize,
    },
    /// A feature has no value.
    #[error(
        "`{name}` has no value in the first {rows} rows, which are learnt from: is {of} what the data call it? If so, leave it out, or give it a history that has some"
    )]
    NoValue {
        /// The feature.
        name: String,
        /// The rows that are learnt from.
        rows: usize,
        /// The field that it is.
        of: String,
    },
    /// No feature ever changes.
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
    /// Rows go back in time.
    #[error("{0}")]
    OutOfOrder(OutOfOrder),
    /// A kind that is built in finds fault with the rows or with what is set.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// A kind that is built in does not open what it has learnt.
    #[error(transparent)]
    Open(qualm_contract::Error),
    /// A kind that is built in does not score.
    #[error("the detector does not score: {0}")]
    Unscored(qualm_contract::Error),
    /// A kind that is built in does not score the golden rows.
    #[error("the detector does not score: {0}")]
    Golden(golden::Error),
    /// A plugin does something that it must not.
    #[error(transparent)]
    Plugin(#[from] plugin::Error),
}

/// What is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// What was set.
    Settings,
    /// The plugin.
    Plugin,
    /// The history.
    History,
}

impl Fault {
    /// What is at fault.
    pub(super) fn blame(&self) -> Blame {
        match self {
            Self::Parameters(_) | Self::NoKind | Self::Kind(_) | Self::OtherKind { .. } | Self::Rule(_) => {
                Blame::Settings
            }
            Self::Plugin(_) => Blame::Plugin,
            _ => Blame::History,
        }
    }
}
