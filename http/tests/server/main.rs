//! The server over real sockets, with well-behaved and with misbehaving clients.

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
