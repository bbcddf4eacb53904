//! qualm's HTTP service: one listener, what it serves, and its limits.

pub mod api;
