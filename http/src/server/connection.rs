//! The activity of each connection, so that slow ones can be closed, and idle ones make room for new ones.

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
    activity: Mutex<Activity>,
    close: Notify,
    /// The client may still be sending a body that was not read to its end.
    unread: AtomicBool,
}

#[derive(Debug)]
struct Activity {
    phase: Phase,
    /// Bytes sent since the last request came.
    sent: u64,
    /// How long sending was blocked, because the client did not read.
    blocked: Duration,
    blocked_since: Option<Instant>,
}

#[derive(Debug)]
enum Phase {
    /// It waits for a request since then; `head` is when the first byte of one came.
    Waiting { since: Instant, head: Option<Instant> },
    /// A request is being answered.
    Busy,
}

impl Connection {
    fn new(peer: SocketAddr) -> Self {
        let phase = Phase::Waiting { since: Instant::now(), head: None };
        let activity = Activity { phase, sent: 0, blocked: Duration::ZERO, blocked_since: None };
        Self { peer, activity: Mutex::new(activity), close: Notify::new(), unread: AtomicBool::new(false) }
    }

    /// A panic elsewhere cannot make times wrong, so that poison is ignored.
    fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes were received.
    pub(crate) fn received(&self) {
        if let Phase::Waiting { head, .. } = &mut self.activity().phase {
            head.get_or_insert_with(Instant::now);
        }
    }

    /// Bytes were sent.
    pub(crate) fn sent(&self, bytes: usize) {
        let mut activity = self.activity();
        activity.sent += bytes as u64;
        if let Some(since) = activity.blocked_since.take() {
            activity.blocked += since.elapsed();
        }
        // The last bytes of an answer are often sent after its body has ended.
        if let Phase::Waiting { since, head: None } = &mut activity.phase {
            *since = Instant::now();
        }
    }

    /// Bytes could not be sent, because the client does not read.
    pub(crate) fn blocked(&self) {
        self.activity().blocked_since.get_or_insert_with(Instant::now);
    }

    /// A request's header is complete.
    pub(crate) fn begin_request(&self, has_body: bool) {
        self.unread.store(has_body, Ordering::Relaxed);
        *self.activity() = Activity { phase: Phase::Busy, sent: 0, blocked: Duration::ZERO, blocked_since: None };
    }

    /// The request's body has been read to its end.
    pub(crate) fn all_read(&self) {
        self.unread.store(false, Ordering::Relaxed);
    }

    pub(crate) fn has_unread_body(&self) -> bool {
        self.unread.load(Ordering::Relaxed)
    }

    /// The request has been answered: the connection is idle.
    pub(crate) fn wait_for_request(&self) {
        self.activity().phase = Phase::Waiting { since: Instant::now(), head: None };
    }

    /// Waits until the connection must be closed.
    pub(crate) async fn closed(&self) {
        self.close.notified().await;
    }

    fn waiting_since(&self) -> Option<Instant> {
        match self.activity().phase {
            Phase::Waiting { since, .. } => Some(since),
            Phase::Busy => None,
        }
    }

    fn overdue(&self, limits: &Limits) -> bool {
        let activity = self.activity();
        let stalled = activity.blocked_since.map_or(Duration::ZERO, |since| since.elapsed());
        stalled > limits.body_timeout
            || activity.blocked + stalled > limits.time_for(activity.sent)
            || match activity.phase {
                Phase::Waiting { head: Some(head), .. } => head.elapsed() > limits.header_timeout,
                Phase::Waiting { since, head: None } => since.elapsed() > limits.idle_timeout,
                Phase::Busy => false,
            }
    }
}

/// All open connections.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    all: Mutex<HashMap<u64, Arc<Connection>>>,
    next: AtomicU64,
}

/// A connection, for as long as it is open.
#[derive(Debug)]
pub(crate) struct OpenConnection {
    number: u64,
    pub(crate) connection: Arc<Connection>,
    among: Arc<Connections>,
    counts: Arc<Counts>,
}

impl Connections {
    fn all(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn open(self: &Arc<Self>, peer: SocketAddr, counts: &Arc<Counts>) -> OpenConnection {
        let connection = Arc::new(Connection::new(peer));
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.all().insert(number, Arc::clone(&connection));
        counts.opened();
        OpenConnection { number, connection, among: Arc::clone(self), counts: Arc::clone(counts) }
    }

    /// Closes those that have been idle for longest, and returns their number. One in 64 at a time, so that a flood of new
    /// connections does not examine all for each.
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

    /// Closes all idle connections, or simply all.
    pub(crate) fn close_all(&self, busy_too: bool) {
        let all = self.all();
        all.values().filter(|one| busy_too || one.waiting_since().is_some()).for_each(|one| one.close.notify_one());
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.among.all().remove(&self.number);
        self.counts.closed();
    }
}
