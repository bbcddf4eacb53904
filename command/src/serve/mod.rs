//! `qualm serve`: one HTTP service for Vector, for InfluxDB's clients, for applications, and for people.
//!
//! Vector's events ([`vector`]) and InfluxDB's lines ([`influxdb`]) have an endpoint each, with a pipeline on a thread of its
//! own ([`worker`]). Scored bodies are delivered to the next server ([`forward`]); a body that is sent again is scored once
//! ([`retry_cache`]). Health, metrics and the live page ([`observe`]) are those of `execd` too.

mod drift_metrics;
pub mod forward;
pub mod influxdb;
mod influxql;
pub mod metrics;
pub mod observe;
pub mod observed;
pub mod pipeline_health;
pub mod retry_cache;
mod signals;
pub mod vector;
pub mod worker;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::{env, io};

use clap::Args;
use qualm::config::{self, Config, Http, LISTEN, Verdicts};
use qualm::state::Unsaved;
use qualm::view::View;
use qualm::{ModelBuilder, Pipeline, StartError};
use qualm_bundle::secret::Secret;
use qualm_bundle::source::BadCertificates;
use qualm_http::api::{self, Api, jobs, models};
use qualm_http::{Call, Limits, Method, Options as Listen, Router, Server, Tls};
use qualm_pipeline::{Grammar, Lines};
use qualm_vector_codec::{VectorEvents, VerdictStyle};
use tokio::runtime::Runtime;
use tracing::{error, info, warn};

use self::forward::Forward;
use self::influxdb::Influxdb;
use self::observed::Observed;
use self::signals::{Reload, Signals};
use self::vector::{Out, Vector};
use self::worker::{PipelineFactory, Worker};
use crate::control::{self, Hub};

/// How long, after a signal to stop, stdout stays open after the last events: Vector's sink may still hold some.
const STOP_AFTER_IDLE: Duration = Duration::from_millis(1500);

/// How long it stays open at most.
const MAX_STOP_DELAY: Duration = Duration::from_secs(30);

/// Threads that answer requests, besides those of the pipelines.
const HTTP_THREADS: usize = 2;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  qualm serve                                   health, metrics and the live page at http://127.0.0.1:18001/
  qualm serve --config qualm.toml               the same with what [vector], [influxdb] and [http] say
  qualm serve --config qualm.toml --check       is this configuration right, and what is in force?

In vector.yaml (vector/README.md explains each line):
  sources:
    scored: { type: http_server, address: \"127.0.0.1:18002\", decoding: { codec: native_json } }
  sinks:
    qualm: { type: http, inputs: [metrics], uri: \"http://127.0.0.1:18001/vector\", encoding: { codec: native_json } }
and in qualm.toml:
  [vector]
  forward = \"http://127.0.0.1:18002\"";

/// The options of `qualm serve`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The configuration; without it every metric is scored, and nothing is passed on
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where to listen, such as 127.0.0.1:18001 (over the configuration's `[http] listen`)
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,

    /// Write Vector's events to stdout instead of sending them back: for Vector's `exec` source
    #[arg(long)]
    pub stdout: bool,

    /// Read the configuration, start the detectors, print what is in force, and exit
    #[arg(long)]
    pub check: bool,

    /// Log more
    #[arg(long)]
    pub debug: bool,
}

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A detector cannot be used.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The address cannot be bound, or the certificate not be used.
    #[error(transparent)]
    Listen(#[from] qualm_http::Error),
    /// The certificates cannot be read by which servers behind are verified.
    #[error(transparent)]
    Certificates(#[from] BadCertificates),
    /// The directory of models cannot be used.
    #[error("[http] `models`: {0}")]
    Models(io::Error),
    /// The service ended, and its last state cannot be saved.
    #[error("{0}. What was learnt since it was last saved is lost")]
    Unsaved(#[from] Unsaved),
    /// The system refuses threads or signals.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Serves until a signal stops it.
///
/// # Errors
///
/// Where it cannot start, or its last state cannot be saved.
pub fn run(options: &Options, config: &Config) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(HTTP_THREADS).enable_all().build()?;
    let signals = {
        let _within = runtime.enter();
        Signals::catch()?
    };
    let builder = qualm::model_builder(config);
    let hub = Arc::new(Hub::default());
    let mut pipelines = Pipelines { config, builder: &builder, hub: &hub, views: Vec::new(), threads: Vec::new() };
    let vector = vector(options, &mut pipelines)?;
    let influxdb = influxdb(&mut pipelines)?;
    let Pipelines { views, threads, .. } = pipelines;
    let control = control::listen(config, &hub);
    let listen = options.listen.or(config.http.listen).unwrap_or(LISTEN);
    let server = runtime.block_on(async { Server::bind(listen_options(&config.http, listen)) })?;
    let notifier = builder.notifier.clone();
    let api = api(config, builder)?;
    let registry = api.as_ref().map(|api| Arc::clone(api.registry()));
    let observed = Arc::new(Observed {
        mode: "serve",
        registry: registry.clone(),
        views,
        server: server.counts(),
        vector,
        influxdb,
    });
    let mut router = observe::routes(Router::new(), &observed);
    router = ingest_routes(router, &observed);
    router = match &api {
        Some(api) => api.routes(router),
        None => observe::without_models(router),
    };
    log_endpoints(&server, config, &observed);
    let stdout = observed.vector.clone().filter(|_| options.stdout);
    let (path, config, renewal) = (options.config.clone(), config.clone(), server.renewal());
    let reload = Reload { path, config, listen, renewal, registry, notifier };
    runtime.block_on(server.run(router, stop_requested(stdout, signals, reload)));
    drop(control);
    if let Some(api) = api {
        api.stop();
    }
    stop(runtime, observed, threads)
}

/// The listener's options.
#[must_use]
pub fn listen_options(http: &Http, listen: SocketAddr) -> Listen {
    let Http { tls_cert, tls_key, tokens, max_body, memory, .. } = http;
    let tls = tls_cert.clone().zip(tls_key.clone()).map(|(cert, key)| Tls { cert, key });
    let limits = Limits { body: *max_body, memory: *memory, ..Limits::default() };
    Listen { listen, tls, tokens: tokens.clone(), limits }
}

/// The pipelines, as they are started.
struct Pipelines<'a> {
    config: &'a Config,
    builder: &'a ModelBuilder,
    /// Where they get commands from.
    hub: &'a Arc<Hub>,
    views: Vec<Arc<View>>,
    threads: Vec<JoinHandle<Result<(), Unsaved>>>,
}

impl Pipelines<'_> {
    /// Starts one for events of a format; `begin_body` is called before each body.
    fn start<F: qualm_pipeline::Format + Send + 'static>(
        &mut self,
        name: &'static str,
        format: impl Fn() -> F + Send + Sync + 'static,
        begin_body: impl Fn(&mut F, &[u8], Option<i64>) + Send + 'static,
        verdicts_only: bool,
    ) -> Result<Worker, StartError> {
        let view = Arc::new(View::new(name));
        let (config, builder, watched) = (self.config.clone(), self.builder.clone(), Arc::clone(&view));
        let hub = config.control_socket().map(|_| Arc::clone(self.hub));
        let start = move || {
            let pipeline = Pipeline::start_apart(format(), name, &config, &builder)?;
            let mut pipeline = if verdicts_only { pipeline.verdicts_only() } else { pipeline };
            watched.clear();
            pipeline.watch(Arc::clone(&watched));
            if let Some(hub) = &hub {
                pipeline.obey(hub.register(name));
            }
            Ok(pipeline)
        };
        let factory = PipelineFactory { start: Arc::new(start), begin_body: Box::new(begin_body), verdicts_only };
        let (worker, thread) = Worker::start(name, factory)?;
        self.views.push(view);
        self.threads.push(thread);
        Ok(worker)
    }
}

/// The endpoint for Vector's events, where an output is configured.
fn vector(options: &Options, pipelines: &mut Pipelines<'_>) -> Result<Option<Arc<Vector>>, Error> {
    let config::Vector { forward, verdicts, tap, timeout } = &pipelines.config.vector;
    let out = match forward {
        _ if options.stdout => Out::Stdout,
        Some(url) => Out::Forward(Forward::new(url, *timeout, vector::is_final)?),
        None => return Ok(None),
    };
    let style = match verdicts {
        Verdicts::Gauges => VerdictStyle::Gauges,
        Verdicts::Tags => VerdictStyle::Tags,
    };
    let begin_body = |format: &mut VectorEvents, body: &[u8], _: Option<i64>| format.begin_body(body);
    let worker = pipelines.start("vector", move || VectorEvents::new(style), begin_body, *tap)?;
    Ok(Some(Arc::new(Vector::new(worker, out, qualm::random_seed()))))
}

/// The endpoint for InfluxDB's clients, where an InfluxDB is configured.
fn influxdb(pipelines: &mut Pipelines<'_>) -> Result<Option<Arc<Influxdb>>, Error> {
    let config::Influxdb { forward, timeout } = &pipelines.config.influxdb;
    let Some(url) = forward else { return Ok(None) };
    let url = Secret::address(url.reveal().trim_end_matches('/'));
    let forward = Forward::new(&url, *timeout, influxdb::is_final)?;
    let passes_authorization = pipelines.config.http.tokens.is_empty();
    let begin_body = |format: &mut Lines, _: &[u8], unit: Option<i64>| format.set_unit(unit);
    let worker = pipelines.start("influxdb", || Lines::of(Grammar::Influxdb), begin_body, false)?;
    Ok(Some(Arc::new(Influxdb::new(worker, forward, passes_authorization, qualm::random_seed()))))
}

/// Adds the routes that receive metrics.
fn ingest_routes(router: Router, observed: &Observed) -> Router {
    let router = match &observed.vector {
        None => router.route(Method::POST, "/vector", async |_: Call| {
            observe::not_configured("vector", "http://127.0.0.1:18002")
        }),
        Some(vector) => {
            let vector = Arc::clone(vector);
            router.route(Method::POST, "/vector", move |call: Call| Arc::clone(&vector).receive(call))
        }
    };
    let accepts_lines = observed.influxdb.is_some();
    let router = router.open(Method::GET, "/health", move |_: Call| {
        let health = influxdb::health(accepts_lines);
        async move { health }
    });
    let Some(influxdb) = &observed.influxdb else {
        let answer = async |_: Call| observe::not_configured("influxdb", "http://127.0.0.1:8086");
        return influxdb::WRITE_PATHS
            .into_iter()
            .chain(["/query"])
            .fold(router, |router, path| router.route(Method::POST, path, answer));
    };
    let queries = Arc::clone(influxdb);
    let router = router.route(Method::POST, "/query", move |call: Call| Arc::clone(&queries).query(call));
    influxdb::WRITE_PATHS.into_iter().fold(router, |router, path| {
        let influxdb = Arc::clone(influxdb);
        router.route(Method::POST, path, move |call: Call| Arc::clone(&influxdb).write(call))
    })
}

/// The scoring API, where a directory of models is configured.
fn api(config: &Config, builder: ModelBuilder) -> Result<Option<Arc<Api>>, Error> {
    let Some(dir) = &config.http.models else { return Ok(None) };
    std::fs::create_dir_all(dir).map_err(Error::Models)?;
    qualm_system::atomic::sweep(dir, &qualm_bundle::files::NAMES);
    let trust = builder.trust.clone();
    let registry = models::Registry::open(models::Options { trust, ..models::Options::of(dir) }, builder.factory);
    let options = jobs::Options::of(env::current_exe()?);
    let jobs = jobs::Jobs::start(options, Arc::clone(&registry)).map_err(Error::Models)?;
    Ok(Some(Api::new(registry, Some(jobs), api::Options::default())))
}

/// Logs the address, and a warning where anybody can use it.
fn log_address(server: &Server, http: &Http) {
    let scheme = if http.tls_cert.is_some() { "https" } else { "http" };
    info!("listening on {scheme}://{}/", server.local_addr());
    if !server.local_addr().ip().is_loopback() && http.tokens.is_empty() {
        warn!("whoever can reach this address can use it: [http] `tokens` keeps others out");
    }
}

/// Logs the address, and what each endpoint does.
fn log_endpoints(server: &Server, config: &Config, observed: &Observed) {
    log_address(server, &config.http);
    match observed.vector.as_deref().map(Vector::forward) {
        None => info!("POST /vector is off: [vector] `forward` says where Vector's events go, or --stdout"),
        Some(None) => info!("POST /vector takes Vector's events, and stdout has them with their scores"),
        Some(Some(forward)) => info!("POST /vector takes Vector's events; they go on to {}", forward.display_url()),
    }
    match &observed.influxdb {
        None => info!("POST /write is off: [influxdb] `forward` says where lines go"),
        Some(influxdb) => info!("POST /write takes line protocol; it goes on to {}", influxdb.forward.display_url()),
    }
    match &config.http.models {
        None => info!("/api/v1/score is off: [http] `models` is the directory of the models to score with"),
        Some(dir) => info!("/api/v1/score scores with the models in {}", dir.display()),
    }
}

/// Ends after a signal to stop and, where events go to `stdout`, once no more arrive; or once nobody reads stdout.
async fn stop_requested(stdout: Option<Arc<Vector>>, signals: Signals, reload: Reload) {
    let unread = async {
        match &stdout {
            Some(vector) => vector.stdout_closed().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = signals.wait_for_stop(reload) => {}
        () = unread => {
            warn!("nobody reads stdout any more: there is nothing left to do");
            return;
        }
    }
    info!("asked to stop");
    if let Some(vector) = stdout {
        let idle = async {
            while vector.idle_time() < STOP_AFTER_IDLE {
                tokio::time::sleep(STOP_AFTER_IDLE / 10).await;
            }
        };
        let _timed_out = tokio::time::timeout(MAX_STOP_DELAY, idle).await;
    }
}

/// Drops the senders of the pipelines, and waits until these have saved their state.
fn stop(runtime: Runtime, observed: Arc<Observed>, threads: Vec<JoinHandle<Result<(), Unsaved>>>) -> Result<(), Error> {
    drop(observed);
    // A request in flight keeps a sender.
    runtime.shutdown_timeout(Duration::from_secs(1));
    let mut saved = Ok(());
    for thread in threads {
        let ended = thread.join().unwrap_or_else(|_panic| Err(Unsaved::ended()));
        // The first error is returned, the others are logged.
        match (ended, &saved) {
            (Ok(()), _) => {}
            (Err(error), Ok(())) => saved = Err(error.into()),
            (Err(error), Err(_)) => error!("{error}"),
        }
    }
    saved
}
