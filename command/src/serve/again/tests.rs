use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;

/// Who comes next, and how often each thing was done. Nothing is done before it is let.
struct Place {
    scored: AtomicUsize,
    passed_on: AtomicUsize,
    scoring: Semaphore,
    passing: Semaphore,
    /// What the next ones are told; 200 once it is empty.
    says: Mutex<VecDeque<u16>>,
}

struct Sent(Arc<Place>, bool);

impl Delivery for Sent {
    type Outcome = u16;

    fn all_have_times(&self) -> bool {
        self.1
    }

    async fn score(&self) -> Result<Bytes, u16> {
        self.0.scored.fetch_add(1, Ordering::Relaxed);
        self.0.scoring.acquire().await.map_err(|_| 500_u16)?.forget();
        Ok(Bytes::from_static(b"scored"))
    }

    async fn pass_on(&self, scored: Bytes) -> u16 {
        assert_eq!(&scored[..], b"scored");
        self.0.passed_on.fetch_add(1, Ordering::Relaxed);
        if let Ok(turn) = self.0.passing.acquire().await {
            turn.forget();
        }
        self.0.says.lock().unwrap().pop_front().unwrap_or(200)
    }

    fn is_final(outcome: &u16) -> bool {
        *outcome != 503
    }
}

impl Place {
    fn new(scoring: usize, passing: usize, says: &[u16]) -> Arc<Self> {
        let says = Mutex::new(says.iter().copied().collect());
        let [scored, passed_on] = [0, 0].map(AtomicUsize::new);
        let [scoring, passing] = [scoring, passing].map(Semaphore::new);
        Arc::new(Self { scored, passed_on, scoring, passing, says })
    }

    /// How often a body was scored, and passed on.
    fn done(&self) -> (usize, usize) {
        (self.scored.load(Ordering::Relaxed), self.passed_on.load(Ordering::Relaxed))
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Sends a body, all of whose events have a time or not.
fn send(again: &Again<u16>, place: &Arc<Place>, timed: bool) -> JoinHandle<Option<u16>> {
    let (again, sent, digest) = (again.clone(), Sent(Arc::clone(place), timed), again.digest(b"", b"body"));
    tokio::spawn(async move { again.bring(digest, sent).await })
}

/// Waits until something is so.
async fn until(so: impl Fn() -> bool) {
    let waited = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(30), waited).await.expect("it comes to be so");
}

#[test]
fn while_a_body_is_scored_a_second_copy_waits_and_is_told_the_same() {
    for (says, then) in [(200, (2, 2)), (400, (2, 2)), (503, (1, 2))] {
        runtime().block_on(async {
            let (again, place) = (Again::new(1), Place::new(0, 0, &[says]));
            let send = || send(&again, &place, true);
            let first = send();
            until(|| place.done() == (1, 0)).await;
            let copies = [send(), send()];
            until(|| again.count() == 2).await;
            place.scoring.add_permits(1);
            until(|| place.done() == (1, 1)).await;
            // And while it is passed on.
            let [second, third] = copies;
            let all = [first, second, third, send()];
            until(|| again.count() == 3).await;
            place.passing.add_permits(1);
            for one in all {
                assert_eq!(one.await.unwrap(), Some(says));
            }
            assert_eq!(place.done(), (1, 1));
            // Afterwards it is another body, unless it did not get on.
            place.scoring.add_permits(1);
            place.passing.add_permits(1);
            assert_eq!(send().await.unwrap(), Some(200));
            assert_eq!(place.done(), then, "{says}");
        });
    }
}

#[test]
fn a_sender_that_goes_away_takes_nobodys_answer_with_it() {
    runtime().block_on(async {
        let (again, place) = (Again::new(1), Place::new(0, 1, &[]));
        let send = || send(&again, &place, true);
        let first = send();
        until(|| place.done() == (1, 0)).await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        let second = send();
        until(|| again.count() == 1).await;
        place.scoring.add_permits(1);
        assert_eq!(second.await.unwrap(), Some(200));
        assert_eq!(place.done(), (1, 1));
    });
}

#[test]
fn what_was_meant_by_two_goes_on_twice_and_is_scored_once() {
    runtime().block_on(async {
        let (again, place) = (Again::new(1), Place::new(0, 0, &[]));
        let send = || send(&again, &place, false);
        let first = send();
        until(|| place.done() == (1, 0)).await;
        let second = send();
        until(|| again.count() == 1).await;
        place.scoring.add_permits(1);
        until(|| place.done() == (1, 2)).await;
        place.passing.add_permits(2);
        assert_eq!([first.await.unwrap(), second.await.unwrap()], [Some(200); 2]);
    });
}

#[test]
fn a_delivery_that_breaks_off_does_not_hold_up_the_next() {
    struct Panics;
    impl Delivery for Panics {
        type Outcome = u16;
        fn all_have_times(&self) -> bool {
            true
        }
        async fn score(&self) -> Result<Bytes, u16> {
            panic!("as the test wants it")
        }
        async fn pass_on(&self, _: Bytes) -> u16 {
            200
        }
        fn is_final(_: &u16) -> bool {
            true
        }
    }
    runtime().block_on(async {
        let (again, place) = (Again::new(1), Place::new(1, 1, &[]));
        let digest = again.digest(b"", b"body");
        assert_eq!(again.bring(digest, Panics).await, None);
        assert_eq!(again.bring(digest, Sent(Arc::clone(&place), true)).await, Some(200));
        assert_eq!((place.done(), again.count()), ((1, 1), 0));
    });
}

#[test]
fn the_same_body_for_another_place_is_another() {
    let again = Again::<u16>::new(1);
    assert_ne!(again.digest(b"", b"body"), again.digest(b"elsewhere", b"body"));
    assert_ne!(again.digest(b"", b"body"), Again::<u16>::new(2).digest(b"", b"body"));
}

#[test]
fn the_oldest_make_room_but_the_last_stays() {
    let again = Again::<u16>::new(1);
    let [a, b, c] = [b"a", b"b", b"c"].map(|body| again.digest(b"", body));
    let waits = |digest| again.bodies().waiting.iter().any(|(waiting, _)| *waiting == digest);
    let big = Bytes::from(vec![0; MOST / 2 + 1]);
    again.bodies().settle(a, big.clone(), false);
    again.bodies().settle(b, big, false);
    assert!(!waits(a) && waits(b));
    again.bodies().settle(c, Bytes::from(vec![0; MOST * 2]), false);
    assert!(waits(c));
    again.bodies().settle(c, Bytes::new(), true);
    assert!(!waits(c));
}
