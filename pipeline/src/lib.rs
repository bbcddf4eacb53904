//! Line protocol in, scored line protocol out; and Vector's events likewise.
//!
//! This crate has the path of a metric through qualm, without any I/O: a caller (`execd`, `replay`, the WASI command) gives bytes
//! to a [`Pipeline`] and writes its output. The modules, in the order of processing:
//!
//! 1. [`mod@format`] is the trait of a format: [`lines`] for line protocol, where [`mod@line`] splits the bytes into events and reads an
//!    event's fields and time, without copying; the crate `qualm-vector-codec` has that of Vector's events;
//! 2. [`select`] says which detector, if any, wants a field ([`glob`] matches the names; `head_cache` remembers);
//! 3. [`series`] gives each series a small dense number, and reuses those of dropped series;
//! 4. for a detector of several metrics, [`join`] joins them to vectors, as [`vector`] describes, by `entity`;
//! 5. [`rows`] collects rows and passes them to a [`BatchScorer`](qualm_contract::BatchScorer), a batch per call;
//! 6. `incident` finds which rows are anomalies, by the rules of [`suppress`]; [`anomaly_rate`] counts them by entity;
//! 7. [`splice`] writes the verdict, with its reason and [`band`], into the original bytes, or that of a vector or entity after them;
//! 8. [`pipeline`] does these in turn, for the [`lane`] of each detector.
//!
//! For any bytes, the output is the input, in the same order, except for the fields that were spliced in.

#![forbid(unsafe_code)]

pub mod anomaly_rate;
pub mod band;
mod entity;
pub mod field;
mod field_dedup;
pub mod format;
pub mod glob;
pub mod grammar;
mod head_cache;
mod incident;
pub mod join;
pub mod lane;
pub mod line;
pub mod lines;
pub mod pipeline;
pub mod rows;
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
pub use incident::INCIDENT_END_SCORE;
pub use lane::Lane;
pub use lines::Lines;
pub use pipeline::{Counts, Pipeline};
pub use rows::Rows;
pub use select::Selector;
pub use series::Limits;
pub use snapshot::SeriesSnapshot;
