//! Whether history is fit to train on, before anything is trained.
//!
//! 1. [`read`] reads a file to its end, whatever is in it, into [`data`];
//! 2. [`profile`] and [`timing`] say in numbers what each column and each series is like;
//! 3. [`checks`] are the six checks, which find fault with these;
//! 4. [`report`] is what comes of them: a table for people, or JSON.

mod checks;
mod data;
mod options;
mod profile;
mod read;
mod report;
mod terminal;
mod timing;

pub use options::{BadOption, Options};
pub use report::{Check, Finding, Report, Verdict};

use crate::history;
use crate::progress::Progress;

/// Why a file is not valid.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read at all.
    #[error(transparent)]
    History(#[from] history::Error),
    /// An option is of no use.
    #[error("{option}: {what}")]
    Option {
        /// Which.
        option: &'static str,
        /// What is wrong with it, and what would be right.
        what: BadOption,
    },
}

/// Checks a file. Calls `progress` with the bytes that have been read, and with the file's size.
///
/// # Errors
///
/// Where it cannot be read, or an option is of no use.
pub fn validate(options: &Options, progress: Progress<'_>) -> Result<Report, Error> {
    let limits = options.limits()?;
    let data = read::read(&options.input, &options.measurement(), progress)?;
    let columns = profile::all(&data, &limits);
    let timings = timing::all(&data);
    let findings = checks::all(&data, &columns, &timings, &limits);
    Ok(Report::new(&options.input, &data, columns, timings, &findings))
}
