//! Series for tests.

use super::Series;

/// One row a second: `_` has no score, `.` an ordinary one, `!` alarms with a score that grows with the row. The values count
/// up.
pub(crate) fn series(name: &str, rows: &str) -> Series {
    let mut series = Series::new(name.to_owned(), vec![name.to_owned()], Some(1e-4));
    for (row, byte) in rows.bytes().enumerate() {
        let score = match byte {
            b'_' => f64::NAN,
            b'!' => 2.0 + row as f64,
            _ => 0.5,
        };
        series.add(row as i64 * 1_000_000_000, row as u64, &[row as f64], score, byte == b'!', &[]);
    }
    series
}
