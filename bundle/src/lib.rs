//! Model bundles: what is in one, and how it is packed, signed, checked, kept and fetched.
//!
//! A [`Bundle`] is five files at most ([`files`]): [`manifest`] says what is in it, [`golden`] rows prove that it scores
//! here as it did where it was made, and [`signature`] who made it. It is read from a directory or from one file
//! ([`archive`]), and what is read is trusted in nothing. A trainer makes one with a [`bundle::Draft`] and
//! [writes](mod@write) it.
//!
//! A running pipeline has a [`source::Fetcher`], which tells when there is a new one, and a [`store::Store`], which decides
//! whether it may be taken, and keeps the last good ones; [`rollback`] goes back to one of them.

pub mod archive;
pub mod bundle;
pub mod clean;
pub mod digest;
pub mod directory;
pub mod duration;
pub mod error;
pub mod files;
pub mod golden;
pub mod import;
pub mod manifest;
pub mod read;
pub mod rollback;
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
