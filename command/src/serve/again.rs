//! Bodies that come again: each is scored once, and reaches whoever comes next once.
//!
//! A sender that is told to try again, or that waits no longer, sends the same bytes. Its metrics have been observed
//! already: to observe them again would teach the detectors what did not happen. So a body that comes while its first
//! copy is under way waits for what becomes of that, and is told the same; and what did not get on is kept with its scores
//! until it comes again. Once a body has been delivered, the same bytes are another one.
//!
//! Where an event does not tell its time, two senders may mean the same bytes each for itself. Such a body shares the
//! scores of a copy that is under way, and goes on by itself: nothing that was meant is lost.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// How many bytes of scored bodies are kept.
const MOST: usize = 64 << 20;

/// Which body: its digest, by a seed that nobody else knows. That two have the same is one chance in 2¹²⁸.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(u128);

/// What is to be done with a body.
pub trait Delivery: Send + 'static {
    /// What becomes of it, as its sender is told.
    type Outcome: Clone + Send + Sync + 'static;

    /// Whether each of its events tells its time.
    fn all_have_times(&self) -> bool;

    /// Scores it, or says what becomes of it without that.
    fn score(&self) -> impl Future<Output = Result<Bytes, Self::Outcome>> + Send;

    /// Passes it on with its scores.
    fn pass_on(&self, scored: Bytes) -> impl Future<Output = Self::Outcome> + Send;

    /// Whether this is the last word on it: it has been delivered, or never will be.
    fn is_final(outcome: &Self::Outcome) -> bool;
}

/// The bodies that are under way, and those that wait to come again.
#[derive(Debug)]
pub struct Again<O>(Arc<Inner<O>>);

#[derive(Debug)]
struct Inner<O> {
    seed: u64,
    bodies: Mutex<Bodies<O>>,
    came: AtomicU64,
}

#[derive(Debug)]
struct Bodies<O> {
    under_way: HashMap<Digest, watch::Receiver<Progress<O>>>,
    /// With their scores; those that have waited longest first.
    waiting: VecDeque<(Digest, Bytes)>,
}

/// How far a body is.
#[derive(Debug, Clone)]
struct Progress<O> {
    scored: Option<Bytes>,
    outcome: Option<O>,
}

/// What is to be done about a body.
enum Turn<O> {
    /// It is to be brought on its way; these are its scores, where it has waited.
    First(Option<Bytes>, watch::Sender<Progress<O>>),
    /// A copy of it is under way.
    UnderWay(watch::Receiver<Progress<O>>),
}

impl<O> Clone for Again<O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<O: Clone + Send + Sync + 'static> Again<O> {
    /// None as yet. `seed` should be a random one.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let bodies = Mutex::new(Bodies { under_way: HashMap::new(), waiting: VecDeque::new() });
        Self(Arc::new(Inner { seed, bodies, came: AtomicU64::new(0) }))
    }

    /// The digest of a body as it came, meant for `place`: the same body for another place is another one.
    #[must_use]
    pub fn digest(&self, place: &[u8], body: &[u8]) -> Digest {
        Digest(xxh3_128_with_seed(body, xxh3_64_with_seed(place, self.0.seed)))
    }

    /// How many came again, and were not scored a second time.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.came.load(Ordering::Relaxed)
    }

    /// Brings a body on its way, as far as no copy of it has done so, and says what becomes of it. None where this process
    /// ends before.
    pub async fn bring<D: Delivery<Outcome = O>>(&self, digest: Digest, body: D) -> Option<O> {
        match self.turn(digest) {
            Turn::First(scored, tell) => {
                let told = tell.subscribe();
                let this = self.clone();
                // By itself: a sender that goes away takes nobody's answer with it.
                tokio::spawn(async move { this.deliver(digest, body, scored, &tell).await });
                outcome(told).await
            }
            Turn::UnderWay(told) => {
                let looked_at = spawn_blocking(move || (body.all_have_times(), body));
                let (all_have_times, body) = looked_at.await.ok()?;
                if all_have_times {
                    drop(body);
                    return outcome(told).await;
                }
                match scored(told).await? {
                    Ok(scored) => {
                        let outcome = body.pass_on(scored.clone()).await;
                        self.bodies().settle(digest, scored, D::is_final(&outcome));
                        Some(outcome)
                    }
                    Err(outcome) => Some(outcome),
                }
            }
        }
    }

    fn turn(&self, digest: Digest) -> Turn<O> {
        let mut bodies = self.bodies();
        // Where nobody tells any more, delivering it broke off.
        let told = bodies.under_way.get(&digest).filter(|told| told.has_changed().is_ok()).cloned();
        let waited = bodies.waiting.iter().position(|(waiting, _)| *waiting == digest);
        if told.is_some() || waited.is_some() {
            self.0.came.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(told) = told {
            return Turn::UnderWay(told);
        }
        let scored = waited.and_then(|at| bodies.waiting.remove(at)).map(|(_, scored)| scored);
        let (tell, told) = watch::channel(Progress { scored: None, outcome: None });
        bodies.under_way.insert(digest, told);
        Turn::First(scored, tell)
    }

    /// Scores a body, unless that was done before, and passes it on.
    async fn deliver<D: Delivery<Outcome = O>>(
        &self,
        digest: Digest,
        body: D,
        scored: Option<Bytes>,
        tell: &watch::Sender<Progress<O>>,
    ) {
        let scored = match scored {
            Some(scored) => Ok(scored),
            None => body.score().await,
        };
        let outcome = match &scored {
            Ok(scored) => {
                tell.send_modify(|progress| progress.scored = Some(scored.clone()));
                body.pass_on(scored.clone()).await
            }
            Err(outcome) => outcome.clone(),
        };
        drop(body); // until now it counted among what is in memory: others had to wait
        {
            let mut bodies = self.bodies();
            bodies.under_way.remove(&digest);
            if let Ok(scored) = scored {
                bodies.settle(digest, scored, D::is_final(&outcome));
            }
        }
        tell.send_modify(|progress| progress.outcome = Some(outcome));
    }

    /// Nothing is left half-done in here by a panic elsewhere.
    fn bodies(&self) -> MutexGuard<'_, Bodies<O>> {
        self.0.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<O> Bodies<O> {
    /// Keeps a body that has not got on, until it comes again. Those that have waited longest make room.
    fn settle(&mut self, digest: Digest, scored: Bytes, is_final: bool) {
        self.waiting.retain(|(waiting, _)| *waiting != digest);
        if is_final {
            return;
        }
        self.waiting.push_back((digest, scored));
        while self.waiting.len() > 1 && self.waiting.iter().map(|(_, scored)| scored.len()).sum::<usize>() > MOST {
            self.waiting.pop_front();
        }
    }
}

/// What becomes of a body that is under way.
async fn outcome<O: Clone>(mut told: watch::Receiver<Progress<O>>) -> Option<O> {
    told.wait_for(|progress| progress.outcome.is_some()).await.ok()?.outcome.clone()
}

/// Its scores, once it has some; else what becomes of it without.
async fn scored<O: Clone>(mut told: watch::Receiver<Progress<O>>) -> Option<Result<Bytes, O>> {
    let so_far = told.wait_for(|progress| progress.scored.is_some() || progress.outcome.is_some()).await.ok()?;
    let Progress { scored, outcome } = &*so_far;
    scored.clone().map(Ok).or_else(|| outcome.clone().map(Err))
}

#[cfg(test)]
mod tests;
