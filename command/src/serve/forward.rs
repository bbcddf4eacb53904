//! The way on: scored bodies to whoever comes next, by HTTP.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use qualm_bundle::secret::Secret;
use qualm_bundle::source::{self, BadCertificates};
use qualm_http::{Reply, reply};
use tokio::sync::Semaphore;
use tokio::task::JoinError;
use ureq::Agent;
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use ureq::tls::TlsConfig;

/// Requests under way at once: each has a thread that waits for its answer.
const MAX_IN_FLIGHT: usize = 32;

/// The longest answer that is read.
const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// How long it may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The header that says who has passed a body on.
const VIA: &str = "x-qualm-via";

/// Passes bodies on to one server.
#[derive(Debug)]
pub struct Forward {
    agent: Agent,
    url: Arc<Secret>,
    /// What tells this process from others, so that it notices what it has sent to itself.
    own: u64,
    /// How long a body waits for its turn: as long again as its answer may take would be too long for senders.
    queue_timeout: Duration,
    /// Which answers are the last word on a body that was not taken.
    is_final: fn(StatusCode) -> bool,
    slots: Arc<Semaphore>,
    counts: Counts,
}

/// What has been passed on, since the start.
#[derive(Debug, Default)]
pub struct Counts {
    /// Bodies that were taken.
    pub delivered: AtomicU64,
    /// Bytes of these.
    pub bytes: AtomicU64,
    /// Bodies that were refused for good.
    pub rejected: AtomicU64,
    /// Bodies that were not taken, and may be if they come again.
    pub failed: AtomicU64,
}

/// How a body fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was taken.
    Delivered,
    /// It never will be.
    Rejected,
    /// It may be if it comes again.
    Failed,
}

/// Why a body got no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NoAnswer {
    /// It waited too long for its turn.
    #[error("{0}: it has not answered {MAX_IN_FLIGHT} others yet")]
    Busy(Arc<Secret>),
    /// The server cannot be reached, or broke off.
    #[error("{url}: {reason}")]
    Request {
        /// The server.
        url: Arc<Secret>,
        /// Why, without the URL's secrets.
        reason: String,
    },
    /// The thread that waited for the answer panicked.
    #[error(transparent)]
    Thread(#[from] Arc<JoinError>),
    /// This process ends.
    #[error("qualm is stopping")]
    Stopping,
}

/// What the server answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// How the body fared.
    pub fate: Fate,
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// The beginning of its body.
    pub body: Bytes,
}

impl Forward {
    /// To the server at `url`, which may take `timeout` for each body. `is_final` says which of its answers, but for 2xx,
    /// are the last word on a body.
    ///
    /// # Errors
    ///
    /// Where `SSL_CERT_FILE` names a file without certificates.
    pub fn new(url: &Secret, timeout: Duration, is_final: fn(StatusCode) -> bool) -> Result<Self, BadCertificates> {
        let roots = source::roots()?;
        let config = Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .proxy(None) // it mostly leads to this very machine
            .max_redirects(0) // a body that was not taken where it was sent was not taken
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT.min(timeout)))
            .timeout_global(Some(timeout))
            .max_idle_connections_per_host(MAX_IN_FLIGHT)
            .user_agent(concat!("qualm/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            agent: config.into(),
            url: Arc::new(url.clone()),
            own: qualm::scoring::random(),
            queue_timeout: timeout / 2,
            slots: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
            is_final,
            counts: Counts::default(),
        })
    }

    /// What has been passed on.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether a request with these headers is one of our own: the way on leads back here.
    #[must_use]
    pub fn is_own(&self, headers: &HeaderMap) -> bool {
        headers.get(VIA).is_some_and(|via| via.as_bytes() == self.own.to_string().as_bytes())
    }

    /// Where it leads, as it may be logged.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.url.shown()
    }

    /// Sends a body of metrics to `path_and_query` behind the URL, waits for the answer, and counts what became of it.
    ///
    /// # Errors
    ///
    /// Where there is no answer.
    pub async fn send(
        &self,
        path_and_query: &str,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<Answer, NoAnswer> {
        let length = body.len() as u64;
        let answer = self.ask(path_and_query, headers, body).await;
        let Counts { delivered, bytes, rejected, failed } = &self.counts;
        let counter = match answer.as_ref().map_or(Fate::Failed, |answer| answer.fate) {
            Fate::Delivered => {
                bytes.fetch_add(length, Ordering::Relaxed);
                delivered
            }
            Fate::Rejected => rejected,
            Fate::Failed => failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        answer
    }

    /// The same with what is no metrics, and does not count.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn ask(
        &self,
        path_and_query: &str,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<Answer, NoAnswer> {
        let mut request = Request::builder().method(Method::POST).uri(format!("{}{path_and_query}", self.url.reveal()));
        request = request.header("accept-encoding", "identity").header(VIA, self.own.to_string());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let turn = tokio::time::timeout(self.queue_timeout, Arc::clone(&self.slots).acquire_owned());
        let slot = turn.await.map_err(|_elapsed| NoAnswer::Busy(Arc::clone(&self.url)))?;
        let slot = slot.map_err(|_closed| NoAnswer::Stopping)?;
        let (agent, is_final) = (self.agent.clone(), self.is_final);
        let asked = tokio::task::spawn_blocking(move || {
            let _slot = slot; // even if nobody waits for the answer any more
            let mut answer = agent.run(request.body(&body[..])?)?;
            let mut body = Vec::new();
            // What there is of it, if it breaks off: the status has been said.
            let _broken = answer.body_mut().as_reader().take(MAX_ANSWER_BYTES).read_to_end(&mut body);
            let status = answer.status();
            let fate = match status {
                status if status.is_success() => Fate::Delivered,
                status if is_final(status) => Fate::Rejected,
                _ => Fate::Failed,
            };
            Ok(Answer { fate, status, headers: answer.headers().clone(), body: body.into() })
        });
        asked.await.map_err(Arc::new)?.map_err(|error: ureq::Error| NoAnswer::Request {
            url: Arc::clone(&self.url),
            reason: self.url.hide_in(&error.to_string()),
        })
    }
}

/// 508 for what we have sent to ourselves.
pub(super) fn leads_back(table: &str) -> Reply {
    let what = format!("[{table}] `forward` leads back to qualm itself");
    reply::error(StatusCode::LOOP_DETECTED, &what, Some("it must name who comes behind qualm"))
}
