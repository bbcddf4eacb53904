//! Why a command ended early, and the exit code for it.

use std::io;

use qualm::config;
use qualm::scoring::StartError;
use qualm_offline::{collect, evaluate, explain, train, validate};

use crate::{bundle, demo, plugin, replay, serve, warm};

/// Why a command ended early, in words for people.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The detectors do not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Of `qualm serve`.
    #[error(transparent)]
    Serve(#[from] serve::Error),
    /// Of `qualm replay`.
    #[error(transparent)]
    Replay(#[from] replay::Error),
    /// Of `qualm warm`.
    #[error(transparent)]
    Warm(#[from] warm::Error),
    /// Of `qualm demo`.
    #[error(transparent)]
    Demo(#[from] demo::Error),
    /// Of `qualm train`.
    #[error(transparent)]
    Train(#[from] train::command::Error),
    /// Of `qualm validate`.
    #[error(transparent)]
    Validate(#[from] validate::Error),
    /// Of `qualm collect`.
    #[error(transparent)]
    Collect(#[from] collect::Error),
    /// Of `qualm evaluate`.
    #[error(transparent)]
    Evaluate(#[from] evaluate::Error),
    /// Of `qualm explain`.
    #[error(transparent)]
    Explain(#[from] explain::Error),
    /// Of `qualm bundle`.
    #[error(transparent)]
    Bundle(#[from] bundle::Error),
    /// Of `qualm plugin`.
    #[error(transparent)]
    Plugin(#[from] plugin::Error),
    /// Reading or writing failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Failure {
    /// The process's exit code: 1 where a check failed, or reading or writing did; 2 where input or configuration cannot be
    /// used.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Io(_)
            | Self::Serve(serve::Error::Unsaved(_))
            | Self::Replay(replay::Error::Write { .. })
            | Self::Demo(demo::Error::Print(_))
            | Self::Bundle(bundle::Error::Wanting(_) | bundle::Error::Write(_) | bundle::Error::Print(_)) => 1,
            Self::Warm(error) => error.exit_code(),
            Self::Validate(error) => error.exit_code(),
            Self::Collect(error) => error.exit_code(),
            Self::Evaluate(error) => error.exit_code(),
            Self::Explain(error) => error.exit_code(),
            Self::Plugin(error) => error.exit_code(),
            _ => 2,
        }
    }
}
