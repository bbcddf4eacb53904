//! A running qualm that listens: `qualm serve`, or `qualm execd` with `[http] listen`.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::http::{self, Answer};
use crate::until_some;

/// The text before the address in the log.
const LISTENING: &str = "listening on ";

/// A running qualm. It is killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Server {
    /// Starts `qualm serve` and waits until it logs its address; `more` are further arguments.
    ///
    /// # Panics
    ///
    /// If it does not.
    #[must_use]
    pub fn start(qualm: &Path, config: &Path, more: &[&str]) -> Self {
        Self::start_as(Command::new(qualm).arg("serve").arg("--config").arg(config).args(more))
    }

    /// The same for any command.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    #[must_use]
    pub fn start_as(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stderr = child.stderr.take().expect("stderr is piped");
        let log = Arc::new(Mutex::new(String::new()));
        let theirs = Arc::clone(&log);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = theirs.lock().unwrap_or_else(PoisonError::into_inner);
                log.push_str(&line);
                log.push('\n');
            }
        });
        let read = || log.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let address = until_some("qualm to listen", || {
            let log = read();
            if let Ok(Some(status)) = child.try_wait() {
                panic!("qualm ended with {status}:\n{log}");
            }
            let (_, rest) = log.split_once(LISTENING)?;
            let (_, address) = rest.lines().next()?.split_once("://")?;
            address.trim_end_matches('/').parse().ok()
        });
        Self { child, address, log }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL without a path.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its stdin; only once.
    ///
    /// # Panics
    ///
    /// The second time.
    pub fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("it was not taken before")
    }

    /// Its stdout; only once.
    ///
    /// # Panics
    ///
    /// The second time.
    pub fn stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("it was not taken before")
    }

    /// Sends a request.
    ///
    /// # Panics
    ///
    /// If it does not answer.
    #[must_use]
    pub fn ask(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        http::send(self.address, method, path, headers, body).expect("qualm answers")
    }

    /// Sends a `GET` without headers.
    ///
    /// # Panics
    ///
    /// If it does not answer.
    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], b"")
    }

    /// The value of a metric, the sum of all its series whose labels contain `labels`.
    ///
    /// # Panics
    ///
    /// If there are no metrics.
    #[must_use]
    pub fn metric(&self, name: &str, labels: &str) -> f64 {
        let metrics = self.get("/metrics");
        assert_eq!(metrics.status, 200, "{}", metrics.text());
        let text = metrics.text();
        let lines =
            text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        let values =
            lines.filter(|line| line.contains(labels)).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum()
    }

    /// Stops it by a signal, and returns its exit status and its log.
    ///
    /// # Panics
    ///
    /// If it does not end.
    #[must_use]
    pub fn stop(mut self) -> (ExitStatus, String) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("it can be asked");
        let status = until_some("qualm to end", || self.child.try_wait().expect("it can be waited for"));
        (status, self.log())
    }

    /// Kills it, as a crash would.
    pub fn kill(mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}
