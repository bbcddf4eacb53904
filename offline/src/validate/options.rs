//! The options of a validation.

use std::path::PathBuf;

use qualm_pipeline::glob::{BadGlob, Globs};

use super::Error;

/// The options of a validation.
#[derive(Debug, Clone)]
pub struct Options {
    /// The history: line protocol (.lp), CSV with a time column (.csv), or JSON lines (.jsonl).
    pub input: PathBuf,

    /// The measurement of a CSV or JSON file; by default the file's name without its extension.
    pub measurement: Option<String>,

    /// The share of a column's values that may be missing.
    pub max_missing: f64,

    /// The share of a column's values that may lie beyond six spreads of its median.
    pub max_outliers: f64,

    /// The least number of rows of a measurement.
    pub min_rows: u64,

    /// The expected range of columns: `COLUMN=FROM..TO`, where COLUMN is a glob.
    pub expect: Vec<String>,
}

/// Why an option's value is of no use.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BadOption {
    /// It is no share.
    #[error("`{0}` must be a share, from 0 to 1")]
    Share(f64),
    /// It names no column with a range.
    #[error("`{0}` must be COLUMN=FROM..TO, as in usage_idle=0..100")]
    Range(String),
    /// No number lies in its range.
    #[error("`{0}` has nothing in its range")]
    EmptyRange(String),
    /// Its column is no glob.
    #[error("`{0}` {reason}", reason = .1.reason)]
    Glob(String, BadGlob),
}

/// The parsed options.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) max_missing: f64,
    pub(super) max_outliers: f64,
    pub(super) min_rows: u64,
    expected: Vec<(Globs, [f64; 2])>,
}

impl Limits {
    /// The expected range of a column, if one is given.
    pub(super) fn expected(&self, column: &str) -> Option<[f64; 2]> {
        self.expected.iter().find(|(names, _)| names.matches(column.as_bytes())).map(|(_, range)| *range)
    }
}

impl Options {
    /// Parses the options.
    pub(super) fn limits(&self) -> Result<Limits, Error> {
        for (option, share) in [("--max-missing", self.max_missing), ("--max-outliers", self.max_outliers)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::Option { option, what: BadOption::Share(share) });
            }
        }
        let expected = self.expect.iter().map(|text| {
            let bad = |what| Error::Option { option: "--expect", what };
            expected_range(text).map_err(bad)
        });
        Ok(Limits {
            max_missing: self.max_missing,
            max_outliers: self.max_outliers,
            min_rows: self.min_rows,
            expected: expected.collect::<Result<_, _>>()?,
        })
    }
}

/// Reads `COLUMN=FROM..TO`.
fn expected_range(text: &str) -> Result<(Globs, [f64; 2]), BadOption> {
    let bad = || BadOption::Range(text.to_owned());
    let (name, range) = text.rsplit_once('=').ok_or_else(bad)?;
    let (from, to) = range.split_once("..").ok_or_else(bad)?;
    // Either end may be left out.
    let end = |text: &str, open: f64| if text.is_empty() { Ok(open) } else { text.parse().map_err(|_| bad()) };
    let (from, to): (f64, f64) = (end(from, f64::NEG_INFINITY)?, end(to, f64::INFINITY)?);
    if from > to || from.is_nan() || to.is_nan() {
        return Err(BadOption::EmptyRange(text.to_owned()));
    }
    Ok((Globs::new([name]).map_err(|bad| BadOption::Glob(text.to_owned(), bad))?, [from, to]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        let written = |text| expected_range(text).map(|(_, [from, to])| format!("{from} {to}")).unwrap();
        assert_eq!(written("usage_*=0..100"), "0 100");
        assert_eq!(written("t=-40.5.."), "-40.5 inf");
        for text in ["usage", "usage=1", "usage=a..b", "usage=2..1", "[=1..2", "u=NaN..1"] {
            assert!(expected_range(text).is_err(), "{text}");
        }
    }
}
