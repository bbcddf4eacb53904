//! What may change while a server runs: who may call, and the certificate.

use std::sync::Arc;

use parking_lot::RwLock;
use tokio_rustls::TlsAcceptor;

use super::error::Error;
use super::options::Options;
use super::tls;
use super::tokens::Tokens;

/// Both, as they are now.
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

    /// What makes HTTPS of a connection that begins now.
    pub(crate) fn tls(&self) -> Option<TlsAcceptor> {
        self.tls.read().clone()
    }
}

/// Renews them for a server that runs.
#[derive(Clone)]
pub struct Renewal(pub(crate) Arc<Access>);

impl Renewal {
    /// Takes tokens and certificate from these options: both, or neither. Connections that are open keep the certificate
    /// that they have.
    ///
    /// # Errors
    ///
    /// Where a token or the certificate cannot be used, or whether there are any would change: what else depends on that
    /// is settled at the start.
    pub fn renew(&self, options: &Options) -> Result<(), Error> {
        let next = Access::new(options)?;
        let (tokens, tls) = (next.tokens.into_inner(), next.tls.into_inner());
        let mut now = self.0.tokens.write();
        if now.none() != tokens.none() || self.0.tls.read().is_some() != tls.is_some() {
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
