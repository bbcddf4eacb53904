//! InfluxDB's write API: line protocol comes in as its clients send it, goes on with scores, and InfluxDB's own answer
//! comes back.

use std::sync::Arc;

use bytes::Bytes;
use qualm_http::{Call, Pool, Refused, Reply, StatusCode, header, reply};
use tracing::warn;
use ureq::http::{HeaderName, HeaderValue};

use super::again::Again;
use super::forward::{Answer, Fate, Forward};
use super::observe;
use super::vitals::Vitals;
use super::worker::Worker;

/// Headers that go on to InfluxDB, besides the client's authorization.
const ON: [&str; 2] = ["content-type", "user-agent"];

/// Headers of its answer that come back.
const BACK: [&str; 5] = ["content-type", "retry-after", "x-influxdb-version", "x-influxdb-build", "x-influxdb-error"];

/// Takes line protocol.
#[derive(Debug)]
pub struct Influxdb {
    worker: Worker,
    again: Again,
    /// Where bodies are looked through before they are scored.
    preparing: Pool,
    forward: Forward,
    /// Whether the client's authorization is meant for InfluxDB: it is not where it is meant for us.
    passes_authorization: bool,
}

impl Influxdb {
    /// With the pipeline that scores, where scored lines go, and a random number.
    #[must_use]
    pub fn new(worker: Worker, forward: Forward, passes_authorization: bool, seed: u64) -> Self {
        Self { worker, again: Again::new(seed), preparing: Pool::of_cores(), forward, passes_authorization }
    }

    /// Bodies that came again.
    #[must_use]
    pub fn again(&self) -> &Again {
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

    /// `POST /write` or `/api/v2/write`: a batch of lines.
    ///
    /// # Errors
    ///
    /// Where its body is not to be had.
    pub async fn write(self: Arc<Self>, mut call: Call) -> Result<Reply, Refused> {
        if self.forward.is_own(call.headers()) {
            return Ok(observe::loops("influxdb"));
        }
        let Some(unit) = unit(call.query("precision").as_deref()) else {
            let hint = "one of ns, us, ms, s (and, for /write, n, u, m, h)";
            return Ok(reply::error(StatusCode::BAD_REQUEST, "`precision` is not known", Some(hint)));
        };
        let body = Bytes::from_owner(call.bytes(call.limit()).await?);
        let path = self.path(&call);
        let (this, place, whole) = (Arc::clone(&self), path.clone(), body.clone());
        let digest = self.preparing.run_over(body.len(), move || this.again.digest(&place, &whole)).await;
        let scored: Bytes = match self.again.find(digest) {
            Some(scored) => scored,
            None => match self.worker.score(body.clone(), unit).await {
                Some(scored) => scored.bytes,
                None => return Ok(unavailable("qualm is stopping")),
            },
        };
        self.again.keep(digest, scored.clone());
        let answer = self.forward.send(&path, self.headers(&call), scored).await;
        drop(body); // until now it counted among what is in memory: others had to wait
        Ok(match answer {
            Ok(answer) => {
                if answer.fate != Fate::Failed {
                    self.again.done(digest);
                }
                back(answer)
            }
            Err(error) => {
                warn!("lines do not get on: {error}. The client is asked to try again");
                unavailable(&error)
            }
        })
    }

    /// Where the body goes: the client's path and query, but for a password in it that is meant for us.
    fn path(&self, call: &Call) -> String {
        let ours = |part: &&str| self.passes_authorization || !(part.starts_with("u=") || part.starts_with("p="));
        let query: Vec<&str> = call.raw_query().split('&').filter(|part| !part.is_empty()).filter(ours).collect();
        match &query[..] {
            [] => call.path().to_owned(),
            query => format!("{}?{}", call.path(), query.join("&")),
        }
    }

    fn headers(&self, call: &Call) -> Vec<(HeaderName, HeaderValue)> {
        let authorization = self.passes_authorization.then_some("authorization");
        let wanted = ON.into_iter().chain(authorization);
        let header = |name: &'static str| Some((HeaderName::from_static(name), call.headers().get(name)?.clone()));
        wanted.filter_map(header).collect()
    }
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
fn unavailable(why: &str) -> Reply {
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

/// How many nanoseconds times count. None for a precision that is not known.
fn unit(precision: Option<&str>) -> Option<i64> {
    Some(match precision.unwrap_or("ns") {
        "ns" | "n" | "nanosecond" | "auto" => 1,
        "us" | "u" | "µ" | "microsecond" => 1_000,
        "ms" | "millisecond" => 1_000_000,
        "s" | "second" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}
