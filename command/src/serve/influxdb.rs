//! InfluxDB's write API: line protocol as its clients send it is scored and forwarded, and InfluxDB's own answer returned.
//! Clients' requests before they write are answered too: health, and `CREATE DATABASE`.

use std::sync::Arc;

use bytes::Bytes;
use qualm_http::{Call, Pool, Refused, Reply, StatusCode, header, reply};
use qualm_pipeline::{Grammar, Lines};
use serde_json::json;
use tracing::warn;
use ureq::http::{HeaderName, HeaderValue};

use super::forward::{self, Answer, DeliveryStatus, Forward, NoAnswer};
use super::influxql::creates_database;
use super::retry_cache::{Delivery, RetryCache};
use super::worker::Worker;

/// The paths for writes of 1.x, 2.x, and 3.x.
pub const WRITE_PATHS: [&str; 3] = ["/write", "/api/v2/write", V3_WRITE_PATH];

/// The path where the precision of times is by default inferred from their size.
const V3_WRITE_PATH: &str = "/api/v3/write_lp";

/// Request headers that are forwarded, besides the client's authorization.
const FORWARDED_HEADERS: [&str; 2] = ["content-type", "user-agent"];

/// Headers of InfluxDB's answer that are returned.
const RETURNED_HEADERS: [&str; 5] =
    ["content-type", "retry-after", "x-influxdb-version", "x-influxdb-build", "x-influxdb-error"];

/// The bytes of a statement that are read.
const MAX_STATEMENT_BYTES: usize = 64 << 10;

/// The endpoint for line protocol.
#[derive(Debug)]
pub struct Influxdb {
    pub(super) worker: Worker,
    pub(super) retries: RetryCache<Outcome>,
    /// Computes the digests of large bodies.
    digest_pool: Pool,
    pub(super) forward: Forward,
    /// Whether the client's authorization is for InfluxDB, since qualm itself needs none.
    passes_authorization: bool,
}

/// InfluxDB's answer to a body, or why there is none.
pub type Outcome = Result<Answer, NoAnswer>;

/// A body in flight.
#[derive(Debug)]
struct Batch {
    body: Bytes,
    /// The unit of its times in nanoseconds; `None` where it is inferred from their size.
    unit: Option<i64>,
    path: String,
    headers: Headers,
    endpoint: Arc<Influxdb>,
}

type Headers = Vec<(HeaderName, HeaderValue)>;

impl Delivery for Batch {
    type Outcome = Outcome;

    fn all_have_times(&self) -> bool {
        Lines::all_have_times(Grammar::Influxdb, &self.body)
    }

    async fn score(&self) -> Result<Bytes, Outcome> {
        let scored = self.endpoint.worker.score(self.body.clone(), self.unit).await;
        scored.map(|scored| scored.bytes).ok_or(Err(NoAnswer::Stopping))
    }

    async fn pass_on(&self, scored: Bytes) -> Outcome {
        let outcome = self.endpoint.forward.send(&self.path, self.headers.clone(), scored).await;
        outcome.inspect_err(|error| warn!("lines cannot be delivered: {error}. The client is asked to try again"))
    }

    fn is_final(outcome: &Outcome) -> bool {
        outcome.as_ref().is_ok_and(|answer| answer.delivery != DeliveryStatus::Failed)
    }
}

impl Influxdb {
    /// Scores with `worker`, and delivers to `forward`. `seed` should be random.
    #[must_use]
    pub fn new(worker: Worker, forward: Forward, passes_authorization: bool, seed: u64) -> Self {
        Self { worker, retries: RetryCache::new(seed), digest_pool: Pool::of_cores(), forward, passes_authorization }
    }

    /// `POST` to one of [`WRITE_PATHS`]: a batch of lines.
    ///
    /// # Errors
    ///
    /// Where the body cannot be read.
    pub async fn write(self: Arc<Self>, mut call: Call) -> Result<Reply, Refused> {
        if self.forward.is_loop(call.headers()) {
            return Ok(forward::loop_detected("influxdb"));
        }
        let Ok(unit) = unit(call.path(), &call.query("precision").unwrap_or_default()) else {
            let hint = "one of ns, us, ms, s (and, for /write, n, u, m, h)";
            return Ok(reply::error(StatusCode::BAD_REQUEST, "`precision` is not known", Some(hint)));
        };
        let body = Bytes::from_owner(call.bytes(call.limit()).await?);
        let (path, headers) = (self.path(&call), self.headers(&call));
        // InfluxDB may answer another user otherwise.
        let mut destination = path.clone().into_bytes();
        for (name, value) in headers.iter().filter(|(name, _)| *name == header::AUTHORIZATION) {
            destination.extend_from_slice(&[name.as_str().as_bytes(), value.as_bytes()].concat());
        }
        let (retries, bytes) = (self.retries.clone(), body.clone());
        let digest = self.digest_pool.run_over(body.len(), move || retries.digest(&destination, &bytes)).await;
        let batch = Batch { body, unit, path, headers, endpoint: Arc::clone(&self) };
        let outcome = self.retries.deliver_once(digest, batch).await.unwrap_or(Err(NoAnswer::Stopping));
        Ok(outcome.map_or_else(|error| unavailable(&error), client_reply))
    }

    /// `POST /query`: `CREATE DATABASE`, and nothing else.
    ///
    /// # Errors
    ///
    /// Where the body cannot be read.
    pub async fn query(self: Arc<Self>, mut call: Call) -> Result<Reply, Refused> {
        if self.forward.is_loop(call.headers()) {
            return Ok(forward::loop_detected("influxdb"));
        }
        let form = call.bytes(MAX_STATEMENT_BYTES).await?;
        let Some(statement) = form_value(&form, "q").or_else(|| Some(call.query("q")?.into_owned())) else {
            return Ok(reply::error(StatusCode::BAD_REQUEST, "missing required parameter \"q\"", None));
        };
        if !creates_database(&statement) {
            let hint = "qualm passes on what is written; ask InfluxDB itself";
            let what = "of queries only a single CREATE DATABASE is passed on";
            return Ok(reply::error(StatusCode::BAD_REQUEST, what, Some(hint)));
        }
        let path = self.query_path(&call, &statement);
        Ok(match self.forward.request(&path, self.headers(&call), Bytes::new()).await {
            Ok(Answer {
                status: StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED,
                ..
            }) => database_created(),
            Ok(answer) => client_reply(answer),
            Err(error) => unavailable(&error),
        })
    }

    /// Where a body is delivered: the client's path and query, without credentials that are for qualm.
    fn path(&self, call: &Call) -> String {
        let query = if self.passes_authorization { call.raw_query().into() } else { call.query_without_credentials() };
        if query.is_empty() { call.path().to_owned() } else { format!("{}?{query}", call.path()) }
    }

    /// Where a statement is delivered. Of the client's query only credentials that are for InfluxDB are forwarded.
    fn query_path(&self, call: &Call, statement: &str) -> String {
        let is_credential = |name: &str| self.passes_authorization && matches!(name, "u" | "p");
        let credentials = call.query_pairs().filter(|(name, _)| is_credential(name));
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("q", statement)
            .extend_pairs(credentials)
            .finish();
        format!("{}?{query}", call.path())
    }

    fn headers(&self, call: &Call) -> Headers {
        let authorization = self.passes_authorization.then_some("authorization");
        let names = FORWARDED_HEADERS.into_iter().chain(authorization);
        let header = |name: &'static str| Some((HeaderName::from_static(name), call.headers().get(name)?.clone()));
        names.filter_map(header).collect()
    }
}

/// `GET /health`, as InfluxDB 2.x answers it: whether lines can be written here.
#[must_use]
pub fn health(accepts_lines: bool) -> Reply {
    let (status, result, message) = if accepts_lines {
        (StatusCode::OK, "pass", "ready for writes")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "fail", "no InfluxDB is configured behind this: [influxdb] `forward`")
    };
    let version = concat!("qualm-", env!("CARGO_PKG_VERSION"));
    let body = json!({ "name": "qualm", "message": message, "status": result, "checks": [], "version": version });
    reply::json(status, &body)
}

/// InfluxDB 1.x's answer to `CREATE DATABASE`, for servers that create databases by themselves.
fn database_created() -> Reply {
    reply::json(StatusCode::OK, &json!({ "results": [{ "statement_id": 0 }] }))
}

/// The value of a name in a form.
fn form_value(form: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(form).find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// InfluxDB's answer, for the client.
fn client_reply(answer: Answer) -> Reply {
    let mut reply = reply::empty(answer.status);
    for name in RETURNED_HEADERS {
        if let Some(value) = answer.headers.get(name) {
            reply.headers_mut().insert(HeaderName::from_static(name), value.clone());
        }
    }
    *reply.body_mut() = reply::full(answer.body);
    reply
}

/// 503 in InfluxDB's format: a text for clients of 1.x, a code and a message for those of 2.x.
fn unavailable(error: &NoAnswer) -> Reply {
    let why = error.to_string();
    let text = serde_json::json!({ "code": "unavailable", "message": why, "error": why }).to_string();
    let mut reply = reply::bytes(StatusCode::SERVICE_UNAVAILABLE, "application/json", text);
    reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    reply
}

/// Whether InfluxDB refuses a body for good: its clients try again after 408, 429 and 5xx but 501.
#[must_use]
pub fn is_final(status: StatusCode) -> bool {
    let is_temporary = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
        || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED);
    !is_temporary
}

/// A precision that no InfluxDB supports.
struct UnknownPrecision;

/// The unit in nanoseconds of times that are written to this path with this precision; `None` where it is inferred from their
/// size.
fn unit(path: &str, precision: &str) -> Result<Option<i64>, UnknownPrecision> {
    Ok(Some(match precision {
        "" | "auto" if path == V3_WRITE_PATH => return Ok(None),
        "" | "ns" | "n" | "nanosecond" | "auto" => 1,
        "us" | "u" | "µ" | "microsecond" => 1_000,
        "ms" | "millisecond" => 1_000_000,
        "s" | "second" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return Err(UnknownPrecision),
    }))
}
