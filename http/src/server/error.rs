//! Why a server cannot start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a server cannot start: what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another program listens on the address.
    #[error(
        "{0} is in use by another program: stop that one, or listen on another port (`ss -ltnp` shows who has which)"
    )]
    InUse(SocketAddr),
    /// The machine has no such address.
    #[error("{0} is no address of this machine: listen on one that `ip address` shows, or on 127.0.0.1")]
    NotHere(SocketAddr),
    /// Ports below 1024 are for root.
    #[error("listening on {0} is not permitted: take a port from 1024 upwards, or grant CAP_NET_BIND_SERVICE")]
    NotPermitted(SocketAddr),
    /// The address cannot be bound for another reason.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, #[source] io::Error),
    /// A file of the certificate or the key cannot be used.
    #[error("{}: {why}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what it should be.
        why: String,
    },
    /// The certificate and the key do not make a server.
    #[error("the certificate {} cannot be served with the key {}: {why}", cert.display(), key.display())]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong with them.
        why: String,
    },
    /// A token that is empty or has spaces around it.
    #[error("token {0} (counted from 1) is empty or has spaces around it: give each caller a secret of its own")]
    Token(usize),
    /// A renewal would turn tokens or HTTPS on or off.
    #[error("whether tokens are asked for, and whether it is HTTPS, changes with a restart only")]
    Restart,
}

impl Error {
    pub(crate) fn listen(at: SocketAddr, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::InUse(at),
            io::ErrorKind::AddrNotAvailable => Self::NotHere(at),
            io::ErrorKind::PermissionDenied => Self::NotPermitted(at),
            _ => Self::Listen(at, error),
        }
    }
}
