//! Answers, and functions that make the usual ones.

use std::io;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

/// An answer's body: [`full`] makes one of bytes; any other body is boxed with `BodyExt::boxed_unsync`.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// An answer.
pub type Reply = Response<Body>;

/// What a handler may return: a [`Reply`], or a `Result` of one whose error can become one.
pub trait IntoReply {
    /// The answer.
    fn into_reply(self) -> Reply;
}

impl IntoReply for Reply {
    fn into_reply(self) -> Reply {
        self
    }
}

impl<E: Into<Reply>> IntoReply for Result<Reply, E> {
    fn into_reply(self) -> Reply {
        self.unwrap_or_else(Into::into)
    }
}

/// A body of these bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A status without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(full(Bytes::new()));
    *reply.status_mut() = status;
    reply
}

/// A body of this `content-type`.
#[must_use]
pub fn bytes(status: StatusCode, content_type: &'static str, bytes: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(full(bytes));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

/// Plain text.
#[must_use]
pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Reply {
    bytes(status, "text/plain; charset=utf-8", text)
}

/// A value as JSON; 500 if it cannot be JSON, such as a map whose keys are no strings.
#[must_use]
pub fn json(status: StatusCode, value: &impl serde::Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(json) => bytes(status, "application/json", json),
        Err(error) => {
            tracing::error!("an answer cannot be written as JSON: {error}");
            self::error(StatusCode::INTERNAL_SERVER_ERROR, "the answer cannot be written as JSON", None)
        }
    }
}

/// `{"error": …, "hint": …}`: what is wrong, and what to do.
#[must_use]
pub fn error(status: StatusCode, error: &str, hint: Option<&str>) -> Reply {
    let mut value = serde_json::Map::from_iter([("error".to_owned(), error.into())]);
    value.extend(hint.map(|hint| ("hint".to_owned(), hint.into())));
    bytes(status, "application/json", serde_json::Value::Object(value).to_string())
}
