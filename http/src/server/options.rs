//! The options of a server: address, certificate, tokens and limits.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use qualm_bundle::secret::Secret;

/// The options of a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address and the port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Serves HTTPS instead of HTTP.
    pub tls: Option<Tls>,
    /// The tokens, one of which each request needs; without tokens anyone may call.
    pub tokens: Vec<Secret>,
    /// The limits of connections, requests and memory.
    pub limits: Limits,
}

impl Options {
    /// Plain HTTP for anyone on this address, with the usual limits.
    #[must_use]
    pub fn on(listen: SocketAddr) -> Self {
        Self { listen, tls: None, tokens: Vec::new(), limits: Limits::default() }
    }
}

/// The server's own certificate.
#[derive(Clone, Debug)]
pub struct Tls {
    /// A PEM file: the certificate, then the intermediate ones.
    pub cert: PathBuf,
    /// A PEM file with the certificate's private key.
    pub key: PathBuf,
}

/// The limits of connections, requests and memory. An idle connection takes a file descriptor and about 20 kB, at most twice
/// that; all bodies together take at most `memory`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The most connections at once; fewer, if the system allows fewer open files. If one more comes, those that have been
    /// idle for longest are closed: a client must cope with the end of an idle connection, but not with a refused one. If none
    /// is idle, the new one waits.
    pub connections: usize,
    /// The longest request line and header fields together (at least 8 KiB); beyond it, 431.
    pub header_bytes: usize,
    /// The time from a request's first byte to the end of its header, or for a TLS handshake.
    pub header_timeout: Duration,
    /// The longest pause in a body; and all of it must have come after this time plus one second for each 64 KiB that came, so
    /// that 10 MB over a bad line still arrive. Otherwise the answer is 408. The same holds for a client that reads its answer as
    /// slowly (its connection is closed), and for a body that waits for memory (503).
    pub body_timeout: Duration,
    /// The time after which an idle connection is closed.
    pub idle_timeout: Duration,
    /// The largest body, decompressed, for a handler without a limit of its own; beyond it, 413.
    pub body: usize,
    /// The memory of all bodies of all connections, in bytes. Further bodies are not read until others are done.
    pub memory: usize,
    /// The time for requests under way to finish at shutdown.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16_384,
            header_bytes: 16 << 10,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            // A little more than the minute after which many clients close idle connections themselves.
            idle_timeout: Duration::from_secs(75),
            // Vector's own sources take 100 MiB.
            body: 128 << 20,
            memory: 512 << 20,
            drain: Duration::from_secs(10),
        }
    }
}

/// The least rate of a body or an answer after its timeout, in bytes per second.
const RATE: u64 = 64 << 10;

impl Limits {
    /// The time that `bytes` may take.
    pub(crate) fn time_for(&self, bytes: u64) -> Duration {
        self.body_timeout + Duration::from_millis(bytes.saturating_mul(1000) / RATE)
    }
}
