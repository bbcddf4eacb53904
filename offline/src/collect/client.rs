//! An HTTP client whose errors say what to do.

use std::fmt::Display;
use std::io::{BufRead as _, BufReader, Read as _};
use std::time::Duration;

use qualm_bundle::secret::Secret;
use serde_json::Value;
use serde_json::value::RawValue;
use ureq::http::{HeaderMap, Response};
use ureq::{Agent, Body, BodyReader, RequestBuilder};

use super::Error;

/// How long the server may take to begin its response, and to complete it.
const FIRST_BYTE: Duration = Duration::from_mins(2);
const LAST_BYTE: Duration = Duration::from_mins(30);

/// How much of an error response is read.
const MAX_ERROR_BYTES: u64 = 64 << 10;

/// The body of a response.
pub(super) type ResponseReader = BufReader<BodyReader<'static>>;

/// A server, and the credentials for it.
pub(super) struct Client {
    agent: Agent,
    base: Secret,
    messages: &'static Messages,
    authorization: Option<Secret>,
}

/// The texts that error messages use for a kind of server.
#[derive(Debug)]
pub(super) struct Messages {
    pub(super) server: &'static str,
    pub(super) set: &'static str,
    pub(super) check: &'static str,
    pub(super) not_found: &'static str,
}

/// Those for `InfluxDB`.
pub(super) const INFLUX: Messages = Messages {
    server: "InfluxDB",
    set: "INFLUX_TOKEN, or INFLUX_USERNAME and INFLUX_PASSWORD",
    check: "INFLUX_TOKEN or --user and INFLUX_PASSWORD",
    not_found: "check --database, and whether --api is right",
};

impl Client {
    pub(super) fn new(base: &Secret, messages: &'static Messages) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false) // the body explains the status
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(FIRST_BYTE))
            .timeout_recv_body(Some(LAST_BYTE))
            .user_agent(concat!("qualm/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into(), base: base.clone(), messages, authorization: None }
    }

    /// With credentials.
    pub(super) fn with(self, authorization: Option<Secret>) -> Self {
        Self { authorization, ..self }
    }

    /// The status, headers and text of a path, even of an error response.
    pub(super) fn probe(&self, path: &str) -> Result<(u16, HeaderMap, String), Error> {
        let response =
            self.agent.get(format!("{}{path}", self.base.reveal())).call().map_err(|error| self.unreachable(&error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok((status, headers, text_of(response)))
    }

    /// Sends a GET request.
    pub(super) fn get(&self, path: &str) -> Result<ResponseReader, Error> {
        let request = self.agent.get(format!("{}{path}", self.base.reveal()));
        self.read_response(self.authorized(request).call())
    }

    /// Sends a POST request.
    pub(super) fn post(&self, path: &str, kind: &str, accept: &str, body: &str) -> Result<ResponseReader, Error> {
        let url = format!("{}{path}", self.base.reveal());
        let request = self.agent.post(url).header("Content-Type", kind).header("Accept", accept);
        self.read_response(self.authorized(request).send(body))
    }

    /// A request with the credentials.
    fn authorized<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.authorization {
            Some(authorization) => request.header("Authorization", authorization.reveal()),
            None => request,
        }
    }

    fn read_response(&self, response: Result<Response<Body>, ureq::Error>) -> Result<ResponseReader, Error> {
        let response = response.map_err(|error| self.unreachable(&error))?;
        let status = response.status().as_u16();
        if !(200..300).contains(&status) {
            return Err(self.error_response(status, &text_of(response)));
        }
        Ok(BufReader::with_capacity(1 << 18, response.into_body().into_reader()))
    }

    /// The error for an invalid response.
    pub(super) fn failed(&self, what: impl Into<String>) -> Error {
        Error::Server { url: self.base.clone(), what: self.base.hide_in(&what.into()) }
    }

    /// The error for a response that ends early.
    pub(super) fn broken_off(&self, error: impl Display) -> Error {
        self.failed(format!("its answer broke off: {error}"))
    }

    /// Reads the next line of a response into `line`; false after the last.
    pub(super) fn read_line(&self, response: &mut ResponseReader, line: &mut Vec<u8>) -> Result<bool, Error> {
        line.clear();
        response.read_until(b'\n', line).map_err(|error| self.broken_off(error))?;
        Ok(!line.trim_ascii().is_empty())
    }

    fn unreachable(&self, error: &ureq::Error) -> Error {
        self.failed(format!("{error}; is {} there, and does it listen at this address?", self.messages.server))
    }

    fn error_response(&self, status: u16, text: &str) -> Error {
        let said = message(text);
        let Messages { set, check, not_found, .. } = self.messages;
        self.failed(match status {
            401 if self.authorization.is_none() => {
                format!("it wants credentials ({said}); set {set}")
            }
            401 => format!("it refuses these credentials ({said}); check {check}"),
            403 => format!("these credentials may not read there ({said}); use a token that may"),
            404 => format!("it says 404: {said}; {not_found}"),
            _ => format!("it says {status}: {said}"),
        })
    }
}

fn text_of(response: Response<Body>) -> String {
    let mut bytes = Vec::new();
    // An incomplete text is as good: the status says that something is wrong.
    let _whole_or_not = response.into_body().into_reader().take(MAX_ERROR_BYTES).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The message of an error response: `error` (1.x, 3.x) or `message` (2.x) of an object, or the text, shortened.
fn message(text: &str) -> String {
    let object: Option<Value> = serde_json::from_str(text).ok();
    let said = object.as_ref().and_then(|object| object.get("message").or_else(|| object.get("error"))?.as_str());
    let line = said.unwrap_or(text).split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { "without a word".to_owned() } else { line.chars().take(300).collect() }
}

/// The text of a JSON value; empty if it is no text.
pub(super) fn json_text(value: &RawValue) -> String {
    serde_json::from_str(value.get()).unwrap_or_default()
}

/// Percent-encodes a text for a URL's query or a form.
pub(super) fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_an_error_response_is_found() {
        assert_eq!(message(r#"{"error":"no  such\nthing"}"#), "no such thing");
        assert_eq!(message(r#"{"code":"unauthorized","message":"unauthorized access"}"#), "unauthorized access");
        assert_eq!(message("404 page not found\n"), "404 page not found");
        assert_eq!(message(""), "without a word");
        assert_eq!(encode("a b&ü"), "a%20b%26%C3%BC");
    }
}
