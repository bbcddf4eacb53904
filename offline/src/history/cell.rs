//! Parses the header and the cells of a CSV file, for training and validation alike.

use qualm_system::untrusted::shortened;

/// How many characters of a name errors show.
const MAX_SHOWN: usize = 60;

/// Whether a column of this name holds times, in any case: the names of Telegraf, InfluxDB and pandas.
#[must_use]
pub fn is_time(name: &str) -> bool {
    ["time", "_time", "timestamp", "date"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The largest value for training: the square of a larger one overflows, so that there is no variance.
pub(crate) const MAX_VALUE: f64 = 1e150;

/// A column's name in the header.
fn name(bytes: &[u8]) -> Result<String, BadHeader> {
    let shown = String::from_utf8_lossy(bytes).trim().escape_debug().to_string();
    let Ok(name) = std::str::from_utf8(bytes) else {
        return Err(BadHeader::Encoding(shown));
    };
    if name.trim().chars().any(char::is_control) {
        return Err(BadHeader::Control(shown));
    }
    Ok(name.trim().to_owned())
}

/// Why a header cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadHeader {
    /// The file has none.
    #[error("there is no header; the first line must name the columns, `time` first")]
    None,
    /// Its columns are separated by something else.
    #[error("columns must be separated by commas")]
    Separator,
    /// A name is not UTF-8.
    #[error("the column `{0}` is not named in UTF-8; save the file as UTF-8")]
    Encoding(String),
    /// A name has a control character.
    #[error("the column `{0}` has a control character in its name; take it out")]
    Control(String),
    /// There is a time and no value.
    #[error("there is no column besides the time; each other column is a metric to score")]
    NoValues,
    /// The time's column, and its number, which is not 1.
    #[error("`{0}` must be the first column, and is number {1}")]
    TimeNotFirst(String, usize),
    /// No column is a time; this is the first.
    #[error("the first column must be `time`, `_time`, `timestamp` or `date`, and is `{0}`")]
    NoTime(String),
}

/// The columns' names, that of the time first.
///
/// # Errors
///
/// Why the header cannot be used; duplicates are not checked.
pub(crate) fn names<'a>(header: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<String>, BadHeader> {
    let header: Vec<&[u8]> = header.into_iter().collect();
    if let [only] = header[..]
        && only.iter().any(|byte| b";\t".contains(byte))
    {
        return Err(BadHeader::Separator);
    }
    let names = header.into_iter().map(name).collect::<Result<Vec<_>, _>>()?;
    match names.iter().position(|name| is_time(name)) {
        _ if names.is_empty() => Err(BadHeader::None),
        Some(0) if names.len() == 1 => Err(BadHeader::NoValues),
        Some(0) => Ok(names),
        Some(at) => Err(BadHeader::TimeNotFirst(names[at].clone(), at + 1)),
        None => Err(BadHeader::NoTime(shortened(&names[0], MAX_SHOWN))),
    }
}

/// A cell's number: NaN for a missing value, 1 and 0 for true and false. `None` if it is no number.
pub(crate) fn number(cell: &str) -> Option<f64> {
    let is = |words: &[&str]| words.iter().any(|word| cell.eq_ignore_ascii_case(word));
    match cell.parse() {
        Ok(number) => Some(number),
        Err(_) if is(&["", "null", "none", "na"]) => Some(f64::NAN),
        Err(_) if is(&["true"]) => Some(1.0),
        Err(_) if is(&["false"]) => Some(0.0),
        Err(_) => None,
    }
}
