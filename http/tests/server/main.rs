//! The server over real sockets, with clients as they should be, and as they should not.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

mod bodies;
mod bombs;
mod connections;
mod drain;
mod harness;
mod memory;
mod metrics;
mod requests;
mod tls;
mod uploads;
