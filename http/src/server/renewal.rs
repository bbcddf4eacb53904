//! Tokens and certificate, which can change while a server runs.

use std::sync::Arc;

use parking_lot::RwLock;
use tokio_rustls::TlsAcceptor;

use super::error::Error;
use super::options::Options;
use super::tls;
use super::tokens::Tokens;

/// The current tokens and certificate.
pub(crate) struct Access {
    pub(crate) tokens: RwLock<Tokens>,
    tls: RwLock<Option<TlsAcceptor>>,
}

impl Access {
    pub(crate) fn new(options: &Options) -> Result<Self, Error> {
        let tokens = RwLock::new(Tokens::new(options.tokens.clone())?);
        let tls = RwLock::new(options.tls.as_ref().map(tls::acceptor).transpose()?);
        Ok(Self { tokens, tls })
    }

    /// The TLS acceptor for new connections, if the server has a certificate.
    pub(crate) fn tls(&self) -> Option<TlsAcceptor> {
        self.tls.read().clone()
    }
}

/// Renews tokens and certificate of a running server.
#[derive(Clone)]
pub struct Renewal(pub(crate) Arc<Access>);

impl Renewal {
    /// Takes tokens and certificate from these options: both, or neither. Connections that are open keep the certificate
    /// that they have.
    ///
    /// # Errors
    ///
    /// If a token or the certificate cannot be used; or if there were tokens or a certificate before and none now, or the
    /// reverse: that takes a restart.
    pub fn renew(&self, options: &Options) -> Result<(), Error> {
        let next = Access::new(options)?;
        let (tokens, tls) = (next.tokens.into_inner(), next.tls.into_inner());
        let mut now = self.0.tokens.write();
        if now.is_empty() != tokens.is_empty() || self.0.tls.read().is_some() != tls.is_some() {
            return Err(Error::Restart);
        }
        *now = tokens;
        *self.0.tls.write() = tls;
        Ok(())
    }
}

impl std::fmt::Debug for Renewal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Renewal")
    }
}
