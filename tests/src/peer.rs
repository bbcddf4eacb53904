//! Starts peers, and ends them with their test.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;
use std::thread;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::{http, until_some};

/// Starts a peer, and waits until it answers `GET` of this path with this status. Where it ends instead, another process may have
/// bound its port: then it is started again, at another one.
pub(crate) fn answering(
    name: &str,
    (path, status): (&str, u16),
    spawn: impl Fn() -> (Child, SocketAddr),
) -> (Child, SocketAddr) {
    until_some(&format!("{name} to run"), || {
        let (mut child, address) = spawn();
        let answers = until_some(&format!("{name} to answer or to end"), || {
            if http::request(address, "GET", path).is_ok_and(|(answered, _)| answered == status) {
                return Some(true);
            }
            matches!(child.try_wait(), Ok(Some(_))).then_some(false)
        });
        answers.then_some((child, address))
    })
}

/// Kills a peer that still runs, and its children. Prints the end of its log if the test failed.
pub(crate) fn terminate(name: &str, child: &mut Child, log: &Path) {
    if matches!(child.try_wait(), Ok(None)) {
        let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
        let _ = child.wait();
    }
    if thread::panicking() {
        let log = fs::read(log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        eprintln!("--- the end of {name}'s log:\n{}\n---", lines[lines.len().saturating_sub(40)..].join("\n"));
    }
}
