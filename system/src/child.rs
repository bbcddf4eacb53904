//! A process that does a part of a job, and what keeps it from taking more than its share.
//!
//! It has no input, none of our environment, a directory of its own, and prints into files there, whose size bounds what
//! is printed. It is killed when it takes too long, prints too much, or is not wanted any more, with all that it started.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{self, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getppid, kill_process_group, prlimit,
    set_parent_process_death_signal, setpriority_process, waitid,
};

/// How much longer than its time of a processor a process may take in all: one that sleeps must end, too.
const PATIENCE: u32 = 10;

/// Seconds between the signal that announces the end of a process' time, and its end.
const GRACE: u64 = 2;

/// How often it is looked at: soon at first, then seldom.
const FIRST_LOOK: Duration = Duration::from_millis(2);
const LOOK: Duration = Duration::from_millis(50);

/// The most that is read of what it says where it fails.
const SAID: u64 = 64 << 10;

/// What a process may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long each of its threads may run on a processor. A machine that is busy lets it take ten times as long by the
    /// clock on the wall.
    pub time: Duration,
    /// Its address space, in bytes.
    pub memory: u64,
    /// What it may print, in bytes.
    pub output: u64,
    /// The largest file that it may write, in bytes.
    pub file: u64,
    /// How much it lets others go first, as `nice` has it.
    pub nice: i32,
    /// Threads that it computes on.
    pub threads: u32,
}

/// What a quarter of a gigabyte of history needs, and no more.
impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_mins(30), memory: 4 << 30, output: 16 << 20, file: 512 << 20, nice: 10, threads: 1 }
    }
}

/// Why a process came to nothing, in words that follow what it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It was not wanted any more.
    #[error("was stopped")]
    Stopped,
    /// It took too long.
    #[error("took too long")]
    Time,
    /// It wanted more memory than it may have.
    #[error("took too much memory")]
    Memory,
    /// It printed or wrote too much.
    #[error("wrote too much")]
    Output,
    /// It ended as it should not, or never began: why.
    #[error("failed: {0}")]
    Broken(String),
}

/// What a process did to its end.
#[derive(Debug)]
pub struct Done {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub out: Vec<u8>,
    /// What it said beside.
    pub said: String,
}

/// Runs `program` in `dir` until it ends.
///
/// # Errors
///
/// Why it came to nothing.
pub fn run(
    program: &Path,
    arguments: &[&str],
    dir: &Path,
    limits: &Limits,
    stopped: &dyn Fn() -> bool,
) -> Result<Done, Failure> {
    let (out, said) = (dir.join("stdout"), dir.join("stderr"));
    let broken = |error: io::Error| Failure::Broken(format!("{} cannot be run: {error}", program.display()));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(dir).stdin(Stdio::null());
    command.stdout(File::create(&out).map_err(broken)?).stderr(File::create(&said).map_err(broken)?);
    command.env_clear().env("RAYON_NUM_THREADS", limits.threads.to_string()).env("TMPDIR", dir);
    command.env(OF, process::id().to_string());
    command.process_group(0);
    let process = Process { child: command.spawn().map_err(broken)?, has_ended: false };
    process.limit(limits);
    let status = process.wait(limits, &[&out, &said], stopped)?;
    let said = read(&said, SAID).map_err(broken)?;
    let said = String::from_utf8_lossy(&said).into_owned();
    match status.code() {
        Some(code) => Ok(Done { code, out: read(&out, limits.output).map_err(broken)?, said }),
        None => Err(killed(status, &said)),
    }
}

/// The variable with the process for which a child works.
const OF: &str = "QUALM_WORKS_FOR";

/// Where this process does a server's work, it ends when that does, however that comes about: nobody else would stop it.
/// To be called as early as can be.
pub fn end_with_server() {
    let Some(server) = env::var(OF).ok().and_then(|pid| Pid::from_raw(pid.parse().ok()?)) else { return };
    let set = set_parent_process_death_signal(Some(Signal::KILL));
    if set.is_ok() && getppid() != Some(server) {
        process::exit(2); // it had gone before
    }
}

/// Why a process ended that was killed, though not by us.
fn killed(status: ExitStatus, said: &str) -> Failure {
    let by = |signal: Signal| status.signal() == Some(signal.as_raw());
    if said.contains("memory allocation of") || (by(Signal::KILL)) {
        return Failure::Memory; // the kernel kills where memory runs out
    }
    if by(Signal::XCPU) {
        return Failure::Time;
    }
    if by(Signal::XFSZ) {
        return Failure::Output;
    }
    Failure::Broken(format!("it crashed ({status})"))
}

fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A process that does not outlive this.
struct Process {
    child: process::Child,
    has_ended: bool,
}

impl Process {
    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.child.id().try_into().ok()?)
    }

    /// Sets its limits. It has hardly begun; and one that has ended already needs none.
    fn limit(&self, limits: &Limits) {
        let &Limits { time, memory, file, nice, .. } = limits;
        let Some(pid) = self.pid() else { return };
        // It ends by itself even where nobody is left to watch it. The threads' times add up.
        let seconds = time.as_secs().max(1).saturating_mul(u64::from(limits.threads.max(1)));
        for (resource, most, grace) in [
            (Resource::As, memory, 0),
            (Resource::Fsize, file, 0),
            (Resource::Core, 0, 0),
            (Resource::Cpu, seconds, GRACE),
        ] {
            let limit = Rlimit { current: Some(most), maximum: Some(most.saturating_add(grace)) };
            let _had_ended = prlimit(Some(pid), resource, limit);
        }
        let _had_ended = setpriority_process(Some(pid), nice);
    }

    fn wait(mut self, limits: &Limits, printed: &[&Path], stopped: &dyn Fn() -> bool) -> Result<ExitStatus, Failure> {
        let lost = |error: io::Error| Failure::Broken(format!("it cannot be waited for: {error}"));
        let end = Instant::now() + limits.time * PATIENCE;
        let mut look = FIRST_LOOK;
        loop {
            let is_over = self.is_over().map_err(lost)?;
            let size = |path: &&Path| fs::metadata(path).map_or(0, |file| file.len());
            if printed.iter().map(size).any(|size| size > limits.output) {
                return Err(Failure::Output);
            }
            if is_over {
                return self.end().map_err(lost);
            }
            if stopped() {
                return Err(Failure::Stopped);
            }
            if Instant::now() >= end {
                return Err(Failure::Time);
            }
            thread::sleep(look);
            look = (look * 2).min(LOOK);
        }
    }

    /// Whether it has ended by itself. Its number is not given to another before [`end`](Self::end).
    fn is_over(&self) -> io::Result<bool> {
        let Some(pid) = self.pid() else { return Ok(true) };
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(waitid(WaitId::Pid(pid), look)?.is_some())
    }

    /// Kills it, if it is still there, and what it started.
    fn end(&mut self) -> io::Result<ExitStatus> {
        if !self.has_ended
            && let Some(pid) = self.pid()
        {
            let _nobody_left = kill_process_group(pid, Signal::KILL);
        }
        self.has_ended = true;
        self.child.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _status = self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limits: &Limits, stopped: &dyn Fn() -> bool) -> Result<Done, Failure> {
        let dir = tempfile::tempdir().unwrap();
        run(Path::new("/bin/sh"), &["-c", script], dir.path(), limits, stopped)
    }

    fn limits() -> Limits {
        Limits { time: Duration::from_mins(1), output: 1 << 16, ..Limits::default() }
    }

    #[test]
    fn what_it_printed_is_there() {
        let done = sh("echo out; echo said >&2; env; exit 3", &limits(), &|| false).unwrap();
        let out = String::from_utf8(done.out).unwrap();
        assert_eq!((done.code, &*done.said), (3, "said\n"));
        assert!(out.starts_with("out\n") && out.contains("RAYON_NUM_THREADS=1"), "{out}");
        assert!(!out.contains("CARGO"), "none of our environment: {out}");
    }

    #[test]
    fn it_is_killed_when_it_takes_too_much() {
        let short = Limits { time: Duration::from_millis(100), ..limits() };
        let begun = Instant::now();
        assert_eq!(sh("sleep 60", &short, &|| false).unwrap_err(), Failure::Time);
        assert_eq!(sh("sleep 0.3; exit 0", &short, &|| false).unwrap().code, 0, "who waits for a processor has time");
        let busy = Limits { time: Duration::from_secs(1), ..limits() };
        assert_eq!(sh("while :; do :; done", &busy, &|| false).unwrap_err(), Failure::Time);
        assert_eq!(sh("sleep 60 & sleep 60", &limits(), &|| true).unwrap_err(), Failure::Stopped);
        assert_eq!(
            sh("while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done", &limits(), &|| false)
                .unwrap_err(),
            Failure::Output
        );
        assert!(begun.elapsed() < Duration::from_secs(30));
        let small = Limits { file: 1 << 12, ..limits() };
        let flood = "sleep 0.2; exec head -c 100000 /dev/zero > f";
        let full = sh(flood, &small, &|| false);
        assert!(matches!(full, Err(Failure::Output)) || full.unwrap().code != 0);
        assert!(matches!(sh("kill -SEGV $$", &limits(), &|| false).unwrap_err(), Failure::Broken(_)));
        let missing = run(Path::new("/no/such/program"), &[], Path::new("/tmp"), &limits(), &|| false);
        assert!(matches!(missing.unwrap_err(), Failure::Broken(_)));
    }

    #[test]
    fn its_limits_are_set() {
        let script = "sleep 0.2; ulimit -v; ulimit -c; cut -d' ' -f19 /proc/self/stat";
        let done = sh(script, &Limits { memory: 1 << 30, nice: 7, ..limits() }, &|| false).unwrap();
        assert_eq!(String::from_utf8(done.out).unwrap(), "1048576\n0\n7\n");
    }

    #[test]
    fn nothing_that_it_started_outlives_it() {
        let dir = tempfile::tempdir().unwrap();
        let script = "(sleep 60 & echo $! > child); exit 0";
        run(Path::new("/bin/sh"), &["-c", script], dir.path(), &limits(), &|| false).unwrap();
        let child = fs::read_to_string(dir.path().join("child")).unwrap();
        let gone =
            || fs::read_to_string(format!("/proc/{}/stat", child.trim())).map_or(true, |stat| stat.contains(") Z"));
        let end = Instant::now() + Duration::from_secs(20);
        while !gone() && Instant::now() < end {
            thread::sleep(LOOK);
        }
        assert!(gone());
    }
}
