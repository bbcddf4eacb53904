//! What can be seen of a running qualm: health, metrics, the live page. The same in `execd` and `serve`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use qualm::config::Http;
use qualm::supervisor::Mode;
use qualm::view::{View, live};
use qualm_http::exposition::{Exposition, Format};
use qualm_http::{Call, Method, Pool, Reply, Router, Server, StatusCode, header, reply};
use serde_json::json;
use tokio::runtime::Builder;

use super::observed::Observed;
use super::{Error, listen_as, listening, metrics};

/// Threads that make what the live page shows.
const PAGES: usize = 2;

/// Lets others see a pipeline that runs elsewhere, for as long as this process lives.
///
/// # Errors
///
/// Where nobody can be listened to.
pub fn beside(http: &Http, listen: SocketAddr, view: Arc<View>) -> Result<(), Error> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let server = runtime.block_on(async { Server::bind(listen_as(http, listen)) })?;
    listening(&server, http);
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

/// Adds what can be seen.
#[must_use]
pub fn routes(router: Router, observed: &Arc<Observed>) -> Router {
    let with = |answer: fn(&Observed, &Call) -> Reply| {
        let observed = Arc::clone(observed);
        move |call: Call| {
            let reply = answer(&observed, &call);
            async move { reply }
        }
    };
    // What the page asks for is a lot of text. Health and metrics are told at once: nothing that takes a while is in them.
    let pool = Arc::new(Pool::new(PAGES));
    let with_time = |answer: fn(&Observed, &Call) -> Reply| {
        let (observed, pool) = (Arc::clone(observed), Arc::clone(&pool));
        move |call: Call| {
            let (observed, pool) = (Arc::clone(&observed), Arc::clone(&pool));
            async move { pool.run(move || answer(&observed, &call)).await }
        }
    };
    let router = qualm_http::live::routes(router)
        .open(Method::GET, "/healthz", with(health))
        .open(Method::GET, "/readyz", with(ready))
        .open(Method::GET, "/ping", with(|_, _| pong()))
        .route(Method::GET, "/metrics", with(exposition))
        .route(Method::GET, "/api/v1/live", with_time(overview))
        .route(Method::GET, "/api/v1/live/series/{id}", with_time(series));
    match observed.mode {
        "serve" => router.route(
            Method::GET,
            "/vector",
            with(|observed, _| match &observed.vector {
                Some(_) => reply::text(StatusCode::OK, "POST Vector's events here\n"),
                None => nothing_behind("vector", "http://127.0.0.1:18002"),
            }),
        ),
        _ => router,
    }
}

/// Answers applications where there is no directory of models.
#[must_use]
pub fn without_models(router: Router) -> Router {
    let answer = async |_: Call| {
        let hint = "in the configuration: [http] models = \"/var/lib/qualm/models\"";
        reply::error(StatusCode::NOT_FOUND, "there are no models to score with", Some(hint))
    };
    router.route(Method::POST, "/api/v1/score", answer).route(Method::POST, "/api/v1/bundles", answer)
}

/// For a way in that leads nowhere: 503, since senders drop what they are told is wrong, and wait for what may come.
#[must_use]
pub fn nothing_behind(table: &str, example: &str) -> Reply {
    let hint = format!("in the configuration: [{table}] forward = \"{example}\"");
    reply::error(StatusCode::SERVICE_UNAVAILABLE, "nothing is configured behind this", Some(&hint))
}

/// What InfluxDB's clients take for alive.
fn pong() -> Reply {
    let mut reply = reply::empty(StatusCode::NO_CONTENT);
    let version = header::HeaderValue::from_static(concat!("qualm-", env!("CARGO_PKG_VERSION")));
    reply.headers_mut().insert("x-influxdb-version", version);
    reply
}

/// Whether all pipelines work.
fn health(observed: &Observed, _: &Call) -> Reply {
    let troubles = observed.vitals().filter_map(|(name, vitals)| Some((name, vitals.trouble()?)));
    let text: String = troubles.map(|(name, trouble)| format!("pipeline `{name}`: {trouble}\n")).collect();
    match text.as_str() {
        "" => reply::text(StatusCode::OK, "ok\n"),
        _ => reply::text(StatusCode::SERVICE_UNAVAILABLE, text),
    }
}

/// Whether metrics that come now are scored, as far as that is up to us; 200 even where a detector has no model as yet or
/// rests, since metrics pass all the same.
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
    let trouble = observed.vector.as_ref().and_then(|vector| vector.trouble());
    let broken: Vec<_> = observed
        .vitals()
        .filter_map(|(name, vitals)| Some(json!({ "pipeline": name, "error": vitals.trouble()? })))
        .collect();
    let ready = broken.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let told = json!({ "ready": ready, "pipelines": broken, "detectors": detectors, "way_back": trouble });
    reply::json(status, &told)
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
