//! Validates history before training.
//!
//! 1. [`read`] reads a file to its end, even if parts are malformed, into [`data`];
//! 2. [`profile`] and [`timing`] compute figures of each column and each series;
//! 3. [`checks`] are the six checks of these figures;
//! 4. [`report`] is the result, as a table for a terminal or as JSON.

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

/// Why a file cannot be validated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be opened.
    #[error(transparent)]
    History(#[from] history::Error),
    /// An option is invalid.
    #[error("{option}: {what}")]
    Option {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        what: BadOption,
    },
}

/// Validates a file. Calls `progress` with the number of bytes that have been read, and the file's size.
///
/// # Errors
///
/// If it cannot be opened, or an option is invalid.
pub fn validate(options: &Options, progress: Progress<'_>) -> Result<Report, Error> {
    let limits = options.limits()?;
    let measurement = history::default_measurement(options.measurement.as_deref(), &options.input);
    let data = read::read(&options.input, &measurement, progress)?;
    let columns = profile::all(&data, &limits);
    let timings = timing::all(&data);
    let findings = checks::all(&data, &columns, &timings, &limits);
    Ok(Report::new(&options.input, &data, columns, timings, &findings))
}
