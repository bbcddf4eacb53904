//! Collects history from `InfluxDB`, as line protocol in order of time.
//!
//! 1. [`client`] sends HTTP requests, and [`version`] detects which of the three APIs the server has;
//! 2. [`v1`], [`v2`] and [`v3`] query it, each in its language, for one measurement and one time window;
//! 3. [`mod@slice`] holds the rows of a window, and sorts them by time;
//! 4. [`fetch`] goes from window to window, which are as long as memory allows.
//!
//! [`Remote`] returns the same row by row, without a file, from [`prometheus`] as well.
//!
//! Values are not parsed as numbers: their digits go from the response into the line.

mod client;
mod fetch;
mod lines;
mod options;
mod out;
pub mod prometheus;
mod remote;
mod slice;
mod v1;
mod v2;
mod v3;
mod version;

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;
use qualm_bundle::secret::Secret;
use serde::Serialize;

use crate::history::timestamp;

pub use fetch::Progress;
pub use options::{DATABASE, Options, Query};
pub use remote::Remote;

use client::{Client, INFLUX};
use fetch::FetchWindows;
use options::{Plan, Range};
use version::Api;

/// Why nothing was collected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option is invalid.
    #[error("{option}: {what}")]
    Option {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// The server cannot be reached, or refuses.
    #[error("{url}: {what}")]
    Server {
        /// The server's address.
        url: Secret,
        /// What happened, and what to do.
        what: String,
    },
    /// There is no history in that time.
    #[error("there is nothing in `{database}` from {from} to {until}; ask for more with --since, or see --tags")]
    Nothing {
        /// The database or bucket.
        database: String,
        /// The start of the time range.
        from: Timestamp,
        /// The end of the time range.
        until: Timestamp,
    },
    /// The file cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The history behind one of the APIs.
trait Source {
    /// All measurements.
    fn measurements(&mut self) -> Result<Vec<String>, Error>;

    /// All databases or buckets, for the error that names an unknown one.
    fn databases(&mut self) -> Result<Vec<String>, Error>;

    /// The longest window that may be queried at once, in nanoseconds.
    fn max_window(&self) -> i64 {
        32 * 86_400 * 1_000_000_000
    }

    /// The option that narrows the query.
    fn narrowing_option(&self) -> &'static str {
        "--measurement"
    }

    /// Adds the rows of `measurement` in `from..until` to `slice`.
    fn fetch(&mut self, measurement: &str, from: i64, until: i64, slice: &mut slice::Slice) -> Result<(), slice::Stop>;
}

/// Counts of what was collected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The version of the API: 1, 2 or 3.
    pub api: u8,
    /// Measurements that were queried.
    pub measurements: usize,
    /// Lines written.
    pub rows: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Rows left out because line protocol cannot represent them: a name ends in a backslash, or has a line break.
    pub left_out: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Collects history into a file. Calls `progress` after each time window.
///
/// # Errors
///
/// What failed, and what to do. An existing file is then unchanged.
pub fn collect(options: &Options, progress: &dyn Fn(&Progress)) -> Result<Summary, Error> {
    let began = Instant::now();
    let plan = options.plan()?;
    let (api, mut windows) = influx(&plan)?;
    let measurements = windows.measurements();
    let mut out = out::OutputFile::create(&options.out)?;
    let fetched = fetch::all(&mut windows, &mut out, progress)?;
    if fetched.rows == 0 {
        let Range { from, until, .. } = plan.range;
        let (from, until) = (timestamp(from), timestamp(until));
        return Err(Error::Nothing { database: plan.database, from, until });
    }
    out.finish()?;
    Ok(Summary {
        api: api as u8,
        measurements,
        rows: fetched.rows,
        bytes: fetched.bytes,
        left_out: fetched.left_out,
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// Opens the history of an `InfluxDB`.
fn influx(plan: &Plan) -> Result<(Api, FetchWindows), Error> {
    let client = Client::new(&plan.url, &INFLUX);
    let api = match plan.api {
        Some(api) => Api::try_from(api)?,
        None => version::detect(&client)?,
    };
    let client = client.with(plan.authorization(api));
    let mut source: Box<dyn Source> = match api {
        Api::One => Box::new(v1::Source::new(client, plan)),
        Api::Two => Box::new(v2::Source::new(client, plan)?),
        Api::Three => Box::new(v3::Source::new(client, plan)),
    };
    let measurements = selected(source.as_mut(), plan)?;
    Ok((api, FetchWindows::new(source, measurements, plan.range, &plan.url)))
}

/// The measurements that the plan selects.
fn selected(source: &mut dyn Source, plan: &Plan) -> Result<Vec<String>, Error> {
    let there = source.measurements()?;
    if there.is_empty() {
        let known = source.databases().unwrap_or_default();
        let what = if known.is_empty() || known.contains(&plan.database) {
            format!("`{}` has no measurements that can be read with these credentials", plan.database)
        } else {
            format!("there is no `{}`; there is {}", plan.database, lines::listed(&known))
        };
        return Err(Error::Server { url: plan.url.clone(), what });
    }
    let chosen: Vec<String> = there.iter().filter(|name| plan.selects(name)).cloned().collect();
    if chosen.is_empty() {
        let what =
            format!("matches none of the measurements in `{}`; they are {}", plan.database, lines::listed(&there));
        return Err(Error::Option { option: "--measurement", what });
    }
    Ok(chosen)
}
