//! What the log has of a detector: lines that its guests wrote, and failures, each kind once a minute.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use qualm_sandbox::guest_log::GuestLog;

/// For how long a kind of failure is not logged again.
const INTERVAL: Duration = Duration::from_mins(1);

/// When each kind of failure was last logged.
#[derive(Debug, Default)]
pub(super) struct FailureLog {
    last: HashMap<&'static str, Instant>,
}

impl FailureLog {
    /// Whether a failure of this kind is to be logged now.
    pub(super) fn is_due(&mut self, kind: &'static str, now: Instant) -> bool {
        let due = self.last.get(kind).is_none_or(|last| now.saturating_duration_since(*last) > INTERVAL);
        if due {
            self.last.insert(kind, now);
        }
        due
    }
}

/// Lines of a guest's log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) written: u64,
    pub(super) dropped: u64,
}

/// How much of a guest's log has been counted.
#[derive(Debug, Default)]
pub(super) struct LogCount {
    counted: Lines,
}

impl LogCount {
    /// A log of which nothing was counted yet.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A log that was counted before, up to now.
    pub(super) fn resumed(log: &GuestLog) -> Self {
        Self { counted: lines(log) }
    }

    /// What has come since it was last counted.
    pub(super) fn take_new(&mut self, log: &GuestLog) -> Lines {
        let now = lines(log);
        let before = std::mem::replace(&mut self.counted, now);
        Lines { written: now.written - before.written, dropped: now.dropped - before.dropped }
    }
}

fn lines(log: &GuestLog) -> Lines {
    let (written, dropped) = log.counts();
    Lines { written, dropped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_failure_is_logged_once_a_minute() {
        let mut log = FailureLog::default();
        let now = Instant::now();
        assert!(log.is_due("trap", now) && log.is_due("deadline", now));
        assert!(!log.is_due("trap", now + INTERVAL));
        let later = now + INTERVAL + Duration::from_nanos(1);
        assert!(log.is_due("trap", later) && !log.is_due("trap", later));
        assert!(!log.is_due("trap", now), "whose clock goes back is not due");
    }
}
