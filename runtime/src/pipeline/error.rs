//! Why a pipeline cannot be started.

use qualm_sandbox::Failure;

use crate::config::Invalid;
use crate::models::{LoaderError, NoModel};
use crate::state;

/// Why scoring cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The built-in component cannot be used.
    #[error("detector `{0}`: {1}")]
    Load(String, qualm_contract::Error),
    /// A detector does not start.
    #[error("detector `{0}`: {1}")]
    Detector(String, Failure),
    /// A detector's models cannot be loaded.
    #[error("detector `{0}`: {1}")]
    Loader(String, Box<LoaderError>),
    /// A detector's model is not available.
    #[error("detector `{0}`: {1}")]
    Model(String, Box<NoModel>),
    /// A setting has no effect with the detector's model.
    #[error("detector `{0}`: {1}")]
    Setting(String, Box<Invalid>),
    /// A member of an ensemble has another shape than the others.
    #[error(
        "detector `{0}`: its rows are made of other features, entities or intervals than those of the members before"
    )]
    Shape(String),
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] state::Error),
}
