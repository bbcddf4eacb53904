//! From a request to its answer: who may call, who answers, and what every answer has.

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Request, Response, StatusCode};

use super::body::Means;
use super::call::Call;
use super::connection::Connection;
use super::counts::Counts;
use super::guard::Guard;
use super::renewal::Access;
use crate::reply::{self, Body, Reply};
use crate::router::{Found, Router};

/// What all requests need.
pub(crate) struct Shared {
    pub(crate) router: Router,
    pub(crate) access: Arc<Access>,
    pub(crate) guard: Guard,
    pub(crate) means: Means,
    pub(crate) counts: Arc<Counts>,
}

/// What every answer has, unless its handler says otherwise: nothing here is for other sites, and what is no page of ours
/// must not be taken for one.
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
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<Ending>, Infallible> {
    let started = Instant::now();
    connection.begin(!request.body().is_end_stream());
    let (route, mut reply) = reply_to(&shared, &connection, request).await;
    for (name, value) in HEADERS {
        reply.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    if connection.unread() {
        reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let status = reply.status();
    let counts = Arc::clone(&shared.counts);
    Ok(reply.map(|body| Ending { body, counts, connection, route, status, started }))
}

async fn reply_to(
    shared: &Arc<Shared>,
    connection: &Arc<Connection>,
    request: Request<Incoming>,
) -> (Option<usize>, Reply) {
    let (parts, body) = request.into_parts();
    if let Some(reply) = shared.guard.refuses(&parts) {
        return (None, reply);
    }
    let found = shared.router.find(&parts.method, parts.uri.path());
    let token = shared.access.tokens.read().brought_by(&parts);
    let open = matches!(found, Found::Route(number, _) if shared.router.routes()[number].open);
    if token.is_none() && !open && !shared.guard.no_tokens {
        shared.counts.unauthorized();
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
                shared: Arc::clone(shared),
            };
            (Some(number), handled(shared, number, call).await)
        }
    }
}

/// A handler that panics ends its own request only.
async fn handled(shared: &Shared, number: usize, call: Call) -> Reply {
    let route = &shared.router.routes()[number];
    let answered = match catch_unwind(AssertUnwindSafe(|| (route.handler)(call))) {
        Ok(mut answering) => {
            poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(cx))) {
                Ok(poll) => poll.map(Ok),
                Err(panic) => Poll::Ready(Err(panic)),
            })
            .await
        }
        Err(panic) => Err(panic),
    };
    answered.unwrap_or_else(|_panic| {
        shared.counts.panicked();
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

/// An answer's body, whose end is the end of the request.
pub(crate) struct Ending {
    body: Body,
    counts: Arc<Counts>,
    connection: Arc<Connection>,
    route: Option<usize>,
    status: StatusCode,
    started: Instant,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.counts.answered(self.route, self.status, self.started.elapsed());
        self.connection.wait();
    }
}

impl hyper::body::Body for Ending {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
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
