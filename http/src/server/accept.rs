//! The listener: accepts connections, serves each, and closes them gracefully.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::{interval, sleep, timeout};

use super::answer::{Service, answer};
use super::body::BodyResources;
use super::connection::{Connection, Connections, OpenConnection};
use super::context::Context;
use super::counts::Counts;
use super::decode::MAX_WINDOW;
use super::error::Error;
use super::guard::Guard;
use super::memory::MemoryBudget;
use super::options::{Limits, Options};
use super::renewal::{Access, Renewal};
use super::stream::Stream;
use crate::pool::Pool;
use crate::router::Router;

/// Connections that the kernel queues until they are accepted.
const BACKLOG: i32 = 1024;

/// Open files other than connections: models, logs, uploads, connections to other services.
const OTHER_FILES: u64 = 512;

/// The interval at which idle connections are closed while a new one waits for a place.
const EVICTION_INTERVAL: Duration = Duration::from_millis(20);

/// At shutdown: the time for the last bytes of an answer, and for headers that are incomplete.
const LAST_BYTES_TIMEOUT: Duration = Duration::from_secs(1);

/// A listener that is bound, and serves once it [`run`](Self::run)s. Until then the kernel queues connections.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    access: Arc<Access>,
    limits: Limits,
    memory: Arc<MemoryBudget>,
    counts: Arc<Counts>,
}

impl Server {
    /// Binds the address, and raises the process's limit of open files, as far as allowed, to what that many connections need.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound, or the certificate or a token cannot be used.
    pub fn bind(options: Options) -> Result<Self, Error> {
        let access = Arc::new(Access::new(&options)?);
        let Options { listen, mut limits, .. } = options;
        let bound = TcpListener::bind(listen).and_then(|listener| {
            rustix::net::listen(&listener, BACKLOG)?;
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, listener))
        });
        let (address, listener) = bound.map_err(|error| Error::listen(listen, error))?;
        limits.connections = connections_possible(limits.connections);
        // A body that is compressed (mostly to much less than an eighth) and decompressed, and the decoder's window.
        let largest = limits.body.saturating_add(limits.body / 8).saturating_add(MAX_WINDOW);
        let memory = Arc::new(MemoryBudget::new(limits.memory, largest, limits.body_timeout));
        let counts = Arc::new(Counts::new(Arc::clone(&memory)));
        Ok(Self { listener, address, access, limits, memory, counts })
    }

    /// The address that it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The limits in force: `connections` may be fewer than asked for.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A handle that renews its tokens and its certificate.
    #[must_use]
    pub fn renewal(&self) -> Renewal {
        Renewal(Arc::clone(&self.access))
    }

    /// Its counters, for a handler that shows them.
    #[must_use]
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Serves until `shutdown`. Then no more connections are taken, those that wait for a request are closed, and requests
    /// that are under way get [`Limits::drain`] to finish. It has to run within a tokio runtime that has time and I/O.
    pub async fn run(self, router: Router, shutdown: impl Future<Output = ()>) {
        let Self { listener, address, access, limits, memory, counts } = self;
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!("{address} cannot be served: {error}");
                return;
            }
        };
        counts.register_routes(router.routes().iter().map(|route| (&route.method, route.path)));
        let guard = Guard::new(address, access.tokens.read().is_empty());
        if guard.no_tokens && !guard.loopback {
            tracing::warn!("{address} answers anyone who can reach it: configure a token, or listen on 127.0.0.1");
        }
        let room = Arc::new(Semaphore::new(limits.connections));
        let (drain, draining) = watch::channel(false);
        let all = Arc::new(Connections::default());
        let bodies = BodyResources { limits, memory, pool: Pool::of_cores() };
        let context = Arc::new(Context { access, bodies, counts });
        let limits = &context.bodies.limits;
        let service = Arc::new(Service { router, guard, context: Arc::clone(&context) });

        let accepting = accept_connections(&service, &listener, &all, &room, &draining);
        let keeping_time = async {
            // A quarter of the shortest timeout: each is exact within that.
            let shortest = limits.header_timeout.min(limits.idle_timeout).min(limits.body_timeout) / 4;
            let mut tick = interval(shortest.clamp(Duration::from_millis(10), Duration::from_secs(1)));
            loop {
                tick.tick().await;
                all.close_overdue(limits);
            }
        };
        let mut keeping_time = pin!(keeping_time);
        tokio::select! {
            () = accepting => {}
            () = &mut keeping_time => {}
            () = shutdown => {}
        }

        drop(listener);
        let _nobody_is_left = drain.send(true);
        let everyone = room.acquire_many(limits.connections as u32);
        let done = async {
            tokio::select! {
                _left = everyone => {}
                () = &mut keeping_time => {}
                () = async {
                    sleep(LAST_BYTES_TIMEOUT).await;
                    loop {
                        all.close_all(false);
                        sleep(LAST_BYTES_TIMEOUT / 10).await;
                    }
                } => {}
            }
        };
        if timeout(limits.drain, done).await.is_err() {
            tracing::warn!("requests that took longer than {:?} to finish were broken off", limits.drain);
            all.close_all(true);
            let _as_good_as_done = timeout(LAST_BYTES_TIMEOUT, room.acquire_many(limits.connections as u32)).await;
        }
    }
}

/// Accepts one connection after another, as long as there is room or room can be made.
async fn accept_connections(
    service: &Arc<Service>,
    listener: &tokio::net::TcpListener,
    all: &Arc<Connections>,
    room: &Arc<Semaphore>,
    draining: &watch::Receiver<bool>,
) {
    let counts = &service.context.counts;
    loop {
        let (stream, peer) = accept(listener, all, counts).await;
        let place = loop {
            if room.available_permits() == 0 {
                counts.evicted(all.close_longest_waiting());
            }
            // With all busy, the next round looks for one that has become idle.
            if let Ok(place) = timeout(EVICTION_INTERVAL, Arc::clone(room).acquire_owned()).await {
                break place.expect("the room is never closed");
            }
        };
        let open = all.open(peer, counts);
        let (service, draining) = (Arc::clone(service), draining.clone());
        tokio::spawn(async move {
            serve(&service, stream, &open, draining).await;
            drop((open, place));
        });
    }
}

/// The next connection, however long that takes.
async fn accept(listener: &tokio::net::TcpListener, all: &Connections, counts: &Counts) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(taken) => return taken,
            Err(error) => {
                counts.failed();
                tracing::debug!("a connection cannot be taken: {error}");
                // A connection that was closed already affects nothing else; a lack of files or memory lasts until connections
                // are closed.
                if error.kind() != io::ErrorKind::ConnectionAborted {
                    counts.evicted(all.close_longest_waiting());
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// Serves one connection to its end, or until the service drains.
async fn serve(service: &Arc<Service>, stream: TcpStream, open: &OpenConnection, draining: watch::Receiver<bool>) {
    let connection = &open.connection;
    let serving = async {
        // Answers are small: without this, each would wait for more bytes.
        let _slower_without = stream.set_nodelay(true);
        // No resources are allocated before the first bytes.
        let mut leaving = draining.clone();
        tokio::select! {
            _ = stream.readable() => {}
            () = wait_for_drain(&mut leaving) => return,
        }
        connection.received();
        match service.context.access.tls() {
            None => serve_requests(service, stream, connection, draining).await,
            Some(tls) => match tls.accept(stream).await {
                Ok(stream) => {
                    connection.wait_for_request();
                    serve_requests(service, stream, connection, draining).await;
                }
                Err(error) => {
                    service.context.counts.failed();
                    tracing::debug!("{}: no TLS: {error}", connection.peer);
                }
            },
        }
    };
    tokio::select! {
        () = serving => {}
        () = connection.closed() => {}
    }
}

/// Waits until the service drains.
async fn wait_for_drain(draining: &mut watch::Receiver<bool>) {
    let _or_the_service_is_gone = draining.wait_for(|draining| *draining).await.is_ok();
}

/// Answers one request after the other.
async fn serve_requests<S: AsyncRead + AsyncWrite + Unpin>(
    service: &Arc<Service>,
    stream: S,
    connection: &Arc<Connection>,
    mut draining: watch::Receiver<bool>,
) {
    let stream = TokioIo::new(Stream::new(stream, Arc::clone(connection), Arc::clone(&service.context.counts)));
    let answering = service_fn(|request| answer(Arc::clone(service), Arc::clone(connection), request));
    let serving = http1::Builder::new()
        // A client that has closed its sending side may still read the answer.
        .half_close(true)
        // The connection's own times say when it is too late.
        .header_read_timeout(None)
        .max_buf_size(service.context.bodies.limits.header_bytes.max(8 << 10))
        .serve_connection(stream, answering);
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = wait_for_drain(&mut draining) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("{}: {error}", connection.peer);
    }
}

/// The number of connections that the process may have files for, at most `wanted`, after raising its limit.
fn connections_possible(wanted: usize) -> usize {
    let wanted = wanted.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
    let files = wanted as u64 + OTHER_FILES;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= files) {
        return wanted;
    }
    let raised = maximum.map_or(files, |maximum| maximum.min(files));
    let current = match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }) {
        Ok(()) => raised,
        Err(_) => current.unwrap_or(raised),
    };
    let possible = current.saturating_sub(OTHER_FILES).max(current / 2).max(1) as usize;
    if possible < wanted {
        tracing::warn!(
            "{possible} connections at once instead of {wanted}: the system allows {current} open files \
             (`ulimit -Hn`, or LimitNOFILE in the unit)"
        );
    }
    possible.min(wanted)
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).field("limits", &self.limits).finish_non_exhaustive()
    }
}
