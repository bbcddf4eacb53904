//! Trained models: how a bundle becomes a detector that runs, and how a new one takes over while metrics flow.
//!
//! A [`Loader`] turns what a source offers into a [`Candidate`]: a bundle that is whole, trusted and new enough, with a
//! guest that has opened its model and given the golden rows their scores. That takes its time, so while the pipeline
//! runs a [`Reloader`] does it on a thread of its own; between two batches the pipeline asks for the last candidate and
//! swaps. What is not good never gets that far.

mod builder;
mod loader;
mod outline;
mod reloader;
mod unusable;

pub(crate) use self::builder::Candidate;
pub use self::builder::ModelBuilder;
pub(crate) use self::loader::Loader;
pub(crate) use self::outline::ModelOutline;
pub(crate) use self::reloader::{Promotion, Reloader};
pub use self::unusable::{LoaderError, NoModel};
