//! A user's own program trains the successor.
//!
//! It is run with its arguments, in which `{rows}`, `{bundle}` and `{out}` stand for paths: a CSV file with the rows of the
//! training and validation part (columns `time`, `entity`, and one for each feature), the incumbent, and where the successor
//! must be written, a bundle's directory or `.qualm` file with the incumbent's name and features and a higher version.

use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use qualm_bundle::Bundle;
use qualm_system::child::{self, Failure};

use super::Options;
use crate::history::timestamp;
use crate::table::Table;
use crate::train::Split;

/// Why a command gives no successor.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The rows for it cannot be written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The rows for it cannot be written as CSV.
    #[error("the rows cannot be written: {0}")]
    Csv(#[from] csv::Error),
    /// It cannot be run, or takes more than it may.
    #[error("{program} {failure}")]
    Failed {
        /// The program.
        program: String,
        /// Why.
        failure: Failure,
    },
    /// It fails.
    #[error("{program} ended with {code}: {said}")]
    Code {
        /// The program.
        program: String,
        /// Its exit code.
        code: i32,
        /// The end of what it printed to stderr.
        said: String,
    },
    /// What it made is no bundle.
    #[error("{program} made no bundle: {source}")]
    Bundle {
        /// The program.
        program: String,
        /// Why.
        source: qualm_bundle::Error,
    },
    /// What it made is another model.
    #[error("{program} made another model than `{name}`, of other features, or of no higher version than {version}")]
    Other {
        /// The program.
        program: String,
        /// The incumbent's name.
        name: String,
        /// The incumbent's version.
        version: u64,
    },
}

/// The most that is shown of what the program said.
const MAX_SAID: usize = 500;

/// Runs the command, and reads the bundle that it made.
pub(super) fn train(options: &Options, incumbent: &Bundle, table: &Table, split: &Split) -> Result<Bundle, Error> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    };
    let dir = tempfile::tempdir().map_err(io(&std::env::temp_dir()))?;
    let rows = dir.path().join("rows.csv");
    write(&rows, table, split.validation.end).map_err(|error| match error.into_kind() {
        csv::ErrorKind::Io(source) => io(&rows)(source),
        other => io(&rows)(io::Error::other(format!("{other:?}"))),
    })?;
    let made = dir.path().join("model.qualm");
    let bundle = fs::canonicalize(&options.bundle).map_err(io(&options.bundle))?;
    let places = [("{rows}", &rows), ("{bundle}", &bundle), ("{out}", &made)];
    let filled = |argument: &String| {
        places.iter().fold(argument.clone(), |text, (place, path)| text.replace(place, &path.to_string_lossy()))
    };
    let arguments: Vec<String> = options.command.iter().skip(1).map(filled).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some(program) = options.command.first().cloned() else {
        return Err(Error::Code { program: String::new(), code: 127, said: "there is no program".to_owned() });
    };
    let done = child::run(Path::new(&program), &arguments, dir.path(), &options.limits, &|| false)
        .map_err(|failure| Error::Failed { program: program.clone(), failure })?;
    if done.code != 0 {
        let said = done.said.trim();
        let start = said.len().saturating_sub(MAX_SAID);
        let said = said.get(said.ceil_char_boundary(start)..).unwrap_or_default().to_owned();
        return Err(Error::Code { program, code: done.code, said });
    }
    let successor = Bundle::read(&made).map_err(|source| Error::Bundle { program: program.clone(), source })?;
    let (old, new) = (&incumbent.manifest, &successor.manifest);
    let names = |manifest: &qualm_bundle::manifest::Manifest| {
        manifest.features.iter().map(|feature| feature.name.clone()).collect::<Vec<_>>()
    };
    if new.name != old.name || new.version <= old.version || names(old) != names(new) {
        return Err(Error::Other { program, name: old.name.clone(), version: old.version });
    }
    Ok(successor)
}

/// Writes the first rows as CSV.
fn write(path: &Path, table: &Table, rows: usize) -> Result<(), csv::Error> {
    let mut csv = csv::Writer::from_writer(BufWriter::new(fs::File::create(path)?));
    csv.write_record(["time", "entity"].into_iter().chain(table.names.iter().map(String::as_str)))?;
    for row in 0..rows {
        let entity = table.entities.get(table.series[row] as usize).map_or("", String::as_str);
        let values = &table.values[row * table.features()..][..table.features()];
        let cell = |value: &f64| if value.is_nan() { String::new() } else { value.to_string() };
        let cells = values.iter().map(cell);
        csv.write_record([timestamp(table.times[row]).to_string(), entity.to_owned()].into_iter().chain(cells))?;
    }
    csv.into_inner().map_err(csv::IntoInnerError::into_error)?.flush()?;
    Ok(())
}
