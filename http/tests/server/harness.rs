//! A server with a few simple routes, and a client that sends exact bytes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use qualm_http::exposition::{Exposition, Format};
use qualm_http::{Call, Counts, Method, Options, Refused, Reply, Router, Server, StatusCode, header, reply};
use tokio::runtime;
use tokio::sync::oneshot;

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) counts: Arc<Counts>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// A server with these options, but for the address.
    pub(crate) fn start(change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::on("127.0.0.1:0".parse().unwrap());
        change(&mut options);
        let server = Server::bind(options).expect("the server binds");
        let (address, counts) = (server.local_addr(), server.counts());
        let (stop, stopped) = oneshot::channel::<()>();
        let router = router(&counts);
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(server.run(router, async {
                let _sent_or_dropped = stopped.await;
            }));
        });
        Self { address, counts, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::to(self.address)
    }

    /// Asks it to stop.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until it has stopped.
    pub(crate) fn stopped(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server ends well");
        }
    }

    /// Answers to one request on a new connection.
    pub(crate) fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        self.connect().ask(request)
    }

    /// Waits until so many connections are open.
    pub(crate) fn until_open(&self, connections: usize) {
        until(|| self.counts.snapshot().connections == connections);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        if !thread::panicking() {
            self.stopped();
        }
    }
}

/// Waits until a condition holds.
pub(crate) fn until(holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "the condition never held");
        thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) struct Client {
    pub(crate) stream: BufReader<TcpStream>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.get_mut().write_all(bytes.as_ref()).expect("the server reads");
        self
    }

    /// The next answer.
    pub(crate) fn answer(&mut self) -> Answer {
        read_answer(&mut self.stream, true)
    }

    /// The next answer, to a request by `HEAD`.
    pub(crate) fn head_answer(&mut self) -> Answer {
        read_answer(&mut self.stream, false)
    }

    pub(crate) fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request).answer()
    }

    /// Whether the server closed the connection, waiting for that.
    pub(crate) fn closed(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(0) => true,
            Ok(_) => false,
            Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
        }
    }
}

pub(crate) fn read_answer(stream: &mut impl BufRead, with_body: bool) -> Answer {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let read = stream.read_line(&mut head).expect("an answer comes");
        assert!(read > 0, "the connection was closed after {head:?}");
    }
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let mut answer = Answer { status, head, body: Vec::new() };
    let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
    if with_body {
        answer.body.resize(length, 0);
        stream.read_exact(&mut answer.body).expect("the answer's body comes");
    }
    answer
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).expect("text")
    }
}

pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
}

/// A request with a body, and these header fields, each with its line's end.
pub(crate) fn post(path: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n{fields}\r\n");
    [head.as_bytes(), body].concat()
}

/// The same in chunks, without its length.
pub(crate) fn post_chunked(path: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n{fields}\r\n");
    let mut request = head.into_bytes();
    for chunk in body.chunks(100_000) {
        request.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    request
}

fn milliseconds(call: &Call) -> Duration {
    Duration::from_millis(call.query("ms").and_then(|ms| ms.parse().ok()).unwrap_or(0))
}

async fn echo(mut call: Call) -> Result<Reply, Refused> {
    let body = call.bytes(call.limit()).await?;
    Ok(reply::bytes(StatusCode::OK, "application/octet-stream", body.to_vec()))
}

async fn length(mut call: Call) -> Result<Reply, Refused> {
    let body = call.bytes(call.limit()).await?;
    // The body is held meanwhile.
    tokio::time::sleep(milliseconds(&call)).await;
    Ok(reply::text(StatusCode::OK, body.len().to_string()))
}

async fn save(mut call: Call) -> Result<Reply, Refused> {
    let path = PathBuf::from(call.query("to").expect("a path").into_owned());
    let limit = call.limit() as u64;
    let length = call.save(&path, limit).await?;
    Ok(reply::text(StatusCode::OK, length.to_string()))
}

async fn slow(call: Call) -> Reply {
    tokio::time::sleep(milliseconds(&call)).await;
    reply::text(StatusCode::OK, "slow")
}

async fn large(_: Call) -> Reply {
    reply::bytes(StatusCode::OK, "application/octet-stream", vec![7; 50_000_000])
}

async fn panics(_: Call) -> Reply {
    tokio::task::yield_now().await;
    panic!("as the test wants it")
}

async fn item(call: Call) -> Reply {
    let value = serde_json::json!({
        "id": call.parameter("id"),
        "bucket": call.query("bucket"),
        "token": call.token().map(|token| token.reveal() == "two"),
        "agent": call.header(header::USER_AGENT),
    });
    reply::json(StatusCode::OK, &value)
}

pub(crate) fn router(counts: &Arc<Counts>) -> Router {
    let counts = Arc::clone(counts);
    Router::new()
        .open(Method::GET, "/healthz", async |_: Call| reply::text(StatusCode::OK, "ok\n"))
        .route(Method::POST, "/echo", echo)
        .route(Method::POST, "/length", length)
        .route(Method::POST, "/ignore", async |_: Call| reply::empty(StatusCode::NO_CONTENT))
        .route(Method::POST, "/save", save)
        .route(Method::GET, "/slow", slow)
        .route(Method::GET, "/large", large)
        .route(Method::GET, "/panic", panics)
        .route(Method::GET, "/items/{id}", item)
        .open(Method::GET, "/metrics", move |call: Call| {
            let counts = Arc::clone(&counts);
            async move {
                let format = Format::accepted(call.header(header::ACCEPT));
                let mut out = Exposition::new(format);
                counts.snapshot().expose(&mut out);
                reply::bytes(StatusCode::OK, format.content_type(), out.finish())
            }
        })
}
