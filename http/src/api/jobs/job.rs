//! The job that makes a model of an upload, and its public state.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;
use tempfile::TempDir;

use super::owners::Owner;
use super::report::{Evaluation, Fault, Training, Validation};
use crate::api::problem::Problem;

/// The longest name of a model that is trained here.
const MAX_NAME_CHARS: usize = 64;

/// The bytes of an upload that are checked at once: enough for the names of many columns.
const HEAD: u64 = 256 << 10;

/// The format of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values, the time first.
    Csv,
    /// An object of JSON a line.
    Jsonl,
}

impl Format {
    /// The format of a `content-type`.
    #[must_use]
    pub fn of(content_type: &str) -> Option<Self> {
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match &*kind {
            "text/csv" | "application/csv" => Some(Self::Csv),
            "application/x-ndjson" | "application/jsonl" | "application/x-jsonlines" => Some(Self::Jsonl),
            _ => None,
        }
    }

    /// Whether a file begins as one of this format does. Other files are refused at once.
    ///
    /// # Errors
    ///
    /// The problem says how it should begin.
    pub(super) fn check(self, file: &Path) -> io::Result<Result<(), Problem>> {
        let mut bytes = Vec::new();
        File::open(file)?.take(HEAD).read_to_end(&mut bytes)?;
        let head = String::from_utf8_lossy(&bytes);
        let head = head.trim_start_matches('\u{feff}');
        let refuse = |error: &str, hint: &str| Ok(Err(Problem::new(422, error).hint(hint)));
        match self {
            Self::Csv => {
                let (first, rest) = head.lines().next().unwrap_or_default().split_once(',').unwrap_or_default();
                if qualm_offline::history::is_time(first.trim().trim_matches('"')) && !rest.trim().is_empty() {
                    return Ok(Ok(()));
                }
                refuse(
                    "line 1: it names no columns, or not `time` first",
                    "begin with a line such as time,cpu,mem: a column `time`, `_time`, `timestamp` or `date`, then the metrics",
                )
            }
            Self::Jsonl if head.trim_start().starts_with('{') => Ok(Ok(())),
            Self::Jsonl => {
                refuse("line 1: it is no JSON object", "write an object a line: {\"time\": 1706702400, \"cpu\": 12.5}")
            }
        }
    }

    /// The file's name in the job's directory; its extension gives the format.
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Csv => "upload.csv",
            Self::Jsonl => "upload.jsonl",
        }
    }
}

/// The parameters of an upload.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The name of the model.
    pub name: String,
    /// The kind of detector.
    pub detector: String,
    /// The format of the upload.
    pub format: Format,
}

impl Wanted {
    /// Checks it: name and detector are all of a request that becomes part of a command or a path.
    ///
    /// # Errors
    ///
    /// 422, with what is wrong and what is allowed.
    pub fn check(&self) -> Result<(), Problem> {
        let first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let allowed = |c: char| first(c) || matches!(c, '.' | '_' | '-');
        let Self { name, detector, .. } = self;
        if !name.starts_with(first) || name.len() > MAX_NAME_CHARS || !name.chars().all(allowed) {
            return Err(Problem::of_field("name", "it is no name of a model")
                .hint(format!("up to {MAX_NAME_CHARS} of a-z, 0-9, `.`, `_` and `-`, a letter or digit first")));
        }
        let kinds = qualm_offline::train::kinds::KINDS;
        if !kinds.contains(&detector.as_str()) {
            let hint = format!("one of {}", kinds.join(", "));
            return Err(Problem::of_field("detector", "there is no such kind that is trained").hint(hint));
        }
        Ok(())
    }
}

/// The phase of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It waits for others.
    Queued,
    /// The data are checked.
    Validating,
    /// The model is fitted.
    Training,
    /// The model is evaluated.
    Evaluating,
    /// The model is being published.
    Publishing,
    /// The model is published.
    Done,
    /// It failed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl State {
    /// Whether it has ended.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }

    /// About how much is done; unknown after a failure.
    const fn percent(self) -> Option<u8> {
        match self {
            Self::Queued => Some(0),
            Self::Validating => Some(5),
            Self::Training => Some(20),
            Self::Evaluating => Some(70),
            Self::Publishing => Some(95),
            Self::Done => Some(100),
            Self::Failed | Self::Cancelled => None,
        }
    }
}

/// The public state of a job.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Its identifier.
    pub id: String,
    /// The path of its state.
    pub url: String,
    /// Its phase.
    pub state: State,
    /// About how much is done.
    pub percent: u8,
    /// The name of the model.
    pub name: String,
    /// The kind of detector.
    pub detector: String,
    /// The size of the upload, unpacked.
    pub bytes: u64,
    /// When it was uploaded.
    pub created: Timestamp,
    /// When work on it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// The report of the validation.
    pub validation: Option<Validation>,
    /// The report of the training.
    pub training: Option<Training>,
    /// The report of the evaluation.
    pub evaluation: Option<Evaluation>,
    /// The model.
    pub model: Option<Published>,
    /// Why there is no model.
    pub error: Option<Fault>,
}

/// A model that was published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Published {
    /// The name.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// The path of its description.
    pub url: String,
}

/// One upload on its way to a model.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) owner: Owner,
    pub(super) wanted: Wanted,
    pub(super) bytes: u64,
    cancelled: AtomicBool,
    status: Mutex<Status>,
    /// Its directory, which is removed when it ends.
    dir: Mutex<Option<TempDir>>,
}

impl Job {
    pub(super) fn new(id: String, owner: Owner, wanted: Wanted, bytes: u64, dir: TempDir) -> Self {
        let status = Status {
            url: format!("/api/v1/bundles/{id}"),
            id: id.clone(),
            state: State::Queued,
            percent: 0,
            name: wanted.name.clone(),
            detector: wanted.detector.clone(),
            bytes,
            created: Timestamp::now(),
            started: None,
            ended: None,
            validation: None,
            training: None,
            evaluation: None,
            model: None,
            error: None,
        };
        let (cancelled, status, dir) = (AtomicBool::new(false), Mutex::new(status), Mutex::new(Some(dir)));
        Self { id, owner, wanted, bytes, cancelled, status, dir }
    }

    pub(super) fn status(&self) -> Status {
        self.status.lock().clone()
    }

    pub(super) fn dir(&self) -> Option<PathBuf> {
        self.dir.lock().as_ref().map(|dir| Path::to_owned(dir.path()))
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Goes on to the next phase, unless it was cancelled.
    pub(super) fn go_on(&self, state: State, change: impl FnOnce(&mut Status)) -> bool {
        let mut status = self.status.lock();
        if self.is_cancelled() {
            return false;
        }
        status.started.get_or_insert_with(Timestamp::now);
        status.state = state;
        status.percent = state.percent().unwrap_or(status.percent);
        change(&mut status);
        true
    }

    /// Ends it, after removing its directory.
    pub(super) fn end(&self, state: State, change: impl FnOnce(&mut Status)) {
        drop(self.dir.lock().take());
        let mut status = self.status.lock();
        status.ended.get_or_insert_with(Timestamp::now);
        if !status.state.is_end() {
            status.state = state;
            status.percent = state.percent().unwrap_or(status.percent);
        }
        change(&mut status);
    }

    /// Cancels it.
    ///
    /// # Errors
    ///
    /// Its phase, if it is too late.
    pub(super) fn cancel(&self) -> Result<(), State> {
        let mut status = self.status.lock();
        if status.state.is_end() || status.state == State::Publishing {
            return Err(status.state);
        }
        self.cancelled.store(true, Ordering::Relaxed);
        status.state = State::Cancelled;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_anything_else_are_refused() {
        let check = |name: &str, detector: &str| {
            let (name, detector) = (name.to_owned(), detector.to_owned());
            Wanted { name, detector, format: Format::Csv }.check().map_err(|problem| problem.field.unwrap())
        };
        let longest = "a".repeat(64);
        for name in ["host", "0", "a.b_c-d", &longest] {
            check(name, "isolation-forest").unwrap();
        }
        for name in ["", ".", "..", "-v", "_", "Host", "a/b", "a b", "ä", "a\n", "a\0", &format!("{longest}a")] {
            assert_eq!(check(name, "zscore").unwrap_err(), "name", "{name:?}");
        }
        assert_eq!(check("host", "--out").unwrap_err(), "detector");
        assert_eq!(check("host", "streaming").unwrap_err(), "detector", "it learns online");
    }

    #[test]
    fn a_file_that_does_not_begin_like_a_history_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let check = |format: Format, text: &str| {
            let path = dir.path().join("upload");
            std::fs::write(&path, text).unwrap();
            format.check(&path).unwrap().is_ok()
        };
        for text in ["time,cpu\n1,2\n", "\u{feff}timestamp , cpu\r\n", "\"time\",\"cpu\"\n", "time,a"] {
            assert!(check(Format::Csv, text), "{text}");
        }
        for text in ["", "\n", "null", "time", "time,\n1,2", "cpu,time\n", "time;cpu\n", "{\"time\":1}", "\0\u{ff}"] {
            assert!(!check(Format::Csv, text), "{text}");
        }
        assert!(check(Format::Jsonl, "\n {\"time\":1}") && !check(Format::Jsonl, "[]") && !check(Format::Jsonl, ""));
    }

    #[test]
    fn a_content_type_names_the_format() {
        assert_eq!(Format::of("text/csv; charset=utf-8"), Some(Format::Csv));
        assert_eq!(Format::of("Application/X-NDJSON"), Some(Format::Jsonl));
        assert_eq!(Format::of("application/json"), None);
    }
}
