//! Vector's events: in by HTTP from its `http` sink, back with scores to its `http_server` source, or out on stdout.
//!
//! The sink is answered when its events are safe: once the source has taken them, or once they are written. What the
//! answers mean to it: 200 delivered; 503 (and other 5xx, 408, 429) try again; anything else drops the batch, so it is
//! said only of what can never be delivered.

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

use super::again::{Again, Delivery};
use super::forward::{self, Answer, Fate, Forward, NoAnswer};
use super::vitals::Vitals;
use super::worker::Worker;

/// What the source behind says of a body that it never will take: it cannot be read, or is too large. Whatever else it says
/// (that it moved, that we may not, that there is nothing there) is said of itself, and somebody can mend it.
#[must_use]
pub fn is_final(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE)
}

/// Takes Vector's events.
#[derive(Debug)]
pub struct Vector {
    worker: Worker,
    again: Again<Outcome>,
    /// Where bodies are looked through before they are scored.
    preparing: Pool,
    out: Out,
    counts: Counts,
    /// When the last events came.
    last: Mutex<Instant>,
    reader_gone: Notify,
}

/// Where scored events go.
#[derive(Debug)]
pub enum Out {
    /// Back to Vector.
    Forward(Forward),
    /// To our own stdout, which Vector reads.
    Stdout,
}

/// How a body fared.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It is where it should be.
    Delivered,
    /// It is not, and may be if it comes again: why.
    Later(String),
    /// It never will be: what is wrong, and more about that.
    Never(String, String),
}

impl Outcome {
    fn reply(self) -> Reply {
        match self {
            Self::Delivered => reply::empty(StatusCode::OK),
            Self::Later(why) => {
                reply::error(StatusCode::SERVICE_UNAVAILABLE, &why, Some("the same batch may pass later"))
            }
            Self::Never(what, more) => reply::error(StatusCode::BAD_REQUEST, &what, Some(&more)),
        }
    }
}

fn stopping() -> Outcome {
    Outcome::Later(NoAnswer::Stopping.to_string())
}

/// A body on its way.
#[derive(Debug)]
struct Events {
    body: Bytes,
    to: Arc<Vector>,
}

impl Delivery for Events {
    type Outcome = Outcome;

    fn all_have_times(&self) -> bool {
        VectorEvents::all_have_times(&self.body)
    }

    async fn score(&self) -> Result<Bytes, Outcome> {
        self.to.score(&self.body).await
    }

    async fn pass_on(&self, scored: Bytes) -> Outcome {
        self.to.pass_on(scored).await
    }

    fn is_final(outcome: &Outcome) -> bool {
        !matches!(outcome, Outcome::Later(_))
    }
}

/// What became of events, since the start.
#[derive(Debug, Default)]
pub struct Counts {
    /// Events that Vector's encoder wrote so that its decoder would refuse them, and that were set right.
    pub repaired: AtomicU64,
    /// Those that cannot be set right, and were left out so that the rest of their batch could pass.
    pub discarded: AtomicU64,
    /// Whether the last body was delivered: told when that changes.
    trouble: Mutex<Option<String>>,
}

impl Vector {
    /// With the pipeline that scores, where scored events go, and a random number.
    #[must_use]
    pub fn new(worker: Worker, out: Out, seed: u64) -> Self {
        let (counts, last, reader_gone) = (Counts::default(), Mutex::new(Instant::now()), Notify::new());
        Self { worker, again: Again::new(seed), preparing: Pool::of_cores(), out, counts, last, reader_gone }
    }

    /// What became of events.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The way back, where there is one.
    #[must_use]
    pub fn forward(&self) -> Option<&Forward> {
        match &self.out {
            Out::Forward(forward) => Some(forward),
            Out::Stdout => None,
        }
    }

    /// Bodies that came again.
    #[must_use]
    pub fn again(&self) -> &Again<Outcome> {
        &self.again
    }

    /// Whether its pipeline works.
    #[must_use]
    pub fn vitals(&self) -> &Vitals {
        self.worker.vitals()
    }

    /// How long ago the last events came.
    #[must_use]
    pub fn quiet_for(&self) -> Duration {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Ends once nobody reads stdout any more.
    pub async fn reader_gone(&self) {
        self.reader_gone.notified().await;
    }

    fn heard(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// `POST /vector`: a batch of events.
    ///
    /// # Errors
    ///
    /// Where its body is not to be had.
    pub async fn take(self: Arc<Self>, mut call: Call) -> Result<Reply, Refused> {
        if self.forward().is_some_and(|forward| forward.is_own(call.headers())) {
            return Ok(forward::leads_back("vector"));
        }
        let body = Bytes::from_owner(call.bytes(call.limit()).await?);
        self.heard();
        let (again, whole) = (self.again.clone(), body.clone());
        let digest = self.preparing.run_over(body.len(), move || again.digest(b"", &whole)).await;
        let events = Events { body, to: Arc::clone(&self) };
        Ok(self.again.bring(digest, events).await.unwrap_or_else(stopping).reply())
    }

    /// Passes scored events on.
    async fn pass_on(&self, scored: Bytes) -> Outcome {
        if scored.is_empty() {
            return Outcome::Delivered; // nothing came, or nothing of it may go back
        }
        let forward = match &self.out {
            Out::Stdout => return self.print(scored).await,
            Out::Forward(forward) => forward,
        };
        match forward.send("", Vec::new(), scored).await {
            Ok(Answer { fate: Fate::Delivered, .. }) => self.fares_well(),
            Ok(answer) if answer.fate == Fate::Rejected => {
                // What the source cannot take once it never will: to have it come again would stop all that follows.
                let said = String::from_utf8_lossy(&answer.body).chars().take(200).collect::<String>();
                warn!("{} refused a batch for good, with {}: {said}", forward.shown(), answer.status);
                self.fares_well(); // the way is open: it is this body alone that does not get on
                Outcome::Never("the source behind refused the batch for good".to_owned(), said)
            }
            Ok(answer) => self.retry(format!("{} answered {}", forward.shown(), answer.status)),
            Err(error) => self.retry(error.to_string()),
        }
    }

    /// Scores a body, or says why not.
    async fn score(&self, body: &Bytes) -> Result<Bytes, Outcome> {
        let came = body.clone();
        let repairing = self.preparing.run_over(body.len(), move || {
            let Repaired { body: whole, discarded, repaired } = repair(&came);
            let whole = match whole {
                Cow::Borrowed(_) => None,
                Cow::Owned(whole) => Some(Bytes::from(whole)),
            };
            (whole.unwrap_or(came), discarded, repaired)
        });
        let (whole, discarded, repaired) = repairing.await;
        self.counts.discarded.fetch_add(discarded, Ordering::Relaxed);
        self.counts.repaired.fetch_add(repaired, Ordering::Relaxed);
        let scored = self.worker.score(whole, None).await;
        let scored = scored.ok_or_else(stopping)?;
        if scored.malformed > 0 {
            let hint = "the sink needs `encoding: { codec: native_json }` or `native`, and with native_json `framing: { method: \
                        newline_delimited }` and neither `payload_prefix` nor `payload_suffix`: an event a line, no array";
            let what = format!("{} events are neither of codec `native_json` nor `native`", scored.malformed);
            warn!("a batch is refused: {what}; {hint}");
            return Err(Outcome::Never(what, hint.to_owned()));
        }
        Ok(scored.bytes)
    }

    /// Writes events to stdout.
    async fn print(&self, scored: Bytes) -> Outcome {
        let written = tokio::task::spawn_blocking(move || {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&scored)?;
            // The next body must not begin in the midst of a line. (A frame of protocol buffers begins with a 0.)
            if scored[0] != 0 && !scored.ends_with(b"\n") {
                stdout.write_all(b"\n")?;
            }
            stdout.flush()
        });
        match written.await {
            Ok(Ok(())) => self.fares_well(),
            Ok(Err(error)) => {
                if error.kind() == io::ErrorKind::BrokenPipe {
                    self.reader_gone.notify_one(); // nobody will ever read what comes: let who started us start us anew
                }
                self.retry(format!("stdout: {error}"))
            }
            Err(error) => self.retry(format!("stdout: {error}")),
        }
    }

    /// Asks the sink to try again. The log has it once, until it is over.
    fn retry(&self, why: String) -> Outcome {
        let mut trouble = self.counts.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.is_none() {
            warn!("scored events do not get on: {why}. Vector is asked to try again");
        }
        *trouble = Some(why.clone());
        Outcome::Later(why)
    }

    fn fares_well(&self) -> Outcome {
        let mut trouble = self.counts.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.take().is_some() {
            info!("scored events get on again");
        }
        Outcome::Delivered
    }

    /// Why the last body did not get on, where it did not.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.counts.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
