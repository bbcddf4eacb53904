//! What a command prints for whoever called it.

use std::io::{self, ErrorKind, Write};

/// Prints a text. A reader that has seen enough and is gone is no error.
///
/// # Errors
///
/// Where stdout cannot be written for any other reason.
pub fn say(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}
