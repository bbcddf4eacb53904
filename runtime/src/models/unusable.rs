//! Why there is no model: what is wrong, and what of it may be said to others.

use qualm_bundle::source::{BadSource, Source};
use qualm_bundle::{Fault, manifest, store};
use qualm_sandbox::Failure;

use super::outline::ModelOutline;

/// Why models cannot be loaded from a source at all.
#[derive(Debug, thiserror::Error)]
pub enum LoaderError {
    /// The text is no source.
    #[error(transparent)]
    Source(#[from] BadSource),
    /// The source cannot be asked.
    #[error(transparent)]
    Fetcher(#[from] qualm_bundle::Error),
    /// The state directory cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Why there is no model to begin with.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct NoModel {
    /// Why, for the log.
    pub why: String,
    /// Why, for whoever asks over the network: without what is known of this machine, such as where its files are.
    pub public_reason: String,
    /// A model that is good as far as is known before it is compiled, which takes longer than metrics should wait.
    pub(crate) outline: Option<Box<ModelOutline>>,
}

/// Why a bundle is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(crate) struct Rejected {
    why: String,
    blame: Blame,
}

/// What is to blame where a bundle is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blame {
    /// The bundle: it will never be good.
    Bundle,
    /// The bundle, or this machine, which was too busy for it to be in time.
    Deadline,
    /// This machine, which lacks something. Why that is so is for its own people alone.
    Machine,
}

impl Rejected {
    /// Whether it may be good at another time.
    #[must_use]
    pub(crate) fn is_transient(&self) -> bool {
        self.blame != Blame::Bundle
    }
}

impl From<manifest::Error> for Rejected {
    fn from(error: manifest::Error) -> Self {
        Self { why: error.to_string(), blame: Blame::Bundle }
    }
}

impl From<Rejected> for NoModel {
    fn from(rejected: Rejected) -> Self {
        let public_reason = match rejected.blame {
            Blame::Bundle | Blame::Deadline => rejected.why.clone(),
            Blame::Machine => "this machine failed to load it; the log says why, and it is tried again".to_owned(),
        };
        Self { why: rejected.why, public_reason, outline: None }
    }
}

impl NoModel {
    /// With a reason that anyone may read.
    pub(super) fn public(why: &impl ToString) -> Self {
        Self { public_reason: why.to_string(), why: why.to_string(), outline: None }
    }

    /// The same, with where it comes from.
    pub(super) fn at(self, source: &Source) -> Self {
        Self { why: format!("{source}: {}", self.why), ..self }
    }
}

impl From<Failure> for Rejected {
    fn from(failure: Failure) -> Self {
        let blame = match failure {
            Failure::Deadline(_) | Failure::Slow { .. } => Blame::Deadline,
            Failure::System(_) => Blame::Machine,
            _ => Blame::Bundle,
        };
        Self { why: failure.to_string(), blame }
    }
}

impl From<Fault> for Rejected {
    fn from(fault: Fault) -> Self {
        let blame = match fault {
            Fault::Deadline(_) => Blame::Deadline,
            Fault::System(_) => Blame::Machine,
            _ => Blame::Bundle,
        };
        Self { why: fault.to_string(), blame }
    }
}
