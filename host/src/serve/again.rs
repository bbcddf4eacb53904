//! Bodies that come again: what was scored, but not taken by whoever comes next, is not scored a second time.
//!
//! A sender that is told to try again sends the same bytes. Its metrics have been observed already: to observe them again
//! would teach the detectors what did not happen, so the scored body is kept until it has been delivered.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use xxhash_rust::xxh3::xxh3_128;

/// How many bytes of scored bodies are kept.
const MOST: usize = 64 << 20;

/// Which body: its digest. That two have the same is one chance in 2¹²⁸, unless somebody makes them so, and then gets
/// their own metrics twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest(u128);

/// Scored bodies that wait to come again.
#[derive(Debug, Default)]
pub struct Again {
    kept: Mutex<VecDeque<(Digest, Arc<[u8]>)>>,
}

impl Digest {
    /// Of a body as it came.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        Self(xxh3_128(body))
    }
}

impl Again {
    /// What was made of this body when it came before. It is kept no longer.
    #[must_use]
    pub fn take(&self, digest: Digest) -> Option<Arc<[u8]>> {
        let mut kept = self.kept();
        let at = kept.iter().position(|(known, _)| *known == digest)?;
        kept.remove(at).map(|(_, scored)| scored)
    }

    /// Keeps what was made of a body that will come again. Those that have waited longest make room.
    pub fn keep(&self, digest: Digest, scored: Arc<[u8]>) {
        let mut kept = self.kept();
        kept.push_back((digest, scored));
        while kept.len() > 1 && kept.iter().map(|(_, scored)| scored.len()).sum::<usize>() > MOST {
            kept.pop_front();
        }
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<(Digest, Arc<[u8]>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_comes_back_once() {
        let again = Again::default();
        let digest = Digest::of(b"body");
        assert!(again.take(digest).is_none());
        again.keep(digest, b"scored".as_slice().into());
        assert_eq!(again.take(digest).as_deref(), Some(&b"scored"[..]));
        assert!(again.take(digest).is_none());
    }

    #[test]
    fn the_oldest_make_room_but_the_last_stays() {
        let again = Again::default();
        let big: Arc<[u8]> = vec![0; MOST / 2 + 1].into();
        again.keep(Digest::of(b"a"), Arc::clone(&big));
        again.keep(Digest::of(b"b"), big);
        assert!(again.take(Digest::of(b"a")).is_none() && again.take(Digest::of(b"b")).is_some());
        again.keep(Digest::of(b"c"), vec![0; MOST * 2].into());
        assert!(again.take(Digest::of(b"c")).is_some());
    }
}
