//! The log of guests: a limited number of sanitized lines; the rest is counted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use qualm_system::untrusted::{MAX_GUEST_CHARS, one_line};
use tracing::{debug, error, info, warn};

pub(crate) use crate::bindings::qualm::detector::log::Level;

/// The most lines at once, such as those that a language's runtime prints at an error.
const BURST_LINES: u32 = 20;

/// The interval after which one more line is allowed.
const LINE_INTERVAL: Duration = Duration::from_secs(6);

/// The log of all guests of one specification: a restarted guest has no more lines than before.
#[derive(Debug, Clone)]
pub struct GuestLog(Arc<Mutex<Lines>>);

#[derive(Debug)]
struct Lines {
    /// The name of the model.
    name: String,
    /// Lines that are allowed now, and when that was last updated.
    left: u32,
    since: Instant,
    /// Counts of written and dropped lines, and of dropped ones that were not logged yet.
    written: u64,
    dropped: u64,
    unreported: u64,
    /// Printed text without a line end.
    partial_line: String,
}

impl GuestLog {
    /// The log of a model with this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let name = name.to_owned();
        let partial_line = String::new();
        Self(Arc::new(Mutex::new(Lines {
            name,
            left: BURST_LINES,
            since: Instant::now(),
            written: 0,
            dropped: 0,
            unreported: 0,
            partial_line,
        })))
    }

    /// Lines that were written, and lines that were dropped.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let lines = self.lines();
        (lines.written, lines.dropped)
    }

    /// Writes a line.
    pub(crate) fn write(&self, level: Level, message: &str) {
        self.lines().write(level, message);
    }

    /// Adds printed text, and writes its complete lines.
    pub(crate) fn print(&self, level: Level, text: &str) {
        let mut lines = self.lines();
        for piece in text.split_inclusive('\n') {
            lines.partial_line.push_str(piece);
            if piece.ends_with('\n') || lines.partial_line.len() > MAX_GUEST_CHARS {
                let line = std::mem::take(&mut lines.partial_line);
                lines.write(level, line.trim_end());
            }
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn write(&mut self, level: Level, message: &str) {
        let more = self.since.elapsed().as_secs() / LINE_INTERVAL.as_secs();
        if more > 0 {
            self.left = BURST_LINES.min(self.left.saturating_add(more as u32));
            self.since = Instant::now();
        }
        if self.left == 0 {
            self.dropped += 1;
            self.unreported += 1;
            return;
        }
        self.left -= 1;
        self.written += 1;
        let Self { name, unreported, .. } = self;
        let message = one_line(message);
        let line = match std::mem::take(unreported) {
            0 => format!("`{name}` says: {message}"),
            lines => format!("`{name}` says, after {lines} lines that came too fast: {message}"),
        };
        match level {
            Level::Debug => debug!("{line}"),
            Level::Info => info!("{line}"),
            Level::Warn => warn!("{line}"),
            Level::Error => error!("{line}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_what_is_printed_becomes_lines() {
        let log = GuestLog::new("d");
        log.print(Level::Info, "one\ntwo\nth");
        assert_eq!(log.counts(), (2, 0));
        log.print(Level::Info, "ree\n");
        assert_eq!(log.counts(), (3, 0));
        for _ in 0..1000 {
            log.write(Level::Error, "again");
        }
        assert_eq!(log.counts(), (u64::from(BURST_LINES), 983));
        assert_eq!(log.clone().counts().1, 983, "a restarted guest has no more lines than before");
        log.print(Level::Info, &"x".repeat(10_000));
        assert!(log.lines().partial_line.is_empty(), "a line without an end is not kept for ever");
    }
}
