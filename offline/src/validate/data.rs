//! The contents of a file: series of rows, column by column; and what could not be read.
//!
//! Columns are stored separately, so that a check iterates over one. They are sparse: a column records its gaps, so memory
//! is proportional to the file, however sparse it is.

use std::collections::HashMap;

use crate::history::cell::BadHeader;

/// A row without a readable time.
pub(super) const NO_TIME: i64 = i64::MIN;

/// How often something occurred, and where first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) count: u64,
    /// The line and the text of the first.
    pub(super) first: Option<(u64, String)>,
}

impl Tally {
    pub(super) fn add(&mut self, line: u64, what: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.is_none() {
            self.first = Some((line, what()));
        }
    }

    pub(super) fn line(&self) -> Option<u64> {
        self.first.as_ref().map(|(line, _)| *line)
    }

    pub(super) fn what(&self) -> &str {
        self.first.as_ref().map_or("", |(_, what)| what)
    }
}

/// What could not be read.
#[derive(Debug, Default)]
pub(super) struct Faults {
    /// What is wrong with the header.
    pub(super) header: Option<BadHeader>,
    /// Columns with the name of another.
    pub(super) twice: Vec<String>,
    /// Times that cannot be read.
    pub(super) time: Tally,
    /// Rows without a time.
    pub(super) untimed: Tally,
    /// Rows with more or fewer cells than the header.
    pub(super) ragged: Tally,
    /// Lines that cannot be read.
    pub(super) malformed: Tally,
    /// Lines with a verdict of qualm.
    pub(super) scored: Tally,
    /// The line where reading failed, and why.
    pub(super) broken_off: Option<(u64, String)>,
}

/// The values of one column of one series.
#[derive(Debug, Default)]
pub(super) struct ColumnValues {
    pub(super) values: Vec<f64>,
    /// The gaps: before which value, and of how many rows.
    gaps: Vec<(u32, u32)>,
    /// The row after the last value.
    next: u32,
    /// Infinite values, which count as missing.
    pub(super) infinite: Tally,
}

impl ColumnValues {
    fn push(&mut self, row: u32, value: f64) {
        if row < self.next {
            return; // the same field twice in a row: the first one counts
        }
        if row > self.next {
            self.gaps.push((self.values.len() as u32, row - self.next));
        }
        self.values.push(value);
        self.next = row + 1;
    }

    /// How many of `rows` have no value, and the longest run of them.
    pub(super) fn missing(&self, rows: usize) -> (u64, u64) {
        let behind = (rows as u64).saturating_sub(self.next.into());
        let runs = self.gaps.iter().map(|(_, length)| u64::from(*length)).chain([behind]);
        runs.fold((0, 0), |(all, longest), run| (all + run, longest.max(run)))
    }

    /// The row of a value.
    pub(super) fn row(&self, value: usize) -> usize {
        let before = self.gaps.iter().take_while(|(at, _)| *at as usize <= value);
        value + before.map(|(_, length)| *length as usize).sum::<usize>()
    }
}

/// The rows of one series: of one host, say.
#[derive(Debug)]
pub(super) struct Series {
    /// Measurement and tags, as in line protocol.
    pub(super) name: String,
    pub(super) group: usize,
    pub(super) times: Vec<i64>,
    pub(super) lines: Vec<u32>,
    /// A hash of each row, to find equal rows.
    pub(super) hashes: Vec<u64>,
    pub(super) columns: SeriesColumns,
}

/// A series' columns: only those with values, for there may be many series and many columns.
#[derive(Debug, Default)]
pub(super) struct SeriesColumns {
    columns: Vec<(usize, ColumnValues)>,
    by_column: HashMap<usize, usize>,
}

impl SeriesColumns {
    /// The values of a column, probably at `hint`, because rows have mostly the same columns.
    fn get_mut(&mut self, column: usize, hint: usize) -> &mut ColumnValues {
        let is_there = self.columns.get(hint).is_some_and(|(own, _)| *own == column);
        let at = if is_there {
            hint
        } else {
            *self.by_column.entry(column).or_insert_with(|| {
                self.columns.push((column, ColumnValues::default()));
                self.columns.len() - 1
            })
        };
        &mut self.columns[at].1
    }

    fn get(&self, column: usize) -> Option<&ColumnValues> {
        self.by_column.get(&column).map(|at| &self.columns[*at].1)
    }

    /// The columns with values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &ColumnValues)> {
        let filled =
            self.columns.iter().filter(|(_, numbers)| !numbers.values.is_empty() || numbers.infinite.count > 0);
        filled.map(|(column, numbers)| (*column, numbers))
    }
}

impl Series {
    pub(super) fn rows(&self) -> usize {
        self.times.len()
    }

    /// The line of a row.
    pub(super) fn line(&self, row: usize) -> u64 {
        self.lines.get(row).copied().unwrap_or_default().into()
    }
}

/// A measurement, whose series share their columns.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    /// For each column, texts in place of numbers.
    pub(super) texts: Vec<Tally>,
    by_name: HashMap<Vec<u8>, usize>,
}

impl Group {
    /// The column of a name, added if it is new.
    pub(super) fn column(&mut self, name: &[u8]) -> usize {
        if let Some(&column) = self.by_name.get(name) {
            return column;
        }
        self.by_name.insert(name.to_vec(), self.columns.len());
        self.add(String::from_utf8_lossy(name).into_owned())
    }

    /// The column of a known name.
    pub(super) fn known(&self, name: &[u8]) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// Adds a column, even with a known name.
    pub(super) fn add(&mut self, name: String) -> usize {
        self.columns.push(name);
        self.texts.push(Tally::default());
        self.columns.len() - 1
    }
}

/// The contents of a file.
#[derive(Debug, Default)]
pub(super) struct Data {
    pub(super) groups: Vec<Group>,
    pub(super) series: Vec<Series>,
    pub(super) faults: Faults,
    /// Rows that are earlier than the row above, of any series.
    pub(super) out_of_order: Tally,
    /// Whether each line is a row, as in CSV; otherwise lines with the same series and time are joined.
    pub(super) is_table: bool,
    groups_by_name: HashMap<Vec<u8>, usize>,
    series_by_name: HashMap<Vec<u8>, usize>,
    last_time: i64,
}

impl Data {
    pub(super) fn new() -> Self {
        Self { last_time: NO_TIME, ..Self::default() }
    }

    /// The number of rows.
    pub(super) fn rows(&self) -> u64 {
        self.series.iter().map(|series| series.rows() as u64).sum()
    }

    /// The group of a name, added if it is new.
    pub(super) fn group(&mut self, name: &[u8]) -> usize {
        if let Some(&group) = self.groups_by_name.get(name) {
            return group;
        }
        self.groups.push(Group { name: String::from_utf8_lossy(name).into_owned(), ..Group::default() });
        self.groups_by_name.insert(name.to_vec(), self.groups.len() - 1);
        self.groups.len() - 1
    }

    /// The series of a known name.
    pub(super) fn known(&self, name: &[u8]) -> Option<usize> {
        self.series_by_name.get(name).copied()
    }

    /// The series of a name, added if it is new.
    pub(super) fn series(&mut self, name: &[u8], group: usize) -> usize {
        if let Some(series) = self.known(name) {
            return series;
        }
        let text = String::from_utf8_lossy(name).into_owned();
        let (times, lines, hashes, columns) = (Vec::new(), Vec::new(), Vec::new(), SeriesColumns::default());
        self.series.push(Series { name: text, group, times, lines, hashes, columns });
        self.series_by_name.insert(name.to_vec(), self.series.len() - 1);
        self.series.len() - 1
    }

    /// Adds a row: its cells are pairs of a column of the group and a value; NaN is missing.
    pub(super) fn row(&mut self, series: usize, line: u64, time: i64, hash: u64, cells: &[(usize, f64)]) {
        if time != NO_TIME {
            if time < self.last_time {
                self.out_of_order.add(line, String::new);
            }
            self.last_time = time;
        }
        let series = &mut self.series[series];
        // Telegraf may write the fields of one time in several lines.
        let last = series.times.len() as u32;
        let joins = !self.is_table && time != NO_TIME && series.times.last() == Some(&time);
        let is_free =
            |(column, _): &(usize, f64)| series.columns.get(*column).is_none_or(|numbers| numbers.next < last);
        let row = if joins && cells.iter().all(is_free) {
            last - 1
        } else {
            series.times.push(time);
            series.lines.push(u32::try_from(line).unwrap_or(u32::MAX));
            series.hashes.push(hash);
            last
        };
        for (hint, &(column, value)) in cells.iter().enumerate() {
            let numbers = series.columns.get_mut(column, hint);
            if value.is_infinite() {
                numbers.infinite.add(line, || value.to_string());
            } else if !value.is_nan() {
                numbers.push(row, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_has_gaps() {
        let mut numbers = ColumnValues::default();
        for (row, value) in [(2, 1.0), (3, 2.0), (3, 9.0), (7, 3.0)] {
            numbers.push(row, value);
        }
        assert_eq!(numbers.values, [1.0, 2.0, 3.0]);
        assert_eq!(numbers.missing(10), (7, 3));
        assert_eq!([0, 1, 2].map(|value| numbers.row(value)), [2, 3, 7]);
        assert_eq!(ColumnValues::default().missing(4), (4, 4));
    }

    #[test]
    fn fields_of_one_time_are_one_row() {
        let mut data = Data::new();
        let group = data.group(b"m");
        let (a, b) = (data.groups[group].column(b"a"), data.groups[group].column(b"b"));
        let series = data.series(b"m,host=x", group);
        data.row(series, 1, 5, 0, &[(a, 1.0)]);
        data.row(series, 2, 5, 0, &[(b, 2.0)]);
        data.row(series, 3, 5, 0, &[(b, 3.0)]);
        data.row(series, 4, 4, 0, &[(a, 1.0), (b, f64::INFINITY)]);
        let series = &data.series[series];
        assert_eq!(series.times, [5, 5, 4]);
        assert_eq!(series.lines, [1, 3, 4]);
        assert_eq!(series.columns.get(b).unwrap().infinite.line(), Some(4));
        assert_eq!(data.out_of_order.count, 1);
    }
}
