//! What is collected: the query as users write it, and the plan that it becomes once it is checked.

use std::env;
use std::fmt;
use std::path::PathBuf;

use ct_codecs::{Base64, Encoder as _};
use jiff::Timestamp;
use qualm_bundle::duration;
use qualm_bundle::secret::Secret;
use qualm_pipeline::glob::Globs;

use super::Error;
use super::version::Api;
use crate::history::parse_time;

pub(super) const SECOND: i64 = 1_000_000_000;

/// The database that is read where none is named.
pub const DATABASE: &str = "telegraf";

/// What [`collect`](super::collect) reads and writes.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server's address.
    pub url: Secret,
    /// The first time: an age or RFC 3339.
    pub since: String,
    /// The first time that is not collected, likewise; now, if left out.
    pub until: Option<String>,
    /// What is selected.
    pub query: Query,
    /// The file, which ends in .lp.
    pub out: PathBuf,
}

/// Which of the history in an `InfluxDB` is selected, and the credentials. What is left out is taken from `INFLUX_…`.
#[derive(Debug, Clone)]
pub struct Query {
    /// The database (1.x, 3.x) or bucket (2.x).
    pub database: String,
    /// The retention policy (1.x).
    pub retention: Option<String>,
    /// The organization (2.x).
    pub org: Option<String>,
    /// The token (2.x, 3.x).
    pub token: Option<Secret>,
    /// The user (1.x).
    pub user: Option<String>,
    /// Globs of measurements; all, if empty.
    pub measurement: Vec<String>,
    /// `KEY=VALUE` of series; all, if empty.
    pub tags: Vec<String>,
    /// The duration that each row is the mean of.
    pub every: Option<String>,
    /// The API's version: 1, 2 or 3; detected, if left out.
    pub api: Option<u8>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            database: DATABASE.to_owned(),
            retention: None,
            org: None,
            token: None,
            user: None,
            measurement: Vec::new(),
            tags: Vec::new(),
            every: None,
            api: None,
        }
    }
}

/// A query whose options are checked.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) url: Secret,
    pub(super) database: String,
    pub(super) retention: Option<String>,
    pub(super) org: Option<String>,
    pub(super) range: Range,
    pub(super) tags: Vec<(String, String)>,
    pub(super) api: Option<u8>,
    measurement: Globs,
    token: Option<Secret>,
    user: Option<String>,
}

/// The times that are selected.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    /// The first time, and the first that is not selected: nanoseconds since 1970.
    pub(super) from: i64,
    pub(super) until: i64,
    /// The seconds that each row is the mean of.
    pub(super) every: Option<i64>,
}

impl Range {
    /// Parses times as users write them; `every` is the option `every_option`.
    pub(super) fn new(
        since: &str,
        until: Option<&str>,
        every: Option<&str>,
        every_option: &'static str,
    ) -> Result<Self, Error> {
        let now = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
        let mut from = when(since, now).map_err(|what| wrong("--since", what))?;
        let until = until.map_or(Ok(now), |until| when(until, now)).map_err(|what| wrong("--until", what))?;
        let every = every.map(whole_seconds).transpose().map_err(|what| wrong(every_option, what))?;
        if let Some(every) = every {
            from -= from.rem_euclid(every * SECOND); // or the first row would be of a part of its time
        }
        if from >= until {
            return Err(wrong("--since", format!("`{since}` is not before the end")));
        }
        Ok(Self { from, until, every })
    }
}

/// The error of an option that cannot be used.
pub(super) fn wrong(option: &'static str, what: impl fmt::Display) -> Error {
    Error::Option { option, what: what.to_string() }
}

/// A server's address, without a slash at the end.
pub(super) fn address(option: &'static str, url: &Secret, example: &str) -> Result<Secret, Error> {
    let text = url.reveal();
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err(wrong(option, format!("`{url}` must start with http:// or https://, as in {example}")));
    }
    if text.contains(['?', '#']) {
        return Err(wrong(option, format!("`{url}` must have no query and no fragment, as in {example}")));
    }
    Ok(Secret::address(text.trim_end_matches('/')))
}

impl Options {
    /// Checks the options.
    pub(super) fn plan(&self) -> Result<Plan, Error> {
        if self.out.extension().is_none_or(|ending| !ending.eq_ignore_ascii_case("lp")) {
            return Err(wrong("--out", format!("`{}` must end in .lp: it is line protocol", self.out.display())));
        }
        self.query.plan("--url", &self.url, &self.since, self.until.as_deref())
    }
}

impl Query {
    /// Checks the options; `option` is the one that has the server's address.
    pub(super) fn plan(
        &self,
        option: &'static str,
        url: &Secret,
        since: &str,
        until: Option<&str>,
    ) -> Result<Plan, Error> {
        let url = address(option, url, "http://localhost:8086")?;
        let range = Range::new(since, until, self.every.as_deref(), "--every")?;
        let tags = self.tags.iter().map(|tag| {
            let pair = tag.split_once('=').filter(|(key, value)| !key.is_empty() && !value.is_empty());
            pair.map(|(key, value)| (key.to_owned(), value.to_owned()))
                .ok_or_else(|| wrong("--tags", format!("`{tag}` must be KEY=VALUE, as in host=web1")))
        });
        Ok(Plan {
            url,
            database: self.database.clone(),
            retention: self.retention.clone(),
            org: self.org.clone().or_else(|| variable("INFLUX_ORG")),
            range,
            tags: tags.collect::<Result<_, _>>()?,
            api: self.api,
            measurement: Globs::new(&self.measurement).map_err(|bad| wrong("--measurement", bad))?,
            token: self.token.clone().or_else(|| Secret::variable("INFLUX_TOKEN")),
            user: self.user.clone().or_else(|| variable("INFLUX_USERNAME")),
        })
    }
}

impl Plan {
    /// Whether a measurement is selected.
    pub(super) fn selects(&self, measurement: &str) -> bool {
        self.measurement.is_empty() || self.measurement.matches(measurement.as_bytes())
    }

    /// The header `Authorization`.
    pub(super) fn authorization(&self, api: Api) -> Option<Secret> {
        if let (Api::One, Some(user)) = (api, &self.user) {
            return Some(basic(user, Secret::variable("INFLUX_PASSWORD").as_ref()));
        }
        let scheme = if api == Api::Three { "Bearer" } else { "Token" };
        self.token.as_ref().map(|token| Secret::token(format!("{scheme} {}", token.reveal())))
    }
}

/// The same for a user and a password.
pub(super) fn basic(user: &str, password: Option<&Secret>) -> Secret {
    let password = password.map_or("", Secret::reveal);
    let both = Base64::encode_to_string(format!("{user}:{password}")).expect("a password fits in memory");
    Secret::token(format!("Basic {both}"))
}

pub(super) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// A text that is no time, or no duration, as an option needs one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadTime {
    /// Neither a time nor a duration before now.
    #[error("`{0}` is neither a duration such as 24h nor a time such as 2024-01-31T12:00:00Z")]
    NoTime(String),
    /// No duration.
    #[error(transparent)]
    NoDuration(#[from] duration::Error),
    /// A duration with a part of a second, or out of range.
    #[error("`{0}` must be whole seconds, from 1s to 31d")]
    NotWholeSeconds(String),
}

/// Nanoseconds since 1970 of a time, or of a duration before `now`.
fn when(text: &str, now: i64) -> Result<i64, BadTime> {
    if let Ok(time) = parse_time(text) {
        return Ok(time);
    }
    let ago = duration::parse(text).ok().and_then(|ago| i64::try_from(ago.as_nanos()).ok());
    ago.and_then(|ago| now.checked_sub(ago)).ok_or_else(|| BadTime::NoTime(text.to_owned()))
}

pub(super) fn whole_seconds(text: &str) -> Result<i64, BadTime> {
    let duration = duration::parse(text)?;
    let seconds = i64::try_from(duration.as_secs()).ok().filter(|seconds| (1..=31 * 86_400).contains(seconds));
    seconds.filter(|_| duration.subsec_nanos() == 0).ok_or_else(|| BadTime::NotWholeSeconds(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_durations_before_now_or_themselves() {
        let now = 1_000_000 * SECOND;
        assert_eq!(when("1h", now), Ok(now - 3600 * SECOND));
        assert_eq!(when("2d", now), Ok(now - 2 * 86_400 * SECOND));
        assert_eq!(when("1970-01-01T00:00:01Z", now), Ok(SECOND));
        assert_eq!(when("1706702400", now), Ok(1_706_702_400 * SECOND));
        assert!(when("soon", now).unwrap_err().to_string().contains("`soon`"));
        assert_eq!(whole_seconds("1m"), Ok(60));
        for text in ["500ms", "1.5s", "0s", "400d", "often"] {
            assert!(whole_seconds(text).unwrap_err().to_string().contains(text), "{text}");
        }
    }
}
