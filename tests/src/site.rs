//! A temporary directory of a test.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::config::quoted;

/// A temporary directory.
#[derive(Debug)]
pub struct Site {
    dir: TempDir,
}

impl Site {
    /// An empty directory.
    ///
    /// # Panics
    ///
    /// If it cannot be created.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "making a directory is no default value")]
    pub fn new() -> Self {
        Self { dir: TempDir::with_prefix("qualm-e2e-").expect("a temporary directory") }
    }

    /// The path of a file in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file and returns its path.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("a file can be written");
        path
    }

    /// Reads a file; empty while it does not exist.
    #[must_use]
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_default()
    }

    /// Reads a file as text; empty while it does not exist.
    #[must_use]
    pub fn read_text(&self, name: &str) -> String {
        String::from_utf8_lossy(&self.read(name)).into_owned()
    }

    /// Writes a configuration with a short warm-up, its state in `state/`, and this `select`.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    #[must_use]
    pub fn quick_config(&self, select: &str) -> PathBuf {
        let state = self.path("state");
        fs::create_dir_all(&state).expect("a directory can be made");
        let config = format!(
            "[[detector]]\n\
             name = \"all\"\n\
             select = {select}\n\
             kind = \"streaming\"\n\
             false_alarm_rate = 1e-4\n\
             half_life = \"1h\"\n\
             min_samples = 10\n\
             \n\
             [state]\n\
             dir = {}\n\
             interval = \"1s\"\n",
            quoted(&state)
        );
        self.write("qualm.toml", config)
    }
}

impl AsRef<Path> for Site {
    fn as_ref(&self) -> &Path {
        self.dir.path()
    }
}
