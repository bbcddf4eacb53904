//! Dropping guests beside the pipeline: to give a lot of memory back takes longer than a batch should wait.

use std::thread::{self, JoinHandle};

use qualm_sandbox::{Guest, RetiredStore};

/// Memory that is given back at once.
const SMALL: usize = 4 << 20;

/// The threads' name.
const THREAD: &str = "qualm-reaper";

/// Drops the stores of guests that failed, one at a time.
#[derive(Debug, Default)]
pub(super) struct Reaper {
    thread: Option<JoinHandle<()>>,
}

impl Reaper {
    /// Drops a store: at once where it is small, by a thread otherwise.
    pub(super) fn reap(&mut self, store: RetiredStore) {
        if store.memory() > SMALL {
            // Where no thread can be started, it is dropped here.
            self.thread = thread::Builder::new().name(THREAD.to_owned()).spawn(move || drop(store)).ok();
        }
    }

    /// Whether the last one has given back its memory: two guests at once could have twice as much as they may.
    pub(super) fn is_idle(&mut self) -> bool {
        if self.thread.as_ref().is_none_or(JoinHandle::is_finished) {
            self.thread = None;
        }
        self.thread.is_none()
    }
}

/// Drops a guest that did not fail, and need not be waited for.
pub(crate) fn drop_in_background(guest: Guest) {
    // Where no thread can be started it is dropped here, which is late but no harm.
    drop(thread::Builder::new().name(THREAD.to_owned()).spawn(move || drop(guest)));
}
