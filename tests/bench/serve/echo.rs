//! The cost of an empty answer: bare hyper on tokio, in a process of its own.

use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitCode, Stdio};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// The argument that starts this program as one.
const ECHO_ARGUMENT: &str = "--echo=";

/// As many as answer requests in qualm.
const THREADS: usize = 2;

/// A running one.
#[derive(Debug)]
pub(crate) struct Echo {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// The length of answers, where this program was started as one.
pub(crate) fn asked_for() -> Option<usize> {
    std::env::args().find_map(|argument| argument.strip_prefix(ECHO_ARGUMENT)?.parse().ok())
}

/// Reads bodies, and answers each with this many bytes, without end.
pub(crate) fn serve(length: usize) -> ExitCode {
    let answer = Bytes::from(vec![b'x'; length]);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(THREADS).enable_all().build().expect("threads can be started");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        println!("{}", listener.local_addr().expect("an address"));
        while let Ok((stream, _)) = listener.accept().await {
            let _not_waited_for = stream.set_nodelay(true);
            let answer = answer.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let answer = answer.clone();
                    async move {
                        let _read = request.into_body().collect().await;
                        Ok::<_, Infallible>(Response::new(Full::new(answer)))
                    }
                });
                let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    ExitCode::SUCCESS
}

impl Echo {
    pub(crate) fn start(length: usize) -> Self {
        let program = std::env::current_exe().expect("this program is somewhere");
        let mut command = Command::new(program);
        let command = command.arg(format!("{ECHO_ARGUMENT}{length}")).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("this program starts again");
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        Self { child, address: line.trim().parse().expect("an address") }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _waited = self.child.wait();
    }
}
