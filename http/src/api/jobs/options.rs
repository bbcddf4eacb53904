//! The limits of uploads.

use std::path::PathBuf;

use qualm_bundle::signature::SecretKey;
use qualm_system::child;

/// The limits of uploads. An owner is a token; without tokens there is one owner.
#[derive(Debug)]
pub struct Options {
    /// The `qualm` program, which does the work in processes of its own.
    pub program: PathBuf,
    /// Signs what is published. Without it, and with trusted keys, nothing that is trained here would be served.
    pub key: Option<SecretKey>,
    /// Models that are trained at once.
    pub at_once: usize,
    /// The most jobs that wait, of all tokens.
    pub queue: usize,
    /// Jobs that a token may have under way, waiting ones among them.
    pub jobs_of_token: usize,
    /// Bytes that a token may upload in a day.
    pub bytes_of_token: u64,
    /// The largest upload, unpacked.
    pub upload: u64,
    /// Bytes that all jobs under way may take on disk.
    pub disk: u64,
    /// The bytes in the directory of models beyond which uploads are refused.
    pub models: u64,
    /// The most jobs that are listed after their end.
    pub remembered: usize,
    /// The limits of each process.
    pub child: child::Limits,
}

impl Options {
    /// The defaults, for this program: one training at a time, 16 that wait, 3 jobs and 1 GiB a day for a token.
    pub fn of(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            key: None,
            at_once: 1,
            queue: 16,
            jobs_of_token: 3,
            bytes_of_token: 1 << 30,
            upload: 256 << 20,
            disk: 4 << 30,
            models: 8 << 30,
            remembered: 1000,
            child: child::Limits::default(),
        }
    }
}
