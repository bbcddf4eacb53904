//! Finds rows out of order, which training and scoring skip as late.

use std::collections::HashMap;
use std::path::Path;

use qualm_pipeline::Grammar;

use super::{Error, Input};

/// Rows of a file that are older than an earlier row of the same series.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutOfOrder {
    /// The number of rows out of order.
    pub count: u64,
    /// All rows of the file.
    pub rows: u64,
    /// The first of them, counted from 1.
    pub first: u64,
}

impl std::fmt::Display for OutOfOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { count, rows, first } = self;
        write!(f, "{count} of {rows} rows go back in time, first row {first}; sort the rows by time")
    }
}

/// Finds rows out of order in a file; `measurement` is as in [`Input::open`].
///
/// # Errors
///
/// As [`Input::next`].
pub fn find_out_of_order(path: &Path, measurement: &str) -> Result<OutOfOrder, Error> {
    let mut input = Input::open(path, measurement)?;
    let (mut found, mut line) = (OutOfOrder::default(), Vec::new());
    let mut latest: HashMap<Vec<u8>, i64> = HashMap::new();
    loop {
        line.clear();
        let Some(row) = input.next(&mut line)? else { return Ok(found) };
        found.rows += 1;
        let (Some(time), Some(head)) = (row.time, Grammar::Telegraf.head_end(&line)) else { continue };
        let Some(last) = latest.get_mut(&line[..head]) else {
            latest.insert(line[..head].to_vec(), time);
            continue;
        };
        if time < *last {
            found.count += 1;
            found.first = if found.count == 1 { found.rows } else { found.first };
        }
        *last = time.max(*last);
    }
}
