//! The live page: what is anomalous now, since when, and why. Plain files, served as they are.

use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderValue};
use hyper::{Method, StatusCode};

use crate::reply::{self, Reply};
use crate::{Call, Router};

/// Its own files only, so that a name of a series cannot inject anything.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

macro_rules! files {
    ($($path:literal $type:ident $file:literal,)*) => {
        &[$(($path, $type, include_str!(concat!("live/", $file)))),*]
    };
}

/// Path, type and content.
const FILES: &[(&str, &str, &str)] = files![
    "/" HTML "page.html",
    "/live/page.css" CSS "page.css",
    "/live/chart.js" JS "chart.js",
    "/live/detail.js" JS "detail.js",
    "/live/detectors.js" JS "detectors.js",
    "/live/dom.js" JS "dom.js",
    "/live/feed.js" JS "feed.js",
    "/live/incidents.js" JS "incidents.js",
    "/live/list.js" JS "list.js",
    "/live/page.js" JS "page.js",
    "/live/ordinary.js" JS "ordinary.js",
    "/live/scale.js" JS "scale.js",
    "/live/summary.js" JS "summary.js",
    "/live/text.js" JS "text.js",
    "/live/theme.js" JS "theme.js",
    "/live/vendor/uPlot.iife.min.js" JS "vendor/uPlot.iife.min.js",
    "/live/vendor/uPlot.min.css" CSS "vendor/uPlot.min.css",
    "/live/vendor/uPlot.LICENSE" TEXT "vendor/uPlot.LICENSE",
];

/// Adds the page. It needs no token: the data that it shows are requested with one.
#[must_use]
pub fn routes(router: Router) -> Router {
    FILES.iter().fold(router, |router, &(path, content_type, text)| {
        router.open(Method::GET, path, async move |_: Call| file(content_type, text))
    })
}

fn file(content_type: &'static str, text: &'static str) -> Reply {
    let mut reply = reply::bytes(StatusCode::OK, content_type, text);
    reply.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    reply.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache")); // the next version has others
    reply
}
