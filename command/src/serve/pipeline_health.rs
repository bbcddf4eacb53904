//! Whether a pipeline works, for health checks and metrics. No reader waits for a lock that the pipeline holds.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long health checks fail after a panic: longer than the usual period of probes, so that one sees it, and shorter than
/// three of them, after which Kubernetes restarts the whole process.
pub const UNHEALTHY_AFTER_PANIC: Duration = Duration::from_secs(15);

/// Whether a pipeline works, and how often it panicked.
#[derive(Debug, Default)]
pub struct PipelineHealth {
    panics: AtomicU64,
    unscored: AtomicU64,
    is_down: AtomicBool,
    last: Mutex<Option<Instant>>,
}

impl PipelineHealth {
    /// How often it has panicked.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Bodies that passed unscored while it was down.
    #[must_use]
    pub fn unscored(&self) -> u64 {
        self.unscored.load(Ordering::Relaxed)
    }

    /// Whether it works now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.is_down.load(Ordering::Relaxed)
    }

    /// What is wrong with it, if anything is, or was until [`UNHEALTHY_AFTER_PANIC`] ago.
    #[must_use]
    pub fn problem(&self) -> Option<&'static str> {
        if !self.is_up() {
            return Some("it panicked, and its metrics pass unscored until it is started again");
        }
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < UNHEALTHY_AFTER_PANIC).then_some("it panicked, and works again")
    }

    pub(super) fn record_panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.is_down.store(true, Ordering::Relaxed);
    }

    pub(super) fn record_restart(&self) {
        self.is_down.store(false, Ordering::Relaxed);
    }

    pub(super) fn record_unscored_body(&self) {
        self.unscored.fetch_add(1, Ordering::Relaxed);
    }
}
