//! The real Alertmanager, which routes alerts to receivers.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::http;
use crate::influx::free_port;
use crate::peer::{answering, terminate};

/// A running Alertmanager. It is killed when dropped.
#[derive(Debug)]
pub struct Alertmanager {
    child: Child,
    address: SocketAddr,
    dir: TempDir,
}

impl Alertmanager {
    /// Starts it with this configuration, and waits until it answers.
    ///
    /// # Panics
    ///
    /// If it does not answer.
    #[must_use]
    pub fn start(program: &Path, config: &str) -> Self {
        let dir = TempDir::with_prefix("qualm-alertmanager-").expect("a temporary directory");
        fs::write(dir.path().join("alertmanager.yml"), config).expect("a file can be written");
        let (child, address) = answering("Alertmanager", ("/-/ready", 200), || spawn(program, dir.path()));
        Self { child, address, dir }
    }

    /// Sends alerts, as Prometheus does: an array in JSON.
    ///
    /// # Panics
    ///
    /// If it refuses them.
    pub fn post(&self, alerts: &str) {
        let headers = ["Content-Type: application/json"];
        let answer = http::send(self.address, "POST", "/api/v2/alerts", &headers, alerts.as_bytes());
        let answer = answer.expect("Alertmanager answers");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        terminate("Alertmanager", &mut self.child, &self.dir.path().join("log"));
    }
}

fn spawn(program: &Path, dir: &Path) -> (Child, SocketAddr) {
    let address = free_port();
    let log = File::create(dir.join("log")).expect("a log file can be made");
    let child = Command::new(program)
        .arg(format!("--config.file={}", dir.join("alertmanager.yml").display()))
        .arg(format!("--storage.path={}", dir.join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--cluster.listen-address=")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file handle can be cloned"))
        .stderr(log)
        .spawn()
        .expect("Alertmanager starts");
    (child, address)
}
