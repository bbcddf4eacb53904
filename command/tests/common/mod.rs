//! Runs commands for tests.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::thread;

/// Runs a command with this input, which it must read to its end if it succeeds.
pub(crate) fn output(command: &mut Command, input: impl Into<Vec<u8>>) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.into());
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let written = writer.join().unwrap();
    assert!(written.is_ok() || !output.status.success(), "{written:?}: {output:?}");
    output
}
