//! The options of `qualm collect` and `qualm warm` that select history of an `InfluxDB`.

use clap::Args;
use qualm_bundle::secret::Secret;
use qualm_offline::collect;

/// What becomes a [`collect::Query`], which has the defaults and checks the values.
#[derive(Debug, Clone, Default, Args)]
#[group(skip)]
pub struct Query {
    /// The database (1.x, 3.x) or bucket (2.x)
    #[arg(long, visible_alias = "bucket", value_name = "NAME", default_value = collect::DATABASE)]
    pub database: String,

    /// The retention policy, where it is not the database's default (1.x)
    #[arg(long, value_name = "NAME")]
    pub retention: Option<String>,

    /// The organization (2.x); also from `INFLUX_ORG`
    #[arg(long, value_name = "NAME")]
    pub org: Option<String>,

    /// The token (2.x, 3.x); also from `INFLUX_TOKEN`, where no other user sees it
    #[arg(long, value_name = "TOKEN", value_parser = Secret::parse_token)]
    pub token: Option<Secret>,

    /// The user (1.x), whose password is in `INFLUX_PASSWORD`; also from `INFLUX_USERNAME`
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,

    /// Only these measurements: globs as Telegraf writes them
    #[arg(long, value_name = "GLOB", num_args = 1..)]
    pub measurement: Vec<String>,

    /// Only series with these tags
    #[arg(long, value_name = "KEY=VALUE", num_args = 1..)]
    pub tags: Vec<String>,

    /// One row for so long a time: the mean of each number (texts and booleans have none, and are left out)
    #[arg(long, value_name = "DURATION")]
    pub every: Option<String>,

    /// Which API the server has: 1, 2 or 3; found out, if left out
    #[arg(long, value_name = "VERSION")]
    pub api: Option<u8>,
}

impl From<&Query> for collect::Query {
    fn from(query: &Query) -> Self {
        let Query { database, retention, org, token, user, measurement, tags, every, api } = query.clone();
        Self { database, retention, org, token, user, measurement, tags, every, api }
    }
}
