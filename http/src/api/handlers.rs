//! The handlers of the API: from requests to models, scores and jobs, and back to answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::jobs::{Format, Jobs, Wanted};
use super::models::{Model, Registry};
use super::problem::{Problem, shown};
use super::score::{Limits, Request, Rows};
use crate::pool::Pool;
use crate::reply::{self, Reply};
use crate::{Call, Payload, Refused, Router};

/// The document that describes the endpoints.
const OPENAPI: &str = include_str!("openapi.json");

/// The largest body that counts as small.
const MAX_SMALL_BYTES: usize = 32 << 10;

/// Threads that score at once. Each model has two at most, so that only many slow models can delay the others.
const SCORING: usize = 64;

/// Threads for other requests: the directory of models, and jobs with their files.
const OTHERS: usize = 8;

/// The API.
#[derive(Debug)]
pub struct Api {
    registry: Arc<Registry>,
    /// `None` if uploads are not accepted.
    jobs: Option<Jobs>,
    options: Options,
    /// Reads large requests, for which small ones do not wait.
    reading: Pool,
    /// Reads small requests, and scores all.
    scoring: Pool,
    /// Does everything else.
    others: Pool,
}

/// The progress of a request for scores.
enum Step {
    /// Its model is to be loaded first.
    Load(String),
    /// Its rows are to be scored, once it is their turn.
    Score(Rows, Arc<Model>),
    /// The answer is complete.
    Done(Vec<u8>),
}

/// The limits of requests for scores.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The body of a request for scores, in bytes.
    pub body: usize,
    /// Its rows.
    pub rows: Limits,
}

/// 32 MiB: a hundred thousand rows of a dozen features.
impl Default for Options {
    fn default() -> Self {
        Self { body: 32 << 20, rows: Limits::default() }
    }
}

/// Why a request failed.
enum Failure {
    Problem(Problem),
    Refused(Refused),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Failure> for Reply {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refused) => refused.into(),
            Failure::Problem(problem) => {
                let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let mut reply = reply::bytes(status, "application/json", problem.to_json());
                if let Some(seconds) = problem.retry_after {
                    reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
                }
                reply
            }
        }
    }
}

type Answer = Result<Reply, Failure>;

impl Api {
    /// Serves these models and, where there are `jobs`, takes uploads.
    #[must_use]
    pub fn new(registry: Arc<Registry>, jobs: Option<Jobs>, options: Options) -> Arc<Self> {
        let (reading, scoring, others) = (Pool::of_cores(), Pool::new(SCORING), Pool::new(OTHERS));
        Arc::new(Self { registry, jobs, options, reading, scoring, others })
    }

    /// The models that it serves.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Adds the routes of the API.
    #[must_use]
    pub fn routes(self: &Arc<Self>, router: Router) -> Router {
        let index = index();
        let with = |handle: fn(Arc<Self>, Call) -> Answering| {
            let api = Arc::clone(self);
            move |call| handle(Arc::clone(&api), call)
        };
        router
            .route(Method::GET, "/api/v1/", move |_: Call| {
                let index = reply::json(StatusCode::OK, &index);
                async move { index }
            })
            .route(Method::GET, "/api/v1/openapi.json", async |_: Call| {
                reply::bytes(StatusCode::OK, "application/json", OPENAPI)
            })
            .route(Method::POST, "/api/v1/score", with(|api, call| Box::pin(api.score(call))))
            .route(Method::GET, "/api/v1/models", with(|api, _| Box::pin(api.models())))
            .route(Method::GET, "/api/v1/models/{name}", with(|api, call| Box::pin(api.model(call))))
            .route(Method::GET, "/api/v1/bundles", with(|api, call| Box::pin(api.uploads(call))))
            .route(Method::POST, "/api/v1/bundles", with(|api, call| Box::pin(api.upload(call))))
            .route(Method::GET, "/api/v1/bundles/{id}", with(|api, call| Box::pin(api.upload_status(call))))
            .route(Method::DELETE, "/api/v1/bundles/{id}", with(|api, call| Box::pin(api.cancel(call))))
    }

    /// Ends all jobs, and waits until they are removed, which may take a moment.
    pub fn stop(&self) {
        if let Some(jobs) = &self.jobs {
            jobs.stop();
        }
    }

    async fn score(self: Arc<Self>, mut call: Call) -> Answer {
        let kind = call.header(CONTENT_TYPE).unwrap_or("application/json");
        if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
            return Err(not_taken(kind, "send application/json").into());
        }
        let body = Arc::new(call.bytes(self.options.body).await?);
        let mut model = None;
        loop {
            match self.step(Arc::clone(&body), model.take()).await? {
                Step::Load(name) => model = Some(self.registry.find_soon(&name).await?),
                Step::Done(answer) => return Ok(json(StatusCode::OK, answer)),
                Step::Score(rows, model) => {
                    let turn = model.turn(rows.are_few()).await;
                    drop(body); // its memory is free for others
                    let scored = move || {
                        let _turn = turn; // held until that is done, even if the client is gone
                        rows.score(&model)
                    };
                    return Ok(json(StatusCode::OK, self.scoring.run(scored).await?));
                }
            }
        }
    }

    /// Processes a request as far as possible without waiting for others, with its `model`, if that has been found.
    async fn step(self: &Arc<Self>, body: Arc<Payload>, model: Option<Arc<Model>>) -> Result<Step, Problem> {
        let is_small = body.len() <= MAX_SMALL_BYTES;
        let api = Arc::clone(self);
        let step = move || {
            let request = Request::parse(&body)?;
            let model = match model {
                Some(model) => Some(model),
                None => api.registry.find_loaded(&request.model)?,
            };
            let Some(model) = model else { return Ok(Step::Load(request.model.into_owned())) };
            let rows = Rows::read(&request, &model, api.options.rows)?;
            let turn = if is_small { model.turn_now(rows.are_few()) } else { None };
            match turn {
                Some(_turn) => Ok(Step::Done(rows.score(&model)?)),
                None => Ok(Step::Score(rows, model)),
            }
        };
        if is_small { self.scoring.run(step).await } else { self.reading.run(step).await }
    }

    async fn models(self: Arc<Self>) -> Answer {
        let api = Arc::clone(&self);
        Ok(self
            .others
            .run(move || reply::json(StatusCode::OK, &BTreeMap::from([("models", api.registry.list())])))
            .await)
    }

    async fn model(self: Arc<Self>, call: Call) -> Answer {
        let api = Arc::clone(&self);
        let about = move || api.registry.about(call.parameter("name").unwrap_or_default());
        Ok(reply::json(StatusCode::OK, &self.others.run(about).await?))
    }

    async fn uploads(self: Arc<Self>, call: Call) -> Answer {
        let api = Arc::clone(&self);
        let list = move || api.jobs.as_ref().map(|jobs| jobs.list(&jobs.owner(call.token()))).unwrap_or_default();
        Ok(reply::json(StatusCode::OK, &BTreeMap::from([("bundles", self.others.run(list).await)])))
    }

    async fn upload(self: Arc<Self>, mut call: Call) -> Answer {
        let no_uploads = || {
            Problem::new(403, "this server takes no uploads")
                .hint("train with `qualm train`, and give the bundle to whoever runs this")
        };
        let owner = self.jobs.as_ref().ok_or_else(no_uploads)?.owner(call.token());
        let wanted = wanted(&call)?;
        let api = Arc::clone(&self);
        let begin = move || api.jobs.as_ref().ok_or_else(no_uploads)?.begin(&owner, wanted);
        let upload = self.others.run(begin).await?;
        call.save(upload.path(), upload.limit()).await?;
        let status = self.others.run(move || upload.submit()).await?;
        let mut reply = reply::json(StatusCode::ACCEPTED, &status);
        // An id is made of letters and digits.
        if let Ok(location) = HeaderValue::from_str(&status.url) {
            reply.headers_mut().insert(LOCATION, location);
        }
        Ok(reply)
    }

    async fn upload_status(self: Arc<Self>, call: Call) -> Answer {
        let api = Arc::clone(&self);
        let status = move || {
            let jobs = api.jobs.as_ref().ok_or_else(Jobs::unknown)?;
            jobs.get(&jobs.owner(call.token()), call.parameter("id").unwrap_or_default())
        };
        Ok(reply::json(StatusCode::OK, &self.others.run(status).await?))
    }

    async fn cancel(self: Arc<Self>, call: Call) -> Answer {
        let api = Arc::clone(&self);
        let cancel = move || {
            let jobs = api.jobs.as_ref().ok_or_else(Jobs::unknown)?;
            jobs.cancel(&jobs.owner(call.token()), call.parameter("id").unwrap_or_default())
        };
        Ok(reply::json(StatusCode::OK, &self.others.run(cancel).await?))
    }
}

type Answering = std::pin::Pin<Box<dyn Future<Output = Answer> + Send>>;

fn json(status: StatusCode, body: Vec<u8>) -> Reply {
    reply::bytes(status, "application/json", body)
}

fn not_taken(kind: &str, hint: &str) -> Problem {
    Problem::new(415, format!("{} is not taken here", shown(kind))).hint(hint)
}

/// The parameters of an upload.
fn wanted(call: &Call) -> Result<Wanted, Problem> {
    for (name, _) in call.query_pairs() {
        if !["name", "detector"].contains(&&*name) {
            return Err(
                Problem::of_field(shown(&name), "there is no such parameter").hint("known are name and detector")
            );
        }
    }
    let parameter = |name: &str, hint: &str| {
        let value = call.query(name).map(std::borrow::Cow::into_owned);
        value.ok_or_else(|| Problem::of_field(name, "it is missing").hint(hint))
    };
    let name = parameter("name", "POST /api/v1/bundles?name=NAME&detector=KIND")?;
    let kinds = format!("one of {}", qualm_offline::train::kinds::KINDS.join(", "));
    let detector = parameter("detector", &kinds)?;
    let kind = call.header(CONTENT_TYPE).unwrap_or("an upload without a content-type");
    let format = Format::of(kind).ok_or_else(|| not_taken(kind, "send text/csv, or application/x-ndjson"))?;
    Ok(Wanted { name, detector, format })
}

/// The endpoints, in short.
#[derive(Debug, Clone, Serialize)]
struct Index {
    name: &'static str,
    version: &'static str,
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Clone, Serialize)]
struct Endpoint {
    method: String,
    path: String,
    summary: String,
}

/// The endpoints, as `openapi.json` describes them.
fn index() -> Index {
    #[derive(Deserialize)]
    struct Document {
        paths: BTreeMap<String, BTreeMap<String, serde_json::Value>>,
    }
    let document: Document = serde_json::from_str(OPENAPI).expect("a test reads the very same document");
    let operations = document.paths.into_iter().flat_map(|(path, methods)| {
        let with_path = move |(method, operation): (String, serde_json::Value)| {
            let summary = operation.get("summary")?.as_str()?.to_owned();
            Some(Endpoint { method: method.to_ascii_uppercase(), path: path.clone(), summary })
        };
        methods.into_iter().filter_map(with_path)
    });
    Index { name: "qualm", version: env!("CARGO_PKG_VERSION"), endpoints: operations.collect() }
}

#[cfg(test)]
mod tests {
    use super::super::models;
    use super::*;

    #[test]
    fn every_route_is_in_the_document_and_the_reverse() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::open(models::Options::of(dir.path()), qualm_core::BuiltIn);
        let router = Api::new(registry, None, Options::default()).routes(Router::new());
        let mut routes: Vec<_> = router.routes().iter().map(|r| format!("{} {}", r.method, r.path)).collect();
        let documented = index().endpoints;
        let mut documented: Vec<_> = documented.iter().map(|e| format!("{} {}", e.method, e.path)).collect();
        routes.sort();
        documented.sort();
        assert_eq!(routes, documented);
    }

    #[test]
    fn the_document_names_the_kinds_that_there_are() {
        let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let detector = &document["paths"]["/api/v1/bundles"]["post"]["parameters"][1];
        assert_eq!(detector["name"], "detector");
        let mut kinds: Vec<_> =
            detector["schema"]["enum"].as_array().unwrap().iter().filter_map(|k| k.as_str()).collect();
        let mut known = qualm_offline::train::kinds::KINDS.to_vec();
        kinds.sort_unstable();
        known.sort_unstable();
        assert_eq!(kinds, known);
    }
}
