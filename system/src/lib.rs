//! What qualm asks of the operating system, and how it handles what it cannot trust.
//!
//! - [`child`]: a process with limits, which is killed when it exceeds them;
//! - [`atomic`]: files that are there as a whole or not at all;
//! - [`own`]: files that nobody else can have planted;
//! - [`fault`]: whether an error is the machine's or the file's;
//! - [`untrusted`]: texts of others, made fit for a log; [`digest`]: digests of their bytes.

pub mod atomic;
pub mod child;
pub mod digest;
pub mod fault;
pub mod own;
pub mod untrusted;
