//! What each connection is at, so that those that take too long can be ended, and room be made for new ones.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::counts::Counts;
use super::options::Limits;

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    at: Mutex<At>,
    close: Notify,
    /// The client may still be sending a body that nobody reads to its end.
    unread: AtomicBool,
}

#[derive(Debug)]
struct At {
    phase: Phase,
    /// What went out since the last request came.
    sent: u64,
    /// For how long it could not go out, because the client did not read.
    blocked: Duration,
    blocked_since: Option<Instant>,
}

#[derive(Debug)]
enum Phase {
    /// For a request, since then; `head` is when its first byte came.
    Waiting { since: Instant, head: Option<Instant> },
    /// A request is being answered.
    Busy,
}

impl Connection {
    fn new(peer: SocketAddr) -> Self {
        let phase = Phase::Waiting { since: Instant::now(), head: None };
        let at = At { phase, sent: 0, blocked: Duration::ZERO, blocked_since: None };
        Self { peer, at: Mutex::new(at), close: Notify::new(), unread: AtomicBool::new(false) }
    }

    /// Only times are kept, which a panic elsewhere cannot make wrong.
    fn at(&self) -> MutexGuard<'_, At> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes came.
    pub(crate) fn received(&self) {
        if let Phase::Waiting { head, .. } = &mut self.at().phase {
            head.get_or_insert_with(Instant::now);
        }
    }

    /// Bytes went out.
    pub(crate) fn sent(&self, bytes: usize) {
        let mut at = self.at();
        at.sent += bytes as u64;
        if let Some(since) = at.blocked_since.take() {
            at.blocked += since.elapsed();
        }
        // The last of an answer often goes out after its end.
        if let Phase::Waiting { since, head: None } = &mut at.phase {
            *since = Instant::now();
        }
    }

    /// Bytes would go out, if the client read them.
    pub(crate) fn blocked(&self) {
        self.at().blocked_since.get_or_insert_with(Instant::now);
    }

    /// A request's header is there.
    pub(crate) fn begin(&self, has_body: bool) {
        self.unread.store(has_body, Ordering::Relaxed);
        *self.at() = At { phase: Phase::Busy, sent: 0, blocked: Duration::ZERO, blocked_since: None };
    }

    /// The request's body has been read to its end.
    pub(crate) fn all_read(&self) {
        self.unread.store(false, Ordering::Relaxed);
    }

    pub(crate) fn unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// Nothing is under way: the next request may take its time.
    pub(crate) fn wait(&self) {
        self.at().phase = Phase::Waiting { since: Instant::now(), head: None };
    }

    /// Ends when the connection has to.
    pub(crate) async fn closed(&self) {
        self.close.notified().await;
    }

    fn waiting_since(&self) -> Option<Instant> {
        match self.at().phase {
            Phase::Waiting { since, .. } => Some(since),
            Phase::Busy => None,
        }
    }

    fn overdue(&self, limits: &Limits) -> bool {
        let at = self.at();
        let stalled = at.blocked_since.map_or(Duration::ZERO, |since| since.elapsed());
        stalled > limits.body_timeout
            || at.blocked + stalled > limits.time_for(at.sent)
            || match at.phase {
                Phase::Waiting { head: Some(head), .. } => head.elapsed() > limits.header_timeout,
                Phase::Waiting { since, head: None } => since.elapsed() > limits.idle_timeout,
                Phase::Busy => false,
            }
    }
}

/// All that are open.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    all: Mutex<HashMap<u64, Arc<Connection>>>,
    next: AtomicU64,
}

/// A connection, for as long as it is open.
#[derive(Debug)]
pub(crate) struct Entered {
    number: u64,
    pub(crate) connection: Arc<Connection>,
    among: Arc<Connections>,
    counts: Arc<Counts>,
}

impl Connections {
    fn all(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn enter(self: &Arc<Self>, peer: SocketAddr, counts: &Arc<Counts>) -> Entered {
        let connection = Arc::new(Connection::new(peer));
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.all().insert(number, Arc::clone(&connection));
        counts.opened();
        Entered { number, connection, among: Arc::clone(self), counts: Arc::clone(counts) }
    }

    /// Closes those that have waited longest for a request. One in 64 at a time, so that a flood of new connections does
    /// not have all of them looked at for each; returns how many.
    pub(crate) fn close_longest_waiting(&self) -> usize {
        let all = self.all();
        let mut waiting: Vec<_> = all.values().filter_map(|one| Some((one.waiting_since()?, one))).collect();
        let enough = all.len().div_ceil(64).min(waiting.len());
        if enough > 0 {
            waiting.select_nth_unstable_by_key(enough - 1, |(since, _)| *since);
        }
        waiting[..enough].iter().for_each(|(_, one)| one.close.notify_one());
        enough
    }

    /// Closes those that have taken too long.
    pub(crate) fn close_overdue(&self, limits: &Limits) {
        self.all().values().filter(|one| one.overdue(limits)).for_each(|one| one.close.notify_one());
    }

    /// Closes all that wait for a request, or simply all.
    pub(crate) fn close(&self, busy_too: bool) {
        let all = self.all();
        all.values().filter(|one| busy_too || one.waiting_since().is_some()).for_each(|one| one.close.notify_one());
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.among.all().remove(&self.number);
        self.counts.closed();
    }
}
