//! Why a bundle cannot be used.

use std::{fmt, io};

use jiff::Timestamp;
use qualm_system::fault::is_of_system;

use crate::secret::Secret;

/// Why a bundle cannot be used, and where it is.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct Error {
    /// A path or a URL.
    pub place: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a bundle. No path outside it is named: clients of the HTTP API must not learn any.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It cannot be fetched.
    #[error("{0}")]
    Fetch(String),
    /// The archive is malformed.
    #[error("it is no packed bundle, or damaged ({0}); copy it again, or make it with `qualm bundle pack`")]
    Archive(String),
    /// A file is unexpected, missing or too large.
    #[error("{file}: {what}")]
    File {
        /// Its name.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// One of its files cannot be read.
    #[error("{file}: it cannot be read: {source}")]
    Read {
        /// Its name.
        file: String,
        /// Why not.
        source: io::Error,
    },
    /// The manifest is invalid.
    #[error("bundle.toml: {0}")]
    Manifest(String),
    /// A file does not have the digest that the manifest lists.
    #[error("{0}: its SHA-256 is not the one in bundle.toml; it was changed or damaged: copy the bundle again")]
    Digest(String),
    /// It has no trusted signature.
    #[error("{0}")]
    Signature(String),
    /// It has expired.
    #[error("it expired on {0}; train a new one")]
    Expired(Timestamp),
    /// Its detector is a plugin, and there is no sandbox here.
    #[error("its detector is a plugin, which runs in a sandbox only, as the `qualm` command has one")]
    Sandbox,
    /// The model cannot be opened, or is not the one that the manifest describes.
    #[error("model.safetensors: {0}")]
    Model(String),
    /// Its detector exceeded its deadline; another attempt may succeed.
    #[error("{0}")]
    Deadline(String),
    /// This machine lacks a resource that its detector needs.
    #[error("{0}")]
    System(String),
    /// The golden rows are malformed, or the detector does not reproduce their scores.
    #[error("golden.safetensors: {0}")]
    Golden(String),
}

impl Fault {
    /// Whether this machine is at fault rather than the bundle, because it lacks memory or file descriptors or cannot read a
    /// disk: another attempt may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Io(error) | Self::Read { source: error, .. } => is_of_system(error),
            Self::Fetch(_) | Self::Deadline(_) | Self::System(_) => true,
            _ => false,
        }
    }

    /// The error of the bundle at `place`.
    pub fn at(self, place: impl fmt::Display) -> Error {
        // A URL given as a path may contain a password.
        let place = place.to_string();
        let shown = if place.contains("://") { Secret::address(place).to_string() } else { place };
        Error { place: shown, fault: self }
    }
}
