//! A program that is fed bit by bit and looked at in between.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// For how long a program may be silent before it counts as stuck.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A program that runs; what it writes is counted.
#[derive(Debug)]
pub(crate) struct Live {
    child: Child,
    stdin: ChildStdin,
    sent: u64,
    back: Arc<AtomicU64>,
}

impl Live {
    /// Starts it.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
        let stdin = child.stdin.take().expect("stdin is piped");
        let mut stdout = child.stdout.take().expect("stdout is piped");
        let back = Arc::new(AtomicU64::new(0));
        let lines = Arc::clone(&back);
        thread::spawn(move || {
            let mut buffer = vec![0; 1 << 20];
            while let Ok(read @ 1..) = stdout.read(&mut buffer) {
                lines.fetch_add(newlines(&buffer[..read]), Ordering::Release);
            }
        });
        Self { child, stdin, sent: 0, back }
    }

    /// Sends lines, and waits until as many are back as were ever sent.
    pub(crate) fn pass(&mut self, lines: &[u8]) {
        self.stdin.write_all(lines).expect("the program reads");
        self.sent += newlines(lines);
        let start = Instant::now();
        while self.back() < self.sent {
            assert!(start.elapsed() < TIMEOUT, "only {} of {} lines came back", self.back(), self.sent);
            thread::sleep(Duration::from_micros(500));
        }
    }

    /// Lines that were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Lines that came back.
    pub(crate) fn back(&self) -> u64 {
        self.back.load(Ordering::Acquire)
    }

    /// Bytes that it has in memory: what stands behind `VmRSS`, or, for the most it ever had, `VmHWM`.
    pub(crate) fn memory(&self, which: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(which)?.strip_prefix(':')).expect("it has memory");
        let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kibibytes * 1024.0
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _waited = self.child.wait();
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| u64::from(byte == b'\n')).sum()
}
