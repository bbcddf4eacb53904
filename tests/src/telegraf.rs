//! The real Telegraf.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::peer::terminate;
use crate::{Site, until_some};

/// A running Telegraf. It is killed when dropped; its log is shown if the test failed.
#[derive(Debug)]
pub struct Telegraf {
    child: Child,
    log: PathBuf,
}

impl Telegraf {
    /// Starts it with `config` below a common head; its log goes to `telegraf.log` in the site.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    pub fn start(program: &Path, site: &Site, config: &str) -> Self {
        Self::spawn(program, site, config, &[])
    }

    /// Runs `telegraf --once`: every input is gathered once, then it shuts down in an orderly way.
    ///
    /// # Panics
    ///
    /// If it cannot be started, or does not end.
    #[must_use]
    pub fn once(program: &Path, site: &Site, config: &str) -> ExitStatus {
        Self::spawn(program, site, config, &["--once"]).wait()
    }

    fn spawn(program: &Path, site: &Site, config: &str, arguments: &[&str]) -> Self {
        // Buffers that no test fills, so that Telegraf itself drops nothing. Short intervals save time.
        let head = "[agent]\n\
             interval = \"200ms\"\n\
             flush_interval = \"200ms\"\n\
             round_interval = false\n\
             metric_batch_size = 1000\n\
             metric_buffer_limit = 1000000\n\
             omit_hostname = true\n\
             skip_processors_after_aggregators = false\n";
        let path = site.write("telegraf.conf", format!("{head}\n{config}"));
        let log = site.path("telegraf.log");
        let file = File::options().create(true).append(true).open(&log).expect("a log file can be opened");
        let child = Command::new(program)
            .arg("--config")
            .arg(path)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file handle can be cloned"))
            .stderr(file)
            // A process group of its own, so that Ctrl-C can be sent to it and its children.
            .process_group(0)
            .spawn()
            .expect("Telegraf starts");
        Self { child, log }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Sends a signal to Telegraf alone, as `systemctl reload` and `stop` do.
    ///
    /// # Panics
    ///
    /// If it is not running any more.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.group(), signal).expect("Telegraf is running");
    }

    /// Sends a signal to Telegraf and all its children, as a terminal does on Ctrl-C.
    ///
    /// # Panics
    ///
    /// If it is not running any more.
    pub fn signal_all(&self, signal: Signal) {
        kill_process_group(self.group(), signal).expect("Telegraf is running");
    }

    /// Stops it by a signal, and waits for its end.
    ///
    /// # Panics
    ///
    /// If it does not end, or with an error.
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert!(status.success(), "Telegraf stopped with {status}");
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// If it does not end.
    pub fn wait(&mut self) -> ExitStatus {
        until_some("Telegraf to end", || self.child.try_wait().expect("Telegraf can be waited for"))
    }

    fn group(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Telegraf {
    fn drop(&mut self) {
        terminate("Telegraf", &mut self.child, &self.log);
    }
}

/// The process ids of the children of a process, in the order in which they were started.
#[must_use]
pub fn children(of: u32) -> Vec<u32> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let mut found: Vec<u32> = processes
        .flatten()
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .filter(|pid| parent(*pid) == Some(of))
        .collect();
    found.sort_unstable();
    found
}

/// The parent of a process that still runs; a zombie is no child any more.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // `pid (name) state parent …`, where the name may hold spaces and brackets of its own.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    let state = words.next()?;
    if state == "Z" {
        return None;
    }
    words.next()?.parse().ok()
}
