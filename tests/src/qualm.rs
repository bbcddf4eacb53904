//! Runs the binary alone.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;

/// The output of a program that ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: Vec<u8>,
    /// All of its standard error.
    pub stderr: String,
}

/// Runs a program on `input` and waits for its end.
///
/// # Panics
///
/// If it cannot be started.
#[must_use]
pub fn run(program: &Path, arguments: &[&str], input: &[u8]) -> Finished {
    run_in_pieces(program, arguments, input, input.len().max(1))
}

/// The same, with the input written in pieces of `piece` bytes, so that reads end within lines too.
///
/// # Panics
///
/// If the program cannot be started.
#[must_use]
pub fn run_in_pieces(program: &Path, arguments: &[&str], input: &[u8], piece: usize) -> Finished {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let mut stdout = child.stdout.take().expect("stdout is piped");
    let mut stderr = child.stderr.take().expect("stderr is piped");
    // All three at once, as Telegraf does: a full pipe would block the others.
    let (stdout, stderr) = thread::scope(|scope| {
        scope.spawn(move || {
            // A program that ended early has its reason on stderr, which is more useful than the broken pipe.
            let _ = input.chunks(piece).try_for_each(|piece| stdin.write_all(piece));
        });
        let stdout = scope.spawn(move || read_all(&mut stdout));
        let stderr = scope.spawn(move || read_all(&mut stderr));
        (stdout.join().expect("stdout can be read"), stderr.join().expect("stderr can be read"))
    });
    let status = child.wait().expect("the program ends");
    Finished { status, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() }
}

fn read_all(from: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).expect("a pipe can be read");
    bytes
}
