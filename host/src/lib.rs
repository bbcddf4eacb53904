//! qualm: anomaly scores for metrics, inline in the pipeline they already flow through.
//!
//! The way of a metric begins in [`execd`] or [`serve`] (or [`replay`] and [`warm`], over history), which read bytes, and leads through
//! [`scoring`]: there a `qualm_stream::Pipeline` splits, selects and splices, and a [`sandbox`] runs each detector as a
//! WebAssembly component that is not trusted. Where that fails, its [`supervisor`] starts it again. [`models`] makes detectors of bundles, and new ones while metrics flow;
//! [`state`] keeps what they learnt; [`config`] says what a user may say, [`view`] shows others what goes on.
//! [`plugin`] is for those who write detectors of their own.
//!
//! To have the pipeline in a program of one's own, such as a Vector that one builds, start a [`Pipeline`]; the example
//! `transform` does.

pub mod clock;
pub mod config;
pub mod demo;
pub mod execd;
pub mod log;
pub mod models;
pub mod plugin;
pub mod replay;
pub mod sandbox;
pub mod scoring;
pub mod serve;
pub mod state;
pub mod supervisor;
pub mod view;
pub mod warm;

pub use qualm_stream as stream;
pub use scoring::Scoring as Pipeline;
