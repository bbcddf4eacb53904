//! Where history comes from: a file, an `InfluxDB`, a Prometheus.

use indicatif::ProgressBar;
use qualm::scoring::Scoring;
use qualm_bundle::secret::Secret;
use qualm_offline::collect::{self, Remote, prometheus};
use qualm_offline::history::feed::Source;
use qualm_offline::history::{Input, Row};

use super::progress::Position;
use super::{Error, Options};
use crate::progress;

/// The measurement that Telegraf's `inputs.prometheus` writes.
const PROMETHEUS: &str = "prometheus";

/// History, open.
#[derive(Debug)]
pub(super) enum Rows {
    /// A file.
    File(Input),
    /// A server.
    Server(Box<Remote>),
}

impl Rows {
    /// Opens what is asked for, and leaves out what lies before `position`.
    pub(super) fn open(options: &Options, scoring: &Scoring, position: Option<Position>) -> Result<Self, Error> {
        let Options { input, influx, prometheus, since, until, influxdb, of_prometheus, name, .. } = options;
        let (since, until) = (since.as_deref().unwrap_or_default(), until.as_deref());
        let mut remote = match (input, influx, prometheus) {
            (Some(_), ..) => return Self::open_file(options, scoring, position),
            (_, Some(url), _) => Remote::influx(url, since, until, &influxdb.into())?,
            (.., url) => {
                let nowhere = Secret::address("");
                let url = url.as_ref().unwrap_or(&nowhere);
                let (token, user) = (influxdb.token.clone(), influxdb.user.clone());
                let query = prometheus::Query { token, user, ..of_prometheus.into() };
                Remote::prometheus(url, since, until, &query, name.as_deref().unwrap_or(PROMETHEUS))?
            }
        };
        if let Some(Position::Time(time)) = position {
            remote.go_on_from(time);
        }
        Ok(Self::Server(Box::new(remote)))
    }

    fn open_file(options: &Options, scoring: &Scoring, position: Option<Position>) -> Result<Self, Error> {
        let path = options.input.as_deref().unwrap_or(std::path::Path::new(""));
        let name = options.name.as_deref().or_else(|| scoring.measurement());
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

    /// How far it is, where it can go on from there: `rows` were handed on, behind those that were left out.
    pub(super) fn position(&self, rows: u64, left_out: Position) -> Option<Position> {
        match (self, left_out) {
            (Self::File(_), Position::Rows(before)) => Some(Position::Rows(before + rows)),
            (Self::File(_), Position::Time(_)) => None,
            (Self::Server(remote), _) => Position::of(remote),
        }
    }

    /// What line protocol cannot say.
    pub(super) fn left_out(&self) -> u64 {
        match self {
            Self::File(_) => 0,
            Self::Server(remote) => remote.left_out,
        }
    }
}

impl Source for Rows {
    type Error = Error;

    fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Row>, Error> {
        match self {
            Self::File(input) => Ok(input.next(out)?),
            Self::Server(remote) => Ok(remote.next(out)?),
        }
    }

    fn breaks(&self) -> bool {
        match self {
            Self::File(_) => false,
            Self::Server(remote) => remote.breaks(),
        }
    }
}

/// How far it is, for who watches.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new(rows: &Rows) -> Self {
        let (length, template) = match rows {
            Rows::File(input) => (input.size, progress::BYTES),
            Rows::Server(remote) => {
                let (from, until) = remote.ends();
                (until.saturating_sub(from).unsigned_abs(), "{wide_bar} {percent}%, {eta} left")
            }
        };
        Self(progress::bar(length, template))
    }

    pub(super) fn set(&self, rows: &Rows) {
        self.0.set_position(match rows {
            Rows::File(input) => input.position(),
            Rows::Server(remote) => remote.done().saturating_sub(remote.ends().0).unsigned_abs(),
        });
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
