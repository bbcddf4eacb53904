//! Progress reports of long operations.

/// Called repeatedly with how much is done, and the total.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Sync);
