//! Bundles from a server, by http or https.
//!
//! Requests are conditional (`ETag`, `Last-Modified`), so that polling is cheap. Certificates are verified against Mozilla's
//! list, or against those in the file that `SSL_CERT_FILE` names, for servers with a private one; proxies are those of the
//! environment (`HTTPS_PROXY` and so on).

use std::env;
use std::fs;
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::http::header::{ETAG, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use ureq::http::{HeaderMap, StatusCode};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Timeout};

use crate::bundle::Bundle;
use crate::error::Fault;
use crate::files::MAX_BUNDLE_BYTES;
use crate::secret::Secret;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How many redirects are followed.
const REDIRECTS: u32 = 5;

/// Polls a server.
#[derive(Debug)]
pub(super) struct Remote {
    url: Secret,
    timeout: Duration,
    agent: Agent,
    /// The validators of the last bundle, as headers of the next request.
    validators: Vec<(HeaderName, HeaderValue)>,
}

impl Remote {
    /// Makes the next poll fetch it again, even if it is unchanged.
    pub(super) fn invalidate(&mut self) {
        self.validators.clear();
    }

    pub(super) fn new(url: Secret, timeout: Duration) -> Result<Self, Fault> {
        let roots = roots().map_err(|error| Fault::Fetch(error.to_string()))?;
        let config = Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .https_only(url.reveal().starts_with("https:")) // redirects included
            .max_redirects(REDIRECTS)
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT.min(timeout)))
            .timeout_global(Some(timeout))
            .user_agent(concat!("qualm/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self { url, timeout, agent: config.into(), validators: Vec::new() })
    }

    /// The bundle; `None` if it is unchanged.
    pub(super) fn poll(&mut self) -> Result<Option<Bundle>, Fault> {
        let mut request = self.agent.get(self.url.reveal());
        for (name, value) in &self.validators {
            request = request.header(name, value);
        }
        let mut response = request.call().map_err(|error| self.explain(error))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if !self.validators.is_empty() => return Ok(None),
            status => return Err(Fault::Fetch(refusal(status))),
        }
        let validators = validators_of(response.headers());
        let mut bytes = Vec::new();
        let read = response.body_mut().as_reader().take(MAX_BUNDLE_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| self.explain(error.into()))?;
        if bytes.len() as u64 > MAX_BUNDLE_BYTES {
            return Err(self.explain(ureq::Error::BodyExceedsLimit(MAX_BUNDLE_BYTES)));
        }
        let bundle = Bundle::unpack(&bytes);
        // An invalid bundle may have been truncated, so it is fetched again.
        self.validators = if bundle.is_ok() { validators } else { Vec::new() };
        bundle.map(Some)
    }

    fn explain(&self, error: ureq::Error) -> Fault {
        Fault::Fetch(match error {
            ureq::Error::Timeout(Timeout::Connect) => "the server cannot be reached: no answer at all".to_owned(),
            ureq::Error::Timeout(_) => format!("the server did not answer within {:?}", self.timeout),
            ureq::Error::HostNotFound => "there is no such host".to_owned(),
            ureq::Error::TooManyRedirects => format!("the server redirects more than {REDIRECTS} times"),
            ureq::Error::RequireHttpsOnly(_) => {
                "the server redirects from https to http, which is not followed".to_owned()
            }
            ureq::Error::BodyExceedsLimit(_) => {
                format!("it is larger than the {MAX_BUNDLE_BYTES} bytes that a bundle may have")
            }
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => "this is no URL, or leads to none".to_owned(),
            ureq::Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
                "the server ended its answer early".to_owned()
            }
            ureq::Error::Io(error) if error.to_string().contains("UnknownIssuer") => {
                format!("{error}; SSL_CERT_FILE can name the file of a private authority's certificates")
            }
            error => self.url.hide_in(&error.to_string()),
        })
    }
}

/// The headers that make the next request conditional.
fn validators_of(response: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let pairs = [(ETAG, IF_NONE_MATCH), (LAST_MODIFIED, IF_MODIFIED_SINCE)];
    pairs.into_iter().filter_map(|(validator, condition)| Some((condition, response.get(validator)?.clone()))).collect()
}

fn refusal(status: StatusCode) -> String {
    let hint = match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => "; is the URL right?",
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "; a user and password can stand in the URL: https://USER:PASSWORD@…"
        }
        _ => "",
    };
    format!("the server answers {status}{hint}")
}

/// Why the file that `SSL_CERT_FILE` names cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadCertificates {
    /// It cannot be read.
    #[error("SSL_CERT_FILE, {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It has no certificate.
    #[error("SSL_CERT_FILE, {}: there is no certificate in it", path.display())]
    None {
        /// The file.
        path: PathBuf,
    },
}

/// The trusted root certificates: those in the file that `SSL_CERT_FILE` names, or else Mozilla's list.
///
/// # Errors
///
/// If that file cannot be read or has none.
pub fn roots() -> Result<RootCerts, BadCertificates> {
    match env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()) {
        Some(path) => certificates(path.as_ref()),
        None => Ok(RootCerts::WebPki),
    }
}

fn certificates(path: &Path) -> Result<RootCerts, BadCertificates> {
    let path = path.to_owned();
    let text = fs::read(&path).map_err(|source| BadCertificates::Read { path: path.clone(), source })?;
    let certificates: Vec<Certificate<'static>> = parse_pem(&text)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() { Err(BadCertificates::None { path }) } else { Ok(certificates.into()) }
}

#[cfg(test)]
mod tests;
