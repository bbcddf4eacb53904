//! Vector's events: in by HTTP from its `http` sink, back with scores to its `http_server` source, or out on stdout.
//!
//! The sink is answered when its events are safe: once the source has taken them, or once they are written. What the
//! answers mean to it: 200 delivered; 503 (and other 5xx, 408, 429) try again; anything else drops the batch, so it is
//! said only of what can never be delivered.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use qualm_http::{Call, Refused, Reply, StatusCode, reply};
use qualm_stream::native::{Repaired, repair};
use tracing::{info, warn};

use super::again::{Again, Digest};
use super::flights::Flights;
use super::forward::Forward;
use super::worker::Worker;

/// Takes Vector's events.
#[derive(Debug)]
pub struct Vector {
    worker: Worker,
    again: Again,
    flights: Flights<Outcome>,
    out: Out,
    counts: Counts,
    /// When the last events came.
    last: Mutex<Instant>,
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
enum Outcome {
    /// It is where it should be.
    Delivered,
    /// It is not, and may be if it comes again: why.
    Later(String),
    /// It never will be: what is wrong, and more about that.
    Never(String, String),
}

impl Outcome {
    fn is_final(&self) -> bool {
        !matches!(self, Self::Later(_))
    }

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
        Self {
            worker,
            again: Again::new(seed),
            flights: Flights::default(),
            out,
            counts: Counts::default(),
            last: Mutex::new(Instant::now()),
        }
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
    pub fn again(&self) -> &Again {
        &self.again
    }

    /// How long ago the last events came.
    #[must_use]
    pub fn quiet_for(&self) -> Duration {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
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
        let body = Bytes::from_owner(call.bytes(call.limit()).await?);
        self.heard();
        let digest = self.again.digest("", &body);
        let this = Arc::clone(&self);
        let outcome =
            self.flights.fly(digest, Outcome::is_final, || async move { this.bring(digest, body).await }).await;
        Ok(outcome.unwrap_or_else(|| Outcome::Later("something went wrong here".to_owned())).reply())
    }

    /// Scores a body, unless that was done before, and passes it on.
    async fn bring(&self, digest: Digest, body: Bytes) -> Outcome {
        let scored = match self.again.find(digest) {
            Some(scored) => scored,
            None => match self.score(&body).await {
                Ok(scored) => scored,
                Err(refusal) => return refusal,
            },
        };
        self.again.keep(digest, scored.clone());
        let outcome = self.pass_on(scored).await;
        drop(body); // until now it counted among what is in memory: others had to wait
        if outcome.is_final() {
            self.again.done(digest);
        }
        outcome
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
            Ok(answer) if answer.is_delivered() => self.fares_well(),
            Ok(answer) if !answer.may_pass() => {
                // What the source refuses once it refuses for ever: to have it come again would stop all that follows.
                let said = String::from_utf8_lossy(&answer.body).chars().take(200).collect::<String>();
                warn!("{} refused a batch for good, with {}: {said}", forward.shown(), answer.status);
                Outcome::Never("the source behind refused the batch for good".to_owned(), said)
            }
            Ok(answer) => self.retry(format!("{} answered {}", forward.shown(), answer.status)),
            Err(error) => self.retry(error),
        }
    }

    /// Scores a body, or says why not.
    async fn score(&self, body: &Bytes) -> Result<Bytes, Outcome> {
        let Repaired { body: whole, discarded, repaired } = repair(body);
        self.counts.discarded.fetch_add(discarded, Ordering::Relaxed);
        self.counts.repaired.fetch_add(repaired, Ordering::Relaxed);
        let whole = match whole {
            std::borrow::Cow::Borrowed(_) => body.clone(),
            std::borrow::Cow::Owned(whole) => whole.into(),
        };
        let scored = self.worker.score(whole, 0).await;
        let scored = scored.ok_or_else(|| Outcome::Later("qualm is stopping".to_owned()))?;
        if scored.malformed > 0 {
            let hint = "the sink needs `encoding: { codec: native_json }` or `native`";
            let what = format!("{} events are neither of codec `native_json` nor `native`", scored.malformed);
            warn!("a batch is refused: {what}; {hint}");
            return Err(Outcome::Never(what, hint.to_owned()));
        }
        Ok(scored.bytes.into())
    }

    /// Writes events to stdout.
    async fn print(&self, scored: Bytes) -> Outcome {
        let written = tokio::task::spawn_blocking(move || {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&scored)?;
            stdout.flush()
        });
        match written.await {
            Ok(Ok(())) => self.fares_well(),
            Ok(Err(error)) => self.retry(format!("stdout: {error}")),
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
