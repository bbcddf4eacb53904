//! The router: methods and paths, each with its handler.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, StatusCode};
use percent_encoding::percent_decode_str;

use crate::reply::{self, IntoReply, Reply};
use crate::server::Call;

/// The future of a handler's reply.
pub(crate) type ReplyFuture = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// Methods and paths, each with its handler.
///
/// A path is literal, but for parts such as `{id}`, each of which stands for one part of the path, percent-decoded, and
/// never empty. Of several routes that match, the one with the most literal parts answers. `HEAD` is answered by the route
/// for `GET`, `OPTIONS` for every path.
#[derive(Clone, Default)]
pub struct Router {
    routes: Vec<Route>,
}

#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// Answers without a token.
    pub(crate) open: bool,
    pub(crate) handler: Arc<dyn Fn(Call) -> ReplyFuture + Send + Sync>,
}

/// The result of a look-up.
#[derive(Debug)]
pub(crate) enum Found {
    /// The number of the route, and the parameters of the path.
    Route(usize, Vec<(&'static str, String)>),
    /// There is no route; the reply says so.
    None(Reply),
}

/// The longest path that an error repeats.
const MAX_SHOWN_PATH_CHARS: usize = 200;

impl Router {
    /// A router without routes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route that needs a token, if the service has tokens.
    ///
    /// # Panics
    ///
    /// If there is such a route already, or the path does not begin with `/`.
    #[must_use]
    pub fn route<H, F, R>(self, method: Method, path: &'static str, handler: H) -> Self
    where
        H: Fn(Call) -> F + Send + Sync + 'static,
        F: Future<Output = R> + Send + 'static,
        R: IntoReply,
    {
        self.with(method, path, false, handler)
    }

    /// Adds a route for everybody, such as for health checks.
    ///
    /// # Panics
    ///
    /// As [`route`](Self::route).
    #[must_use]
    pub fn open<H, F, R>(self, method: Method, path: &'static str, handler: H) -> Self
    where
        H: Fn(Call) -> F + Send + Sync + 'static,
        F: Future<Output = R> + Send + 'static,
        R: IntoReply,
    {
        self.with(method, path, true, handler)
    }

    fn with<H, F, R>(mut self, method: Method, path: &'static str, open: bool, handler: H) -> Self
    where
        H: Fn(Call) -> F + Send + Sync + 'static,
        F: Future<Output = R> + Send + 'static,
        R: IntoReply,
    {
        assert!(path.starts_with('/'), "a route's path begins with a slash: {path}");
        let known = self.routes.iter().any(|route| route.method == method && route.path == path);
        assert!(!known, "there are two routes for {method} {path}");
        let handler = Arc::new(move |call| {
            let answer = handler(call);
            Box::pin(async move { answer.await.into_reply() }) as ReplyFuture
        });
        self.routes.push(Route { method, path, open, handler });
        self
    }

    pub(crate) fn routes(&self) -> &[Route] {
        &self.routes
    }

    pub(crate) fn find(&self, method: &Method, path: &str) -> Found {
        if method == Method::OPTIONS && path == "*" {
            return Found::None(reply::empty(StatusCode::NO_CONTENT));
        }
        let matching: Vec<_> = self
            .routes
            .iter()
            .enumerate()
            .filter_map(|(number, route)| Some((number, route, parameters(route.path, path)?)))
            .collect();
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        let best = matching
            .iter()
            .filter(|(_, route, _)| route.method == wanted)
            .min_by_key(|(_, _, parameters)| parameters.len());
        if let Some((number, _, parameters)) = best {
            return Found::Route(*number, parameters.clone());
        }
        if matching.is_empty() {
            return Found::None(self.not_found(path));
        }
        let allowed = allowed(matching.iter().map(|(_, route, _)| &route.method));
        let mut reply = if method == Method::OPTIONS {
            reply::empty(StatusCode::NO_CONTENT)
        } else {
            let hint = format!("this path takes {allowed}");
            reply::error(StatusCode::METHOD_NOT_ALLOWED, "the method is not allowed here", Some(&hint))
        };
        let allowed = HeaderValue::from_str(&allowed).expect("methods are made of letters");
        reply.headers_mut().insert(ALLOW, allowed);
        Found::None(reply)
    }

    fn not_found(&self, path: &str) -> Reply {
        let path: String = path.chars().take(MAX_SHOWN_PATH_CHARS).collect();
        let nearest = self.routes.iter().min_by_key(|route| strsim::levenshtein(route.path, &path));
        let hint = nearest.map(|route| format!("the nearest path is {}", route.path));
        reply::error(StatusCode::NOT_FOUND, &format!("there is nothing at {path}"), hint.as_deref())
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes.iter().map(|route| (&route.method, route.path, route.open))).finish()
    }
}

/// The parameters of `path`, if the route matches it.
fn parameters(route: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let mut parts = path.split('/');
    let mut parameters = Vec::new();
    for expected in route.split('/') {
        let part = parts.next()?;
        match expected.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) if !part.is_empty() => {
                // Nothing here has a name that is not UTF-8.
                parameters.push((name, percent_decode_str(part).decode_utf8().ok()?.into_owned()));
            }
            None if part == expected => {}
            _ => return None,
        }
    }
    parts.next().is_none().then_some(parameters)
}

/// The value of the header `allow`.
fn allowed<'a>(methods: impl Iterator<Item = &'a Method>) -> String {
    let mut all = vec!["OPTIONS"];
    for method in methods {
        all.push(method.as_str());
        if method == Method::GET {
            all.push("HEAD");
        }
    }
    all.sort_unstable();
    all.dedup();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn nobody(_: Call) -> Reply {
        reply::empty(StatusCode::OK)
    }

    fn router() -> Router {
        Router::new()
            .route(Method::GET, "/bundles/{id}", nobody)
            .route(Method::GET, "/bundles/new", nobody)
            .route(Method::POST, "/bundles", nobody)
            .open(Method::GET, "/healthz", nobody)
    }

    fn status(found: Found) -> (u16, Option<String>) {
        let Found::None(reply) = found else { panic!("a route was found") };
        let allow = reply.headers().get(ALLOW).map(|allow| allow.to_str().unwrap().to_owned());
        (reply.status().as_u16(), allow)
    }

    #[test]
    fn the_most_literal_route_answers() {
        let found = |path| match router().find(&Method::GET, path) {
            Found::Route(number, parameters) => (number, parameters),
            Found::None(reply) => panic!("{path}: {reply:?}"),
        };
        assert_eq!(found("/bundles/new"), (1, vec![]));
        assert_eq!(found("/bundles/a%20b"), (0, vec![("id", "a b".to_owned())]));
        assert!(matches!(router().find(&Method::HEAD, "/healthz"), Found::Route(3, _)));
    }

    #[test]
    fn unknown_paths_and_methods_are_refused_with_allow() {
        assert_eq!(status(router().find(&Method::GET, "/bundle")), (404, None));
        assert_eq!(status(router().find(&Method::GET, "/bundles/")), (404, None));
        assert_eq!(status(router().find(&Method::GET, "/bundles/%ff")), (404, None));
        assert_eq!(status(router().find(&Method::GET, "/bundles/a/b")), (404, None));
        assert_eq!(status(router().find(&Method::GET, "/bundles")), (405, Some("OPTIONS, POST".to_owned())));
        assert_eq!(status(router().find(&Method::PUT, "/healthz")), (405, Some("GET, HEAD, OPTIONS".to_owned())));
        assert_eq!(status(router().find(&Method::OPTIONS, "/bundles")), (204, Some("OPTIONS, POST".to_owned())));
    }
}
