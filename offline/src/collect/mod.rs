//! History out of `InfluxDB`, as line protocol in order of time.
//!
//! 1. [`client`] speaks HTTP, and [`version`] finds out which of the three APIs the server has;
//! 2. [`v1`], [`v2`] and [`v3`] ask it, each in its language, for one measurement and one stretch of time;
//! 3. [`mod@slice`] holds what came for a stretch, and puts it in order;
//! 4. [`fetch`] goes from stretch to stretch, which are as long as memory allows.
//!
//! [`Remote`] hands the same on to whoever wants it without a file; it can be had of [`prometheus`] as well.
//!
//! Values are never read as numbers on the way: their digits go from the answer into the line.

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

use qualm_bundle::secret::Secret;
use serde::Serialize;

pub use fetch::Progress;
pub use options::{DATABASE, Options, Query};
pub use remote::Remote;

use client::{Client, INFLUX};
use fetch::Stretches;
use options::{Plan, Range};
use version::Api;

/// Why nothing was collected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option is of no use.
    #[error("{option}: {what}")]
    Option {
        /// Which.
        option: &'static str,
        /// What is wrong with it, and what would be right.
        what: String,
    },
    /// The server cannot be reached, or refuses.
    #[error("{url}: {what}")]
    Server {
        /// Where.
        url: Secret,
        /// What happened, and what to do.
        what: String,
    },
    /// There is no history where it was looked for.
    #[error("there is nothing in `{database}` from {from} to {until}; ask for more with --since, or see --tags")]
    Nothing {
        /// The database or bucket.
        database: String,
        /// Where the search began.
        from: String,
        /// Where it ended.
        until: String,
    },
    /// What came cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What one of the APIs can do.
trait Source {
    /// The measurements there are.
    fn measurements(&mut self) -> Result<Vec<String>, Error>;

    /// The databases (or buckets) there are, for who asked for one that is not.
    fn databases(&mut self) -> Result<Vec<String>, Error>;

    /// The longest stretch that may be asked for at once, in nanoseconds.
    fn longest(&self) -> i64 {
        32 * 86_400 * 1_000_000_000
    }

    /// The option that asks for less.
    fn fewer(&self) -> &'static str {
        "--measurement"
    }

    /// Puts what `measurement` has in `from..until` into `slice`.
    fn fetch(&mut self, measurement: &str, from: i64, until: i64, slice: &mut slice::Slice) -> Result<(), slice::Stop>;
}

/// What was collected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The version of the API: 1, 2 or 3.
    pub api: u8,
    /// Measurements that were asked for.
    pub measurements: usize,
    /// Lines written.
    pub rows: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Rows left out because line protocol cannot say them: a name that ends in a backslash, or has a line break.
    pub left_out: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Collects. Calls `progress` after each stretch of time.
///
/// # Errors
///
/// Says what failed, and what to do. The file that was there before, if any, is then as it was.
pub fn collect(options: &Options, progress: &dyn Fn(&Progress)) -> Result<Summary, Error> {
    let began = Instant::now();
    let plan = options.plan()?;
    let (api, mut stretches) = influx(&plan)?;
    let measurements = stretches.measurements();
    let mut out = out::Out::create(&options.out)?;
    let fetched = fetch::all(&mut stretches, &mut out, progress)?;
    if fetched.rows == 0 {
        let time = |at| lines::rfc3339(at).unwrap_or_default();
        let Range { from, until, .. } = plan.range;
        return Err(Error::Nothing { database: plan.database, from: time(from), until: time(until) });
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

/// What an `InfluxDB` has.
fn influx(plan: &Plan) -> Result<(Api, Stretches), Error> {
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
    Ok((api, Stretches::new(source, measurements, plan.range, &plan.url)))
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
