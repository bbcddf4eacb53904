//! The real Vector.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::peer::terminate;
use crate::{Site, http, until, until_some};

/// A running Vector. It is killed when dropped; its log is shown if the test failed.
#[derive(Debug)]
pub struct Vector {
    child: Child,
    log: PathBuf,
}

impl Vector {
    /// Starts it with `config`; what it prints and its log go to `vector.log` in the site. `more` are further arguments.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    pub fn start(program: &Path, site: &Site, config: &str, more: &[&str]) -> Self {
        let path = site.write("vector.yaml", config);
        let log = site.path("vector.log");
        let file = File::options().create(true).append(true).open(&log).expect("a log file can be opened");
        let child = Command::new(program)
            .args(["--color", "never", "--config"])
            .arg(path)
            .args(more)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file handle can be cloned"))
            .stderr(file)
            // A process group of its own, so that its children can be killed with it.
            .process_group(0)
            .spawn()
            .expect("Vector starts");
        Self { child, log }
    }

    /// Its output and log so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Stops it by a signal, and waits for its end.
    ///
    /// # Panics
    ///
    /// If it does not end.
    pub fn stop(mut self) {
        kill_process(self.group(), Signal::TERM).expect("Vector is running");
        until_some("Vector to end", || self.child.try_wait().expect("Vector can be waited for"));
    }

    /// Kills it, as a crash would.
    pub fn kill(mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }

    fn group(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Vector {
    fn drop(&mut self) {
        terminate("Vector", &mut self.child, &self.log);
    }
}

/// Sends events to an `http_server` source, once it listens.
///
/// # Panics
///
/// If it refuses them.
pub fn feed(source: SocketAddr, events: &str) {
    let send = || http::send(source, "POST", "/", &[], events.as_bytes());
    until("Vector to take events", || send().is_ok_and(|answer| answer.status == 200));
}

/// An unused address: Vector cannot bind a free port and log it.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port")
}
