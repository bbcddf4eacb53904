//! The options of `qualm warm`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use clap::{Args, ValueEnum};
use qualm::config::Config;
use qualm_bundle::secret::Secret;
use qualm_offline::history::rewrite::TagChanges;
use qualm_system::digest::hex;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::progress::Task;
use super::{Error, absolute};
use crate::collect::{self, prometheus};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  qualm warm --config qualm.toml --influx http://localhost:8086 --since 14d
  qualm warm --config qualm.toml --input history.lp
  qualm warm --config qualm.toml --input history.csv --name sensors --add-tag host=web1
  qualm warm --config qualm.toml --prometheus http://localhost:9090 --since 14d --step 10s \\
      --match '{job=\"node\"}' --drop-tag job instance --add-tag 'url=http://{instance}/metrics' host=web1

What is learnt is left in the configuration's [state] `dir`, and the next `qualm execd` or `qualm serve` with this
configuration goes on from there. Stop the one that runs first, and be the user that it runs as. A series is known by its measurement, tags and field: they
must be those that come live. Credentials are in the environment: INFLUX_TOKEN, or INFLUX_USERNAME and INFLUX_PASSWORD;
PROMETHEUS_TOKEN, or PROMETHEUS_USERNAME and PROMETHEUS_PASSWORD. (--token and --user are for either.)

Interrupted, the same command goes on from where it was. docs/warm.md has the details.";

/// The tag that Vector's sink for `InfluxDB` adds; live events do not have it.
const VECTOR_SINK_TAG: &str = "metric_type";

/// The options of `qualm warm`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("history").required(true).args(["input", "influx", "prometheus"])))]
pub struct Options {
    /// The configuration of the live run: its detectors learn, and its [state] `dir` is where
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,

    /// Learn from a file: line protocol (.lp), CSV with a time column (.csv), or JSON lines (.jsonl)
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,

    /// Learn from an InfluxDB, such as `http://localhost:8086`
    #[arg(long, value_name = "URL", requires = "since", value_parser = Secret::parse_address)]
    pub influx: Option<Secret>,

    /// Learn from a Prometheus, such as `http://localhost:9090`
    #[arg(long, value_name = "URL", requires = "since", value_parser = Secret::parse_address)]
    pub prometheus: Option<Secret>,

    /// Of a server: where to begin: how long ago (24h, 7d), or a time (2024-01-31T12:00:00Z)
    #[arg(long, visible_alias = "start", value_name = "WHEN", conflicts_with = "input")]
    pub since: Option<String>,

    /// Where to end, likewise; now, if left out
    #[arg(long, visible_alias = "end", value_name = "WHEN", conflicts_with = "input")]
    pub until: Option<String>,

    /// What the metrics of a CSV or JSON file, or of a Prometheus with --metric-version 2, are called live
    #[arg(long, value_name = "MEASUREMENT")]
    pub name: Option<String>,

    /// Which way the live metrics will come: execd, influxdb or vector; found out from the configuration, if left out
    #[arg(long = "for", value_name = "WAY", hide_possible_values = true)]
    pub endpoint: Option<Endpoint>,

    /// Tags that live metrics do not have
    #[arg(long, value_name = "KEY", num_args = 1..)]
    pub drop_tag: Vec<String>,

    /// Tags that live metrics have besides; {OTHER} in a value stands for another tag's value
    #[arg(long, value_name = "KEY=VALUE", num_args = 1..)]
    pub add_tag: Vec<String>,

    /// Take the place of what live metrics have taught, which is set aside
    #[arg(long)]
    pub replace: bool,

    /// Begin anew where an earlier run was interrupted
    #[arg(long)]
    pub restart: bool,

    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,

    /// The selection of history of an `InfluxDB`.
    #[command(flatten, next_help_heading = "With --influx, as of `qualm collect`")]
    pub influxdb: collect::Query,

    /// The selection of history of a Prometheus.
    #[command(flatten, next_help_heading = "With --prometheus")]
    pub of_prometheus: prometheus::Query,
}

/// Where live metrics are received. Each endpoint has a state of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Endpoint {
    /// Telegraf's `processors.execd`.
    Execd,
    /// Writes of `InfluxDB`'s clients to `qualm serve`.
    Influxdb,
    /// Vector's events to `qualm serve`.
    Vector,
}

impl Endpoint {
    /// The option's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Execd => "execd",
            Self::Influxdb => "influxdb",
            Self::Vector => "vector",
        }
    }

    /// The directory of its state.
    pub(super) fn state_dir(self, state: &Path) -> PathBuf {
        match self {
            Self::Execd => state.to_owned(),
            Self::Influxdb | Self::Vector => state.join(self.name()),
        }
    }
}

impl Options {
    /// The endpoint that the state is for.
    pub(super) fn endpoint(&self, config: &Config) -> Result<Endpoint, Error> {
        match (self.endpoint, &config.influxdb.forward, &config.vector.forward) {
            (Some(endpoint), ..) => Ok(endpoint),
            (None, None, None) => Ok(Endpoint::Execd),
            (None, Some(_), None) => Ok(Endpoint::Influxdb),
            (None, None, Some(_)) => Ok(Endpoint::Vector),
            (None, Some(_), Some(_)) => {
                let what = "the configuration has both [influxdb] and [vector], each with a state of its own: \
                            say --for influxdb or --for vector";
                Err(collect::Error::Option { option: "--for", what: what.to_owned() }.into())
            }
        }
    }

    /// The changes that make history's tags those of live metrics.
    pub(super) fn changes(&self, endpoint: Endpoint) -> Result<TagChanges, Error> {
        let changes = TagChanges::new(&self.drop_tag, &self.add_tag)
            .map_err(|error| collect::Error::Option { option: "--add-tag", what: error.to_string() })?;
        Ok(if endpoint == Endpoint::Vector { changes.without(VECTOR_SINK_TAG) } else { changes })
    }

    /// All that the state depends on, without secrets: only a run with the same task resumes it.
    pub(super) fn task(&self, endpoint: Endpoint, config: &Config) -> Task {
        let Self { input, influx, prometheus, since, until, influxdb, of_prometheus, .. } = self;
        let (from, what) = match (input, influx, prometheus) {
            (Some(path), ..) => (path.display().to_string(), file_identity(path)),
            (_, Some(url), _) => {
                let collect::Query { database, retention, org, measurement, tags, every, api, .. } = influxdb;
                (url.to_string(), json!([database, retention, org, measurement, tags, every, api]))
            }
            (.., url) => {
                let prometheus::Query { matches, step, metric_version, .. } = of_prometheus;
                (url.as_ref().map(Secret::to_string).unwrap_or_default(), json!([matches, step, metric_version]))
            }
        };
        let detectors = config.effective();
        let detectors = detectors.split("[bundles]").next().unwrap_or_default();
        let digest = hex(&Sha256::digest(detectors)[..8]);
        let how = json!([since, until, self.name, endpoint.name(), self.drop_tag, self.add_tag, digest]);
        Task { from, what: json!([what, how]) }
    }
}

/// The path, size and modification time of a file.
fn file_identity(path: &Path) -> serde_json::Value {
    let file = fs::metadata(path).ok();
    let changed = file.as_ref().and_then(|file| file.modified().ok()?.duration_since(UNIX_EPOCH).ok());
    json!([absolute(path), file.map(|file| file.len()), changed.map(|changed| changed.as_nanos().to_string())])
}
