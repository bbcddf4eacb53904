//! Whether a pipeline works, for health checks and metrics: no lock that the pipeline holds is waited for.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// For how long after a panic health checks fail at least: longer than probes usually pause, and shorter than it takes
/// three of them, after which Kubernetes would start the whole process anew.
pub const SEEN: Duration = Duration::from_secs(15);

/// Whether a pipeline works, and how often it did not.
#[derive(Debug, Default)]
pub struct Vitals {
    panics: AtomicU64,
    unscored: AtomicU64,
    is_down: AtomicBool,
    last: Mutex<Option<Instant>>,
}

impl Vitals {
    /// How often it has panicked.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Bodies that passed unscored meanwhile.
    #[must_use]
    pub fn unscored(&self) -> u64 {
        self.unscored.load(Ordering::Relaxed)
    }

    /// Whether it works now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.is_down.load(Ordering::Relaxed)
    }

    /// What is wrong with it, if anything is, or was until just now.
    #[must_use]
    pub fn trouble(&self) -> Option<&'static str> {
        if !self.is_up() {
            return Some("it panicked, and its metrics pass unscored until it is started again");
        }
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|last| last.elapsed() < SEEN).then_some("it panicked, and works again")
    }

    pub(super) fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.is_down.store(true, Ordering::Relaxed);
    }

    pub(super) fn restarted(&self) {
        self.is_down.store(false, Ordering::Relaxed);
    }

    pub(super) fn passed_unscored(&self) {
        self.unscored.fetch_add(1, Ordering::Relaxed);
    }
}
