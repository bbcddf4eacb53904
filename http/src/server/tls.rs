//! HTTPS: the server's certificate and key.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::Error;
use super::options::Tls;

pub(crate) fn acceptor(tls: &Tls) -> Result<TlsAcceptor, Error> {
    let Tls { cert, key } = tls;
    let unusable = |path: &std::path::Path, what: &str, error: &pem::Error| {
        let why = match error {
            pem::Error::Io(error) => error.to_string(),
            error => format!("it is not {what} in PEM: {error}"),
        };
        Error::Tls { path: path.to_owned(), why }
    };
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(cert, "a certificate", &error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, "a private key", &error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, private))
        .map_err(|error| Error::Pair { cert: cert.clone(), key: key.clone(), why: error.to_string() })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
