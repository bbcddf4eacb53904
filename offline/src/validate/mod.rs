//! `qualm validate`: whether history is fit to train on, before anything is trained.
//!
//! 1. [`read`] reads a file to its end, whatever is in it, into [`data`];
//! 2. [`profile`] and [`clock`] say in numbers what each column and each series is like;
//! 3. [`checks`] are the six checks, which find fault with these;
//! 4. [`report`] is what comes of them: a table for people, or JSON.

mod checks;
mod clock;
mod data;
mod options;
mod profile;
mod read;
mod report;
mod table;

use std::io::{self, Write as _};
use std::path::PathBuf;

pub use options::{EXAMPLES, Options};
pub use report::{Check, Finding, Report, Verdict};

use crate::{history, progress};

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
        what: String,
    },
    /// It was read, and is found wanting.
    #[error("{} is not fit to train on: {what}", path.display())]
    Wanting {
        /// The file.
        path: PathBuf,
        /// The checks that it does not pass.
        what: String,
    },
    /// The report cannot be printed.
    #[error("stdout: {0}")]
    Print(io::Error),
}

impl Error {
    /// The exit code: 1 where the file is found wanting, 2 where it cannot be read or an option is of no use.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Wanting { .. } | Self::Print(_) => 1,
            Self::History(_) | Self::Option { .. } => 2,
        }
    }
}

/// Checks a file and prints what there is to say.
///
/// # Errors
///
/// Where it cannot be read; and, after printing, where it is found wanting.
pub fn run(options: &Options) -> Result<(), Error> {
    let report = validate(options)?;
    let text = if options.json { report.to_json() } else { report.to_table() };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(Error::Print(error)),
        _ => {}
    }
    let tolerated = if options.strict { Verdict::Ok } else { Verdict::Warning };
    if report.verdict() <= tolerated {
        return Ok(());
    }
    Err(Error::Wanting { path: options.input.clone(), what: report.wanting(tolerated) })
}

/// Checks a file.
///
/// # Errors
///
/// Where it cannot be read, or an option is of no use.
pub fn validate(options: &Options) -> Result<Report, Error> {
    let limits = options.limits()?;
    let bar = progress::bar(0, progress::BYTES);
    let data = read::read(&options.input, &options.measurement(), &|size, position| {
        bar.set_length(size);
        bar.set_position(position);
    });
    bar.finish_and_clear();
    let data = data?;
    let columns = profile::all(&data, &limits);
    let clocks = clock::all(&data);
    let findings = checks::all(&data, &columns, &clocks, &limits);
    Ok(Report::new(&options.input, &data, columns, clocks, &findings))
}
