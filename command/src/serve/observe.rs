//! Health, metrics and the live page, for `execd` and `serve`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use qualm::Mode;
use qualm::config::Http;
use qualm::view::{View, live};
use qualm_http::exposition::{Exposition, Format};
use qualm_http::{Call, Method, Pool, Reply, Router, Server, StatusCode, header, reply};
use serde_json::json;
use tokio::runtime::Builder;

use super::observed::Observed;
use super::{Error, listen_options, log_address, metrics};

/// Threads that encode the live page's data.
const PAGE_THREADS: usize = 2;

/// Serves the view of a pipeline on another thread, until this process ends.
///
/// # Errors
///
/// Where the address cannot be bound.
pub fn serve_view(http: &Http, listen: SocketAddr, view: Arc<View>) -> Result<(), Error> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let server = runtime.block_on(async { Server::bind(listen_options(http, listen)) })?;
    log_address(&server, http);
    let observed = Observed {
        mode: "execd",
        registry: None,
        views: vec![view],
        server: server.counts(),
        vector: None,
        influxdb: None,
    };
    let router = routes(Router::new(), &Arc::new(observed));
    let serve = move || runtime.block_on(server.run(router, std::future::pending()));
    let _detached = thread::Builder::new().name("qualm-http".to_owned()).spawn(serve)?;
    Ok(())
}

/// Adds the routes.
#[must_use]
pub fn routes(router: Router, observed: &Arc<Observed>) -> Router {
    let inline = |answer: fn(&Observed, &Call) -> Reply| {
        let observed = Arc::clone(observed);
        move |call: Call| {
            let reply = answer(&observed, &call);
            async move { reply }
        }
    };
    // The live page's data are large. Health and metrics are answered at once: they take no time.
    let pool = Arc::new(Pool::new(PAGE_THREADS));
    let pooled = |answer: fn(&Observed, &Call) -> Reply| {
        let (observed, pool) = (Arc::clone(observed), Arc::clone(&pool));
        move |call: Call| {
            let (observed, pool) = (Arc::clone(&observed), Arc::clone(&pool));
            async move { pool.run(move || answer(&observed, &call)).await }
        }
    };
    let router = qualm_http::live::routes(router)
        .open(Method::GET, "/healthz", inline(health))
        .open(Method::GET, "/readyz", inline(ready))
        .open(Method::GET, "/ping", inline(|_, _| ping()))
        .route(Method::GET, "/metrics", inline(exposition))
        .route(Method::GET, "/api/v1/live", pooled(overview))
        .route(Method::GET, "/api/v1/live/series/{id}", pooled(series));
    match observed.mode {
        "serve" => router.route(
            Method::GET,
            "/vector",
            inline(|observed, _| match &observed.vector {
                Some(_) => reply::text(StatusCode::OK, "POST Vector's events here\n"),
                None => not_configured("vector", "http://127.0.0.1:18002"),
            }),
        ),
        _ => router,
    }
}

/// Adds the scoring API's routes where no directory of models is configured: 404.
#[must_use]
pub fn without_models(router: Router) -> Router {
    let answer = async |_: Call| {
        let hint = "in the configuration: [http] models = \"/var/lib/qualm/models\"";
        reply::error(StatusCode::NOT_FOUND, "there are no models to score with", Some(hint))
    };
    router.route(Method::POST, "/api/v1/score", answer).route(Method::POST, "/api/v1/bundles", answer)
}

/// The answer of an endpoint without `forward`: 503, since senders drop a batch after 4xx, and retry after 5xx.
#[must_use]
pub fn not_configured(table: &str, example: &str) -> Reply {
    let hint = format!("in the configuration: [{table}] forward = \"{example}\"");
    reply::error(StatusCode::SERVICE_UNAVAILABLE, "nothing is configured behind this", Some(&hint))
}

/// `GET /ping`, as InfluxDB answers it.
fn ping() -> Reply {
    let mut reply = reply::empty(StatusCode::NO_CONTENT);
    let version = header::HeaderValue::from_static(concat!("qualm-", env!("CARGO_PKG_VERSION")));
    reply.headers_mut().insert("x-influxdb-version", version);
    reply
}

/// Whether all pipelines work.
fn health(observed: &Observed, _: &Call) -> Reply {
    let problems = observed.pipelines().filter_map(|(name, health)| Some((name, health.problem()?)));
    let text: String = problems.map(|(name, problem)| format!("pipeline `{name}`: {problem}\n")).collect();
    match text.as_str() {
        "" => reply::text(StatusCode::OK, "ok\n"),
        _ => reply::text(StatusCode::SERVICE_UNAVAILABLE, text),
    }
}

/// Whether all pipelines score; 200 even where a detector waits for a model or rests, since metrics pass unscored then.
fn ready(observed: &Observed, _: &Call) -> Reply {
    let detectors: Vec<_> = observed.views.iter().flat_map(|view| {
        let snapshot = view.copy(|inside| inside.snapshot.clone());
        let state = |mode| match mode {
            Mode::Scoring => "scoring",
            Mode::Waiting => "waiting for a model",
            Mode::Resting => "resting after failures",
        };
        let one = |one: &qualm::view::Detector| {
            json!({ "pipeline": view.name, "detector": one.name, "state": state(one.mode) })
        };
        snapshot.detectors.iter().map(one).collect::<Vec<_>>()
    }).collect();
    let problem = observed.vector.as_ref().and_then(|vector| vector.problem());
    let broken: Vec<_> = observed
        .pipelines()
        .filter_map(|(name, health)| Some(json!({ "pipeline": name, "error": health.problem()? })))
        .collect();
    let ready = broken.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "ready": ready, "pipelines": broken, "detectors": detectors, "way_back": problem });
    reply::json(status, &body)
}

fn exposition(observed: &Observed, call: &Call) -> Reply {
    let format = Format::accepted(call.header(header::ACCEPT));
    let mut out = Exposition::new(format);
    metrics::expose(observed, &mut out);
    reply::bytes(StatusCode::OK, format.content_type(), out.finish())
}

fn overview(observed: &Observed, _: &Call) -> Reply {
    reply::json(StatusCode::OK, &live::overview(observed.mode, observed.registry.is_some(), &observed.views))
}

fn series(observed: &Observed, call: &Call) -> Reply {
    let id = call.parameter("id").unwrap_or_default();
    let hint = "GET /api/v1/live lists the series that are recorded";
    let gone = || reply::error(StatusCode::NOT_FOUND, "there is no such series, or no more", Some(hint));
    live::series(&observed.views, id).map_or_else(gone, |series| reply::json(StatusCode::OK, &series))
}
