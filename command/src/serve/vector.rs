//! Vector's events: from its `http` sink, with scores back to its `http_server` source or to stdout.
//!
//! The sink is answered once its events are accepted by the source or written to stdout. After 503 (and other 5xx, 408, 429)
//! it tries again; after any other status but 2xx it drops the batch, so that only undeliverable batches get one.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use qualm_http::{Call, Pool, Refused, Reply, StatusCode, reply};
use qualm_vector_codec::VectorEvents;
use qualm_vector_codec::{Repaired, repair};
use tokio::sync::Notify;
use tracing::{info, warn};

use super::forward::{self, Answer, DeliveryStatus, Forward, NoAnswer};
use super::retry_cache::{Delivery, RetryCache};
use super::worker::Worker;

/// Whether the source refuses a body for good: it is unreadable or too large. Any other status is about the source (moved, not
/// authorized, not found), and goes away once its configuration is corrected.
#[must_use]
pub fn is_final(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE)
}

/// The endpoint for Vector's events.
#[derive(Debug)]
pub struct Vector {
    pub(super) worker: Worker,
    pub(super) retries: RetryCache<Outcome>,
    /// Computes digests and repairs events of large bodies.
    preparation_pool: Pool,
    out: Out,
    pub(super) counts: Counts,
    last_received: Mutex<Instant>,
    stdout_closed: Notify,
}

/// Where scored events go.
#[derive(Debug)]
pub enum Out {
    /// To Vector's source.
    Forward(Forward),
    /// To this process's stdout, which Vector reads.
    Stdout,
}

/// The result of a delivery.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The events are delivered.
    Delivered,
    /// They are not, and may be at the next try: why.
    Retry(String),
    /// They never will be: what is wrong, and a hint.
    Rejected(String, String),
}

impl Outcome {
    fn reply(self) -> Reply {
        match self {
            Self::Delivered => reply::empty(StatusCode::OK),
            Self::Retry(why) => {
                reply::error(StatusCode::SERVICE_UNAVAILABLE, &why, Some("the same batch may pass later"))
            }
            Self::Rejected(what, hint) => reply::error(StatusCode::BAD_REQUEST, &what, Some(&hint)),
        }
    }
}

fn stopping() -> Outcome {
    Outcome::Retry(NoAnswer::Stopping.to_string())
}

/// A body in flight.
#[derive(Debug)]
struct Events {
    body: Bytes,
    endpoint: Arc<Vector>,
}

impl Delivery for Events {
    type Outcome = Outcome;

    fn all_have_times(&self) -> bool {
        VectorEvents::all_have_times(&self.body)
    }

    async fn score(&self) -> Result<Bytes, Outcome> {
        self.endpoint.score(&self.body).await
    }

    async fn pass_on(&self, scored: Bytes) -> Outcome {
        self.endpoint.deliver(scored).await
    }

    fn is_final(outcome: &Outcome) -> bool {
        !matches!(outcome, Outcome::Retry(_))
    }
}

/// Counts of events since the start.
#[derive(Debug, Default)]
pub struct Counts {
    /// Events that Vector's encoder wrote in a form that its decoder refuses, and that were repaired.
    pub repaired: AtomicU64,
    /// Those that cannot be repaired, and were left out so that the rest of their batch could pass.
    pub discarded: AtomicU64,
    /// Why the last body was not delivered; a change is logged.
    problem: Mutex<Option<String>>,
}

impl Vector {
    /// Scores with `worker`, and delivers to `out`. `seed` should be random.
    #[must_use]
    pub fn new(worker: Worker, out: Out, seed: u64) -> Self {
        Self {
            worker,
            retries: RetryCache::new(seed),
            preparation_pool: Pool::of_cores(),
            out,
            counts: Counts::default(),
            last_received: Mutex::new(Instant::now()),
            stdout_closed: Notify::new(),
        }
    }

    /// Vector's source, where events are delivered there.
    #[must_use]
    pub fn forward(&self) -> Option<&Forward> {
        match &self.out {
            Out::Forward(forward) => Some(forward),
            Out::Stdout => None,
        }
    }

    /// The time since the last events.
    #[must_use]
    pub fn idle_time(&self) -> Duration {
        self.last_received.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Ends once stdout has no reader any more.
    pub async fn stdout_closed(&self) {
        self.stdout_closed.notified().await;
    }

    /// `POST /vector`: a batch of events.
    ///
    /// # Errors
    ///
    /// Where the body cannot be read.
    pub async fn receive(self: Arc<Self>, mut call: Call) -> Result<Reply, Refused> {
        if self.forward().is_some_and(|forward| forward.is_loop(call.headers())) {
            return Ok(forward::loop_detected("vector"));
        }
        let body = Bytes::from_owner(call.bytes(call.limit()).await?);
        *self.last_received.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let (retries, bytes) = (self.retries.clone(), body.clone());
        let digest = self.preparation_pool.run_over(body.len(), move || retries.digest(b"", &bytes)).await;
        let events = Events { body, endpoint: Arc::clone(&self) };
        Ok(self.retries.deliver_once(digest, events).await.unwrap_or_else(stopping).reply())
    }

    async fn deliver(&self, scored: Bytes) -> Outcome {
        if scored.is_empty() {
            return Outcome::Delivered; // the body was empty, or all its events were discarded
        }
        let forward = match &self.out {
            Out::Stdout => return self.write_stdout(scored).await,
            Out::Forward(forward) => forward,
        };
        match forward.send("", Vec::new(), scored).await {
            Ok(Answer { delivery: DeliveryStatus::Delivered, .. }) => self.delivered(),
            Ok(answer) if answer.delivery == DeliveryStatus::Rejected => {
                // A retry would be refused again, and would hold up all batches behind it.
                let reason = String::from_utf8_lossy(&answer.body).chars().take(200).collect::<String>();
                warn!("{} refused a batch for good, with {}: {reason}", forward.display_url(), answer.status);
                self.delivered(); // the source works: the problem is this body alone
                Outcome::Rejected("the source behind refused the batch for good".to_owned(), reason)
            }
            Ok(answer) => self.retry(format!("{} answered {}", forward.display_url(), answer.status)),
            Err(error) => self.retry(error.to_string()),
        }
    }

    /// Repairs and scores a body; the error is the outcome where it cannot be scored.
    async fn score(&self, body: &Bytes) -> Result<Bytes, Outcome> {
        let received = body.clone();
        let repairing = self.preparation_pool.run_over(body.len(), move || {
            let Repaired { body, discarded, repaired } = repair(&received);
            let changed = match body {
                Cow::Borrowed(_) => None,
                Cow::Owned(body) => Some(Bytes::from(body)),
            };
            (changed.unwrap_or(received), discarded, repaired)
        });
        let (body, discarded, repaired) = repairing.await;
        self.counts.discarded.fetch_add(discarded, Ordering::Relaxed);
        self.counts.repaired.fetch_add(repaired, Ordering::Relaxed);
        let scored = self.worker.score(body, None).await.ok_or_else(stopping)?;
        if scored.malformed > 0 {
            let hint = "the sink needs `encoding: { codec: native_json }` or `native`, and with native_json `framing: { method: \
                        newline_delimited }` and neither `payload_prefix` nor `payload_suffix`: an event a line, no array";
            let what = format!("{} events are neither of codec `native_json` nor `native`", scored.malformed);
            warn!("a batch is refused: {what}; {hint}");
            return Err(Outcome::Rejected(what, hint.to_owned()));
        }
        Ok(scored.bytes)
    }

    async fn write_stdout(&self, scored: Bytes) -> Outcome {
        let written = tokio::task::spawn_blocking(move || {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&scored)?;
            // The next body must begin a line. (A frame of protocol buffers begins with a 0.)
            if scored[0] != 0 && !scored.ends_with(b"\n") {
                stdout.write_all(b"\n")?;
            }
            stdout.flush()
        });
        match written.await {
            Ok(Ok(())) => self.delivered(),
            Ok(Err(error)) => {
                if error.kind() == io::ErrorKind::BrokenPipe {
                    self.stdout_closed.notify_one(); // this process ends, so that Vector starts another
                }
                self.retry(format!("stdout: {error}"))
            }
            Err(error) => self.retry(format!("stdout: {error}")),
        }
    }

    /// Asks the sink to try again. Logged once, until a delivery succeeds.
    fn retry(&self, why: String) -> Outcome {
        let mut problem = self.counts.problem.lock().unwrap_or_else(PoisonError::into_inner);
        if problem.is_none() {
            warn!("scored events cannot be delivered: {why}. Vector is asked to try again");
        }
        *problem = Some(why.clone());
        Outcome::Retry(why)
    }

    fn delivered(&self) -> Outcome {
        let mut problem = self.counts.problem.lock().unwrap_or_else(PoisonError::into_inner);
        if problem.take().is_some() {
            info!("scored events are delivered again");
        }
        Outcome::Delivered
    }

    /// Why the last body was not delivered, where it was not.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.counts.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
