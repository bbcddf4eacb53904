//! Forwards scored bodies to the next server, by HTTP.

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

/// Requests in flight: each has a thread that waits for its answer.
const MAX_IN_FLIGHT: usize = 32;

/// The bytes of an answer's body that are read.
const MAX_ANSWER_BYTES: u64 = 1 << 20;

/// The time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The header with the id of the process that forwarded a body.
const VIA_HEADER: &str = "x-qualm-via";

/// Forwards bodies to one server.
#[derive(Debug)]
pub struct Forward {
    agent: Agent,
    url: Arc<Secret>,
    /// This process in [`VIA_HEADER`], to detect loops.
    instance_id: u64,
    /// How long a body waits for its turn: less than its answer may take, or senders time out.
    queue_timeout: Duration,
    /// The statuses after which a retry is pointless.
    is_final: fn(StatusCode) -> bool,
    slots: Arc<Semaphore>,
    counts: Counts,
}

/// What was forwarded since the start.
#[derive(Debug, Default)]
pub struct Counts {
    /// Bodies that were accepted.
    pub delivered: AtomicU64,
    /// Bytes of these.
    pub bytes: AtomicU64,
    /// Bodies that were refused, and would be again.
    pub rejected: AtomicU64,
    /// Bodies that were not accepted, and may be at the next try.
    pub failed: AtomicU64,
}

/// Whether a body was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// It was.
    Delivered,
    /// It was not, and never will be.
    Rejected,
    /// It was not, and may be at the next try.
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
    /// Whether the body was accepted.
    pub delivery: DeliveryStatus,
    /// The answer's status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// The beginning of its body.
    pub body: Bytes,
}

impl Forward {
    /// To the server at `url`, which has `timeout` to answer. `is_final` says after which of its statuses, but for 2xx, a retry
    /// is pointless.
    ///
    /// # Errors
    ///
    /// Where `SSL_CERT_FILE` names a file without certificates.
    pub fn new(url: &Secret, timeout: Duration, is_final: fn(StatusCode) -> bool) -> Result<Self, BadCertificates> {
        let roots = source::roots()?;
        let config = Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .proxy(None) // the server mostly runs on this machine
            .max_redirects(0) // a redirected body is not delivered
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT.min(timeout)))
            .timeout_global(Some(timeout))
            .max_idle_connections_per_host(MAX_IN_FLIGHT)
            .user_agent(concat!("qualm/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            agent: config.into(),
            url: Arc::new(url.clone()),
            instance_id: qualm::random_seed(),
            queue_timeout: timeout / 2,
            slots: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
            is_final,
            counts: Counts::default(),
        })
    }

    /// What was forwarded.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Whether this process sent the request with these headers: `forward` leads back to it.
    #[must_use]
    pub fn is_loop(&self, headers: &HeaderMap) -> bool {
        headers.get(VIA_HEADER).is_some_and(|via| via.as_bytes() == self.instance_id.to_string().as_bytes())
    }

    /// The server's URL without secrets.
    #[must_use]
    pub fn display_url(&self) -> &str {
        self.url.shown()
    }

    /// Sends a body of metrics to `path_and_query` behind the URL, waits for the answer, and counts it.
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
        let answer = self.request(path_and_query, headers, body).await;
        let Counts { delivered, bytes, rejected, failed } = &self.counts;
        let counter = match answer.as_ref().map_or(DeliveryStatus::Failed, |answer| answer.delivery) {
            DeliveryStatus::Delivered => {
                bytes.fetch_add(length, Ordering::Relaxed);
                delivered
            }
            DeliveryStatus::Rejected => rejected,
            DeliveryStatus::Failed => failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        answer
    }

    /// The same for a request without metrics, which is not counted.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn request(
        &self,
        path_and_query: &str,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
    ) -> Result<Answer, NoAnswer> {
        let mut request = Request::builder().method(Method::POST).uri(format!("{}{path_and_query}", self.url.reveal()));
        request = request.header("accept-encoding", "identity").header(VIA_HEADER, self.instance_id.to_string());
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let slot = tokio::time::timeout(self.queue_timeout, Arc::clone(&self.slots).acquire_owned());
        let slot = slot.await.map_err(|_elapsed| NoAnswer::Busy(Arc::clone(&self.url)))?;
        let slot = slot.map_err(|_closed| NoAnswer::Stopping)?;
        let (agent, is_final) = (self.agent.clone(), self.is_final);
        let url = Arc::clone(&self.url);
        let failed = move |error: &dyn std::error::Error| NoAnswer::Request {
            reason: url.hide_in(&error.to_string()),
            url: Arc::clone(&url),
        };
        let answered = tokio::task::spawn_blocking(move || {
            let _slot = slot; // even if nobody waits for the answer any more
            let request = request.body(&body[..]).map_err(|error| failed(&error))?;
            let mut answer = agent.run(request).map_err(|error| failed(&error))?;
            let mut body = Vec::new();
            // A body that breaks off is cut: the status is what counts.
            let _cut = answer.body_mut().as_reader().take(MAX_ANSWER_BYTES).read_to_end(&mut body);
            let status = answer.status();
            let delivery = match status {
                status if status.is_success() => DeliveryStatus::Delivered,
                status if is_final(status) => DeliveryStatus::Rejected,
                _ => DeliveryStatus::Failed,
            };
            Ok(Answer { delivery, status, headers: answer.headers().clone(), body: body.into() })
        });
        answered.await.map_err(Arc::new)?
    }
}

/// 508 for a request that this process sent to itself.
pub(super) fn loop_detected(table: &str) -> Reply {
    let what = format!("[{table}] `forward` leads back to qualm itself");
    reply::error(StatusCode::LOOP_DETECTED, &what, Some("it must name who comes behind qualm"))
}
