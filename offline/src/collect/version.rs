//! Detects which API a server has.
//!
//! Each version answers `/ping` with the header `X-Influxdb-Version` ("1.8.10", "v2.7.1", "3.0.1"); 3.x also with a body
//! that has it, and 2.x has `/health`. Documented at
//! <https://docs.influxdata.com/influxdb/v1/tools/api/#ping-http-endpoint>,
//! <https://docs.influxdata.com/influxdb/v2/api/#operation/GetPing> and
//! <https://docs.influxdata.com/influxdb3/core/api/v3/#operation/GetPing>.

use serde_json::Value;

use super::Error;
use super::client::Client;

/// An API of `InfluxDB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    /// `InfluxQL`, 1.x.
    One = 1,
    /// Flux, 2.x.
    Two = 2,
    /// SQL, 3.x.
    Three = 3,
}

impl TryFrom<u8> for Api {
    type Error = Error;

    fn try_from(number: u8) -> Result<Self, Error> {
        match number {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            3 => Ok(Self::Three),
            _ => Err(Error::Option { option: "--api", what: format!("`{number}` must be 1, 2 or 3") }),
        }
    }
}

/// Detects the API of a server.
pub(super) fn detect(client: &Client) -> Result<Api, Error> {
    let mut refused = None;
    for path in ["/ping", "/health"] {
        let (status, headers, body) = client.probe(path)?;
        let header = headers.get("X-Influxdb-Version").and_then(|version| version.to_str().ok());
        let body: Option<Value> = serde_json::from_str(&body).ok();
        let version = header.or_else(|| body.as_ref()?.get("version")?.as_str());
        if let Some(api) = version.and_then(major) {
            return Ok(api);
        }
        refused = refused.or((status == 401).then_some(path));
    }
    Err(client.failed(match refused {
        // Only 3.x requires a token there.
        Some(path) => format!("it does not tell its version ({path} wants credentials); say it with --api 3"),
        None => "it does not say which version it is; is this InfluxDB? If so, say it with --api 1, 2 or 3".to_owned(),
    }))
}

fn major(version: &str) -> Option<Api> {
    match version.trim_start_matches(['v', 'V']).as_bytes() {
        [b'1', b'.', ..] => Some(Api::One),
        [b'2', b'.', ..] => Some(Api::Two),
        [b'3', b'.', ..] => Some(Api::Three),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_gives_the_api() {
        for (text, api) in [
            ("1.6.7~rc0", Some(Api::One)),
            ("v2.7.1", Some(Api::Two)),
            ("3.0.1-0.beta", Some(Api::Three)),
            ("dev", None),
            ("10.1", None),
        ] {
            assert_eq!(major(text), api, "{text}");
        }
    }
}
