//! The progress of an unfinished warm start: one file with the position and the state up to there.

use std::fs;
use std::path::PathBuf;

use qualm::state::{Saved, StateFile};
use qualm_offline::collect::Remote;
use qualm_offline::history::timestamp;
use qualm_system::own;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::warn;

use super::Error;

/// The progress of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Progress {
    pub(super) task: Task,
    pub(super) position: Position,
    pub(super) tally: Tally,
}

/// The history that is learnt, and all that the state depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Task {
    /// The file or server, for messages.
    pub(super) from: String,
    /// All that distinguishes it from other tasks.
    pub(super) what: Value,
}

/// Where a run resumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Position {
    /// Behind so many rows of a file.
    Rows(u64),
    /// At this time, in nanoseconds since 1970.
    Time(i64),
}

impl Default for Position {
    fn default() -> Self {
        Self::Rows(0)
    }
}

impl Position {
    /// Of a server's rows; `None` within a stretch.
    pub(super) fn of(remote: &Remote) -> Option<Self> {
        remote.is_between_windows().then(|| Self::Time(remote.done()))
    }
}

/// Counts of the history so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    /// Rows.
    pub(super) rows: u64,
    /// Values that were given to a detector.
    pub(super) values: u64,
    /// Lines that are no line protocol.
    pub(super) malformed: u64,
    /// Values that are earlier than the one before them in their series.
    pub(super) backwards: u64,
    /// Rows that had scores already.
    pub(super) scored_before: u64,
    /// Rows of verdicts alone.
    pub(super) verdicts: u64,
    /// Rows without a timestamp.
    pub(super) untimed: u64,
    /// Rows of a server that line protocol cannot represent.
    pub(super) left_out: u64,
    /// The first and the last time.
    pub(super) first: Option<i64>,
    pub(super) last: Option<i64>,
    /// Series that are scored by now.
    pub(super) ready: u64,
}

impl Tally {
    /// The counts of two runs.
    pub(super) fn plus(&self, other: &Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            values: self.values + other.values,
            malformed: self.malformed + other.malformed,
            backwards: self.backwards + other.backwards,
            scored_before: self.scored_before + other.scored_before,
            verdicts: self.verdicts + other.verdicts,
            untimed: self.untimed + other.untimed,
            left_out: self.left_out + other.left_out,
            first: self.first.into_iter().chain(other.first).min(),
            last: self.last.max(other.last),
            ready: self.ready.max(other.ready),
        }
    }

    /// The position as text.
    pub(super) fn reached(&self) -> String {
        let last = self.last.map_or_else(String::new, |last| format!(", at {}", timestamp(last)));
        format!("after {} rows{last}", self.rows)
    }
}

/// The file of the progress.
pub(super) fn path(file: &StateFile) -> PathBuf {
    file.dir().join("warm.partial")
}

/// Removes the file.
pub(super) fn remove(file: &StateFile) {
    let path = path(file);
    if let Err(error) = fs::remove_file(&path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        warn!("{} cannot be removed: {error}; it is of no use any more", path.display());
    }
}

impl Progress {
    /// Reads the task's progress and its state; `restart` removes them.
    pub(super) fn read(file: &StateFile, task: &Task, restart: bool) -> Result<Option<(Self, Saved)>, Error> {
        let path = path(file);
        if restart {
            remove(file);
            return Ok(None);
        }
        let bytes = match own::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Write { path, source }),
        };
        let newline = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        let progress: Option<Self> = serde_json::from_slice(&bytes[..newline]).ok();
        let saved = bytes.get(newline + 1..).and_then(|state| file.read_after_header(state));
        let Some((progress, saved)) = progress.zip(saved) else {
            warn!("{} is damaged, or of another version; beginning anew", path.display());
            return Ok(None);
        };
        if progress.task != *task {
            return Err(Error::Unfinished { path, of: progress.task.from });
        }
        Ok(Some((progress, saved)))
    }

    /// Writes the file atomically.
    pub(super) fn write(&self, file: &StateFile, saved: &Saved) -> Result<(), Error> {
        let path = path(file);
        let mut head = serde_json::to_vec(self).map_err(std::io::Error::from)?;
        head.push(b'\n');
        file.write_as(&path, &head, saved).map_err(|source| Error::Write { path, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(from: &str) -> Task {
        Task { from: from.to_owned(), what: serde_json::json!([from, 1]) }
    }

    #[test]
    fn progress_is_resumed_by_the_same_task_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = StateFile::open_alone(dir.path(), 7).unwrap();
        assert_eq!(Progress::read(&file, &task("a"), false).unwrap(), None);
        let tally = Tally { rows: 5, last: Some(3), ..Tally::default() };
        let progress = Progress { task: task("a"), position: Position::Time(3), tally };
        let saved = vec![("all".to_owned(), Vec::new())];
        progress.write(&file, &saved).unwrap();
        assert_eq!(Progress::read(&file, &task("a"), false).unwrap(), Some((progress, saved)));
        let error = Progress::read(&file, &task("b"), false).unwrap_err().to_string();
        assert!(error.contains("a warm start from a that did not end") && error.contains("--restart"), "{error}");
        assert_eq!(file.remaining_states().0, [] as [PathBuf; 0], "it is no state");

        let bytes = fs::read(path(&file)).unwrap();
        fs::write(path(&file), &bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(Progress::read(&file, &task("a"), false).unwrap(), None, "damaged");
        fs::write(path(&file), bytes).unwrap();
        assert_eq!(Progress::read(&file, &task("b"), true).unwrap(), None);
        assert!(!path(&file).exists());
    }
}
