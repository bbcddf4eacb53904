//! Reads history from files (`.lp`, `.csv`, `.jsonl`) as line protocol.

pub(crate) mod cell;
mod csv;
mod fault;
pub mod feed;
pub(crate) mod jsonl;
pub(crate) mod lp;
pub mod order;
pub mod rewrite;
pub(crate) mod source;
mod time;

use std::path::{Path, PathBuf};

use qualm_pipeline::pipeline::MAX_EVENT;

pub use cell::{BadHeader, is_time};
pub use fault::Fault;

pub use time::{BadTime, parse as parse_time, timestamp};

use source::{Format, Position, Source};

/// Why a file cannot be used as history: where, what, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {fault}", file.display(), line.map_or_else(String::new, |line| format!(":{line}")))]
pub struct Error {
    file: PathBuf,
    line: Option<u64>,
    fault: Fault,
}

impl Error {
    pub(crate) fn new(file: &Path, fault: impl Into<Fault>) -> Self {
        Self { file: file.to_owned(), line: None, fault: fault.into() }
    }
}

/// One row of history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Nanoseconds since 1970, if the row has a time.
    pub time: Option<i64>,
    /// Whether it has any value: a row without has no line.
    pub has_line: bool,
}

/// The rows of a file, in order.
pub trait History {
    /// Appends the next row to `out` as a line of line protocol with its end. `None` at the end of the file.
    ///
    /// # Errors
    ///
    /// The line where the row begins, and what is wrong with it.
    fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Row>, (u64, Fault)>;

    /// The names of the columns with values, if all rows have the same.
    fn columns(&self) -> Option<&[String]>;
}

/// An open file, and how far it has been read.
pub struct Input {
    history: Box<dyn History>,
    path: PathBuf,
    /// Bytes in the file, and those read so far.
    pub size: u64,
    read: Position,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Input {
    /// Opens a file; its extension gives the format. `measurement` names the metrics of formats without measurements.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or has an unknown extension or an invalid header.
    pub fn open(path: &Path, measurement: &str) -> Result<Self, Error> {
        let Source { format, reader, size, read } = Source::open(path)?;
        let history: Box<dyn History> = match format {
            Format::Csv => Box::new(csv::Csv::open(reader, measurement).map_err(|fault| Error::new(path, fault))?),
            Format::Jsonl => Box::new(jsonl::Jsonl::new(reader, measurement)),
            Format::Lp => Box::new(lp::Lp::new(reader)),
        };
        Ok(Self { history, path: path.to_owned(), size, read })
    }

    /// The next row; see [`History::next`].
    ///
    /// # Errors
    ///
    /// The file, the line and what is wrong there.
    pub fn next(&mut self, out: &mut Vec<u8>) -> Result<Option<Row>, Error> {
        let Self { history, path, .. } = self;
        let start = out.len();
        let row = history.next(out).map_err(|(line, fault)| Error { file: path.clone(), line: Some(line), fault })?;
        if out.len() - start > MAX_EVENT {
            return Err(Error::new(path, Fault::LongRow));
        }
        Ok(row)
    }

    /// The columns; see [`History::columns`].
    #[must_use]
    pub fn columns(&self) -> Option<&[String]> {
        self.history.columns()
    }

    /// Bytes read so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.read.get()
    }
}

/// Appends a measurement's name; see [`put_name`].
fn put_measurement(out: &mut Vec<u8>, name: &str) -> Result<(), Fault> {
    if name.is_empty() {
        return Err(Fault::NoMeasurement);
    }
    if name.starts_with('#') {
        return Err(Fault::Comment(name.to_owned()));
    }
    put_name(out, name)
}

/// Appends a name with the backslashes that line protocol needs. A line break in it becomes a space.
fn put_name(out: &mut Vec<u8>, name: &str) -> Result<(), Fault> {
    if name.is_empty() || name.ends_with('\\') {
        return Err(Fault::Name(name.to_owned()));
    }
    for (at, part) in name.split(|c| ('\t'..='\r').contains(&c)).enumerate() {
        out.extend_from_slice(if at == 0 { b"" } else { b"\\ " });
        put_escaped(out, part, NAME_SPECIALS);
    }
    Ok(())
}

/// The bytes that are escaped in tags and fields.
pub(crate) const NAME_SPECIALS: &[u8] = b",= ";

/// Appends a text with a backslash before each of the `special` bytes.
pub(crate) fn put_escaped(out: &mut Vec<u8>, text: &str, special: &[u8]) {
    for byte in text.bytes() {
        if special.contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

/// The measurement of a file whose format has none: the given one or, by default, the file's name without its extension.
pub(crate) fn default_measurement(given: Option<&str>, path: &Path) -> String {
    let stem = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    given.map_or_else(stem, str::to_owned)
}

/// Appends `,name=value` or, for the first field of a line, ` name=value`.
fn put_field(out: &mut Vec<u8>, first: bool, name: &str, value: f64) -> Result<(), Fault> {
    out.push(if first { b' ' } else { b',' });
    put_name(out, name)?;
    out.push(b'=');
    out.extend_from_slice(value.to_string().as_bytes());
    Ok(())
}

/// Ends a line with its time.
fn put_time(out: &mut Vec<u8>, time: i64) {
    out.push(b' ');
    out.extend_from_slice(time.to_string().as_bytes());
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(name: &str, text: &str) -> Result<(String, Vec<Row>), Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        let mut input = Input::open(&path, "m")?;
        let (mut out, mut rows) = (Vec::new(), Vec::new());
        while let Some(row) = input.next(&mut out)? {
            rows.push(row);
        }
        assert_eq!(input.position(), input.size);
        Ok((String::from_utf8(out).unwrap(), rows))
    }

    const fn row(time: i64) -> Row {
        Row { time: Some(time), has_line: true }
    }

    #[test]
    fn csv_rows_become_lines() {
        let (lines, rows) = read("a.csv", "time,cpu,my mem\n1,0.5,\n2,-1e3,7\n3,,\n4,NaN,1\n").unwrap();
        assert_eq!(lines, "m cpu=0.5 1000000000\nm cpu=-1000,my\\ mem=7 2000000000\nm my\\ mem=1 4000000000\n");
        let second = 1_000_000_000;
        assert_eq!(
            rows,
            [row(second), row(2 * second), Row { time: Some(3 * second), has_line: false }, row(4 * second)]
        );
    }

    #[test]
    fn other_names_of_times_and_missing_values_are_known() {
        for time in ["time", "Time", "_time", "TIMESTAMP", "timestamp", "Date"] {
            let text = format!("\u{feff}{time},cpu,up\n1,null,true\n2,None,FALSE\n3,NA,\n4,1,null\n");
            let (lines, rows) = read("a.csv", &text).unwrap();
            assert_eq!(lines, "m up=1 1000000000\nm up=0 2000000000\nm cpu=1 4000000000\n", "{time}");
            assert_eq!(rows.len(), 4);
        }
    }

    #[test]
    fn jsonl_rows_become_lines() {
        let flat = r#"{"time":"2024-01-01T00:00:00Z","host":"a b","cpu":0.5,"up":true,"n":null}"#;
        let telegraf = r#"{"fields":{"cpu":1},"name":"sys","tags":{"host":"b"},"timestamp":1458229140}"#;
        let (lines, rows) = read("a.jsonl", &format!("{flat}\n\n{telegraf}\n")).unwrap();
        assert_eq!(lines, "m,host=a\\ b cpu=0.5 1704067200000000000\nsys,host=b cpu=1 1458229140000000000\n");
        assert_eq!(rows, [row(1_704_067_200_000_000_000), row(1_458_229_140_000_000_000)]);
    }

    #[test]
    fn line_protocol_is_unchanged() {
        let text = "# note\nm a=1 5\n\nm s=\"x\ny\",a=2 6\nm a=3\nbad";
        let (lines, rows) = read("a.lp", text).unwrap();
        assert_eq!(lines, "m a=1 5\nm s=\"x\ny\",a=2 6\nm a=3\nbad\n");
        let untimed = Row { time: None, has_line: true };
        assert_eq!(rows, [row(5), row(6), untimed, untimed]);
    }

    #[test]
    fn errors_name_their_line() {
        for (name, text, place, what) in [
            ("a.txt", "", "a.txt", "must end in .lp"),
            ("a.csv.gz", "", "a.csv.gz", "unpack it first"),
            ("A.CSV", "", "A.CSV", "no header"),
            ("a.csv", "time;cpu\n1;2\n", "a.csv", "separated by commas"),
            ("a.csv", "", "a.csv", "no header"),
            ("a.csv", "cpu,mem\n1,2\n", "a.csv", "first column must be `time`, `_time`, `timestamp` or `date`"),
            ("a.csv", "time\n1\n", "a.csv", "no column besides"),
            ("a.csv", "time,cpu,cpu\n1,1,1\n", "a.csv", "`cpu` twice"),
            ("a.csv", "time,cpu\n1,2\n2,x\n", "a.csv:3", "column `cpu`: `x` is no number"),
            ("a.csv", "time,cpu\n1,2\nsoon,2\n", "a.csv:3", "`soon` is no time"),
            ("a.csv", "time,cpu\n1,2,3\n", "a.csv:2", "3"),
            ("a.csv", "time,c\0pu\n1,2\n", "a.csv", "control character"),
            ("a.csv", "time,\"c\npu\"\n1,2\n", "a.csv", "control character"),
            ("a.jsonl", "{\"time\":1,\"a\":1}\n[]\n", "a.jsonl:2", "each line must be a JSON object"),
            ("a.jsonl", "{\"a\":1}\n", "a.jsonl:1", "no `time`"),
            ("a.jsonl", "{\"time\":1,\"a\":[1]}\n", "a.jsonl:1", "`a`"),
            ("a.jsonl", "{\"timestamp\":1,\"name\":\"#x\",\"fields\":{\"a\":1}}\n", "a.jsonl:1", "`#x`"),
            ("a.jsonl", "{\"time\":1,\"disk\":\"C:\\\\\",\"a\":1}\n", "a.jsonl:1", "ends in a backslash"),
            ("a.lp", &format!("m s=\"{}\",a=1 1\n", "x\n".repeat(1 << 20)), "a.lp:1", "longer than 1 MiB"),
        ] {
            let error = read(name, text).unwrap_err().to_string();
            assert!(error.contains(&format!("{place}: ")) && error.contains(what), "{text:?}: {error}");
        }
    }
}
