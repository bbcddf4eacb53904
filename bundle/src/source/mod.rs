//! Sources of bundles: a path or a URL, polled for a new one.

mod path;
mod url;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use path::{Stamp, stamps};
pub use url::{BadCertificates, roots};

use qualm_system::digest::sha256;

use crate::bundle::Bundle;
use crate::error::Error;
use crate::secret::Secret;

/// How long a server may take to send a bundle, by default.
pub const TIMEOUT: Duration = Duration::from_mins(2);

/// A source of bundles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A directory or a packed bundle.
    Path(PathBuf),
    /// A packed bundle on a server, by http or https. The URL may have a password in it.
    Url(Secret),
}

/// Why a text is no source of bundles.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSource {
    /// It is empty.
    #[error("it is empty; write a path or an http(s) URL")]
    Empty,
    /// A URL has no host.
    #[error("`{0}` names no host")]
    NoHost(Secret),
    /// A path is written as a URL.
    #[error("`file` is not known here: write the path itself, `{0}`")]
    File(String),
    /// A URL is of another scheme.
    #[error("`{0}` is not known here; write a path or an http(s) URL")]
    Scheme(String),
}

impl Source {
    /// Parses a path or a URL.
    ///
    /// # Errors
    ///
    /// If it is neither.
    pub fn parse(text: &str) -> Result<Self, BadSource> {
        match text.split_once("://") {
            None if text.is_empty() => Err(BadSource::Empty),
            None => Ok(Self::Path(text.into())),
            Some(("http" | "https", rest)) if !rest.is_empty() && !rest.starts_with('/') => {
                Ok(Self::Url(Secret::address(text)))
            }
            Some(("http" | "https", _)) => Err(BadSource::NoHost(Secret::address(text))),
            Some(("file", path)) => Err(BadSource::File(path.to_owned())),
            Some((scheme, _)) => Err(BadSource::Scheme(scheme.to_owned())),
        }
    }

    /// The path to be [watched](crate::watch::Watch).
    #[must_use]
    pub fn watched(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            Self::Url(_) => None,
        }
    }
}

/// Redacted, for logs.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

/// The result of a poll.
#[derive(Debug, PartialEq)]
pub enum Fetched {
    /// Nothing has changed since the last poll, whether that returned a bundle or an error.
    Unchanged,
    /// Another bundle than the last one. It is consistent; its signature, version and golden scores are not yet checked.
    New(Box<Bundle>),
}

/// Polls a source.
#[derive(Debug)]
pub struct Fetcher {
    source: Source,
    transport: Transport,
    /// The digest of the last bundle with its signature.
    last: Option<String>,
}

#[derive(Debug)]
enum Transport {
    Path(path::Local),
    Url(url::Remote),
}

impl Fetcher {
    /// One that has fetched nothing yet. A server may take `timeout` to send a bundle, such as [`TIMEOUT`].
    ///
    /// # Errors
    ///
    /// If the certificates that `SSL_CERT_FILE` names cannot be read.
    pub fn new(source: Source, timeout: Duration) -> Result<Self, Error> {
        let transport = match &source {
            Source::Path(path) => Transport::Path(path::Local::new(path.clone())),
            Source::Url(url) => {
                Transport::Url(url::Remote::new(url.clone(), timeout).map_err(|fault| fault.at(&source))?)
            }
        };
        Ok(Self { source, transport, last: None })
    }

    /// The source.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Makes the next poll return the last bundle once more: it may be usable by then.
    pub fn invalidate(&mut self) {
        self.last = None;
        match &mut self.transport {
            Transport::Path(local) => local.invalidate(),
            Transport::Url(remote) => remote.invalidate(),
        }
    }

    /// Polls the source. This may block for long: not for the thread that scores.
    ///
    /// # Errors
    ///
    /// If no bundle can be read. A path reports an error once until something changes there; a URL, each time.
    pub fn poll(&mut self) -> Result<Fetched, Error> {
        let fetched = match &mut self.transport {
            Transport::Path(local) => local.poll(),
            Transport::Url(remote) => remote.poll(),
        };
        let Some(bundle) = fetched.map_err(|fault| fault.at(&self.source))? else { return Ok(Fetched::Unchanged) };
        let signature = bundle.signature.as_deref().unwrap_or_default();
        let this = sha256(format!("{}{signature}", bundle.digest()).as_bytes());
        if self.last.replace(this.clone()) == Some(this) {
            return Ok(Fetched::Unchanged);
        }
        Ok(Fetched::New(Box::new(bundle)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_path_or_a_url() {
        let path = |text: &str| Source::Path(text.into());
        assert_eq!(Source::parse("models/cpu"), Ok(path("models/cpu")));
        assert_eq!(Source::parse("C:model"), Ok(path("C:model")));
        assert_eq!(Source::parse("https://host/cpu.qualm"), Ok(Source::Url(Secret::address("https://host/cpu.qualm"))));
        for (text, what) in [
            ("", "it is empty"),
            ("ftp://host/cpu", "`ftp` is not known"),
            ("file:///models/cpu", "write the path itself, `/models/cpu`"),
            ("http:///cpu", "names no host"),
            ("https://", "names no host"),
        ] {
            let error = Source::parse(text).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn passwords_are_redacted() {
        let source = Source::parse("https://me:secret@host:8443/cpu.qualm?at=1").unwrap();
        assert_eq!(source.to_string(), "https://***@host:8443/cpu.qualm?at=***");
        assert!(!format!("{source:?}").contains("secret"), "{source:?}");
        let fetcher = Fetcher::new(source, TIMEOUT).unwrap();
        assert!(!format!("{fetcher:?}").contains("secret"), "{fetcher:?}");
        assert_eq!(Source::parse("https://host/a@b").unwrap().to_string(), "https://host/a@b");
    }
}
