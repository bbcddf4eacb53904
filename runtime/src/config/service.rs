//! What is served over HTTP, and to whom it is passed on.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use qualm_bundle::duration::{self, friendly};
use qualm_bundle::secret::{self, Secret};
use serde::{Deserialize, Serialize};
use ureq::http::Uri;

use super::invalid::Invalid;
use super::text::{bytes, quoted, size};

/// Where to listen, unless something else is configured: on this machine alone.
pub const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 18_001);

/// One listener for all that is served.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// The address. Without it `execd` serves nothing, and `serve` at [`LISTEN`].
    pub listen: Option<SocketAddr>,
    /// The certificate chain and its key, PEM files, for TLS; plain HTTP without them.
    pub tls_cert: Option<PathBuf>,
    /// See `tls_cert`.
    pub tls_key: Option<PathBuf>,
    /// Who may ask: one of these must come with each request (health checks aside); anyone, where there are none.
    #[serde(deserialize_with = "secret::tokens")]
    pub tokens: Vec<Secret>,
    /// The directory of bundles that `/api/v1/score` scores with, and where uploads are published.
    pub models: Option<PathBuf>,
    /// The largest body, uncompressed, in bytes.
    #[serde(deserialize_with = "bytes")]
    pub max_body: usize,
    /// Bytes of bodies that may be in memory at once. With their scores they are up to three times as large.
    #[serde(deserialize_with = "bytes")]
    pub memory: usize,
}

/// Vector: events come in over HTTP, and go back with their scores.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vector {
    /// The URL of the `http_server` source that scored events go to.
    #[serde(deserialize_with = "secret::some_address")]
    pub forward: Option<Secret>,
    /// What verdicts look like.
    pub verdicts: Verdicts,
    /// Only verdicts come back: the metrics go where they go by another way.
    pub tap: bool,
    /// How long that source may take for a batch.
    #[serde(deserialize_with = "duration::deserialize")]
    pub timeout: Duration,
}

/// What verdicts on Vector's metrics look like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdicts {
    /// Metrics of their own, behind the one that they judge.
    #[default]
    Gauges,
    /// Tags of the metric itself.
    Tags,
}

/// InfluxDB: line protocol comes in as to its write API, and goes on to it with scores.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Influxdb {
    /// The URL of the server that scored lines go to.
    #[serde(deserialize_with = "secret::some_address")]
    pub forward: Option<Secret>,
    /// How long that may take.
    #[serde(deserialize_with = "duration::deserialize")]
    pub timeout: Duration,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: None,
            tls_cert: None,
            tls_key: None,
            tokens: Vec::new(),
            models: None,
            max_body: 128 << 20,
            memory: 256 << 20,
        }
    }
}

impl Default for Vector {
    fn default() -> Self {
        Self { forward: None, verdicts: Verdicts::default(), tap: false, timeout: Duration::from_secs(10) }
    }
}

impl Default for Influxdb {
    fn default() -> Self {
        Self { forward: None, timeout: Duration::from_secs(10) }
    }
}

impl Verdicts {
    fn name(self) -> &'static str {
        match self {
            Self::Gauges => "gauges",
            Self::Tags => "tags",
        }
    }
}

impl Http {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        let Self { tls_cert, tls_key, tokens, max_body, memory, .. } = self;
        if tls_cert.is_some() != tls_key.is_some() {
            return Err(Invalid::Range("[http] `tls_cert` and `tls_key` go together"));
        }
        if tokens.iter().any(|token| token.reveal().len() < 8) {
            return Err(Invalid::Range(
                "[http] `tokens` must be 8 characters at least: they are all that keeps others out",
            ));
        }
        if *max_body < 1 << 10 {
            return Err(Invalid::Range("[http] `max_body` must be 1KiB at least"));
        }
        if memory < max_body {
            return Err(Invalid::Range("[http] `memory` must have room for one `max_body` at least"));
        }
        Ok(())
    }

    /// As TOML, but for the tokens: nobody who reads a log should learn them.
    pub(super) fn effective(&self) -> String {
        let Self { listen, tls_cert, tls_key, tokens, models, max_body, memory } = self;
        let mut out = "[http]\n".to_owned();
        if let Some(listen) = listen {
            let _infallible = writeln!(out, "listen = \"{listen}\"");
        }
        for (key, path) in [("tls_cert", tls_cert), ("tls_key", tls_key), ("models", models)] {
            if let Some(path) = path {
                let _infallible = writeln!(out, "{key} = {}", quoted(&path.to_string_lossy()));
            }
        }
        if !tokens.is_empty() {
            let _infallible = writeln!(out, "# tokens: {}, not shown", tokens.len());
        }
        let _infallible = write!(out, "max_body = \"{}\"\nmemory = \"{}\"\n\n", size(*max_body), size(*memory));
        out
    }
}

impl Vector {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        if self.tap && self.verdicts == Verdicts::Tags {
            return Err(Invalid::Range(
                "[vector] `tap` needs `verdicts = \"gauges\"`: tags do not come without their metric",
            ));
        }
        check_forward("vector", self.forward.as_ref(), self.timeout)
    }

    pub(super) fn effective(&self) -> String {
        let Self { forward, verdicts, tap, timeout } = self;
        let forward = forward.as_ref().map(|url| format!("forward = {}\n", quoted(url.shown())));
        let (forward, timeout) = (forward.unwrap_or_default(), friendly(*timeout));
        format!("[vector]\n{forward}verdicts = \"{}\"\ntap = {tap}\ntimeout = \"{timeout}\"\n\n", verdicts.name())
    }
}

impl Influxdb {
    pub(super) fn check(&self) -> Result<(), Invalid> {
        check_forward("influxdb", self.forward.as_ref(), self.timeout)
    }

    pub(super) fn effective(&self) -> String {
        let Self { forward, timeout } = self;
        let forward = forward.as_ref().map(|url| format!("forward = {}\n", quoted(url.shown())));
        format!("[influxdb]\n{}timeout = \"{}\"\n\n", forward.unwrap_or_default(), friendly(*timeout))
    }
}

fn check_forward(table: &'static str, url: Option<&Secret>, timeout: Duration) -> Result<(), Invalid> {
    if let Some(url) = url {
        let shown = quoted(url.shown());
        if !is_address(url.reveal()) {
            return Err(Invalid::ForwardUrl { table, shown });
        }
        if url.reveal().contains(['?', '#']) {
            return Err(Invalid::ForwardQuery { table, shown });
        }
    }
    if timeout < Duration::from_millis(100) || timeout > Duration::from_mins(5) {
        return Err(Invalid::Timeout(table));
    }
    Ok(())
}

/// Whether a URL names a server that can be asked.
fn is_address(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let Some(authority) = uri.authority() else { return false };
    let host = authority.host();
    let behind = authority.as_str().rsplit('@').next().and_then(|rest| rest.strip_prefix(host)).unwrap_or_default();
    matches!(uri.scheme_str(), Some("http" | "https"))
        && !host.is_empty()
        && (behind.is_empty() || authority.port_u16().is_some_and(|port| port > 0))
}
