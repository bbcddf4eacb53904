//! From stretch to stretch.

use std::io::{self, IsTerminal};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use super::options::Plan;
use super::out::Out;
use super::slice::{Slice, Stop};
use super::{Error, Source};

/// How long the first stretch is: nanoseconds.
const FIRST: i64 = 3600 * SECOND;
const SECOND: i64 = 1_000_000_000;

/// A stretch with less than the one is followed by one twice as long, with more than the other by one half as long.
const FEW_BYTES: usize = 8 << 20;
const MANY_BYTES: usize = 64 << 20;

/// What was written.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    pub(super) left_out: u64,
}

/// Fetches all, in order of time.
pub(super) fn all(
    source: &mut dyn Source,
    measurements: &[String],
    plan: &Plan,
    out: &mut Out,
    progress: &Progress,
) -> Result<Fetched, Error> {
    let mut fetched = Fetched::default();
    let mut slice = Slice::default();
    // Whole windows of `every`, or a mean would be of a part of its time.
    let step = plan.every.map_or(1, |seconds| seconds * SECOND);
    let whole = |span: i64| (span / step * step).max(step);
    let mut span = whole(FIRST);
    let mut from = plan.from;
    while from < plan.until {
        let until = from.saturating_add(span).min(plan.until);
        slice.clear();
        let stretch = measurements.iter().try_for_each(|name| source.fetch(name, from, until, &mut slice));
        match stretch {
            Err(Stop::Full) if span > step && span > 1 => {
                span = whole((until - from) / 2);
                continue;
            }
            Err(Stop::Full) => return Err(too_dense(plan)),
            Err(Stop::Failed(error)) => return Err(error),
            Ok(()) => {}
        }
        fetched.rows += slice.write(out).map_err(|error| out.failed(error))?;
        fetched.bytes = out.bytes;
        fetched.left_out += slice.left_out;
        progress.set(until, &fetched);
        from = until;
        span = match slice.bytes() {
            ..FEW_BYTES => whole((span * 2).min(source.longest())),
            FEW_BYTES..MANY_BYTES => span,
            _ => whole(span / 2),
        };
    }
    Ok(fetched)
}

fn too_dense(plan: &Plan) -> Error {
    let what = "one instant has more than fits into memory; ask for fewer measurements (--measurement)".to_owned();
    Error::Server { url: plan.url.clone(), what }
}

/// How far it is, for who watches.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    from: i64,
}

impl Progress {
    pub(super) fn new(plan: &Plan) -> Self {
        let bar = if io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{wide_bar} {percent}% {msg}, {eta} left");
            let length = plan.until.saturating_sub(plan.from).unsigned_abs();
            ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        } else {
            ProgressBar::hidden()
        };
        Self { bar, from: plan.from }
    }

    fn set(&self, until: i64, fetched: &Fetched) {
        self.bar.set_position(until.saturating_sub(self.from).unsigned_abs());
        self.bar.set_message(format!("{} rows, {}", fetched.rows, HumanBytes(fetched.bytes)));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
