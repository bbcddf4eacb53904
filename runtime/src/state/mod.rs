//! Saved state of the detectors, written atomically.
//!
//! Each process writes its own file and reads all: with aggregators Telegraf starts two processes, in random order. Series that a
//! process restores and never sees again expire.

mod error;
mod file;
mod format;
mod merge;
mod writer;

use std::sync::Arc;

use qualm_pipeline::SeriesSnapshot;

pub use self::error::{Error, check, ignore_file_size_signal};
pub use self::file::StateFile;
pub use self::writer::{Unsaved, Writer};

/// The state of detectors, by name.
pub type Saved = Vec<(String, Vec<Arc<SeriesSnapshot>>)>;

#[cfg(test)]
mod tests;
