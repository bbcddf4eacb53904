//! Vector itself, with what stands in its configuration in qualm's place, before and behind it.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use qualm_tests::config::quoted;
use qualm_tests::until;

use crate::gauges::Codec;
use crate::place::Place;

/// A running Vector that takes events by HTTP.
#[derive(Debug)]
pub(crate) struct Vector {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// What it does with events.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way<'a> {
    /// Takes them.
    In,
    /// Takes them and sends them to this URL: what qualm does, without the scores.
    Through(&'a str),
    /// Takes them, sends them to itself, and takes them again: what shape A costs Vector is this less [`Way::In`].
    Around,
}

/// The binary, where `VECTOR_BIN` names one.
pub(crate) fn binary() -> Option<PathBuf> {
    std::env::var_os("VECTOR_BIN").map(PathBuf::from)
}

impl Vector {
    pub(crate) fn start(binary: &PathBuf, place: &Place, codec: Codec, way: Way<'_>) -> Self {
        let (address, again) = (free(), free());
        let name = format!("vector-{}", address.port());
        let config = config(codec, way, address, again).replace("DATA", &quoted(&place.dir(&name)));
        let config = place.file(&format!("{name}.yaml"), &config);
        let mut command = Command::new(binary);
        command.args(["--quiet", "--config"]).arg(config).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().expect("Vector starts");
        let vector = Self { child, address };
        until("Vector to listen", || TcpStream::connect(address).is_ok());
        if matches!(way, Way::Around) {
            until("Vector to listen behind", || TcpStream::connect(again).is_ok());
        }
        vector
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Vector {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _waited = self.child.wait();
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}

/// As in the guide for users, but with a buffer in memory, so that the time of a disk is not counted.
fn config(codec: Codec, way: Way<'_>, address: SocketAddr, again: SocketAddr) -> String {
    let codec = codec.name();
    let source = |name: &str, address| {
        format!("  {name}: {{ type: http_server, address: \"{address}\", decoding: {{ codec: {codec} }} }}\n")
    };
    let http = |url: &str| {
        format!(
            "  on: {{ type: http, inputs: [in], uri: \"{url}\", encoding: {{ codec: {codec} }}, \
             batch: {{ max_events: 1000, timeout_secs: 0.05 }}, request: {{ concurrency: 1 }}, \
             acknowledgements: {{ enabled: true }}, healthcheck: {{ enabled: false }} }}\n"
        )
    };
    let end =
        |name: &str| format!("  end: {{ type: blackhole, inputs: [{name}], acknowledgements: {{ enabled: true }} }}\n");
    let (sources, sinks) = match way {
        Way::In => (source("in", address), end("in")),
        Way::Through(url) => (source("in", address), http(url)),
        Way::Around => {
            (source("in", address) + &source("back", again), http(&format!("http://{again}")) + &end("back"))
        }
    };
    format!("data_dir: DATA\nsources:\n{sources}sinks:\n{sinks}")
}
