//! How far something is, for whoever watches.

/// Is called again and again with how much is done, and of how much.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Sync);
