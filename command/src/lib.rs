//! What the `qualm` command does: each of its commands, over the pipeline that the crate `qualm` is.
//!
//! - [`execd`]: metrics in, scored metrics out, for as long as they flow; [`bundle`]: what people do with a model's bundle;
//! - with the feature `serve`, `serve`: the same as `execd` over HTTP;
//! - with the feature `history`, `replay`, `warm` and `demo`: the same over history; `collect`, `validate`, `train`,
//!   `evaluate` and `explain`: from history to a model, and how good it is; `plugin`: for those who write detectors of their
//!   own;
//! - [`configuration`]: what is in force, [`log`]: where what is logged goes, [`stdout`]: what is printed, and [`failure`]:
//!   what a command ends with.

pub mod bundle;
#[cfg(feature = "history")]
pub mod collect;
pub mod configuration;
#[cfg(feature = "history")]
pub mod demo;
#[cfg(feature = "history")]
pub mod evaluate;
pub mod execd;
#[cfg(feature = "history")]
pub mod explain;
pub mod failure;
pub mod log;
#[cfg(feature = "history")]
pub mod plugin;
#[cfg(feature = "history")]
pub mod progress;
#[cfg(feature = "history")]
pub mod replay;
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
