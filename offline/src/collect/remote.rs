//! History on a server, handed on row by row.

use std::io::Cursor;

use qualm_bundle::secret::Secret;

use super::fetch::FetchWindows;
use super::{Error, Query, influx, prometheus};
use crate::history::History as _;
use crate::history::Row;
use crate::history::feed::Source;
use crate::history::lp::Lp;

/// The rows that a server has of some time, in order of time. No more than a stretch of them is in memory.
pub struct Remote {
    windows: FetchWindows,
    rows: Lp<Cursor<Vec<u8>>>,
    /// Until when the stretches before go, and the one at hand.
    done: i64,
    fetched_until: i64,
    from: i64,
    until: i64,
    /// Whether the row that came last is the first of its stretch.
    is_first: bool,
    /// Rows that line protocol cannot say, or that have no name.
    pub left_out: u64,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("done", &self.done).field("until", &self.until).finish_non_exhaustive()
    }
}

impl Remote {
    /// What an `InfluxDB` has.
    ///
    /// # Errors
    ///
    /// Where an option is of no use, or the server is not.
    pub fn influx(url: &Secret, since: &str, until: Option<&str>, query: &Query) -> Result<Self, Error> {
        let plan = query.plan("--influx", url, since, until)?;
        let (_, windows) = influx(&plan)?;
        Ok(Self::new(windows))
    }

    /// What a Prometheus has. `measurement` is what all is called with `metric_version = 2`.
    ///
    /// # Errors
    ///
    /// Where an option is of no use, or the server is not.
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

    /// Leaves out what lies before.
    pub fn resume_from(&mut self, time: i64) {
        self.windows.resume_from(time);
        self.fetched_until = self.windows.fetched_until();
        self.done = self.fetched_until;
    }

    /// Before when all rows have come, but for the last that did if that begins a stretch. It moves on by whole stretches.
    #[must_use]
    pub fn done(&self) -> i64 {
        self.done
    }

    /// Whether there is nothing beyond that has come, but for the last row.
    #[must_use]
    pub fn is_between_windows(&self) -> bool {
        self.is_first || self.done == self.until
    }

    /// From when to when there are rows, in nanoseconds since 1970.
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
            // What came from a server was written by us: it is line protocol.
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
