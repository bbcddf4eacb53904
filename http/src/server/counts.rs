//! The service's counters, and their metrics.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::{Method, StatusCode};

use super::memory::MemoryBudget;
use super::refused::Refused;
use crate::exposition::Exposition;

/// The upper bounds of the latency buckets in seconds; one more bucket has the rest.
pub(crate) const BOUNDS: [f64; 16] =
    [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

const ORDER: Ordering = Ordering::Relaxed;

/// Counters since the start. Each is exact; read together they are as of slightly different times.
#[derive(Debug)]
pub struct Counts {
    open: AtomicUsize,
    accepted: AtomicU64,
    evicted: AtomicU64,
    failed: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    panics: AtomicU64,
    unauthorized: AtomicU64,
    refused: [AtomicU64; Refused::REASONS.len()],
    memory: Arc<MemoryBudget>,
    /// In the router's order; the last is for requests without a route.
    routes: OnceLock<Vec<Route>>,
}

#[derive(Debug, Default)]
struct Route {
    method: String,
    path: &'static str,
    /// 1xx to 5xx.
    answers: [AtomicU64; 5],
    latencies: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

/// The values of [`Counts`] at one time.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Connections that are open.
    pub connections: usize,
    /// Connections that were ever taken.
    pub accepted: u64,
    /// Connections that were closed to make room for others.
    pub evicted: u64,
    /// Connections that could not be taken, or broke in the TLS handshake.
    pub failed: u64,
    /// Bytes in: header and bodies as they came, without TLS.
    pub received_bytes: u64,
    /// Bytes out, likewise.
    pub sent_bytes: u64,
    /// Handlers that panicked.
    pub panics: u64,
    /// Requests without a token that is known.
    pub unauthorized: u64,
    /// Bodies that were not taken, by reason.
    pub refused: Vec<(&'static str, u64)>,
    /// Bytes of all bodies that are in memory.
    pub memory: usize,
    /// One for each route, and one for requests that have none (no path of ours, no token, a foreign host, ...).
    pub routes: Vec<RouteSnapshot>,
}

/// The counters of one route.
#[derive(Clone, Debug)]
pub struct RouteSnapshot {
    /// The route's method (`HEAD` counts as `GET`); empty for requests without a route.
    pub method: String,
    /// The route's path as it was given; empty for requests without a route.
    pub path: &'static str,
    /// Answers with a status of 1xx to 5xx.
    pub answers: [u64; 5],
    /// For each upper bound in seconds, the answers that took longer than the bound before, and no longer than this one.
    pub latencies: Vec<(f64, u64)>,
    /// The time of all answers together, from the end of the header to the end of the answer's body, in seconds.
    pub seconds: f64,
}

impl Counts {
    pub(crate) fn new(memory: Arc<MemoryBudget>) -> Self {
        Self {
            open: AtomicUsize::default(),
            accepted: AtomicU64::default(),
            evicted: AtomicU64::default(),
            failed: AtomicU64::default(),
            received: AtomicU64::default(),
            sent: AtomicU64::default(),
            panics: AtomicU64::default(),
            unauthorized: AtomicU64::default(),
            refused: Default::default(),
            memory,
            routes: OnceLock::new(),
        }
    }

    pub(crate) fn register_routes<'a>(&self, routes: impl Iterator<Item = (&'a Method, &'static str)>) {
        let known = routes.map(|(method, path)| Route { method: method.to_string(), path, ..Route::default() });
        // A server runs once.
        let _first_time = self.routes.set(known.chain([Route::default()]).collect());
    }

    pub(crate) fn opened(&self) {
        self.open.fetch_add(1, ORDER);
        self.accepted.fetch_add(1, ORDER);
    }

    pub(crate) fn closed(&self) {
        self.open.fetch_sub(1, ORDER);
    }

    pub(crate) fn evicted(&self, connections: usize) {
        self.evicted.fetch_add(connections as u64, ORDER);
    }

    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, ORDER);
    }

    pub(crate) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, ORDER);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, ORDER);
    }

    pub(crate) fn panicked(&self) {
        self.panics.fetch_add(1, ORDER);
    }

    pub(crate) fn unauthorized(&self) {
        self.unauthorized.fetch_add(1, ORDER);
    }

    pub(crate) fn refused(&self, reason: usize) {
        self.refused[reason].fetch_add(1, ORDER);
    }

    /// `route` is its number in the router; None for requests that have none.
    pub(crate) fn answered(&self, route: Option<usize>, status: StatusCode, took: Duration) {
        let Some(routes) = self.routes.get() else { return };
        let route = &routes[route.unwrap_or(routes.len() - 1)];
        route.answers[(usize::from(status.as_u16()) / 100).clamp(1, 5) - 1].fetch_add(1, ORDER);
        let bucket = BOUNDS.iter().position(|bound| took.as_secs_f64() <= *bound).unwrap_or(BOUNDS.len());
        route.latencies[bucket].fetch_add(1, ORDER);
        route.nanoseconds.fetch_add(took.as_nanos() as u64, ORDER);
    }

    /// The current values.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let routes = self.routes.get().map(Vec::as_slice).unwrap_or_default();
        let bounds = || BOUNDS.into_iter().chain([f64::INFINITY]);
        Snapshot {
            connections: self.open.load(ORDER),
            accepted: self.accepted.load(ORDER),
            evicted: self.evicted.load(ORDER),
            failed: self.failed.load(ORDER),
            received_bytes: self.received.load(ORDER),
            sent_bytes: self.sent.load(ORDER),
            panics: self.panics.load(ORDER),
            unauthorized: self.unauthorized.load(ORDER),
            refused: Refused::REASONS.into_iter().zip(self.refused.iter().map(|count| count.load(ORDER))).collect(),
            memory: self.memory.used(),
            routes: routes
                .iter()
                .map(|route| RouteSnapshot {
                    method: route.method.clone(),
                    path: route.path,
                    answers: route.answers.each_ref().map(|count| count.load(ORDER)),
                    latencies: bounds().zip(route.latencies.iter().map(|count| count.load(ORDER))).collect(),
                    seconds: Duration::from_nanos(route.nanoseconds.load(ORDER)).as_secs_f64(),
                })
                .collect(),
        }
    }
}

impl Snapshot {
    /// Writes them as the families `qualm_http_…`.
    pub fn expose(&self, out: &mut Exposition) {
        let one = |out: &mut Exposition, name, help, value: u64| out.counter(name, help).value(&[], value as f64);
        out.gauge("qualm_http_connections", "Connections that are open.").value(&[], self.connections as f64);
        one(out, "qualm_http_connections_accepted", "Connections that were taken.", self.accepted);
        one(out, "qualm_http_connections_evicted", "Connections that were closed to make room.", self.evicted);
        one(out, "qualm_http_connections_failed", "Connections that could not be taken.", self.failed);
        one(out, "qualm_http_received_bytes", "Bytes that came, without TLS.", self.received_bytes);
        one(out, "qualm_http_sent_bytes", "Bytes that went, without TLS.", self.sent_bytes);
        one(out, "qualm_http_handler_panics", "Requests whose handling broke off, a fault of qualm.", self.panics);
        one(out, "qualm_http_unauthorized_requests", "Requests without a known token.", self.unauthorized);
        out.gauge("qualm_http_body_memory_bytes", "Memory of all request bodies.").value(&[], self.memory as f64);
        let mut refused = out.counter("qualm_http_refused_bodies", "Request bodies that were not taken.");
        for (reason, count) in &self.refused {
            refused.value(&[("reason", reason)], *count as f64);
        }
        let mut requests = out.counter("qualm_http_requests", "Requests that were answered.");
        for route in &self.routes {
            let labels = [("method", route.method.as_str()), ("route", route.path)];
            for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(route.answers) {
                if count > 0 {
                    requests.value(&[labels[0], labels[1], ("status", class)], count as f64);
                }
            }
        }
        let mut latencies =
            out.histogram("qualm_http_request_duration_seconds", "From a request's header to its answer's end.");
        for route in self.routes.iter().filter(|route| route.answers.iter().any(|count| *count > 0)) {
            let labels = [("method", route.method.as_str()), ("route", route.path)];
            latencies.buckets(&labels, &route.latencies, route.seconds);
        }
    }
}
