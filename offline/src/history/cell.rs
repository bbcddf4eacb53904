//! What a table's header and cells say, the same to whoever reads them.

/// Whether a column of this name holds times, in whatever case it is written: as Telegraf, InfluxDB and pandas name it.
#[must_use]
pub fn is_time(name: &str) -> bool {
    ["time", "_time", "timestamp", "date"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The largest value that is learnt from: of one that is larger, the square is no number any more, and no mean or spread of
/// it is known.
pub(crate) const MOST: f64 = 1e150;

/// A column's name, as it stands in the header.
///
/// # Errors
///
/// Why it is of no use.
pub(crate) fn name(bytes: &[u8]) -> Result<String, String> {
    let shown = String::from_utf8_lossy(bytes).trim().escape_debug().to_string();
    let Ok(name) = std::str::from_utf8(bytes) else {
        return Err(format!("the column `{shown}` is not named in UTF-8; save the file as UTF-8"));
    };
    if name.trim().chars().any(char::is_control) {
        return Err(format!("the column `{shown}` has a control character in its name; take it out"));
    }
    Ok(name.trim().to_owned())
}

/// A cell's number: NaN where it says that there is none, 1 and 0 for true and false. `None` where it is no number.
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
