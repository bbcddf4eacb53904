//! Fetches history one time window after the other.

use qualm_bundle::secret::Secret;

use super::options::{Range, SECOND};
use super::out::OutputFile;
use super::slice::{Slice, Stop};
use super::{Error, Source};

/// The length of the first window, in nanoseconds.
const FIRST_WINDOW: i64 = 3600 * SECOND;

/// A window with fewer bytes is followed by one twice as long, one with more by one half as long.
const GROW_BELOW_BYTES: usize = 8 << 20;
const SHRINK_ABOVE_BYTES: usize = 64 << 20;

/// The history on a server, in time windows.
pub(super) struct FetchWindows {
    source: Box<dyn Source>,
    measurements: Vec<String>,
    /// The start of the next window, and the end of the last.
    from: i64,
    until: i64,
    /// Windows are multiples of `step`; the length of the next is `span`. Nanoseconds.
    step: i64,
    span: i64,
    slice: Slice,
    url: Secret,
}

impl FetchWindows {
    pub(super) fn new(source: Box<dyn Source>, measurements: Vec<String>, range: Range, url: &Secret) -> Self {
        // Multiples of `every`, or a mean would be of a part of its interval.
        let step = range.every.map_or(1, |seconds| seconds * SECOND);
        let Range { from, until, .. } = range;
        let (slice, url) = (Slice::default(), url.clone());
        Self { source, measurements, from, until, step, span: whole(FIRST_WINDOW, step), slice, url }
    }

    /// The number of measurements that are fetched.
    pub(super) fn measurements(&self) -> usize {
        self.measurements.len()
    }

    /// The start and the end of what is left to fetch.
    pub(super) fn time_range(&self) -> (i64, i64) {
        (self.from, self.until)
    }

    /// The time before which everything has been fetched.
    pub(super) fn fetched_until(&self) -> i64 {
        self.from
    }

    /// Skips what is before `time`.
    pub(super) fn resume_from(&mut self, time: i64) {
        self.from = self.from.max(time);
    }

    /// Fetches the next window.
    pub(super) fn next(&mut self) -> Result<Option<&mut Slice>, Error> {
        let Self { source, measurements, from, until: end, step, span, slice, url } = self;
        while *from < *end {
            let until = from.saturating_add(*span).min(*end);
            slice.clear();
            match measurements.iter().try_for_each(|name| source.fetch(name, *from, until, slice)) {
                Err(Stop::Full) if *span > *step && *span > 1 => {
                    *span = whole((until - *from) / 2, *step);
                    continue;
                }
                Err(Stop::Full) => return Err(too_dense(url, source.narrowing_option())),
                Err(Stop::Failed(error)) => return Err(error),
                Ok(()) => {}
            }
            *from = until;
            *span = match slice.bytes() {
                ..GROW_BELOW_BYTES => whole((*span * 2).min(source.max_window()), *step),
                GROW_BELOW_BYTES..SHRINK_ABOVE_BYTES => *span,
                _ => whole(*span / 2, *step),
            };
            return Ok(Some(slice));
        }
        Ok(None)
    }
}

fn whole(span: i64, step: i64) -> i64 {
    (span / step * step).max(step)
}

/// Counts of what was written.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) left_out: u64,
}

/// Fetches all windows, in order of time.
pub(super) fn all(
    windows: &mut FetchWindows,
    out: &mut OutputFile,
    progress: &dyn Fn(&Progress),
) -> Result<Fetched, Error> {
    let (from, until) = windows.time_range();
    let passed = |to: i64| to.saturating_sub(from).unsigned_abs();
    let mut fetched = Fetched::default();
    while let Some(slice) = windows.next()? {
        fetched.rows += slice.write(out).map_err(|error| out.failed(error))?;
        fetched.bytes = out.bytes;
        fetched.left_out += slice.left_out;
        let (done, total) = (passed(windows.fetched_until()), passed(until));
        progress(&Progress { done, total, rows: fetched.rows, bytes: fetched.bytes });
    }
    Ok(fetched)
}

fn too_dense(url: &Secret, narrowing_option: &str) -> Error {
    let what = format!("one instant has more than fits into memory; ask for less ({narrowing_option})");
    Error::Server { url: url.clone(), what }
}

/// How much has been fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Nanoseconds of history that have been fetched.
    pub done: u64,
    /// Nanoseconds of history in total.
    pub total: u64,
    /// Rows written.
    pub rows: u64,
    /// Bytes written.
    pub bytes: u64,
}
