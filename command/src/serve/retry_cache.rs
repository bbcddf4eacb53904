//! Bodies that senders send again: each is scored once and delivered once.
//!
//! A sender that gets a retryable answer, or none in time, sends the same bytes again. Their metrics are observed already: to
//! observe them twice would teach the detectors what did not happen. So a body that arrives while a copy is in flight waits
//! for that copy's outcome, and a body that was not delivered is kept with its scores until it arrives again. Once a body is
//! delivered, the same bytes are a new body.
//!
//! Where events have no timestamps, two senders may send the same bytes independently. Such a body shares the scores of the
//! copy in flight and is delivered by itself, so that nothing is lost.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// The bytes of scored bodies that are kept.
const MAX_KEPT_BYTES: usize = 64 << 20;

/// A body's digest, by a secret seed. The chance of a collision is 2⁻¹²⁸.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(u128);

/// How a body is scored and delivered.
pub trait Delivery: Send + 'static {
    /// The result that the sender gets.
    type Outcome: Clone + Send + Sync + 'static;

    /// Whether every event has a timestamp.
    fn all_have_times(&self) -> bool;

    /// Scores the body; the error is its outcome where it is not delivered at all.
    fn score(&self) -> impl Future<Output = Result<Bytes, Self::Outcome>> + Send;

    /// Delivers the scored body.
    fn pass_on(&self, scored: Bytes) -> impl Future<Output = Self::Outcome> + Send;

    /// Whether a retry is pointless: the body is delivered, or never will be.
    fn is_final(outcome: &Self::Outcome) -> bool;
}

/// The bodies in flight, and the scored ones that were not delivered.
#[derive(Debug)]
pub struct RetryCache<O>(Arc<Inner<O>>);

#[derive(Debug)]
struct Inner<O> {
    seed: u64,
    bodies: Mutex<Bodies<O>>,
    retried: AtomicU64,
}

#[derive(Debug)]
struct Bodies<O> {
    in_flight: HashMap<Digest, watch::Receiver<Progress<O>>>,
    /// With their scores, the oldest first.
    undelivered: VecDeque<(Digest, Bytes)>,
}

/// The state of a body in flight.
#[derive(Debug, Clone)]
struct Progress<O> {
    scored: Option<Bytes>,
    outcome: Option<O>,
}

/// What has to be done with a body that arrived.
enum Action<O> {
    /// Deliver it; the scores are there where it was kept.
    Deliver(Option<Bytes>, watch::Sender<Progress<O>>),
    /// Wait: a copy is in flight.
    Wait(watch::Receiver<Progress<O>>),
}

impl<O> Clone for RetryCache<O> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<O: Clone + Send + Sync + 'static> RetryCache<O> {
    /// Empty. `seed` should be random.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let bodies = Mutex::new(Bodies { in_flight: HashMap::new(), undelivered: VecDeque::new() });
        Self(Arc::new(Inner { seed, bodies, retried: AtomicU64::new(0) }))
    }

    /// The digest of a body for `destination`: the same bytes for another destination are another body.
    #[must_use]
    pub fn digest(&self, destination: &[u8], body: &[u8]) -> Digest {
        Digest(xxh3_128_with_seed(body, xxh3_64_with_seed(destination, self.0.seed)))
    }

    /// How many bodies arrived again, and were not scored a second time.
    #[must_use]
    pub fn retried(&self) -> u64 {
        self.0.retried.load(Ordering::Relaxed)
    }

    /// Scores and delivers a body unless a copy of it does, and returns the outcome; `None` where this process ends before.
    pub async fn deliver_once<D: Delivery<Outcome = O>>(&self, digest: Digest, body: D) -> Option<O> {
        match self.next_action(digest) {
            Action::Deliver(scored, sender) => {
                let progress = sender.subscribe();
                let this = self.clone();
                // A task of its own: copies wait for it even where this sender disconnects.
                tokio::spawn(async move { this.deliver(digest, body, scored, &sender).await });
                outcome(progress).await
            }
            Action::Wait(progress) => {
                let inspected = spawn_blocking(move || (body.all_have_times(), body));
                let (all_have_times, body) = inspected.await.ok()?;
                if all_have_times {
                    drop(body);
                    return outcome(progress).await;
                }
                match scored(progress).await? {
                    Ok(scored) => {
                        let outcome = body.pass_on(scored.clone()).await;
                        self.bodies().keep_undelivered(digest, scored, D::is_final(&outcome));
                        Some(outcome)
                    }
                    Err(outcome) => Some(outcome),
                }
            }
        }
    }

    fn next_action(&self, digest: Digest) -> Action<O> {
        let mut bodies = self.bodies();
        // A delivery whose sender is gone panicked.
        let progress = bodies.in_flight.get(&digest).filter(|progress| progress.has_changed().is_ok()).cloned();
        let kept = bodies.undelivered.iter().position(|(kept, _)| *kept == digest);
        if progress.is_some() || kept.is_some() {
            self.0.retried.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(progress) = progress {
            return Action::Wait(progress);
        }
        let scored = kept.and_then(|at| bodies.undelivered.remove(at)).map(|(_, scored)| scored);
        let (sender, progress) = watch::channel(Progress { scored: None, outcome: None });
        bodies.in_flight.insert(digest, progress);
        Action::Deliver(scored, sender)
    }

    /// Scores a body unless it has scores, and delivers it.
    async fn deliver<D: Delivery<Outcome = O>>(
        &self,
        digest: Digest,
        body: D,
        scored: Option<Bytes>,
        sender: &watch::Sender<Progress<O>>,
    ) {
        let scored = match scored {
            Some(scored) => Ok(scored),
            None => body.score().await,
        };
        let outcome = match &scored {
            Ok(scored) => {
                sender.send_modify(|progress| progress.scored = Some(scored.clone()));
                body.pass_on(scored.clone()).await
            }
            Err(outcome) => outcome.clone(),
        };
        drop(body); // gives its share of the memory limit back
        {
            let mut bodies = self.bodies();
            bodies.in_flight.remove(&digest);
            if let Ok(scored) = scored {
                bodies.keep_undelivered(digest, scored, D::is_final(&outcome));
            }
        }
        sender.send_modify(|progress| progress.outcome = Some(outcome));
    }

    /// A panic under the lock leaves nothing inconsistent.
    fn bodies(&self) -> MutexGuard<'_, Bodies<O>> {
        self.0.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<O> Bodies<O> {
    /// Keeps a scored body until it arrives again, unless its outcome `is_final`. The oldest are dropped to make room.
    fn keep_undelivered(&mut self, digest: Digest, scored: Bytes, is_final: bool) {
        self.undelivered.retain(|(kept, _)| *kept != digest);
        if is_final {
            return;
        }
        self.undelivered.push_back((digest, scored));
        let bytes = |kept: &VecDeque<(Digest, Bytes)>| kept.iter().map(|(_, scored)| scored.len()).sum::<usize>();
        while self.undelivered.len() > 1 && bytes(&self.undelivered) > MAX_KEPT_BYTES {
            self.undelivered.pop_front();
        }
    }
}

/// The outcome of a body in flight.
async fn outcome<O: Clone>(mut progress: watch::Receiver<Progress<O>>) -> Option<O> {
    progress.wait_for(|progress| progress.outcome.is_some()).await.ok()?.outcome.clone()
}

/// The scores of a body in flight, or its outcome where it got none.
async fn scored<O: Clone>(mut progress: watch::Receiver<Progress<O>>) -> Option<Result<Bytes, O>> {
    let current = progress.wait_for(|progress| progress.scored.is_some() || progress.outcome.is_some()).await.ok()?;
    let Progress { scored, outcome } = &*current;
    scored.clone().map(Ok).or_else(|| outcome.clone().map(Err))
}

#[cfg(test)]
mod tests;
