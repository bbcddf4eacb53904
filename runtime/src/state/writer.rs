//! Writes state beside the pipeline.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use tracing::warn;

use super::{Saved, StateFile};

/// Writes state on another thread, so that a slow disk does not delay the pipeline.
#[derive(Debug)]
pub struct Writer {
    queue: Option<SyncSender<Saved>>,
    thread: Option<JoinHandle<Result<(), Unsaved>>>,
}

impl Writer {
    /// Starts the thread that writes.
    ///
    /// # Panics
    ///
    /// Where no thread can be started.
    #[must_use]
    pub fn start(file: StateFile) -> Self {
        let (queue, due) = sync_channel::<Saved>(1);
        let thread = thread::Builder::new().name("qualm-state".to_owned()).spawn(move || {
            let mut last = Ok(());
            for saved in due {
                let result = file.write(&saved);
                let result = result.map_err(|source| Unsaved { path: file.path().to_owned(), source });
                if let (Err(error), true) = (&result, last.is_ok()) {
                    warn!("{error}; it will be tried again");
                }
                last = result;
            }
            last
        });
        Self { queue: Some(queue), thread: Some(thread.expect("a thread can be started")) }
    }

    /// Has a state written soon. While an earlier one is still being written, it is dropped: another will follow.
    pub fn write_soon(&self, saved: Saved) {
        if let Some(Err(TrySendError::Disconnected(_))) = self.queue.as_ref().map(|queue| queue.try_send(saved)) {
            warn!("the thread that writes state has ended; state is no longer kept");
        }
    }

    /// Writes a last state, and waits until it is on disk.
    ///
    /// # Errors
    ///
    /// Where it is not.
    pub fn close(mut self, saved: Saved) -> Result<(), Unsaved> {
        if let Some(queue) = self.queue.take() {
            let _ended = queue.send(saved);
        }
        self.thread.take().map_or(Ok(()), |thread| thread.join().unwrap_or_else(|_panic| Err(Unsaved::ended())))
    }
}

/// The last state is not on disk.
#[derive(Debug, thiserror::Error)]
#[error("the state cannot be written to {}: {source}", path.display())]
pub struct Unsaved {
    path: PathBuf,
    source: io::Error,
}

impl Unsaved {
    /// A thread that should have saved has panicked.
    #[must_use]
    pub fn ended() -> Self {
        Self { path: PathBuf::new(), source: io::Error::other("the thread that writes it has failed") }
    }
}
