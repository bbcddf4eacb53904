//! How calls of a guest fail.

use std::time::Duration;

use qualm_system::untrusted::{MAX_GUEST_CHARS, clip, one_line};
use wasmtime::Trap;

use crate::bindings::exports::qualm::detector::detection::Error;
use crate::error::is_of_system;
use crate::meter::Meter;
use crate::space;
use crate::spec::Limits;

/// Why a call failed. Except after [`Slow`](Self::Slow), the guest can no longer be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It trapped.
    #[error("it trapped: {0}")]
    Trap(String),
    /// It did not answer in time.
    #[error("it took longer than its deadline of {0:?}")]
    Deadline(Duration),
    /// It cannot score a batch within the time of one. That is no error of the guest, which can still be used.
    #[error("it scored {scored} rows of {rows} in the time of a batch, {limit:?}")]
    Slow {
        /// Rows of the batch.
        rows: usize,
        /// Those that have a score.
        scored: usize,
        /// How long a batch may take.
        limit: Duration,
    },
    /// It needs more memory than its limit.
    #[error("it wanted more than its {} MiB of memory", .0 >> 20)]
    Memory(usize),
    /// It returned an invalid answer.
    #[error("it answered nonsense: {0}")]
    Nonsense(String),
    /// It returned an error.
    #[error("it refused: {0}")]
    Refused(String),
    /// This machine lacks memory or another resource.
    #[error("this machine lacks what it needs: {0}")]
    System(String),
}

impl Failure {
    /// The name of the failure in metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Trap(_) => "trap",
            Self::Deadline(_) => "deadline",
            Self::Slow { .. } => "slow",
            Self::Memory(_) => "memory",
            Self::Nonsense(_) => "nonsense",
            Self::Refused(_) => "refused",
            Self::System(_) => "system",
        }
    }
}

/// The failure of a call that ended with this error of the engine.
pub(crate) fn failure(error: &wasmtime::Error, meter: &Meter, limits: Limits) -> Failure {
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => Failure::Deadline(meter.deadline),
        // A guest without memory traps.
        _ if meter.limiter.refused() => Failure::Memory(limits.memory),
        // So does one that the system has no memory for.
        _ if is_of_system(error) || meter.limiter.system_out_of_memory() => {
            Failure::System(one_line(&format!("{error:#}{}", space::limit_hint())))
        }
        Some(trap) => Failure::Trap(one_line(&trap.to_string())),
        None => match error.root_cause().to_string() {
            // The engine has no error type for it.
            text if text.contains("fuel allocated for hostcalls") => {
                Failure::Nonsense("it handed over more than it was asked for".to_owned())
            }
            text => Failure::Trap(one_line(&text)),
        },
    }
}

/// The failure of a call that returned an error.
pub(crate) fn refused(error: Error) -> Failure {
    Failure::Refused(match error {
        Error::BadModel(why) => one_line(&format!("bad model: {}", clip(&why, MAX_GUEST_CHARS))),
        Error::BadShape(why) => one_line(&format!("bad shape: {}", clip(&why, MAX_GUEST_CHARS))),
        Error::BadState(why) => one_line(&format!("bad state: {}", clip(&why, MAX_GUEST_CHARS))),
        Error::Internal(why) => one_line(&format!("internal: {}", clip(&why, MAX_GUEST_CHARS))),
    })
}
