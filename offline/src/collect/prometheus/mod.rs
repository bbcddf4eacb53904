//! Prometheus, and servers with its API: `PromQL` over `/api/v1/query_range`, with responses in JSON.
//!
//! <https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries>
//!
//! Its series become the line protocol that Telegraf would have made of the same metrics; see [`naming`].

mod naming;
mod options;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read as _;

use serde::Deserialize;
use serde_json::value::RawValue;

pub use options::{METRIC_VERSION, Query};

use super::Error;
use super::client::{Client, ResponseReader, encode};
use super::lines::{Kind, put_key, put_value};
use super::slice::{Slice, Stop};
use naming::{Names, Types};
use options::Plan;

/// Points of a series in one query: Prometheus allows 11,000.
const MAX_POINTS: i64 = 10_000;

/// The largest response in bytes. A window with a larger one is halved.
const MAX_RESPONSE_BYTES: u64 = 128 << 20;

/// Errors of servers for queries that would succeed if they were smaller.
const TOO_LARGE_ERRORS: [&str; 4] = ["too many samples", "exceeded maximum resolution", "timed out", "would exceed"];

/// A server, and what is queried.
pub(super) struct Source {
    client: Client,
    /// Seconds.
    step: i64,
    queries: Vec<String>,
    names: Names,
}

/// A response.
#[derive(Debug, Deserialize)]
struct Response<'a, T> {
    data: Option<T>,
    #[serde(borrow)]
    error: Option<Cow<'a, str>>,
}

#[derive(Debug, Deserialize)]
struct Matrix<'a> {
    #[serde(borrow)]
    result: Vec<Series<'a>>,
}

#[derive(Debug, Deserialize)]
struct Series<'a> {
    metric: BTreeMap<String, String>,
    /// Times in seconds, and values as texts.
    #[serde(borrow, default)]
    values: Vec<(&'a RawValue, Cow<'a, str>)>,
    /// Native histograms, which are not collected.
    #[serde(borrow, default)]
    histograms: Vec<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    r#type: String,
}

impl Source {
    /// Fetches the metrics' types, if names depend on them.
    pub(super) fn new(client: Client, plan: &Plan) -> Result<Self, Error> {
        let mut types = Types::new();
        if plan.version == 1 {
            let text = whole(&client, client.get("/api/v1/metadata")?)?.unwrap_or_default();
            let metadata: BTreeMap<String, Vec<Metadata>> = read(&client, &text)?;
            let first_type = |(name, all): (String, Vec<Metadata>)| Some((name, all.into_iter().next()?.r#type));
            types.extend(metadata.into_iter().filter_map(first_type));
        }
        let names = Names { version: plan.version, measurement: plan.measurement.clone(), types };
        Ok(Self { client, step: plan.step, queries: plan.queries.clone(), names })
    }
}

impl super::Source for Source {
    /// The queries, which take the place of measurements.
    fn measurements(&mut self) -> Result<Vec<String>, Error> {
        Ok(self.queries.clone())
    }

    fn databases(&mut self) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    fn max_window(&self) -> i64 {
        self.step * MAX_POINTS * 1_000_000_000
    }

    fn narrowing_option(&self) -> &'static str {
        "--match"
    }

    fn fetch(&mut self, query_text: &str, from: i64, until: i64, slice: &mut Slice) -> Result<(), Stop> {
        // A response includes both ends; times are multiples of the step.
        let seconds = |nanoseconds: i64| nanoseconds.div_euclid(1_000_000_000);
        let (start, end) = (seconds(from), seconds(until - 1));
        let form = format!("query={}&start={start}&end={end}&step={}", encode(query_text), self.step);
        let answer =
            self.client.post("/api/v1/query_range", "application/x-www-form-urlencoded", "application/json", &form);
        let answer = match answer {
            Err(Error::Server { what, .. }) if TOO_LARGE_ERRORS.iter().any(|too_much| what.contains(too_much)) => {
                return Err(if end - start >= self.step { Stop::Full } else { self.client.failed(what).into() });
            }
            answer => answer?,
        };
        let Some(text) = whole(&self.client, answer)? else { return Err(Stop::Full) };
        let matrix: Matrix<'_> = read(&self.client, &text)?;
        let mut line = Vec::new();
        for Series { metric, values, histograms } in matrix.result {
            slice.left_out += histograms.len() as u64;
            let name = self.names.of(metric);
            let series = name.as_ref().and_then(|name| {
                let tags = name.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
                slice.series(&name.measurement, tags).ok()
            });
            let (Some(name), Some(series)) = (&name, series) else {
                slice.left_out += values.len() as u64;
                continue;
            };
            for (time, value) in values {
                // A value that is not finite is not scored.
                if !value.parse::<f64>().is_ok_and(f64::is_finite) {
                    continue;
                }
                let time = nanoseconds(time.get())
                    .ok_or_else(|| self.client.failed(format!("its answer has the time {time}")))?;
                line.clear();
                if put_key(&mut line, &name.field).is_err() {
                    slice.left_out += 1;
                    continue;
                }
                put_value(&mut line, Kind::Float, &value);
                slice.push(series, time, &line)?;
            }
        }
        Ok(())
    }
}

/// All of a response; `None` if it is too long.
fn whole(client: &Client, answer: ResponseReader) -> Result<Option<Vec<u8>>, Error> {
    let mut text = Vec::new();
    let read = answer.take(MAX_RESPONSE_BYTES + 1).read_to_end(&mut text);
    read.map_err(|error| client.broken_off(error))?;
    Ok((text.len() as u64 <= MAX_RESPONSE_BYTES).then_some(text))
}

fn read<'a, T: Deserialize<'a>>(client: &Client, text: &'a [u8]) -> Result<T, Error> {
    let response: Response<'a, T> = serde_json::from_slice(text).map_err(|error| {
        client.failed(format!("its answer is not what Prometheus says ({error}); is this its address?"))
    })?;
    response
        .data
        .ok_or_else(|| client.failed(response.error.unwrap_or(Cow::Borrowed("it has no answer, and does not say why"))))
}

/// Parses seconds with milliseconds, as in a response.
fn nanoseconds(text: &str) -> Option<i64> {
    let seconds: f64 = text.parse().ok()?;
    let milliseconds = (seconds * 1e3).round();
    (milliseconds.abs() < 9.2e12).then(|| milliseconds as i64 * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_right_to_the_millisecond() {
        for (text, time) in [
            ("1700000000", Some(1_700_000_000_000_000_000)),
            ("1700000000.001", Some(1_700_000_000_001_000_000)),
            ("1435781430.781", Some(1_435_781_430_781_000_000)),
            ("1e30", None),
            ("x", None),
        ] {
            assert_eq!(nanoseconds(text), time, "{text}");
        }
    }
}
