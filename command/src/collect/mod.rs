//! `qualm collect`: downloads history from `InfluxDB`, as line protocol in order of time.

pub mod prometheus;
mod query;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::HumanBytes;
use qualm_bundle::duration::friendly;
use qualm_bundle::secret::Secret;
use qualm_offline::collect::{self, Summary};
use serde_json::json;

pub use qualm_offline::collect::Error;
pub use query::Query;

use crate::progress::progress_bar;
use crate::stdout::print_text;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  qualm collect --url http://localhost:8086 --since 7d --out week.lp
  qualm collect --url http://localhost:8086 --since 30d --every 1m --measurement cpu 'disk*' --out month.lp
  qualm collect --url https://influx:8086 --bucket telegraf --org ops --since 24h --out day.lp    (2.x)
  qualm collect --url https://influx:8181 --database telegraf --since 24h --out day.lp            (3.x)

The credentials are best in the environment: INFLUX_TOKEN, or INFLUX_USERNAME and INFLUX_PASSWORD (1.x).
FILE is line protocol in order of time: what `qualm validate`, `train` and `replay` read.";

/// The options of `qualm collect`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Where the server is, such as `http://localhost:8086`
    #[arg(long, visible_alias = "influx", value_name = "URL", value_parser = Secret::parse_address)]
    pub url: Secret,

    /// Where to begin: how long ago (24h, 7d), or a time (2024-01-31T12:00:00Z)
    #[arg(long, value_name = "WHEN")]
    pub since: String,

    /// Where to end, likewise; now, if left out
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,

    /// The selection of history, and the credentials.
    #[command(flatten)]
    pub query: Query,

    /// Where to write: a name that ends in .lp
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,

    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

/// Collects, and prints a summary.
///
/// # Errors
///
/// What failed, and what to do. A file of that name stays as it was.
pub fn run(options: &Options) -> Result<(), Error> {
    let Options { url, since, until, query, out, json } = options;
    let request = collect::Options {
        url: url.clone(),
        since: since.clone(),
        until: until.clone(),
        query: query.into(),
        out: out.clone(),
    };
    let bar = progress_bar(0, "{wide_bar} {percent}% {msg}, {eta} left");
    let summary = collect::collect(&request, &|progress| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
        bar.set_message(format!("{} rows, {}", progress.rows, HumanBytes(progress.bytes)));
    })?;
    bar.finish_and_clear();
    let text = if *json { format!("{}\n", json!(summary)) } else { to_text(&summary, options) };
    print_text(&text).map_err(|source| Error::Write { path: "stdout".into(), source })
}

fn to_text(summary: &Summary, options: &Options) -> String {
    let Summary { api, measurements, rows, bytes, left_out, seconds } = summary;
    let duration = friendly(Duration::from_millis((seconds * 1e3) as u64));
    let mut text = format!(
        "{rows} rows ({:.1} MB) of {measurements} measurement{}, from InfluxDB {api}.x in {duration}, are in {}\n",
        *bytes as f64 / 1e6,
        if *measurements == 1 { "" } else { "s" },
        options.out.display()
    );
    if *left_out > 0 {
        let _infallible = writeln!(text, "{left_out} rows are left out: line protocol cannot say their names or tags");
    }
    text
}
