//! The output of commands.

use std::io::{self, ErrorKind, Write};

/// Prints a text. That the reader closed the pipe is no error.
///
/// # Errors
///
/// Where stdout cannot be written for any other reason.
pub fn print_text(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}
