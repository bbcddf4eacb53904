//! Protection against foreign web pages in a browser that can reach this service.
//!
//! Such a page may post here directly; its `Origin` is another one. A token is no protection, since a browser that knows it as a
//! password sends it automatically. Or the page's own name is made to point to this machine (DNS rebinding): its requests have
//! that name as their `Host`. A browser knows no password for that name, so that a token protects.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{HOST, ORIGIN};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, StatusCode};

use crate::reply::{self, Reply};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard {
    /// The service listens on a loopback address.
    pub(crate) loopback: bool,
    /// The service has no tokens.
    pub(crate) no_tokens: bool,
}

impl Guard {
    pub(crate) fn new(listen: SocketAddr, no_tokens: bool) -> Self {
        Self { loopback: listen.ip().to_canonical().is_loopback(), no_tokens }
    }

    /// The answer to a refused request; `None` if it is allowed.
    pub(crate) fn refusal(self, parts: &Parts) -> Option<Reply> {
        let header = |name| parts.headers.get(name).map(|value| value.to_str().unwrap_or_default());
        let host = parts.uri.authority().map(Authority::as_str).or_else(|| header(HOST));
        // Browsers always send a `Host`.
        if self.loopback && self.no_tokens && host.is_some_and(|host| !is_this_machine(host)) {
            return Some(reply::error(
                StatusCode::MISDIRECTED_REQUEST,
                "this service answers only to names of this machine",
                Some("call it as localhost or 127.0.0.1, or configure a token"),
            ));
        }
        let changes = !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let origin = header(ORIGIN).map(|origin| origin.split_once("://").map_or(origin, |(_, origin)| origin));
        if changes && origin.is_some_and(|origin| !origin.eq_ignore_ascii_case(host.unwrap_or_default())) {
            return Some(reply::error(
                StatusCode::FORBIDDEN,
                "a web page of another site must not change anything here",
                Some("send it from a program, or from a page of this very host and port"),
            ));
        }
        None
    }
}

fn is_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(guard: Guard, method: Method, host: &str, origin: Option<&str>) -> Option<u16> {
        let mut request = hyper::Request::builder().method(method).uri("/").header(HOST, host);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        let parts = request.body(()).unwrap().into_parts().0;
        guard.refusal(&parts).map(|reply| reply.status().as_u16())
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        let guard = Guard::new("127.0.0.1:80".parse().unwrap(), true);
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:80", "127.1.2.3", "[::1]:80", "[::1]"] {
            assert_eq!(refused(guard, Method::GET, host, None), None, "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "10.0.0.1", "", "a b"] {
            assert_eq!(refused(guard, Method::GET, host, None), Some(421), "{host}");
        }
        let open = Guard::new("192.0.2.1:80".parse().unwrap(), true);
        assert_eq!(refused(open, Method::GET, "metrics.example", None), None);
    }

    #[test]
    fn pages_of_others_change_nothing() {
        let guard = Guard::new("[::1]:80".parse().unwrap(), true);
        let post = |origin| refused(guard, Method::POST, "localhost:80", Some(origin));
        assert_eq!(post("http://localhost:80"), None);
        assert_eq!(post("http://localhost:81"), Some(403));
        assert_eq!(post("https://evil.example"), Some(403));
        assert_eq!(post("null"), Some(403));
        assert_eq!(refused(guard, Method::GET, "localhost:80", Some("https://evil.example")), None);
    }

    /// A browser sends a password that it knows with whatever a page has it send.
    #[test]
    fn a_token_does_not_let_pages_of_others_change_anything() {
        for guard in ["127.0.0.1:80", "192.0.2.1:80"].map(|listen| Guard::new(listen.parse().unwrap(), false)) {
            let ask = |method, origin| refused(guard, method, "metrics.example", origin);
            for method in [Method::POST, Method::DELETE, Method::PUT] {
                assert_eq!(ask(method.clone(), Some("https://evil.example")), Some(403), "{method}");
                assert_eq!(ask(method.clone(), Some("null")), Some(403), "{method}");
                assert_eq!(ask(method.clone(), Some("https://metrics.example")), None, "{method}");
                assert_eq!(ask(method, None), None, "a program has no origin");
            }
            assert_eq!(ask(Method::GET, Some("https://evil.example")), None);
        }
    }
}
