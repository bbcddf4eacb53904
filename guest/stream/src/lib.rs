//! Line protocol in, scored line protocol out.
//!
//! This crate is the way of a metric through qualm, without any I/O: whoever has bytes (the host's `execd`, its
//! `replay`, the WASI command) gives them to a [`Pipeline`] and writes what comes out. The modules follow the metric:
//!
//! 1. [`line`] splits the bytes into events and reads an event's fields and time, without copying;
//! 2. [`select`] says which detector, if any, wants a field ([`glob`] matches the names; `heads` remembers);
//! 3. [`series`] gives each series its small dense number, and takes back those of series that are gone;
//! 4. [`rows`] collects what is to be scored, and is what a [`Scorer`] gets, one batch a call;
//! 5. [`splice`] writes the verdict into the original bytes;
//! 6. [`pipeline`] does these in turn.
//!
//! Whatever the bytes are, what comes out is what came in, in the same order, but for the fields that were spliced in.

#![forbid(unsafe_code)]

pub mod glob;
mod heads;
pub mod line;
pub mod pipeline;
pub mod rows;
pub mod select;
pub mod series;
pub mod splice;
pub mod vector;

pub use pipeline::{Counts, Lane, Pipeline};
pub use rows::{Rows, Scorer};
pub use select::Selector;
pub use series::Limits;
