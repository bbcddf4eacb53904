//! HTTPS.

use std::fs;
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use qualm_http::{Error, Options, Server, Tls};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::harness::{PATIENCE, Running, get, post, read_answer};

/// A certificate for localhost, its key, and who trusts it.
fn certificate(directory: &Path) -> (Tls, ClientConfig) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let tls = Tls { cert: directory.join("cert.pem"), key: directory.join("key.pem") };
    fs::write(&tls.cert, made.cert.pem()).unwrap();
    fs::write(&tls.key, made.signing_key.serialize_pem()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (tls, client)
}

#[test]
fn requests_are_answered_over_tls() {
    let directory = tempfile::tempdir().unwrap();
    let (tls, client) = certificate(directory.path());
    let server = Running::start(|options| options.tls = Some(tls));
    // A client that sends plain HTTP affects no other.
    let mut plain = server.connect();
    plain.send(get("/healthz"));
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(client), name).unwrap();
    let stream = TcpStream::connect(server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    for length in [3, 300_000] {
        let body = vec![7; length];
        stream.get_mut().write_all(&post("/echo", "", &body)).unwrap();
        let answer = read_answer(&mut stream, true);
        assert_eq!(answer.status, 200);
        assert!(answer.body == body);
    }
    assert_eq!(server.counts.snapshot().failed, 1);
}

#[test]
fn files_that_make_no_certificate_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let (good, _) = certificate(directory.path());
    let junk = directory.path().join("junk.pem");
    fs::write(&junk, "no certificate").unwrap();
    let error = |cert: &Path, key: &Path| {
        let mut options = Options::on("127.0.0.1:0".parse().unwrap());
        options.tls = Some(Tls { cert: cert.to_owned(), key: key.to_owned() });
        Server::bind(options).expect_err("it cannot be used").to_string()
    };
    assert!(error(&directory.path().join("none.pem"), &good.key).contains("none.pem"));
    assert!(error(&good.cert, &junk).contains("junk.pem: it is not a private key"));
    assert!(error(&junk, &good.key).contains("junk.pem"));
    let other = directory.path().join("other.pem");
    fs::write(&other, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(error(&good.cert, &other).contains("other.pem"));
}

#[test]
fn an_address_in_use_says_what_to_do() {
    let server = Running::start(|_| {});
    let error = Server::bind(Options::on(server.address)).expect_err("it is in use");
    assert!(matches!(error, Error::InUse(address) if address == server.address), "{error}");
    assert!(error.to_string().contains("listen on another port"));
}
