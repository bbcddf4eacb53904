//! Bounded pools of threads for work that blocks or computes: guests' calls, files, compression, large bodies. The threads that
//! answer requests do no such work, so that health and metrics are always answered.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// The most bytes that are worked on in place: handing them to another thread would take longer.
const MAX_INLINE_BYTES: usize = 64 << 10;

/// A limit of threads. Work beyond it waits without a thread.
#[derive(Debug)]
pub struct Pool {
    places: Arc<Semaphore>,
}

impl Pool {
    /// A pool of at most `threads` of the runtime's blocking threads: it has 512 for all pools and whatever else blocks.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(threads)) }
    }

    /// One thread a core, for work that only computes.
    #[must_use]
    pub fn of_cores() -> Self {
        Self::new(available_parallelism().map_or(1, Into::into))
    }

    /// Runs `work` once a thread is free. Its panic is resumed in the caller.
    ///
    /// # Panics
    ///
    /// If `work` panics.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("the pool is never closed");
        let working = spawn_blocking(move || {
            let _place = place; // held until the work ends, even if the caller is gone
            work()
        });
        match working.await.map_err(tokio::task::JoinError::try_into_panic) {
            Ok(done) => done,
            Err(Ok(panic)) => resume_unwind(panic),
            // The runtime ends, and with it all that wait here.
            Err(Err(_cancelled)) => std::future::pending().await,
        }
    }

    /// As [`run`](Self::run), for work that takes as long as there are `bytes`: up to 64 KiB it runs in place.
    ///
    /// # Panics
    ///
    /// If `work` panics.
    pub async fn run_over<T: Send + 'static>(&self, bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
        if bytes <= MAX_INLINE_BYTES { work() } else { self.run(work).await }
    }
}

/// Runs a cleanup, on another thread if this one answers requests: to remove a large file takes time.
pub(crate) fn run_cleanup(work: impl FnOnce() + Send + 'static) {
    match Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(work)),
        Err(_none) => work(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn work_that_nobody_waits_for_any_more_keeps_its_place() {
        let pool = Arc::new(Pool::new(1));
        let ((begun, begins), (end, ends)) = (channel(), channel::<()>());
        let theirs = Arc::clone(&pool);
        let first = tokio::spawn(async move {
            theirs
                .run(move || {
                    begun.send(()).unwrap();
                    let _ended = ends.recv();
                })
                .await;
        });
        // The runtime of this test has one thread, which must not wait itself.
        spawn_blocking(move || begins.recv().unwrap()).await.unwrap();
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        assert_eq!(pool.places.available_permits(), 0, "it is still at work");
        drop(end);
        pool.run(|| ()).await;
        assert_eq!(pool.places.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_panic_comes_out_and_gives_its_place_back() {
        let pool = Arc::new(Pool::new(1));
        let theirs = Arc::clone(&pool);
        let panicked = tokio::spawn(async move { theirs.run(|| panic!("for the test")).await });
        assert!(panicked.await.unwrap_err().is_panic());
        assert_eq!(pool.run(|| 7).await, 7);
    }
}
