//! Files that are there as a whole or not at all, also after a power cut.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes a file, or replaces it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = parent(path);
    // As any other file; the library's own choice is that nobody else may read it.
    let permissions = Permissions::from_mode(0o666); // less the umask
    let mut file = tempfile::Builder::new().prefix(".qualm-").permissions(permissions).tempfile_in(parent)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync(parent)
}

/// Makes sure that what was created or renamed in a directory stays so.
pub(crate) fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The directory that a path's last part is in.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Puts a file or directory out of the way under a name that nobody looks for, and says under which.
pub(crate) fn set_aside(path: &Path) -> io::Result<std::path::PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(".bad");
    fs::rename(path, &name)?;
    Ok(name.into())
}
