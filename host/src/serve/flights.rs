//! Bodies that are under way: one that comes again meanwhile waits for the same outcome.
//!
//! A sender that has waited for too long closes its connection and sends the same bytes anew. To pass them on a second
//! time while the first is still under way would only make two of each event, and more with every turn. So whatever is
//! under way goes on when its sender has gone, and whoever sends it again hears how the first one fared. That holds for a
//! while afterwards too where it took so long that the sender may have given up: nobody can tell whether it heard.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch::{Receiver, channel};

use super::again::Digest;

/// What took longer may not have been waited for: a second is the least that Vector's sink can be told to wait.
const SLOW: Duration = Duration::from_secs(1);

/// How long its outcome is remembered; senders try again within half a minute.
const REMEMBERED: Duration = Duration::from_mins(2);

/// How many of these are remembered.
const MOST: usize = 1024;

/// Bodies that are under way, and how each fares.
#[derive(Debug, Clone)]
pub struct Flights<T> {
    inside: Arc<Mutex<Inside<T>>>,
}

#[derive(Debug)]
struct Inside<T> {
    under_way: HashMap<Digest, Receiver<Option<T>>>,
    /// Those that took long: when they ended, and how.
    slow: VecDeque<(Digest, Instant, T)>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { inside: Arc::new(Mutex::new(Inside { under_way: HashMap::new(), slow: VecDeque::new() })) }
    }
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// Does `work` with a body, unless that is being done; then waits for it. Once begun, it is done to its end, whoever
    /// waits. An outcome that is final, as `is_final` says, is told again to who comes soon after a long wait. None where it panicked.
    pub async fn fly<W>(&self, digest: Digest, is_final: fn(&T) -> bool, work: impl FnOnce() -> W) -> Option<T>
    where
        W: Future<Output = T> + Send + 'static,
    {
        let mut outcome = {
            let mut inside = self.lock();
            if let Some(told) = inside.recall(digest) {
                return Some(told);
            }
            if let Some(outcome) = inside.under_way.get(&digest) {
                outcome.clone()
            } else {
                let (tell, outcome) = channel(None);
                inside.under_way.insert(digest, outcome.clone());
                let landed = Landed { digest, flights: self.clone() };
                let (work, began) = (work(), Instant::now());
                let _goes_on = tokio::spawn(async move {
                    let told = work.await;
                    if began.elapsed() >= SLOW && is_final(&told) {
                        landed.flights.lock().remember(digest, told.clone());
                    }
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

impl<T> Flights<T> {
    fn lock(&self) -> MutexGuard<'_, Inside<T>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Inside<T> {
    fn remember(&mut self, digest: Digest, told: T) {
        self.slow.push_back((digest, Instant::now(), told));
        if self.slow.len() > MOST {
            self.slow.pop_front();
        }
    }

    /// How a body fared that took long, once.
    fn recall(&mut self, digest: Digest) -> Option<T> {
        while self.slow.front().is_some_and(|(_, ended, _)| ended.elapsed() > REMEMBERED) {
            self.slow.pop_front();
        }
        let at = self.slow.iter().position(|(known, ..)| *known == digest)?;
        self.slow.remove(at).map(|(.., told)| told)
    }
}

/// Takes a body off the list, even after a panic.
struct Landed<T> {
    digest: Digest,
    flights: Flights<T>,
}

impl<T> Drop for Landed<T> {
    fn drop(&mut self) {
        self.flights.lock().under_way.remove(&self.digest);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

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
        assert!(tokio::time::timeout(Duration::from_millis(20), flights.fly(digest, |_| true, work)).await.is_err());
        let (a, b) = tokio::join!(flights.fly(digest, |_| true, work), flights.fly(digest, |_| true, work));
        assert_eq!((a, b), (Some(1), Some(1)));
        assert_eq!(flights.fly(digest, |_| true, work).await, Some(2), "another time is another time");
    }

    #[tokio::test]
    async fn what_took_long_is_told_again_once() {
        let flights = Flights::default();
        let digest = Again::new(1).digest("", b"body");
        let slow = |told: u32| async move {
            tokio::time::sleep(SLOW).await;
            told
        };
        assert_eq!(flights.fly(digest, |told| *told != 1, || slow(1)).await, Some(1), "not final: not remembered");
        assert_eq!(flights.fly(digest, |told| *told != 1, || slow(2)).await, Some(2));
        assert_eq!(flights.fly(digest, |_| true, || async { 3 }).await, Some(2));
        assert_eq!(flights.fly(digest, |_| true, || async { 3 }).await, Some(3));
    }

    #[tokio::test]
    async fn a_panic_leaves_nothing_behind() {
        let flights = Flights::default();
        let digest = Again::new(1).digest("", b"body");
        assert_eq!(flights.fly(digest, |_| true, || async { panic!("as the test wants") as u32 }).await, None);
        assert_eq!(flights.fly(digest, |_| true, || async { 7 }).await, Some(7));
    }
}
