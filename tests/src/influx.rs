//! The real `InfluxDB`, with a database for one test.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::config::quoted;
use crate::http;
use crate::peer::answering;

/// A running `influxd`, on ports and in a directory of its own. It is killed when dropped.
#[derive(Debug)]
pub struct Influx {
    child: Child,
    address: SocketAddr,
    _dir: TempDir,
}

impl Influx {
    /// Starts it, waits until it answers, and makes the database `qualm`.
    ///
    /// # Panics
    ///
    /// If it does not answer.
    #[must_use]
    pub fn start(program: &Path) -> Self {
        Self::start_at(program, free_port)
    }

    /// The same, at a given address.
    ///
    /// # Panics
    ///
    /// If it does not answer.
    #[must_use]
    pub fn start_at(program: &Path, place: impl Fn() -> SocketAddr) -> Self {
        let dir = TempDir::with_prefix("qualm-influx-").expect("a temporary directory");
        let (child, address) = answering("InfluxDB", ("/ping", 204), || {
            let address = place();
            (spawn(program, dir.path(), address), address)
        });
        let (status, body) =
            http::request(address, "POST", "/query?q=CREATE%20DATABASE%20qualm").expect("InfluxDB answers");
        assert_eq!(status, 200, "{body}");
        Self { child, address, _dir: dir }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Writes lines into the database `qualm`.
    ///
    /// # Panics
    ///
    /// If `InfluxDB` refuses one.
    pub fn write(&self, lines: &str) {
        let (status, body) =
            http::request_with(self.address, "POST", "/write?db=qualm", lines).expect("InfluxDB answers");
        assert_eq!(status, 204, "{body}");
    }

    /// Runs an `InfluxQL` query on the database `qualm`. Returns the rows of the first series, each a list of values with the time
    /// first; none without a series.
    ///
    /// # Panics
    ///
    /// If `InfluxDB` refuses the query.
    #[must_use]
    pub fn query(&self, question: &str) -> Vec<Vec<Value>> {
        let path = format!("/query?db=qualm&epoch=ns&q={}", http::escape(question));
        let (status, body) = http::request(self.address, "GET", &path).expect("InfluxDB answers");
        assert_eq!(status, 200, "{question}: {body}");
        let answer: Value = serde_json::from_str(&body).expect("InfluxDB answers in JSON");
        let result = &answer["results"][0];
        assert!(result["error"].is_null(), "{question}: {result}");
        let rows = result["series"][0]["values"].as_array().cloned().unwrap_or_default();
        rows.iter().filter_map(Value::as_array).cloned().collect()
    }

    /// The second value of the first row: the result of a query for one aggregate.
    #[must_use]
    pub fn number(&self, question: &str) -> Option<f64> {
        self.query(question).first()?.get(1)?.as_f64()
    }
}

impl Drop for Influx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts influxd with the services alone that writes and queries need.
fn spawn(program: &Path, dir: &Path, http: SocketAddr) -> Child {
    let backup = free_port();
    let config = format!(
        "reporting-disabled = true\n\
         bind-address = \"{backup}\"\n\
         [meta]\ndir = {}\n\
         [data]\ndir = {}\nwal-dir = {}\nquery-log-enabled = false\n\
         [http]\nbind-address = \"{http}\"\nlog-enabled = false\n\
         [monitor]\nstore-enabled = false\n\
         [subscriber]\nenabled = false\n\
         [retention]\nenabled = false\n\
         [shard-precreation]\nenabled = false\n\
         [continuous_queries]\nenabled = false\n",
        quoted(&dir.join("meta")),
        quoted(&dir.join("data")),
        quoted(&dir.join("wal")),
    );
    let path = dir.join("influxdb.conf");
    fs::write(&path, config).expect("a file can be written");
    let log = File::create(dir.join("influxd.log")).expect("a log file can be made");
    Command::new(program)
        .arg("-config")
        .arg(path)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file handle can be cloned"))
        .stderr(log)
        .spawn()
        .expect("influxd starts")
}

/// An unused address on this machine.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn free_port() -> SocketAddr {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    socket.local_addr().expect("a bound socket has an address")
}
