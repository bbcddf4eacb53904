//! Why history cannot be used.

use std::io;

use super::cell::BadHeader;
use super::time::BadTime;

/// What is wrong with a file of history or a row in it, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is compressed.
    #[error("it is packed; unpack it first")]
    Compressed,
    /// The file's extension is unknown.
    #[error("what is in it? Its name must end in .lp, .csv or .jsonl")]
    Extension,
    /// A CSV file is malformed.
    #[error(transparent)]
    Csv(#[from] ::csv::Error),
    /// A CSV header is of no use.
    #[error(transparent)]
    Header(#[from] BadHeader),
    /// Two columns have the same name.
    #[error("it has the column `{0}` twice; rename one")]
    DuplicateColumn(String),
    /// A cell is no number.
    #[error("column `{column}`: `{cell}` is no number; leave the cell empty where it is missing")]
    Cell {
        /// The column.
        column: String,
        /// What the cell holds.
        cell: String,
    },
    /// A time cannot be read.
    #[error(transparent)]
    Time(#[from] BadTime),
    /// A row has no time.
    #[error("it has no `time` or `timestamp`")]
    NoTime,
    /// A line is no JSON object.
    #[error("each line must be a JSON object ({0})")]
    Json(#[from] serde_json::Error),
    /// A value is an array or an object.
    #[error("`{0}` is neither a number nor a text; give each number a key of its own")]
    Nested(String),
    /// Nothing names the measurement.
    #[error("nothing says what is measured here; name it with --measurement (of `qualm warm`: --name)")]
    NoMeasurement,
    /// A measurement's name would begin a comment.
    #[error("a measurement cannot be called `{0}`: line protocol would take it for a comment")]
    Comment(String),
    /// Line protocol cannot hold a name.
    #[error("`{0}` cannot be a name or a tag in line protocol: it is empty, or ends in a backslash")]
    Name(String),
    /// A line exceeds what a pipeline takes.
    #[error("a line is longer than 1 MiB; is a quote missing at the end of a text?")]
    LongLine,
    /// A row would exceed it as line protocol.
    #[error("a row is longer than 1 MiB as line protocol; no pipeline would score it")]
    LongRow,
    /// No row has a numeric field.
    #[error("there is no numeric field in it")]
    NoField,
}
