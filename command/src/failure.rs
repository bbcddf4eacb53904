//! Why a command ended early, and the exit code for it.

use std::io;

use qualm::config;
use qualm::scoring::StartError;

use crate::{bundle, collect, demo, evaluate, explain, plugin, replay, serve, train, validate, warm};

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
    Train(#[from] train::Error),
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
            | Self::Evaluate(evaluate::Error::Wanting(_) | evaluate::Error::Write { .. })
            | Self::Explain(explain::Error::Print(_))
            | Self::Validate(validate::Error::Wanting { .. } | validate::Error::Print(_))
            | Self::Bundle(bundle::Error::Wanting(_) | bundle::Error::Write(_) | bundle::Error::Print(_))
            | Self::Plugin(plugin::Error::Wanting { .. } | plugin::Error::Write { .. } | plugin::Error::Print(_))
            | Self::Warm(
                warm::Error::Nothing { .. }
                | warm::Error::Order { .. }
                | warm::Error::Failed(_)
                | warm::Error::Stopped { .. }
                | warm::Error::Write { .. }
                | warm::Error::Io(_),
            )
            | Self::Collect(collect::Error::Nothing { .. } | collect::Error::Write { .. })
            | Self::Warm(warm::Error::Collect(collect::Error::Nothing { .. } | collect::Error::Write { .. })) => 1,
            _ => 2,
        }
    }
}
