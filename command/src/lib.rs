//! What the `qualm` command does: each of its commands, over the pipeline that the crate `qualm` is.
//!
//! - [`execd`] and [`serve`]: metrics in, scored metrics out, for as long as they flow;
//! - [`replay`], [`warm`] and [`demo`]: the same over history;
//! - [`plugin`]: for those who write detectors of their own;
//! - [`bundle`]: what people do with a model's bundle;
//! - [`log`]: where what is logged goes, [`stdout`]: what is printed, and [`failure`]: what a command ends with.

pub mod bundle;
pub mod collect;
pub mod demo;
pub mod evaluate;
pub mod execd;
pub mod explain;
pub mod failure;
pub mod log;
pub mod plugin;
pub mod progress;
pub mod replay;
pub mod serve;
pub mod stdout;
pub mod train;
pub mod validate;
pub mod warm;
