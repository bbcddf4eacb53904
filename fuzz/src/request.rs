//! Requests over HTTP, on a connection to a real listener.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use qualm_core::BuiltIn;
use qualm_http::api::models::{self, Registry};
use qualm_http::api::{self, Api};
use qualm_http::{Call, Counts, Method, Options, Refused, Reply, Router, Server, StatusCode, reply};

/// The longest time for an answer, even on a busy machine.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

struct Service {
    address: SocketAddr,
    counts: Arc<Counts>,
    _models: tempfile::TempDir,
}

static SERVICE: LazyLock<Service> = LazyLock::new(|| {
    let models = tempfile::tempdir().expect("a directory for a test");
    let registry = Registry::open(models::Options::of(models.path()), BuiltIn);
    let api = Api::new(registry, None, api::Options::default());
    let server = Server::bind(Options::on(([127, 0, 0, 1], 0).into())).expect("a port is free");
    let (address, counts) = (server.local_addr(), server.counts());
    let router = Router::new()
        .open(Method::GET, "/healthz", async |_: Call| reply::text(StatusCode::OK, "ok\n"))
        .route(Method::POST, "/length", length);
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let serving = server.run(api.routes(router), std::future::pending());
        runtime.expect("a runtime can be had").block_on(serving);
    });
    Service { address, counts, _models: models }
});

async fn length(mut call: Call) -> Result<Reply, Refused> {
    let body = call.bytes(call.limit()).await?;
    Ok(reply::text(StatusCode::OK, body.len().to_string()))
}

/// Any request gets complete answers, the same however the bytes arrive, and the connection ends; no handler panics, and the
/// service answers the next request. (An answer may be lost if the service closed the connection before reading all bytes.)
pub(crate) fn request(bytes: &[u8]) {
    let whole = statuses(&ask(&[bytes]));
    let (before, behind) = bytes.split_at(bytes.len() / 2);
    let halves = statuses(&ask(&[before, behind]));
    let are_alike = halves.starts_with(&whole) || whole.starts_with(&halves);
    assert!(are_alike, "{halves:?}, and whole {whole:?}: {}", bytes.escape_ascii());
    assert_eq!(SERVICE.counts.snapshot().panics, 0, "{}", bytes.escape_ascii());
    let health = ask(&[b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"]);
    assert_eq!(statuses(&health), [200]);
}

/// All that is answered to these pieces, until the connection ends.
fn ask(pieces: &[&[u8]]) -> Vec<u8> {
    let mut stream = TcpStream::connect(SERVICE.address).expect("the service listens");
    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).expect("a time-out can be set");
    stream.set_nodelay(true).expect("so can this");
    // The service may have closed the connection already.
    let _closed = pieces.iter().try_for_each(|piece| stream.write_all(piece));
    let _closed = stream.shutdown(Shutdown::Write);
    let mut answers = Vec::new();
    let ended = stream.read_to_end(&mut answers);
    let is_late = ended.is_err_and(|error| matches!(error.kind(), std::io::ErrorKind::WouldBlock));
    assert!(!is_late, "the connection does not end: {}", answers.escape_ascii());
    answers
}

/// The statuses of answers, each of which must be whole.
fn statuses(mut answers: &[u8]) -> Vec<u16> {
    let mut statuses = Vec::new();
    while !answers.is_empty() {
        let shown = answers.escape_ascii();
        let end = answers.windows(4).position(|at| at == b"\r\n\r\n").unwrap_or_else(|| panic!("no answer: {shown}"));
        let head = str::from_utf8(&answers[..end]).expect("a head is text").to_ascii_lowercase();
        let status = head.strip_prefix("http/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status: {shown}"));
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
        let without_body = status == 204 || status == 304 || status < 200;
        answers = &answers[end + 4..];
        let length: usize = if without_body { 0 } else { length.unwrap_or_else(|| panic!("no length: {shown}")) };
        // An answer to HEAD has a length and no body: what comes next is another answer, or nothing.
        let is_head = answers.is_empty() || answers.starts_with(b"HTTP/1.");
        if !is_head {
            answers = answers.get(length..).unwrap_or_else(|| panic!("half an answer: {shown}"));
        }
        statuses.push(status);
    }
    statuses
}
