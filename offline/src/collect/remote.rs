//! History on a server, row by row.

use std::io::Cursor;

use qualm_bundle::secret::Secret;

use super::fetch::FetchWindows;
use super::{Error, Query, influx, prometheus};
use crate::history::History as _;
use crate::history::Row;
use crate::history::feed::Source;
use crate::history::lp::Lp;

/// The rows on a server in a range of time, in order of time. One time window of them is in memory.
pub struct Remote {
    windows: FetchWindows,
    rows: Lp<Cursor<Vec<u8>>>,
    /// The ends of the window before, and of the current one.
    done: i64,
    fetched_until: i64,
    from: i64,
    until: i64,
    /// Whether the last row is the first of its window.
    is_first: bool,
    /// Rows that line protocol cannot represent, or that have no name.
    pub left_out: u64,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("done", &self.done).field("until", &self.until).finish_non_exhaustive()
    }
}

impl Remote {
    /// Opens the history of an `InfluxDB`.
    ///
    /// # Errors
    ///
    /// If an option is invalid, or the server cannot be used.
    pub fn influx(url: &Secret, since: &str, until: Option<&str>, query: &Query) -> Result<Self, Error> {
        let plan = query.plan("--influx", url, since, until)?;
        let (_, windows) = influx(&plan)?;
        Ok(Self::new(windows))
    }

    /// Opens the history of a Prometheus. `measurement` names everything with `metric_version = 2`.
    ///
    /// # Errors
    ///
    /// If an option is invalid, or the server cannot be used.
    pub fn prometheus(
        url: &Secret,
        since: &str,
        until: Option<&str>,
        query: &prometheus::Query,
        measurement: &str,
    ) -> Result<Self, Error> {
        let plan = query.plan(url, since, until, measurement)?;
        let mut source = prometheus::Source::new(plan.client(), &plan)?;
        let queries = super::Source::measurements(&mut source)?;
        Ok(Self::new(FetchWindows::new(Box::new(source), queries, plan.range, &plan.url)))
    }

    fn new(windows: FetchWindows) -> Self {
        let (from, until) = windows.time_range();
        let rows = Lp::new(Cursor::default());
        Self { windows, rows, done: from, fetched_until: from, from, until, is_first: false, left_out: 0 }
    }

    /// Skips rows before `time`.
    pub fn resume_from(&mut self, time: i64) {
        self.windows.resume_from(time);
        self.fetched_until = self.windows.fetched_until();
        self.done = self.fetched_until;
    }

    /// The time before which all rows have been returned, except for the last row if that begins a window. It advances by
    /// whole windows.
    #[must_use]
    pub fn done(&self) -> i64 {
        self.done
    }

    /// Whether no row after [`done`](Self::done) has been returned, except for the last row.
    #[must_use]
    pub fn is_between_windows(&self) -> bool {
        self.is_first || self.done == self.until
    }

    /// The start and the end of the history, in nanoseconds since 1970.
    #[must_use]
    pub fn time_range(&self) -> (i64, i64) {
        (self.from, self.until)
    }
}

impl Source for Remote {
    type Error = Error;

    fn begins_window(&self) -> bool {
        self.is_first
    }

    fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Row>, Error> {
        self.is_first = false;
        loop {
            // `Slice::write` wrote these lines, so they can be read.
            if let Ok(Some(row)) = self.rows.next(out) {
                return Ok(Some(row));
            }
            self.done = self.fetched_until;
            let Some(slice) = self.windows.next()? else { return Ok(None) };
            self.left_out += slice.left_out;
            let mut lines = Vec::new();
            let written = slice.write(&mut lines);
            debug_assert!(written.is_ok(), "memory takes all");
            self.rows = Lp::new(Cursor::new(lines));
            self.fetched_until = self.windows.fetched_until();
            self.is_first = true;
        }
    }
}
