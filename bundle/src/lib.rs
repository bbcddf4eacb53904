//! Model bundles: their files, and how they are packed, signed, verified, stored and fetched.
//!
//! A [`Bundle`] has five files at most ([`files`]): the [`manifest`] describes it, the [`golden`] rows verify that it scores
//! here as it did where it was trained, and the [`signature`] verifies its origin. It is [read](mod@read) from a directory or
//! from one file ([`archive`]), and nothing that is read is trusted. A trainer makes one with a [`bundle::Draft`] and
//! [writes](mod@write) it.
//!
//! A running pipeline has a [`source::Fetcher`], which reports new bundles, and a [`store::Store`], which admits or refuses
//! them and keeps the latest good ones; [`rollback`] returns to one of them.

pub mod archive;
pub mod bundle;
pub mod directory;
pub mod duration;
pub mod error;
pub mod files;
pub mod golden;
pub mod import;
pub mod manifest;
pub mod read;
pub mod reference;
pub mod rollback;
pub mod rows;
pub mod secret;
pub mod signature;
pub mod source;
pub mod store;
#[cfg(test)]
extern crate self as qualm_bundle; // `testing` is compiled by the command's tests too
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod watch;
pub mod write;

pub use bundle::Bundle;
pub use error::{Error, Fault};
