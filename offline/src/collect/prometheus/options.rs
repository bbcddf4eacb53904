//! What is collected of a Prometheus: the query as users write it, and the plan that it becomes once it is checked.

use qualm_bundle::secret::Secret;

use super::super::Error;
use super::super::client::{Client, Messages};
use super::super::options::{Range, address, basic, variable, wrong};

/// The texts of its errors.
const PROMETHEUS: Messages = Messages {
    server: "Prometheus",
    set: "PROMETHEUS_TOKEN, or PROMETHEUS_USERNAME and PROMETHEUS_PASSWORD",
    check: "PROMETHEUS_TOKEN, or --user and PROMETHEUS_PASSWORD",
    not_found: "is this the address before /api/v1?",
};

/// Selects every series.
const ALL_SERIES: &str = r#"{__name__=~".+"}"#;

/// Telegraf's `metric_version` where none is named.
pub const METRIC_VERSION: u8 = 2;

/// Which of the history in a Prometheus is selected, its names, and the credentials. What is left out of these is taken
/// from `PROMETHEUS_…`.
#[derive(Debug, Clone)]
pub struct Query {
    /// Selectors, or expressions whose results have a name; all series, if empty.
    pub matches: Vec<String>,
    /// The duration from row to row: Telegraf's `interval`.
    pub step: Option<String>,
    /// The `metric_version` of Telegraf's `inputs.prometheus`: 1 or 2.
    pub metric_version: u8,
    /// The token.
    pub token: Option<Secret>,
    /// The user.
    pub user: Option<String>,
}

impl Default for Query {
    fn default() -> Self {
        Self { matches: Vec::new(), step: None, metric_version: METRIC_VERSION, token: None, user: None }
    }
}

/// A query whose options are checked.
#[derive(Debug)]
pub(in super::super) struct Plan {
    pub(in super::super) url: Secret,
    pub(in super::super) range: Range,
    /// Seconds.
    pub(super) step: i64,
    pub(super) queries: Vec<String>,
    pub(super) version: u8,
    pub(super) measurement: String,
    token: Option<Secret>,
    user: Option<String>,
}

impl Query {
    /// Checks the options; `measurement` is the name of all metrics with `metric_version = 2`.
    pub(in super::super) fn plan(
        &self,
        url: &Secret,
        since: &str,
        until: Option<&str>,
        measurement: &str,
    ) -> Result<Plan, Error> {
        let url = address("--prometheus", url, "http://localhost:9090")?;
        let missing = || {
            let what = "say how far apart live rows will be, so Telegraf's `interval`: --step 10s";
            wrong("--step", what)
        };
        let range = Range::new(since, until, Some(self.step.as_deref().ok_or_else(missing)?), "--step")?;
        if !matches!(self.metric_version, 1 | 2) {
            let what = format!("`{}` must be 1 or 2, as in telegraf.conf", self.metric_version);
            return Err(wrong("--metric-version", what));
        }
        let queries = if self.matches.is_empty() { vec![ALL_SERIES.to_owned()] } else { self.matches.clone() };
        let (version, measurement) = (self.metric_version, measurement.to_owned());
        let token = self.token.clone().or_else(|| Secret::variable("PROMETHEUS_TOKEN"));
        let user = self.user.clone().or_else(|| variable("PROMETHEUS_USERNAME"));
        Ok(Plan { url, range, step: range.every.unwrap_or(1), queries, version, measurement, token, user })
    }
}

impl Plan {
    /// A client with the credentials.
    pub(in super::super) fn client(&self) -> Client {
        let by_token = self.token.as_ref().map(|token| Secret::token(format!("Bearer {}", token.reveal())));
        let by_password = || Some(basic(self.user.as_ref()?, Secret::variable("PROMETHEUS_PASSWORD").as_ref()));
        Client::new(&self.url, &PROMETHEUS).with(by_token.or_else(by_password))
    }
}
