//! Bodies that are under way: one that comes again meanwhile waits for the same outcome.
//!
//! A sender that has waited for too long closes its connection and sends the same bytes anew. To pass them on a second
//! time while the first is still under way would only make two of each event, and more with every turn. So whatever is
//! under way goes on when its sender has gone, and whoever sends it again hears how the first one fared.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch::{Receiver, channel};

use super::again::Digest;

/// Bodies that are under way, and how each fares.
#[derive(Debug, Clone)]
pub struct Flights<T> {
    under_way: Arc<Mutex<HashMap<Digest, Receiver<Option<T>>>>>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { under_way: Arc::default() }
    }
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// Does `work` with a body, unless that is being done; then waits for it. Once begun, it is done to its end, whoever
    /// waits. None where it panicked.
    pub async fn fly<W>(&self, digest: Digest, work: impl FnOnce() -> W) -> Option<T>
    where
        W: Future<Output = T> + Send + 'static,
    {
        let mut outcome = {
            let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(outcome) = under_way.get(&digest) {
                outcome.clone()
            } else {
                let (tell, outcome) = channel(None);
                under_way.insert(digest, outcome.clone());
                let landed = Landed { digest, flights: self.clone() };
                let work = work();
                let _goes_on = tokio::spawn(async move {
                    let told = work.await;
                    drop(landed); // who comes from now on is another
                    tell.send_replace(Some(told));
                });
                outcome
            }
        };
        let told = outcome.wait_for(Option::is_some).await.ok()?;
        told.clone()
    }
}

/// Takes a body off the list, even after a panic.
struct Landed<T> {
    digest: Digest,
    flights: Flights<T>,
}

impl<T> Drop for Landed<T> {
    fn drop(&mut self) {
        self.flights.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.digest);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::super::again::Again;
    use super::*;

    #[tokio::test]
    async fn what_is_under_way_is_done_once_and_to_its_end() {
        let flights = Flights::default();
        let digest = Again::new(1).digest("", b"body");
        let times = Arc::new(AtomicU32::new(0));
        let work = || {
            let times = Arc::clone(&times);
            async move {
                tokio::time::sleep(Duration::from_millis(200)).await;
                times.fetch_add(1, Ordering::Relaxed) + 1
            }
        };
        // The first one waits no longer; the others hear how it fared.
        assert!(tokio::time::timeout(Duration::from_millis(20), flights.fly(digest, work)).await.is_err());
        let (a, b) = tokio::join!(flights.fly(digest, work), flights.fly(digest, work));
        assert_eq!((a, b), (Some(1), Some(1)));
        assert_eq!(flights.fly(digest, work).await, Some(2), "another time is another time");
    }

    #[tokio::test]
    async fn a_panic_leaves_nothing_behind() {
        let flights = Flights::default();
        let digest = Again::new(1).digest("", b"body");
        assert_eq!(flights.fly(digest, || async { panic!("as the test wants") as u32 }).await, None);
        assert_eq!(flights.fly(digest, || async { 7 }).await, Some(7));
    }
}
