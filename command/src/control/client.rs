//! Asks a running process.

use std::io::{self, ErrorKind, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::line::{LineError, Lines};
use super::{LINE_TIMEOUT, MAX_REPLY, PIPELINE_TIMEOUT, Reply, Request};

/// How long a reply may take: pipelines answer one after another.
const REPLY_TIMEOUT: Duration = Duration::from_secs(6 * PIPELINE_TIMEOUT.as_secs());

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("no qualm listens at {}: start it, or name its socket with --socket", .0.display())]
    Nobody(PathBuf),
    /// The socket is another user's.
    #[error("{}: permission denied; run this as the user that qualm runs as", .0.display())]
    Denied(PathBuf),
    /// It cannot be asked.
    #[error("{}: {source}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There was no reply, or one that cannot be read.
    #[error("{}: {what}", path.display())]
    Reply {
        /// The socket.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// Sends a request, and waits for the reply.
///
/// # Errors
///
/// Why there is none.
pub fn ask(path: &Path, request: &Request) -> Result<Reply, ClientError> {
    let io = |source: io::Error| match source.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => ClientError::Nobody(path.to_owned()),
        ErrorKind::PermissionDenied => ClientError::Denied(path.to_owned()),
        _ => ClientError::Io { path: path.to_owned(), source },
    };
    let mut stream = UnixStream::connect(path).map_err(io)?;
    stream.set_write_timeout(Some(LINE_TIMEOUT)).map_err(io)?;
    let mut line = serde_json::to_vec(request).map_err(|error| io(error.into()))?;
    line.push(b'\n');
    stream.write_all(&line).map_err(io)?;
    let wrong = |what: String| ClientError::Reply { path: path.to_owned(), what };
    let line = match Lines::new(&stream, MAX_REPLY).next(REPLY_TIMEOUT) {
        Ok(line) => line.ok_or_else(|| wrong("it closed the connection without a reply".to_owned()))?,
        Err(LineError::Io(source)) => return Err(io(source)),
        Err(error) => return Err(wrong(error.to_string())),
    };
    serde_json::from_slice(&line).map_err(|error| wrong(format!("its reply cannot be read: {error}")))
}
