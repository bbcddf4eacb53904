//! Whether state can be kept in a directory.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::Access;

/// The most processes that share a directory: Telegraf starts two, one of them after its aggregators.
pub(super) const MAX_PROCESSES: u32 = 16;

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be made, or nothing can be written to it.
    #[error("the state directory {} cannot be used: {source}; make it writable for this user, or name another under [state] dir", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process uses it.
    #[error("{} is in use: a qualm keeps its state there. Stop it (or the Telegraf that runs it), and try again", .0.display())]
    Running(PathBuf),
    /// Every file in it is in use.
    #[error("the state directory {} is in use by {MAX_PROCESSES} other processes; name another under [state] dir", .0.display())]
    InUse(PathBuf),
}

/// Whether this user could keep state in `dir`; nothing is made there.
///
/// # Errors
///
/// Why not.
pub fn check(dir: &Path) -> Result<(), Error> {
    let there = dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let failed = |source| Error::Directory { dir: dir.to_owned(), source };
    if !there.is_dir() {
        return Err(failed(io::ErrorKind::NotADirectory.into()));
    }
    rustix::fs::access(there, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| failed(error.into()))
}

/// From now on a write beyond the largest file that this process may have (`ulimit -f`, systemd's `LimitFSIZE=`) fails like one
/// to a full disk. By itself the system ends the process, and the metrics that are on their way with it.
///
/// # Errors
///
/// As the system says.
pub fn ignore_file_size_signal() -> io::Result<()> {
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default()).map(drop)
}
