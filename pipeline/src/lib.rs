//! Line protocol in, scored line protocol out; and Vector's events likewise.
//!
//! This crate is the way of a metric through qualm, without any I/O: whoever has bytes (the host's `execd`, its
//! `replay`, the WASI command) gives them to a [`Pipeline`] and writes what comes out. The modules follow the metric:
//!
//! 1. [`format`] says how events stand in bytes: [`lines`] for line protocol, where [`line`] splits the bytes into events
//!    and reads an event's fields and time, without copying; the crate `qualm-vector-codec` has another for the events of Vector;
//! 2. [`select`] says which detector, if any, wants a field ([`glob`] matches the names; `heads` remembers);
//! 3. [`series`] gives each series its small dense number, and takes back those of series that are gone;
//! 4. where a detector wants several metrics at once, [`join`] makes vectors of them, as [`vector`] says (`entity` tells
//!    whose);
//! 5. [`rows`] collects what is to be scored, and hands them to a [`BatchScorer`](qualm_contract::BatchScorer), one batch a call;
//! 6. `incident` finds which rows are anomalies, by the rules of [`suppress`]; [`anomaly_rate`] how much of an entity is;
//! 7. [`splice`] writes the verdict, with its reason and [`band`], into the original bytes, or a vector's or an entity's behind them;
//! 8. [`pipeline`] does these in turn, for the [`lane`] of each detector.
//!
//! Whatever the bytes are, what comes out is what came in, in the same order, but for the fields that were spliced in.

#![forbid(unsafe_code)]

pub mod anomaly_rate;
pub mod band;
mod entity;
pub mod format;
pub mod glob;
pub mod grammar;
mod heads;
mod incident;
pub mod join;
pub mod lane;
pub mod line;
pub mod lines;
pub mod pipeline;
pub mod rows;
mod seen;
pub mod select;
pub mod series;
pub mod snapshot;
pub mod splice;
pub mod suppress;
pub mod vector;

pub use anomaly_rate::AnomalyRate;
pub use band::Unit;
pub use format::Format;
pub use grammar::Grammar;
pub use lane::Lane;
pub use lines::Lines;
pub use pipeline::{Counts, Pipeline};
pub use rows::Rows;
pub use select::Selector;
pub use series::Limits;
pub use snapshot::SeriesSnapshot;
