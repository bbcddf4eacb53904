//! From a request to its answer: authorization, the route's handler, the headers of every answer.

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Request, Response, StatusCode};

use super::call::Call;
use super::connection::Connection;
use super::context::Context;
use super::counts::Counts;
use super::guard::Guard;
use crate::reply::{self, Body, Reply};
use crate::router::{Found, Route, Router};

/// A router with what all its requests need.
pub(crate) struct Service {
    pub(crate) router: Router,
    pub(crate) guard: Guard,
    pub(crate) context: Arc<Context>,
}

/// The headers of every answer, unless its handler sets others: other sites may use nothing, and a browser must not take for a
/// page what is none.
const HEADERS: [(HeaderName, &str); 6] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (CACHE_CONTROL, "no-store"),
];

/// Answers one request.
pub(crate) async fn answer(
    service: Arc<Service>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<CountedBody>, Infallible> {
    let started = Instant::now();
    connection.begin_request(!request.body().is_end_stream());
    let (route, mut reply) = reply_to(&service, &connection, request).await;
    for (name, value) in HEADERS {
        reply.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    if connection.has_unread_body() {
        reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let status = reply.status();
    let counts = Arc::clone(&service.context.counts);
    Ok(reply.map(|body| CountedBody { body, counts, connection, route, status, started }))
}

async fn reply_to(
    service: &Service,
    connection: &Arc<Connection>,
    request: Request<Incoming>,
) -> (Option<usize>, Reply) {
    let Service { router, guard, context } = service;
    let (parts, body) = request.into_parts();
    if let Some(reply) = guard.refusal(&parts) {
        return (None, reply);
    }
    let found = router.find(&parts.method, parts.uri.path());
    let token = context.access.tokens.read().find_in_request(&parts);
    let open = matches!(found, Found::Route(number, _) if router.routes()[number].open);
    if token.is_none() && !open && !guard.no_tokens {
        context.counts.unauthorized();
        return (None, unauthorized());
    }
    match found {
        Found::None(reply) => (None, reply),
        Found::Route(number, parameters) => {
            let call = Call {
                parts,
                body: Some(body),
                parameters,
                token,
                connection: Arc::clone(connection),
                context: Arc::clone(context),
            };
            (Some(number), call_handler(&router.routes()[number], call, &context.counts).await)
        }
    }
}

/// A handler that panics ends its own request only.
async fn call_handler(route: &Route, call: Call, counts: &Counts) -> Reply {
    let answered = match catch_unwind(AssertUnwindSafe(|| (route.handler)(call))) {
        Ok(mut reply) => {
            poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| reply.as_mut().poll(cx))) {
                Ok(poll) => poll.map(Ok),
                Err(panic) => Poll::Ready(Err(panic)),
            })
            .await
        }
        Err(panic) => Err(panic),
    };
    answered.unwrap_or_else(|_panic| {
        counts.panicked();
        tracing::error!("answering {} {} panicked: this is a fault, report it", route.method, route.path);
        let hint = "this is a fault of the service, which carries on; its log says more";
        reply::error(StatusCode::INTERNAL_SERVER_ERROR, "answering this request broke off", Some(hint))
    })
}

fn unauthorized() -> Reply {
    let hint = "send one of the configured tokens as `authorization: Bearer TOKEN`";
    let mut reply = reply::error(StatusCode::UNAUTHORIZED, "this needs a token", Some(hint));
    reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    reply
}

/// An answer's body. Dropped, it counts the request, whose end it is.
pub(crate) struct CountedBody {
    body: Body,
    counts: Arc<Counts>,
    connection: Arc<Connection>,
    route: Option<usize>,
    status: StatusCode,
    started: Instant,
}

impl Drop for CountedBody {
    fn drop(&mut self) {
        self.counts.answered(self.route, self.status, self.started.elapsed());
        self.connection.wait_for_request();
    }
}

impl hyper::body::Body for CountedBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
