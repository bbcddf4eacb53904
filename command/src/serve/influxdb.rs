//! InfluxDB's write API: line protocol comes in as its clients send it, goes on with scores, and InfluxDB's own answer
//! comes back. And what clients ask before they write: whether somebody is there, and for a database.

use std::sync::Arc;

use bytes::Bytes;
use qualm_http::{Call, Pool, Refused, Reply, StatusCode, header, reply};
use qualm_pipeline::{Grammar, Lines};
use serde_json::json;
use tracing::warn;
use ureq::http::{HeaderName, HeaderValue};

use super::again::{Again, Delivery};
use super::forward::{self, Answer, Fate, Forward, NoAnswer};
use super::influxql::creates_database;
use super::vitals::Vitals;
use super::worker::Worker;

/// Where lines come in: of 1.x, 2.x, and 3.x.
pub const WRITES: [&str; 3] = ["/write", "/api/v2/write", V3];

/// Where times without a precision tell it by their size.
const V3: &str = "/api/v3/write_lp";

/// Headers that go on to InfluxDB, besides the client's authorization.
const ON: [&str; 2] = ["content-type", "user-agent"];

/// Headers of its answer that come back.
const BACK: [&str; 5] = ["content-type", "retry-after", "x-influxdb-version", "x-influxdb-build", "x-influxdb-error"];

/// The longest statement that is read.
const STATEMENT: usize = 64 << 10;

/// Takes line protocol.
#[derive(Debug)]
pub struct Influxdb {
    worker: Worker,
    again: Again<Outcome>,
    /// Where bodies are looked through before they are scored.
    preparing: Pool,
    forward: Forward,
    /// Whether the client's authorization is meant for InfluxDB: it is not where it is meant for us.
    passes_authorization: bool,
}

/// What becomes of a body: InfluxDB's answer, or why there is none.
pub type Outcome = Result<Answer, NoAnswer>;

/// A body on its way.
#[derive(Debug)]
struct Batch {
    body: Bytes,
    /// How many nanoseconds its times count; none where each tells that by its size.
    unit: Option<i64>,
    path: String,
    headers: Headers,
    to: Arc<Influxdb>,
}

type Headers = Vec<(HeaderName, HeaderValue)>;

impl Delivery for Batch {
    type Outcome = Outcome;

    fn all_have_times(&self) -> bool {
        Lines::all_have_times(Grammar::Influxdb, &self.body)
    }

    async fn score(&self) -> Result<Bytes, Outcome> {
        let scored = self.to.worker.score(self.body.clone(), self.unit).await;
        scored.map(|scored| scored.bytes).ok_or(Err(NoAnswer::Stopping))
    }

    async fn pass_on(&self, scored: Bytes) -> Outcome {
        let outcome = self.to.forward.send(&self.path, self.headers.clone(), scored).await;
        outcome.inspect_err(|error| warn!("lines do not get on: {error}. The client is asked to try again"))
    }

    fn is_final(outcome: &Outcome) -> bool {
        outcome.as_ref().is_ok_and(|answer| answer.fate != Fate::Failed)
    }
}

impl Influxdb {
    /// With the pipeline that scores, where scored lines go, and a random number.
    #[must_use]
    pub fn new(worker: Worker, forward: Forward, passes_authorization: bool, seed: u64) -> Self {
        Self { worker, again: Again::new(seed), preparing: Pool::of_cores(), forward, passes_authorization }
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

    /// The way on.
    #[must_use]
    pub fn forward(&self) -> &Forward {
        &self.forward
    }

    /// `POST` to one of [`WRITES`]: a batch of lines.
    ///
    /// # Errors
    ///
    /// Where its body is not to be had.
    pub async fn write(self: Arc<Self>, mut call: Call) -> Result<Reply, Refused> {
        if self.forward.is_own(call.headers()) {
            return Ok(forward::leads_back("influxdb"));
        }
        let Ok(unit) = unit(call.path(), &call.query("precision").unwrap_or_default()) else {
            let hint = "one of ns, us, ms, s (and, for /write, n, u, m, h)";
            return Ok(reply::error(StatusCode::BAD_REQUEST, "`precision` is not known", Some(hint)));
        };
        let body = Bytes::from_owner(call.bytes(call.limit()).await?);
        let (path, headers) = (self.path(&call), self.headers(&call));
        // What another user sends may fare otherwise.
        let mut place = path.clone().into_bytes();
        for (name, value) in headers.iter().filter(|(name, _)| *name == header::AUTHORIZATION) {
            place.extend_from_slice(&[name.as_str().as_bytes(), value.as_bytes()].concat());
        }
        let (again, whole) = (self.again.clone(), body.clone());
        let digest = self.preparing.run_over(body.len(), move || again.digest(&place, &whole)).await;
        let batch = Batch { body, unit, path, headers, to: Arc::clone(&self) };
        let outcome = self.again.bring(digest, batch).await.unwrap_or(Err(NoAnswer::Stopping));
        Ok(outcome.map_or_else(|error| unavailable(&error), back))
    }

    /// `POST /query`: `CREATE DATABASE`, and nothing else.
    ///
    /// # Errors
    ///
    /// Where its body is not to be had.
    pub async fn query(self: Arc<Self>, mut call: Call) -> Result<Reply, Refused> {
        if self.forward.is_own(call.headers()) {
            return Ok(forward::leads_back("influxdb"));
        }
        let form = call.bytes(STATEMENT).await?;
        let Some(statement) = form_value(&form, "q").or_else(|| Some(call.query("q")?.into_owned())) else {
            return Ok(reply::error(StatusCode::BAD_REQUEST, "missing required parameter \"q\"", None));
        };
        if !creates_database(&statement) {
            let hint = "qualm passes on what is written; ask InfluxDB itself";
            let what = "of queries only a single CREATE DATABASE is passed on";
            return Ok(reply::error(StatusCode::BAD_REQUEST, what, Some(hint)));
        }
        let path = self.query_path(&call, &statement);
        Ok(match self.forward.ask(&path, self.headers(&call), Bytes::new()).await {
            Ok(Answer {
                status: StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED,
                ..
            }) => created(),
            Ok(answer) => back(answer),
            Err(error) => unavailable(&error),
        })
    }

    /// Where a body goes: the client's path and query, but for a password in it that is meant for us.
    fn path(&self, call: &Call) -> String {
        let query = if self.passes_authorization { call.raw_query().into() } else { call.query_without_credentials() };
        if query.is_empty() { call.path().to_owned() } else { format!("{}?{query}", call.path()) }
    }

    /// Where a statement goes. Nothing else of the query does, but for a user and a password that are meant for InfluxDB.
    fn query_path(&self, call: &Call, statement: &str) -> String {
        let is_theirs = |name: &str| self.passes_authorization && matches!(name, "u" | "p");
        let credentials = call.query_pairs().filter(|(name, _)| is_theirs(name));
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("q", statement)
            .extend_pairs(credentials)
            .finish();
        format!("{}?{query}", call.path())
    }

    fn headers(&self, call: &Call) -> Headers {
        let authorization = self.passes_authorization.then_some("authorization");
        let wanted = ON.into_iter().chain(authorization);
        let header = |name: &'static str| Some((HeaderName::from_static(name), call.headers().get(name)?.clone()));
        wanted.filter_map(header).collect()
    }
}

/// `GET /health`, as InfluxDB 2.x answers it: whether lines can be written here.
#[must_use]
pub fn health(takes_lines: bool) -> Reply {
    let (status, passes, message) = if takes_lines {
        (StatusCode::OK, "pass", "ready for writes")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "fail", "no InfluxDB is configured behind this: [influxdb] `forward`")
    };
    let version = concat!("qualm-", env!("CARGO_PKG_VERSION"));
    let told = json!({ "name": "qualm", "message": message, "status": passes, "checks": [], "version": version });
    reply::json(status, &told)
}

/// What InfluxDB 1.x answers where a database has been created: who comes behind makes them by itself.
fn created() -> Reply {
    reply::json(StatusCode::OK, &json!({ "results": [{ "statement_id": 0 }] }))
}

/// The value of this name in a form.
fn form_value(form: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(form).find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

/// InfluxDB's answer, as the client's.
fn back(answer: Answer) -> Reply {
    let mut reply = reply::empty(answer.status);
    for name in BACK {
        if let Some(value) = answer.headers.get(name) {
            reply.headers_mut().insert(HeaderName::from_static(name), value.clone());
        }
    }
    *reply.body_mut() = reply::full(answer.body);
    reply
}

/// As InfluxDB says it: a text for clients of 1.x, a code and a message for those of 2.x.
fn unavailable(error: &NoAnswer) -> Reply {
    let why = error.to_string();
    let text = serde_json::json!({ "code": "unavailable", "message": why, "error": why }).to_string();
    let mut reply = reply::bytes(StatusCode::SERVICE_UNAVAILABLE, "application/json", text);
    reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    reply
}

/// What InfluxDB means when it refuses a body, and not just now: its clients ask again after 408, 429 and 5xx but 501.
#[must_use]
pub fn is_final(status: StatusCode) -> bool {
    let passes = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
        || (status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED);
    !passes
}

/// A precision that no InfluxDB knows.
struct UnknownPrecision;

/// How many nanoseconds times count that are written to this path with this precision; none where each tells that by its
/// size.
fn unit(path: &str, precision: &str) -> Result<Option<i64>, UnknownPrecision> {
    Ok(Some(match precision {
        "" | "auto" if path == V3 => return Ok(None),
        "" | "ns" | "n" | "nanosecond" | "auto" => 1,
        "us" | "u" | "µ" | "microsecond" => 1_000,
        "ms" | "millisecond" => 1_000_000,
        "s" | "second" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return Err(UnknownPrecision),
    }))
}
