//! qualm's HTTP service: one listener, what it serves, and its limits.
//!
//! [`Server`] owns the listener, the connections and their limits; a [`Router`] has the handlers. A handler is any
//! async function from a [`Call`] to a [`Reply`] (or to a `Result` whose error can become one, such as [`Refused`]):
//!
//! ```no_run
//! use qualm_http::{Call, Method, Options, Refused, Reply, Router, Server, StatusCode, reply};
//!
//! async fn write(mut call: Call) -> Result<Reply, Refused> {
//!     let body = call.bytes(call.limit()).await?;
//!     Ok(reply::text(StatusCode::OK, format!("{} bytes\n", body.len())))
//! }
//!
//! # async fn serve() -> Result<(), qualm_http::Error> {
//! let router = Router::new()
//!     .open(Method::GET, "/healthz", async |_: Call| reply::text(StatusCode::OK, "ok\n"))
//!     .route(Method::POST, "/write", write);
//! let server = Server::bind(Options::on("127.0.0.1:8080".parse().expect("an address")))?;
//! server.run(router, std::future::pending()).await;
//! # Ok(())
//! # }
//! ```

pub mod api;
pub mod exposition;
pub mod live;
mod pool;
pub mod reply;
mod router;
mod server;

pub use exposition::Exposition;
pub use hyper::{Method, StatusCode, header};
pub use pool::Pool;
pub use reply::{Body, IntoReply, Reply};
pub use router::Router;
pub use server::{
    Call, Counts, Error, Limits, Options, Payload, Refused, Renewal, RouteSnapshot, Server, Snapshot, Tls,
};
