//! The output file: it has a temporary name until it is complete.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use qualm_system::atomic;
use tempfile::NamedTempFile;

use super::Error;

/// A file that is being written. Dropped before [`finish`](Self::finish), it leaves nothing behind.
#[derive(Debug)]
pub(super) struct OutputFile {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
    /// Bytes written.
    pub(super) bytes: u64,
}

impl OutputFile {
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Write { path: path.to_owned(), source };
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // As for any file that a user makes.
        let file = atomic::unfinished_file(dir, 0o666).map_err(failed)?;
        Ok(Self { file: BufWriter::with_capacity(1 << 20, file), path: path.to_owned(), bytes: 0 })
    }

    /// The error of a failed write.
    pub(super) fn failed(&self, source: io::Error) -> Error {
        Error::Write { path: self.path.clone(), source }
    }

    /// Renames the complete file.
    pub(super) fn finish(self) -> Result<(), Error> {
        let Self { file, path, .. } = self;
        let write = || {
            let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(|source| Error::Write { path: path.clone(), source })
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
