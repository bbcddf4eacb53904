//! The history's rows: of a file, an `InfluxDB` or a Prometheus.

use indicatif::ProgressBar;
use qualm::Pipeline;
use qualm_bundle::secret::Secret;
use qualm_offline::collect::{self, Remote, prometheus};
use qualm_offline::history::feed::Source;
use qualm_offline::history::{Input, Row};

use super::progress::Position;
use super::{Error, Options};
use crate::progress::{BYTES_TEMPLATE, progress_bar};

/// The measurement that Telegraf's `inputs.prometheus` writes.
const PROMETHEUS_MEASUREMENT: &str = "prometheus";

/// An open file or server.
#[derive(Debug)]
pub(super) enum HistoryRows {
    /// A file.
    File(Input),
    /// A server.
    Server(Box<Remote>),
}

impl HistoryRows {
    /// Opens the file or server of the options, and skips the rows before `position`.
    pub(super) fn open(options: &Options, pipeline: &Pipeline, position: Option<Position>) -> Result<Self, Error> {
        let Options { input, influx, prometheus, since, until, influxdb, of_prometheus, name, .. } = options;
        let (since, until) = (since.as_deref().unwrap_or_default(), until.as_deref());
        let mut remote = match (input, influx, prometheus) {
            (Some(_), ..) => return Self::open_file(options, pipeline, position),
            (_, Some(url), _) => Remote::influx(url, since, until, &influxdb.into())?,
            (.., url) => {
                let none = Secret::address("");
                let url = url.as_ref().unwrap_or(&none);
                let (token, user) = (influxdb.token.clone(), influxdb.user.clone());
                let query = prometheus::Query { token, user, ..of_prometheus.into() };
                Remote::prometheus(url, since, until, &query, name.as_deref().unwrap_or(PROMETHEUS_MEASUREMENT))?
            }
        };
        if let Some(Position::Time(time)) = position {
            remote.resume_from(time);
        }
        Ok(Self::Server(Box::new(remote)))
    }

    fn open_file(options: &Options, pipeline: &Pipeline, position: Option<Position>) -> Result<Self, Error> {
        let path = options.input.as_deref().unwrap_or(std::path::Path::new(""));
        let name = options.name.as_deref().or_else(|| pipeline.measurement());
        let mut input = Input::open(path, name.unwrap_or_default())?;
        if input.columns().is_some() && name.is_none() {
            let what = "a CSV file does not say what is measured: name it as it is called live, as in --name sensors";
            return Err(collect::Error::Option { option: "--name", what: what.to_owned() }.into());
        }
        let Some(Position::Rows(done)) = position else { return Ok(Self::File(input)) };
        let mut line = Vec::new();
        for _ in 0..done {
            line.clear();
            input.next(&mut line)?;
        }
        Ok(Self::File(input))
    }

    /// The position after `rows` more than `skipped`, where a run can resume from it.
    pub(super) fn position(&self, rows: u64, skipped: Position) -> Option<Position> {
        match (self, skipped) {
            (Self::File(_), Position::Rows(before)) => Some(Position::Rows(before + rows)),
            (Self::File(_), Position::Time(_)) => None,
            (Self::Server(remote), _) => Position::of(remote),
        }
    }

    /// Rows that line protocol cannot represent.
    pub(super) fn left_out(&self) -> u64 {
        match self {
            Self::File(_) => 0,
            Self::Server(remote) => remote.left_out,
        }
    }
}

impl Source for HistoryRows {
    type Error = Error;

    fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Row>, Error> {
        match self {
            Self::File(input) => Ok(input.next(out)?),
            Self::Server(remote) => Ok(remote.next(out)?),
        }
    }

    fn begins_window(&self) -> bool {
        match self {
            Self::File(_) => false,
            Self::Server(remote) => remote.begins_window(),
        }
    }
}

/// A progress bar, cleared when it is dropped.
#[derive(Debug)]
pub(super) struct RowsProgress(ProgressBar);

impl RowsProgress {
    pub(super) fn new(rows: &HistoryRows) -> Self {
        let (length, template) = match rows {
            HistoryRows::File(input) => (input.size, BYTES_TEMPLATE),
            HistoryRows::Server(remote) => {
                let (from, until) = remote.time_range();
                (until.saturating_sub(from).unsigned_abs(), "{wide_bar} {percent}%, {eta} left")
            }
        };
        Self(progress_bar(length, template))
    }

    pub(super) fn update(&self, rows: &HistoryRows) {
        self.0.set_position(match rows {
            HistoryRows::File(input) => input.position(),
            HistoryRows::Server(remote) => remote.done().saturating_sub(remote.time_range().0).unsigned_abs(),
        });
    }
}

impl Drop for RowsProgress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
