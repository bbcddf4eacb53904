//! Why a body was refused, and the answer to its sender.

use std::io;
use std::path::PathBuf;

use hyper::StatusCode;
use hyper::header::{HeaderValue, RETRY_AFTER};

use crate::reply::{self, Reply};

/// Why a body was refused. As a [`Reply`] it has the right status and a hint.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// More bytes, after decompression, than this.
    #[error("the body is larger than {0} bytes")]
    TooLarge(u64),
    /// It came too slowly.
    #[error("the body came too slowly")]
    TooSlow,
    /// All memory for bodies is in use.
    #[error("too many bodies are being handled at once")]
    NoMemory,
    /// A `content-encoding` that is not known here.
    #[error("the content-encoding {0:?} is not known")]
    Encoding(String),
    /// It is not what its `content-encoding` says.
    #[error("the body is not valid {0}: {1}")]
    Corrupt(&'static str, String),
    /// It ended early, or its framing is wrong.
    #[error("the body ended before it was complete")]
    Truncated,
    /// The file that it was to become cannot be written. The path is for the log, not for the caller.
    #[error("the body cannot be kept")]
    Disk(PathBuf, #[source] io::Error),
    /// The body was already taken.
    #[error("the body was read twice")]
    Taken,
}

impl Refused {
    /// The names of the reasons in [`Snapshot::refused`](crate::Snapshot::refused).
    pub(crate) const REASONS: [&str; 8] =
        ["too_large", "too_slow", "no_memory", "encoding", "corrupt", "truncated", "disk", "taken"];

    /// The index of this reason in `REASONS`.
    pub(crate) fn reason(&self) -> usize {
        match self {
            Self::TooLarge(_) => 0,
            Self::TooSlow => 1,
            Self::NoMemory => 2,
            Self::Encoding(_) => 3,
            Self::Corrupt(..) => 4,
            Self::Truncated => 5,
            Self::Disk(..) => 6,
            Self::Taken => 7,
        }
    }

    /// The status that says so.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NoMemory => StatusCode::SERVICE_UNAVAILABLE,
            Self::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Corrupt(..) | Self::Truncated => StatusCode::BAD_REQUEST,
            Self::Disk(_, error) if error.kind() == io::ErrorKind::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
            Self::Disk(..) | Self::Taken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "send less at once",
            Self::TooSlow => "send it again over a better connection, or less at once",
            Self::NoMemory => "send it again in a moment",
            Self::Encoding(_) => "use identity, gzip, deflate, zstd or snappy",
            Self::Corrupt(..) => "send the content-encoding that the body has, or none",
            Self::Truncated => "send the whole body",
            Self::Disk(..) => "the service's log says why",
            Self::Taken => "this is a fault of the service: report it",
        }
    }
}

impl From<Refused> for Reply {
    fn from(refused: Refused) -> Self {
        if let Refused::Disk(path, error) = &refused {
            tracing::error!("a body cannot be kept as {}: {error}", path.display());
        }
        let mut reply = reply::error(refused.status(), &refused.to_string(), Some(refused.hint()));
        if matches!(refused, Refused::NoMemory) {
            reply.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        reply
    }
}
