//! The options of `qualm warm` that select history of a Prometheus.

use clap::Args;
use qualm_offline::collect::prometheus;

/// What becomes a [`prometheus::Query`], but for the credentials: those are options of `InfluxDB` too.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
pub struct Query {
    /// Only these series, such as '{job="node"}': selectors, or expressions whose results have a name
    #[arg(long = "match", visible_alias = "query", value_name = "PROMQL", num_args = 1..)]
    pub matches: Vec<String>,

    /// How far apart the rows are: as far as live ones will be, so Telegraf's `interval`
    #[arg(long, value_name = "DURATION")]
    pub step: Option<String>,

    /// Name metrics as Telegraf's `inputs.prometheus` does with this `metric_version`: 1 or 2
    #[arg(long, value_name = "VERSION", default_value_t = prometheus::METRIC_VERSION)]
    pub metric_version: u8,
}

impl From<&Query> for prometheus::Query {
    fn from(query: &Query) -> Self {
        let Query { matches, step, metric_version } = query.clone();
        Self { matches, step, metric_version, ..Self::default() }
    }
}
