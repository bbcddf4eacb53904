//! Why something is no bundle that can be used.

use std::{fmt, io};

use jiff::Timestamp;
use qualm_system::fault::is_of_system;

use crate::secret::Secret;

/// Why something is no bundle that can be used, and where it is.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct Error {
    /// A path or a URL.
    pub place: String,
    /// What is the matter with it.
    pub fault: Fault,
}

/// What is the matter with a bundle. No path outside it is named: who asks over the network must not learn any.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It cannot be fetched.
    #[error("{0}")]
    Fetch(String),
    /// It is packed wrongly.
    #[error("it is no packed bundle, or damaged ({0}); copy it again, or make it with `qualm bundle pack`")]
    Archive(String),
    /// A file does not belong there, is missing, or too large.
    #[error("{file}: {what}")]
    File {
        /// What it is called.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// One of its files cannot be read.
    #[error("{file}: it cannot be read: {source}")]
    Read {
        /// What it is called.
        file: String,
        /// Why not.
        source: io::Error,
    },
    /// What the manifest says cannot be.
    #[error("bundle.toml: {0}")]
    Manifest(String),
    /// A file is not the one that was there when the bundle was made.
    #[error("{0}: its SHA-256 is not the one in bundle.toml; it was changed or damaged: copy the bundle again")]
    Digest(String),
    /// It has no signature, or none that is trusted.
    #[error("{0}")]
    Signature(String),
    /// It should not be used any more.
    #[error("it expired on {0}; train a new one")]
    Expired(Timestamp),
    /// Its detector is a plugin, and there is no sandbox here.
    #[error("its detector is a plugin, which runs in a sandbox only, as the `qualm` command has one")]
    Sandbox,
    /// The model is none that can be used here, or not the one that the manifest describes.
    #[error("model.safetensors: {0}")]
    Model(String),
    /// Its detector took longer than it may, which it may not another time.
    #[error("{0}")]
    Deadline(String),
    /// This machine lacks what its detector needs.
    #[error("{0}")]
    System(String),
    /// The golden rows do not get their scores.
    #[error("golden.safetensors: {0}")]
    Golden(String),
}

impl Fault {
    /// Whether this machine is at fault rather than the bundle: it lacks memory or files, or a disk cannot be read. The
    /// bundle may be as good as any, at another time.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Io(error) | Self::Read { source: error, .. } => is_of_system(error),
            Self::Fetch(_) | Self::Deadline(_) | Self::System(_) => true,
            _ => false,
        }
    }

    /// The fault of what is at `place`.
    pub fn at(self, place: impl fmt::Display) -> Error {
        // A URL where a path should be may have a password in it.
        let place = place.to_string();
        let shown = if place.contains("://") { Secret::address(place).to_string() } else { place };
        Error { place: shown, fault: self }
    }
}
