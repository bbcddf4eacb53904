//! `qualm serve`: one HTTP service for Vector, for InfluxDB's clients, for applications, and for people.
//!
//! Each way in has a pipeline of its own, on a thread of its own ([`worker`]): Vector's events come in and go back
//! ([`vector`]), lines come in and go on ([`influxdb`]), by way of [`forward`]; what comes [`again`] is scored once. What
//! goes on can be seen ([`observe`]), here and in `execd`.

pub mod again;
pub mod forward;
pub mod influxdb;
mod influxql;
pub mod metrics;
pub mod observe;
pub mod observed;
mod signals;
pub mod vector;
pub mod vitals;
pub mod worker;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::{env, io};

use clap::Args;
use qualm::config::{self, Config, Http, LISTEN, Verdicts};
use qualm::models::ModelBuilder;
use qualm::scoring::{self, Scoring, StartError};
use qualm::state::Unsaved;
use qualm::view::View;
use qualm_bundle::secret::Secret;
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
use self::worker::{Plan, Worker};

/// How long stdout stays open, once we are to stop, after the last events came: Vector's sink in front of us may still
/// hold some.
const QUIET: Duration = Duration::from_millis(1500);

/// How long that may go on.
const LINGER: Duration = Duration::from_secs(30);

/// Threads that answer requests; each pipeline has one of its own besides.
const THREADS: usize = 2;

/// What `qualm serve --help` shows below the options.
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

/// Options of `qualm serve`.
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
    /// Nobody can be listened to.
    #[error(transparent)]
    Listen(#[from] qualm_http::Error),
    /// Servers that are passed on to cannot be told from others.
    #[error("{0}")]
    Certificates(String),
    /// The directory of models cannot be used.
    #[error("[http] `models`: {0}")]
    Models(io::Error),
    /// All was served, and what was learnt is lost.
    #[error("{0}. What was learnt since it was last saved is lost")]
    Unsaved(#[from] Unsaved),
    /// The system refuses threads or signals.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Serves until a signal asks to stop.
///
/// # Errors
///
/// Where it cannot begin, or its last state cannot be saved.
pub fn run(options: &Options, config: &Config) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()?;
    let signals = {
        let _within = runtime.enter();
        Signals::catch()?
    };
    let builder = scoring::model_builder(config);
    let mut pipelines = Pipelines { config, builder: &builder, views: Vec::new(), threads: Vec::new() };
    let vector = vector(options, &mut pipelines)?;
    let influxdb = influxdb(&mut pipelines)?;
    let Pipelines { views, threads, .. } = pipelines;
    let listen = options.listen.or(config.http.listen).unwrap_or(LISTEN);
    let server = runtime.block_on(async { Server::bind(listen_as(&config.http, listen)) })?;
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
    router = ways_in(router, &observed);
    router = match &api {
        Some(api) => api.routes(router),
        None => observe::without_models(router),
    };
    told(&server, config, &observed);
    let vector = observed.vector.clone();
    let lingers = vector.filter(|_| options.stdout);
    let (path, config, renewal) = (options.config.clone(), config.clone(), server.renewal());
    let reload = Reload { path, config, listen, renewal, registry, notifier };
    runtime.block_on(server.run(router, asked_to_stop(lingers, signals, reload)));
    if let Some(api) = api {
        api.stop();
    }
    stop(runtime, observed, threads)
}

/// The listener's options.
#[must_use]
pub fn listen_as(http: &Http, listen: SocketAddr) -> Listen {
    let Http { tls_cert, tls_key, tokens, max_body, memory, .. } = http;
    let tls = tls_cert.clone().zip(tls_key.clone()).map(|(cert, key)| Tls { cert, key });
    let limits = Limits { body: *max_body, memory: *memory, ..Limits::default() };
    Listen { listen, tls, tokens: tokens.clone(), limits }
}

/// The pipelines that have been started.
struct Pipelines<'a> {
    config: &'a Config,
    builder: &'a ModelBuilder,
    views: Vec<Arc<View>>,
    threads: Vec<JoinHandle<Result<(), Unsaved>>>,
}

impl Pipelines<'_> {
    /// Starts one for events of this format; `begin` is told of each body. Where it `taps`, only verdicts come out.
    fn begin<F: qualm_pipeline::Format + Send + 'static>(
        &mut self,
        name: &'static str,
        format: impl Fn() -> F + Send + Sync + 'static,
        begin: impl Fn(&mut F, &[u8], Option<i64>) + Send + 'static,
        taps: bool,
    ) -> Result<Worker, StartError> {
        let view = Arc::new(View::new(name));
        let (config, builder, watched) = (self.config.clone(), self.builder.clone(), Arc::clone(&view));
        let start = move || {
            let scoring = Scoring::start_apart(format(), name, &config, &builder)?;
            let mut scoring = if taps { scoring.verdicts_only() } else { scoring };
            watched.clear();
            scoring.watch(Arc::clone(&watched));
            Ok(scoring)
        };
        let (worker, thread) = Worker::start(name, Plan { start: Arc::new(start), begin: Box::new(begin), taps })?;
        self.views.push(view);
        self.threads.push(thread);
        Ok(worker)
    }
}

/// The way in for Vector's events, where there is a way out for them.
fn vector(options: &Options, pipelines: &mut Pipelines<'_>) -> Result<Option<Arc<Vector>>, Error> {
    let config::Vector { forward, verdicts, tap, timeout } = &pipelines.config.vector;
    let out = match forward {
        _ if options.stdout => Out::Stdout,
        Some(url) => Out::Forward(Forward::new(url, *timeout, vector::is_final).map_err(Error::Certificates)?),
        None => return Ok(None),
    };
    let style = match verdicts {
        Verdicts::Gauges => VerdictStyle::Gauges,
        Verdicts::Tags => VerdictStyle::Tags,
    };
    let begin = |format: &mut VectorEvents, body: &[u8], _: Option<i64>| format.begin_body(body);
    let worker = pipelines.begin("vector", move || VectorEvents::new(style), begin, *tap)?;
    Ok(Some(Arc::new(Vector::new(worker, out, scoring::random()))))
}

/// The way in for InfluxDB's clients, where there is an InfluxDB.
fn influxdb(pipelines: &mut Pipelines<'_>) -> Result<Option<Arc<Influxdb>>, Error> {
    let config::Influxdb { forward, timeout } = &pipelines.config.influxdb;
    let Some(url) = forward else { return Ok(None) };
    let forward = Forward::new(&Secret::address(url.reveal().trim_end_matches('/')), *timeout, influxdb::is_final)
        .map_err(Error::Certificates)?;
    let passes_authorization = pipelines.config.http.tokens.is_empty();
    let begin = |format: &mut Lines, _: &[u8], unit: Option<i64>| format.set_unit(unit);
    let worker = pipelines.begin("influxdb", || Lines::of(Grammar::Influxdb), begin, false)?;
    Ok(Some(Arc::new(Influxdb::new(worker, forward, passes_authorization, scoring::random()))))
}

/// Where metrics come in.
fn ways_in(router: Router, observed: &Observed) -> Router {
    let router = match &observed.vector {
        None => router.route(Method::POST, "/vector", async |_: Call| {
            observe::nothing_behind("vector", "http://127.0.0.1:18002")
        }),
        Some(vector) => {
            let vector = Arc::clone(vector);
            router.route(Method::POST, "/vector", move |call: Call| Arc::clone(&vector).take(call))
        }
    };
    let takes_lines = observed.influxdb.is_some();
    let router = router.open(Method::GET, "/health", move |_: Call| {
        let health = influxdb::health(takes_lines);
        async move { health }
    });
    let Some(influxdb) = &observed.influxdb else {
        let nothing = async |_: Call| observe::nothing_behind("influxdb", "http://127.0.0.1:8086");
        return influxdb::WRITES
            .into_iter()
            .chain(["/query"])
            .fold(router, |router, path| router.route(Method::POST, path, nothing));
    };
    let queries = Arc::clone(influxdb);
    let router = router.route(Method::POST, "/query", move |call: Call| Arc::clone(&queries).query(call));
    influxdb::WRITES.into_iter().fold(router, |router, path| {
        let influxdb = Arc::clone(influxdb);
        router.route(Method::POST, path, move |call: Call| Arc::clone(&influxdb).write(call))
    })
}

/// Scoring on request, where there is a directory of models.
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

/// Says where.
fn listening(server: &Server, http: &Http) {
    let scheme = if http.tls_cert.is_some() { "https" } else { "http" };
    info!("listening on {scheme}://{}/", server.local_addr());
    if !server.local_addr().ip().is_loopback() && http.tokens.is_empty() {
        warn!("whoever can reach this address can use it: [http] `tokens` keeps others out");
    }
}

/// Says what is served.
fn told(server: &Server, config: &Config, observed: &Observed) {
    listening(server, &config.http);
    match observed.vector.as_deref().map(Vector::forward) {
        None => info!("POST /vector is off: [vector] `forward` says where Vector's events go, or --stdout"),
        Some(None) => info!("POST /vector takes Vector's events, and stdout has them with their scores"),
        Some(Some(forward)) => info!("POST /vector takes Vector's events; they go on to {}", forward.shown()),
    }
    match &observed.influxdb {
        None => info!("POST /write is off: [influxdb] `forward` says where lines go"),
        Some(influxdb) => info!("POST /write takes line protocol; it goes on to {}", influxdb.forward().shown()),
    }
    match &config.http.models {
        None => info!("/api/v1/score is off: [http] `models` is the directory of the models to score with"),
        Some(dir) => info!("/api/v1/score scores with the models in {}", dir.display()),
    }
}

/// Ends once a signal asks for it and, where stdout must not end yet, no events come any more.
async fn asked_to_stop(lingers: Option<Arc<Vector>>, signals: Signals, reload: Reload) {
    let unread = async {
        match &lingers {
            Some(vector) => vector.reader_gone().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = signals.stop(reload) => {}
        () = unread => {
            warn!("nobody reads stdout any more: there is nothing left to do");
            return;
        }
    }
    info!("asked to stop");
    if let Some(vector) = lingers {
        let quiet = async {
            while vector.quiet_for() < QUIET {
                tokio::time::sleep(QUIET / 10).await;
            }
        };
        let _long_enough = tokio::time::timeout(LINGER, quiet).await;
    }
}

/// Lets go of the pipelines, and waits until they have saved their state.
fn stop(runtime: Runtime, observed: Arc<Observed>, threads: Vec<JoinHandle<Result<(), Unsaved>>>) -> Result<(), Error> {
    drop(observed);
    // What is still under way holds on to a pipeline.
    runtime.shutdown_timeout(Duration::from_secs(1));
    let mut saved = Ok(());
    for thread in threads {
        let ended = thread.join().unwrap_or_else(|_panic| Err(Unsaved::ended()));
        // The first is returned; each is said.
        match (ended, &saved) {
            (Ok(()), _) => {}
            (Err(error), Ok(())) => saved = Err(error.into()),
            (Err(error), Err(_)) => error!("{error}"),
        }
    }
    saved
}
