use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;

/// Where bodies are delivered. Each step waits for a permit and is counted.
struct Destination {
    scored: AtomicUsize,
    passed_on: AtomicUsize,
    scoring: Semaphore,
    passing: Semaphore,
    /// The next answers; 200 once it is empty.
    answers: Mutex<VecDeque<u16>>,
}

struct Body {
    to: Arc<Destination>,
    timed: bool,
}

impl Delivery for Body {
    type Outcome = u16;

    fn all_have_times(&self) -> bool {
        self.timed
    }

    async fn score(&self) -> Result<Bytes, u16> {
        self.to.scored.fetch_add(1, Ordering::Relaxed);
        self.to.scoring.acquire().await.map_err(|_| 500_u16)?.forget();
        Ok(Bytes::from_static(b"scored"))
    }

    async fn pass_on(&self, scored: Bytes) -> u16 {
        assert_eq!(&scored[..], b"scored");
        self.to.passed_on.fetch_add(1, Ordering::Relaxed);
        if let Ok(permit) = self.to.passing.acquire().await {
            permit.forget();
        }
        self.to.answers.lock().unwrap().pop_front().unwrap_or(200)
    }

    fn is_final(outcome: &u16) -> bool {
        *outcome != 503
    }
}

impl Destination {
    fn new(scoring: usize, passing: usize, answers: &[u16]) -> Arc<Self> {
        let answers = Mutex::new(answers.iter().copied().collect());
        let [scored, passed_on] = [0, 0].map(AtomicUsize::new);
        let [scoring, passing] = [scoring, passing].map(Semaphore::new);
        Arc::new(Self { scored, passed_on, scoring, passing, answers })
    }

    /// How often a body was scored, and delivered.
    fn counts(&self) -> (usize, usize) {
        (self.scored.load(Ordering::Relaxed), self.passed_on.load(Ordering::Relaxed))
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Sends a body whose events have timestamps or not.
fn send(cache: &RetryCache<u16>, to: &Arc<Destination>, timed: bool) -> JoinHandle<Option<u16>> {
    let (cache, body, digest) = (cache.clone(), Body { to: Arc::clone(to), timed }, cache.digest(b"", b"body"));
    tokio::spawn(async move { cache.deliver_once(digest, body).await })
}

/// Waits until a condition holds.
async fn until(holds: impl Fn() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(30), waited).await.expect("the condition holds in time");
}

#[test]
fn copies_of_a_body_in_flight_wait_for_its_outcome() {
    for (answer, counts) in [(200, (2, 2)), (400, (2, 2)), (503, (1, 2))] {
        runtime().block_on(async {
            let (cache, destination) = (RetryCache::new(1), Destination::new(0, 0, &[answer]));
            let send = || send(&cache, &destination, true);
            let first = send();
            until(|| destination.counts() == (1, 0)).await;
            let copies = [send(), send()];
            until(|| cache.retried() == 2).await;
            destination.scoring.add_permits(1);
            until(|| destination.counts() == (1, 1)).await;
            // While it is delivered, too.
            let [second, third] = copies;
            let all = [first, second, third, send()];
            until(|| cache.retried() == 3).await;
            destination.passing.add_permits(1);
            for one in all {
                assert_eq!(one.await.unwrap(), Some(answer));
            }
            assert_eq!(destination.counts(), (1, 1));
            // Afterwards it is a new body, unless it was not delivered.
            destination.scoring.add_permits(1);
            destination.passing.add_permits(1);
            assert_eq!(send().await.unwrap(), Some(200));
            assert_eq!(destination.counts(), counts, "{answer}");
        });
    }
}

#[test]
fn a_disconnected_sender_does_not_cancel_the_delivery() {
    runtime().block_on(async {
        let (cache, destination) = (RetryCache::new(1), Destination::new(0, 1, &[]));
        let send = || send(&cache, &destination, true);
        let first = send();
        until(|| destination.counts() == (1, 0)).await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        let second = send();
        until(|| cache.retried() == 1).await;
        destination.scoring.add_permits(1);
        assert_eq!(second.await.unwrap(), Some(200));
        assert_eq!(destination.counts(), (1, 1));
    });
}

#[test]
fn copies_without_timestamps_are_delivered_each_and_scored_once() {
    runtime().block_on(async {
        let (cache, destination) = (RetryCache::new(1), Destination::new(0, 0, &[]));
        let send = || send(&cache, &destination, false);
        let first = send();
        until(|| destination.counts() == (1, 0)).await;
        let second = send();
        until(|| cache.retried() == 1).await;
        destination.scoring.add_permits(1);
        until(|| destination.counts() == (1, 2)).await;
        destination.passing.add_permits(2);
        assert_eq!([first.await.unwrap(), second.await.unwrap()], [Some(200); 2]);
    });
}

#[test]
fn a_delivery_that_panics_does_not_block_the_next() {
    struct Panics;
    impl Delivery for Panics {
        type Outcome = u16;
        fn all_have_times(&self) -> bool {
            true
        }
        async fn score(&self) -> Result<Bytes, u16> {
            panic!("for the test")
        }
        async fn pass_on(&self, _: Bytes) -> u16 {
            200
        }
        fn is_final(_: &u16) -> bool {
            true
        }
    }
    runtime().block_on(async {
        let (cache, destination) = (RetryCache::new(1), Destination::new(1, 1, &[]));
        let digest = cache.digest(b"", b"body");
        assert_eq!(cache.deliver_once(digest, Panics).await, None);
        assert_eq!(cache.deliver_once(digest, Body { to: Arc::clone(&destination), timed: true }).await, Some(200));
        assert_eq!((destination.counts(), cache.retried()), ((1, 1), 0));
    });
}

#[test]
fn the_same_bytes_for_another_destination_are_another_body() {
    let cache = RetryCache::<u16>::new(1);
    assert_ne!(cache.digest(b"", b"body"), cache.digest(b"elsewhere", b"body"));
    assert_ne!(cache.digest(b"", b"body"), RetryCache::<u16>::new(2).digest(b"", b"body"));
}

#[test]
fn the_oldest_bodies_are_dropped_but_not_the_last() {
    let cache = RetryCache::<u16>::new(1);
    let [a, b, c] = [b"a", b"b", b"c"].map(|body| cache.digest(b"", body));
    let is_kept = |digest| cache.bodies().undelivered.iter().any(|(kept, _)| *kept == digest);
    let big = Bytes::from(vec![0; MAX_KEPT_BYTES / 2 + 1]);
    cache.bodies().keep_undelivered(a, big.clone(), false);
    cache.bodies().keep_undelivered(b, big, false);
    assert!(!is_kept(a) && is_kept(b));
    cache.bodies().keep_undelivered(c, Bytes::from(vec![0; MAX_KEPT_BYTES * 2]), false);
    assert!(is_kept(c));
    cache.bodies().keep_undelivered(c, Bytes::new(), true);
    assert!(!is_kept(c));
}
