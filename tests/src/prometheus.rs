//! The real Prometheus, which scrapes its targets every second, and answers queries.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::http;
use crate::influx::free_port;
use crate::peer::answering;

/// A running Prometheus. It is killed when dropped.
#[derive(Debug)]
pub struct Prometheus {
    child: Child,
    address: SocketAddr,
    dir: TempDir,
}

impl Prometheus {
    /// Starts it and waits until it answers. Each target is scraped as a job of its own; `more` goes into the scrape
    /// configuration of each.
    ///
    /// # Panics
    ///
    /// If it does not answer.
    #[must_use]
    pub fn start(program: &Path, targets: &[(&str, SocketAddr)], more: &str) -> Self {
        let dir = TempDir::with_prefix("qualm-prometheus-").expect("a temporary directory");
        Self::start_in(program, dir, targets, more)
    }

    /// The same with history: metrics in the format of `OpenMetrics` with times, which `promtool` imports.
    ///
    /// # Panics
    ///
    /// If promtool refuses them, or Prometheus does not answer.
    #[must_use]
    pub fn start_with(program: &Path, promtool: &Path, past: &str) -> Self {
        let dir = TempDir::with_prefix("qualm-prometheus-").expect("a temporary directory");
        let file = dir.path().join("past.om");
        fs::write(&file, past).expect("a file can be written");
        let made = Command::new(promtool)
            .args(["tsdb", "create-blocks-from", "openmetrics"])
            .args([file, dir.path().join("data")])
            .output()
            .expect("promtool starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self::start_in(program, dir, &[], "")
    }

    fn start_in(program: &Path, dir: TempDir, targets: &[(&str, SocketAddr)], more: &str) -> Self {
        let job = |(name, target): &(&str, SocketAddr)| {
            format!("  - job_name: {name}\n    static_configs: [{{ targets: [\"{target}\"] }}]\n{more}")
        };
        let jobs: String = targets.iter().map(job).collect();
        let jobs = if jobs.is_empty() { " []".to_owned() } else { format!("\n{jobs}") };
        let config = format!("global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\nscrape_configs:{jobs}");
        fs::write(dir.path().join("prometheus.yml"), config).expect("a file can be written");
        let (child, address) = answering("Prometheus", ("/-/ready", 200), || spawn(program, dir.path()));
        Self { child, address, dir }
    }

    /// The current values of an expression's series.
    ///
    /// # Panics
    ///
    /// If Prometheus refuses it.
    #[must_use]
    pub fn query(&self, expression: &str) -> Vec<f64> {
        let path = format!("/api/v1/query?query={}", http::escape(expression));
        let (status, body) = http::request(self.address, "GET", &path).expect("Prometheus answers");
        assert_eq!(status, 200, "{expression}: {body}");
        let answer: Value = serde_json::from_str(&body).expect("Prometheus answers in JSON");
        let all = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        all.iter().filter_map(|one| one["value"][1].as_str()?.parse().ok()).collect()
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &Path, dir: &Path) -> (Child, SocketAddr) {
    let address = free_port();
    let log = File::create(dir.join("log")).expect("a log file can be made");
    let child = Command::new(program)
        .arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a file handle can be cloned"))
        .stderr(log)
        .spawn()
        .expect("Prometheus starts");
    (child, address)
}
