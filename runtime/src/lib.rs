//! qualm: anomaly scores for metrics, inline in the pipeline they already flow through.
//!
//! The way of a metric leads through [`scoring`]: there a `qualm_pipeline::Pipeline` splits, selects and splices, and a
//! [`supervisor`] looks after each detector, which the sandbox runs as a WebAssembly component that is not trusted.
//! [`models`] makes detectors of bundles, and new ones while metrics flow; [`state`] keeps what they learnt; [`config`] says
//! what a user may say, [`view`] shows others what goes on.
//!
//! To have the pipeline in a program of one's own, such as a Vector that one builds, start a [`Pipeline`]; the example
//! `transform` does.

pub mod clock;
pub mod config;
pub mod models;

pub mod scoring;
pub mod state;
pub mod supervisor;
pub mod view;

pub use scoring::Scoring as Pipeline;
