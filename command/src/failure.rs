//! Errors of commands, and their exit codes.

use std::io;

use qualm::{StartError, config};

#[cfg(feature = "serve")]
use crate::serve;
use crate::{bundle, models};
#[cfg(feature = "history")]
use crate::{collect, demo, drift, evaluate, explain, plugin, replay, retrain, train, validate, warm};

/// The error that a command ends with.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The detectors do not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Of `qualm serve`.
    #[cfg(feature = "serve")]
    #[error(transparent)]
    Serve(#[from] serve::Error),
    /// Of `qualm replay`.
    #[cfg(feature = "history")]
    #[error(transparent)]
    Replay(#[from] replay::Error),
    /// Of `qualm warm`.
    #[cfg(feature = "history")]
    #[error(transparent)]
    Warm(#[from] warm::Error),
    /// Of `qualm demo`.
    #[cfg(feature = "history")]
    #[error(transparent)]
    Demo(#[from] demo::Error),
    /// Of `qualm train`.
    #[cfg(feature = "history")]
    #[error(transparent)]
    Train(#[from] train::Error),
    /// Of `qualm validate`.
    #[cfg(feature = "history")]
    #[error(transparent)]
    Validate(#[from] validate::Error),
    /// Of `qualm collect`.
    #[cfg(feature = "history")]
    #[error(transparent)]
    Collect(#[from] collect::Error),
    /// Of `qualm evaluate`.
    #[cfg(feature = "history")]
    #[error(transparent)]
    Evaluate(#[from] evaluate::Error),
    /// Of `qualm explain`.
    #[cfg(feature = "history")]
    #[error(transparent)]
    Explain(#[from] explain::Error),
    /// Of `qualm drift`.
    #[cfg(feature = "history")]
    #[error(transparent)]
    Drift(#[from] drift::Error),
    /// Of `qualm retrain`.
    #[cfg(feature = "history")]
    #[error(transparent)]
    Retrain(#[from] retrain::Error),
    /// Of `qualm bundle`.
    #[error(transparent)]
    Bundle(#[from] bundle::Error),
    /// Of `qualm models`.
    #[error(transparent)]
    Models(#[from] models::Error),
    /// Of `qualm plugin`.
    #[cfg(feature = "history")]
    #[error(transparent)]
    Plugin(#[from] plugin::Error),
    /// Reading or writing failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Failure {
    /// The exit code: 1 where a check failed, or reading or writing did; 2 where input or configuration cannot be used.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Io(_) => 1,
            Self::Bundle(bundle::Error::ChecksFailed(_) | bundle::Error::Write(_) | bundle::Error::Print(_)) => 1,
            Self::Models(models::Error::Client(_) | models::Error::Refused(_) | models::Error::Print(_)) => 1,
            #[cfg(feature = "serve")]
            Self::Serve(serve::Error::Unsaved(_)) => 1,
            #[cfg(feature = "history")]
            Self::Replay(replay::Error::Write { .. })
            | Self::Demo(demo::Error::Print(_))
            | Self::Evaluate(evaluate::Error::RequirementsNotMet(_) | evaluate::Error::Write { .. })
            | Self::Explain(explain::Error::Print(_))
            | Self::Drift(drift::Error::Drifts | drift::Error::Write { .. })
            | Self::Retrain(
                retrain::Error::Print(_) | retrain::Error::Retrain(qualm_offline::retrain::Error::Unfit(_)),
            )
            | Self::Validate(validate::Error::ChecksFailed { .. } | validate::Error::Print(_))
            | Self::Plugin(
                plugin::Error::ChecksFailed { .. } | plugin::Error::Write { .. } | plugin::Error::Print(_),
            ) => 1,
            #[cfg(feature = "history")]
            Self::Collect(error) | Self::Warm(warm::Error::Collect(error)) => match error {
                collect::Error::Nothing { .. } | collect::Error::Write { .. } => 1,
                collect::Error::Option { .. } | collect::Error::Server { .. } => 2,
            },
            #[cfg(feature = "history")]
            Self::Warm(
                warm::Error::NoValues { .. }
                | warm::Error::OutOfOrder { .. }
                | warm::Error::Failed(_)
                | warm::Error::Stopped { .. }
                | warm::Error::Write { .. }
                | warm::Error::Io(_),
            ) => 1,
            _ => 2,
        }
    }
}

#[cfg(all(test, feature = "history"))]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn an_empty_history_and_a_bad_option_have_different_exit_codes() {
        let nothing = || collect::Error::Nothing {
            database: "telegraf".to_owned(),
            from: "2024-01-01T00:00:00Z".parse().unwrap(),
            until: "2024-01-02T00:00:00Z".parse().unwrap(),
        };
        let option = || collect::Error::Option { option: "--since", what: "`soon`".to_owned() };
        let write = || collect::Error::Write { path: PathBuf::from("a.lp"), source: io::ErrorKind::StorageFull.into() };
        for (error, code) in [(nothing(), 1), (write(), 1), (option(), 2)] {
            assert_eq!(Failure::from(error).exit_code(), code);
        }
        for (error, code) in [(nothing(), 1), (write(), 1), (option(), 2)] {
            assert_eq!(Failure::from(warm::Error::from(error)).exit_code(), code);
        }
        assert_eq!(Failure::from(warm::Error::NoState).exit_code(), 2);
        assert_eq!(Failure::from(warm::Error::NoValues { rows: 3 }).exit_code(), 1);
    }
}
