//! Ends peers with their test.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::thread;

use rustix::process::{Pid, Signal, kill_process_group};

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
