//! The `qualm` command: a module for each of its commands.
//!
//! - [`execd`]: scores line protocol from stdin to stdout; [`bundle`]: inspects, checks, signs and compares model bundles;
//!   [`models`]: asks a running process for its models, at the socket that [`control`] has;
//! - with the feature `serve`, `serve`: scores over HTTP;
//! - with the feature `history`, `replay`, `warm` and `demo`: the pipeline over history; `collect`, `validate`, `train`,
//!   `evaluate`, `explain`, `drift` and `retrain`: from history to a model, its quality, and its successor; `plugin`: creates, checks and packs plugins;
//! - [`configuration`], [`log`], [`stdout`], and [`failure`] with the exit codes.

pub mod bundle;
#[cfg(feature = "history")]
pub mod collect;
pub mod configuration;
pub mod control;
#[cfg(feature = "history")]
pub mod demo;
#[cfg(feature = "history")]
pub mod drift;
#[cfg(feature = "history")]
pub mod evaluate;
pub mod execd;
#[cfg(feature = "history")]
pub mod explain;
pub mod failure;
pub mod log;
pub mod models;
#[cfg(feature = "history")]
pub mod plugin;
#[cfg(feature = "history")]
pub mod progress;
#[cfg(feature = "history")]
pub mod replay;
#[cfg(feature = "history")]
pub mod retrain;
#[cfg(feature = "serve")]
pub mod serve;
pub mod stdout;
mod text;
#[cfg(feature = "history")]
pub mod train;
#[cfg(feature = "history")]
pub mod validate;
#[cfg(feature = "history")]
pub mod warm;
