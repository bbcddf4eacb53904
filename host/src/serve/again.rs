//! Bodies that come again: what was scored, but not yet taken by whoever comes next, is not scored a second time.
//!
//! A sender that is told to try again, or that waits no longer, sends the same bytes. Its metrics have been observed
//! already: to observe them again would teach the detectors what did not happen, so the scored body is kept until it has
//! been delivered.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// How many bytes of scored bodies are kept.
const MOST: usize = 64 << 20;

/// Which body: its digest, by a seed that nobody else knows. That two have the same is one chance in 2¹²⁸.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest(u128);

/// Scored bodies that wait to come again.
#[derive(Debug)]
pub struct Again {
    seed: u64,
    kept: Mutex<VecDeque<(Digest, Bytes)>>,
    came: AtomicU64,
}

impl Again {
    /// None as yet. `seed` should be a random one.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, kept: Mutex::default(), came: AtomicU64::new(0) }
    }

    /// The digest of a body as it came, meant for `place`: the same body for another place is another one.
    #[must_use]
    pub fn digest(&self, place: &str, body: &[u8]) -> Digest {
        Digest(xxh3_128_with_seed(body, xxh3_64_with_seed(place.as_bytes(), self.seed)))
    }

    /// What was made of this body when it came before, if that has not been delivered since.
    #[must_use]
    pub fn find(&self, digest: Digest) -> Option<Bytes> {
        let kept = self.kept();
        let (_, scored) = kept.iter().find(|(known, _)| *known == digest)?;
        self.came.fetch_add(1, Ordering::Relaxed);
        Some(scored.clone())
    }

    /// It has been delivered, or never will be: the same bytes are another body from now on.
    pub fn done(&self, digest: Digest) {
        self.kept().retain(|(known, _)| *known != digest);
    }

    /// How many came again.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.came.load(Ordering::Relaxed)
    }

    /// Keeps what was made of a body, until that is done. Those that have waited longest make room.
    pub fn keep(&self, digest: Digest, scored: Bytes) {
        let mut kept = self.kept();
        kept.retain(|(known, _)| *known != digest);
        kept.push_back((digest, scored));
        while kept.len() > 1 && kept.iter().map(|(_, scored)| scored.len()).sum::<usize>() > MOST {
            kept.pop_front();
        }
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<(Digest, Bytes)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_comes_back_until_it_is_done() {
        let again = Again::new(1);
        let digest = again.digest("", b"body");
        assert!(again.find(digest).is_none());
        again.keep(digest, Bytes::from_static(b"scored"));
        for _ in 0..2 {
            assert_eq!(again.find(digest).as_deref(), Some(&b"scored"[..]));
        }
        assert!(again.find(again.digest("elsewhere", b"body")).is_none());
        again.done(digest);
        assert!(again.find(digest).is_none());
        assert_eq!(again.count(), 2);
    }

    #[test]
    fn the_oldest_make_room_but_the_last_stays() {
        let again = Again::new(1);
        let [a, b, c] = [b"a", b"b", b"c"].map(|body| again.digest("", body));
        let big = Bytes::from(vec![0; MOST / 2 + 1]);
        again.keep(a, big.clone());
        again.keep(b, big);
        assert!(again.find(a).is_none() && again.find(b).is_some());
        again.keep(c, Bytes::from(vec![0; MOST * 2]));
        assert!(again.find(c).is_some());
    }
}
