//! Labels and scores from CSV files.
//!
//! A file gives labels by row (a column `label` of 0 and 1, and a `time` if rows are matched by it), or as windows
//! (`start,end`, the end exclusive, and `entity` or `series` for a window of one only).

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use csv::{Position, Reader, ReaderBuilder, StringRecord, Trim};
use jiff::Timestamp;

use super::format::count;
use crate::history::{BadTime, parse_time, timestamp};
use crate::table::Table;

/// Why a file of labels or scores cannot be used: where, what, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{}{}: {fault}", file.display(), line.map_or_else(String::new, |line| format!(":{line}")))]
pub struct Error {
    file: PathBuf,
    line: Option<u64>,
    fault: Fault,
}

/// What is wrong with a file of labels or scores, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is malformed.
    #[error(transparent)]
    Csv(#[from] csv::Error),
    /// A time cannot be read.
    #[error(transparent)]
    Time(#[from] BadTime),
    /// It holds neither labels nor windows.
    #[error("it has neither a column `label` (0 or 1, one row for each row of the input) nor `start` and `end`")]
    NoLabels,
    /// The input has no such column.
    #[error("it has no column `{0}`; --label-column names one of a CSV file")]
    NoColumn(String),
    /// It holds no scores.
    #[error("it must have the columns `time` and `score`; `qualm replay --scores` writes such files")]
    NoScores,
    /// A label is neither 0 nor 1.
    #[error("the label `{0}` is neither 0 nor 1")]
    Label(String),
    /// A score is no number.
    #[error("`{0}` is no score")]
    Score(String),
    /// A window is empty.
    #[error("the window ends before it begins, or with it; its end is the first time not in it")]
    Window,
    /// There are fewer labels than rows.
    #[error(
        "it has {labels} labels where the input has {rows} rows at least; give each a `time`, or time windows \
         (`start,end`)"
    )]
    Count {
        /// Labels.
        labels: usize,
        /// Rows of the input, at least.
        rows: u64,
    },
    /// A row's time has no label.
    #[error("it has no label for the time {0}; time windows (`start,end`) need not be exact")]
    Unlabelled(Timestamp),
    /// A window is of a series that the input does not have.
    #[error("the input has no series `{name}`; {hint}")]
    Series {
        /// The window's series.
        name: String,
        /// A similar or an existing name.
        hint: String,
    },
    /// No window overlaps the input.
    #[error(
        "its windows, from {start} to {end}, are all outside of the input's time, from {first} to {last}; a time without \
         a zone is UTC"
    )]
    Outside {
        /// The start of the first window.
        start: Timestamp,
        /// The end of the last window.
        end: Timestamp,
        /// The input's first time.
        first: Timestamp,
        /// The input's last time.
        last: Timestamp,
    },
}

/// Labels from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    file: PathBuf,
    source: LabelSource,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum LabelSource {
    /// One for each row of the input, in order.
    Rows(Vec<bool>),
    /// By time.
    Times(HashMap<i64, bool>),
    Windows(Vec<Window>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    start: i64,
    end: i64,
    /// Its entity; `None` for all.
    entity: Option<String>,
    /// Its line in the file.
    line: Option<u64>,
}

/// Labels of several series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesLabels {
    /// A label for each row of each series.
    pub labels: Vec<Vec<bool>>,
    /// Notes about windows without rows.
    pub notes: Vec<String>,
}

/// The least similarity (Jaro) of a name that is suggested for an unknown one.
const MIN_SIMILARITY: f64 = 0.75;

impl Labels {
    /// Reads a file of labels.
    ///
    /// # Errors
    ///
    /// The file, the line, and what is wrong there.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let columns = Columns::open(path)?;
        let source = if let (Some(start), Some(end)) = (columns.find("start"), columns.find("end")) {
            let entity = columns.find("entity").or_else(|| columns.find("series"));
            let window = |cells: &StringRecord| {
                let (start, end) = (time(cells, start)?, time(cells, end)?);
                if start >= end {
                    return Err(Fault::Window);
                }
                let entity = entity.map(|entity| cells[entity].to_owned()).filter(|entity| !entity.is_empty());
                Ok(Window { start, end, entity, line: cells.position().map(Position::line) })
            };
            LabelSource::Windows(columns.rows(window)?)
        } else if let Some(label) = columns.find("label") {
            columns.labels(label)?
        } else {
            return Err(columns.failed(Fault::NoLabels));
        };
        Ok(Self { file: path.to_owned(), source })
    }

    /// Reads the labels that a column of the input holds.
    ///
    /// # Errors
    ///
    /// As [`Labels::read`].
    pub fn read_column(path: &Path, column: &str) -> Result<Self, Error> {
        let columns = Columns::open(path)?;
        let Some(label) = columns.find(column) else {
            return Err(columns.failed(Fault::NoColumn(column.to_owned())));
        };
        Ok(Self { file: path.to_owned(), source: LabelSource::Rows(columns.rows(|cells| is_anomaly(&cells[label]))?) })
    }

    /// A label for each row of a table.
    ///
    /// # Errors
    ///
    /// If the labels do not fit its rows.
    pub fn of(&self, table: &Table) -> Result<Vec<bool>, Error> {
        let failed = |fault| Error { file: self.file.clone(), line: None, fault };
        match &self.source {
            LabelSource::Rows(labels) => {
                // Not every row of the input completes one of the table.
                let label = |source: &u64| labels.get(*source as usize).copied();
                let all: Option<Vec<bool>> = table.sources.iter().map(label).collect();
                all.ok_or_else(|| {
                    let rows = table.sources.iter().max().map_or(0, |last| last + 1);
                    failed(Fault::Count { labels: labels.len(), rows })
                })
            }
            LabelSource::Times(labels) => table
                .times
                .iter()
                .map(|time| labels.get(time).copied().ok_or_else(|| failed(Fault::Unlabelled(timestamp(*time)))))
                .collect(),
            LabelSource::Windows(windows) => {
                Ok((0..table.len()).map(|row| windows.iter().any(|it| it.holds(table, row))).collect())
            }
        }
    }

    /// A label for each row of several series, each a table of one entity with its rows in the order of their times.
    ///
    /// # Errors
    ///
    /// If the labels do not fit, are of an unknown series, or are all of another time.
    pub fn of_series(&self, series: &[&Table]) -> Result<SeriesLabels, Error> {
        let notes = match &self.source {
            LabelSource::Windows(windows) => self.unused_windows(windows, series)?,
            LabelSource::Rows(_) | LabelSource::Times(_) => Vec::new(),
        };
        Ok(SeriesLabels { labels: series.iter().map(|table| self.of(table)).collect::<Result<_, _>>()?, notes })
    }

    /// Notes about windows without rows.
    fn unused_windows(&self, windows: &[Window], series: &[&Table]) -> Result<Vec<String>, Error> {
        let failed = |line, fault| Error { file: self.file.clone(), line, fault };
        let names = || series.iter().flat_map(|table| &table.entities).map(String::as_str);
        for Window { entity, line, .. } in windows {
            if let Some(entity) = entity.as_deref().filter(|entity| !names().any(|name| name == *entity)) {
                let hint = nearest_name(entity, names());
                return Err(failed(*line, Fault::Series { name: entity.to_owned(), hint }));
            }
        }
        let times = || series.iter().flat_map(|table| &table.times).copied();
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(Vec::new()) };
        let outside = windows.iter().filter(|window| window.end <= first || window.start > last).count();
        let empty = windows.iter().filter(|window| !series.iter().any(|table| window.holds_any(table))).count();
        if outside == windows.len() && outside > 0 {
            let [first, last, start, end] = [
                first,
                last,
                windows.iter().map(|window| window.start).min().unwrap_or_default(),
                windows.iter().map(|window| window.end).max().unwrap_or_default(),
            ]
            .map(timestamp);
            return Err(failed(None, Fault::Outside { start, end, first, last }));
        }
        let note = |windows: usize, why: &str| {
            let windows = count(windows as u64, "labelled window counts", "labelled windows count");
            format!("{windows} for nothing: {why}")
        };
        let notes = [
            (outside > 0).then(|| note(outside, "outside of the input's time")),
            (empty > outside).then(|| note(empty - outside, "no row in it")),
        ];
        Ok(notes.into_iter().flatten().collect())
    }
}

/// Suggests a known name for an unknown one.
fn nearest_name<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let similarity = |known: &&str| strsim::jaro(known, name);
    let known: Vec<&str> = known.take(1000).collect();
    let nearest = known.iter().copied().max_by(|one, other| similarity(one).total_cmp(&similarity(other)));
    match nearest {
        Some(nearest) if similarity(&nearest) >= MIN_SIMILARITY => format!("did you mean `{nearest}`?"),
        Some(nearest) => format!("a name that it has is `{nearest}`"),
        None => "it has none".to_owned(),
    }
}

impl Window {
    fn holds(&self, table: &Table, row: usize) -> bool {
        let whose = self.entity.as_ref().is_none_or(|entity| entity == super::evaluation::entity(table, row));
        (self.start..self.end).contains(&table.times[row]) && whose
    }

    /// Whether it holds a row of a series, whose times are in order.
    fn holds_any(&self, table: &Table) -> bool {
        let first = table.times.partition_point(|time| *time < self.start);
        first < table.len() && self.holds(table, first)
    }
}

/// Reads scores from a file: a `time`, and a column `score`, which is empty without a score.
///
/// # Errors
///
/// As [`Labels::read`].
pub fn read_scores(path: &Path) -> Result<(Table, Vec<f64>), Error> {
    let columns = Columns::open(path)?;
    let Some((when, score)) = columns.time().zip(columns.find("score")) else {
        return Err(columns.failed(Fault::NoScores));
    };
    let row = |cells: &StringRecord| {
        let score = match &cells[score] {
            "" => f64::NAN,
            cell => cell
                .parse()
                .ok()
                .filter(|score: &f64| !score.is_infinite())
                .ok_or_else(|| Fault::Score(cell.to_owned()))?,
        };
        Ok((time(cells, when)?, score))
    };
    let (times, scores): (Vec<i64>, Vec<f64>) = columns.rows(row)?.into_iter().unzip();
    let sources = (0..times.len() as u64).collect();
    let table =
        Table { series: vec![0; times.len()], entities: vec![String::new()], times, sources, ..Table::default() };
    Ok((table, scores))
}

/// A CSV file whose header was read.
struct Columns {
    path: PathBuf,
    reader: Reader<File>,
    names: StringRecord,
}

impl Columns {
    fn open(path: &Path) -> Result<Self, Error> {
        let failed = |fault| Error { file: path.to_owned(), line: None, fault };
        let file = File::open(path).map_err(|error| failed(error.into()))?;
        let mut reader = ReaderBuilder::new().trim(Trim::All).from_reader(file);
        let names = reader.headers().map_err(|error| failed(error.into()))?.clone();
        Ok(Self { path: path.to_owned(), reader, names })
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|column| column == name)
    }

    fn time(&self) -> Option<usize> {
        self.find("time").or_else(|| self.find("timestamp"))
    }

    fn failed(&self, fault: Fault) -> Error {
        Error { file: self.path.clone(), line: None, fault }
    }

    fn labels(self, label: usize) -> Result<LabelSource, Error> {
        let Some(when) = self.time() else {
            return Ok(LabelSource::Rows(self.rows(|cells| is_anomaly(&cells[label]))?));
        };
        let mut times = HashMap::new();
        for (time, label) in self.rows(|cells| Ok((time(cells, when)?, is_anomaly(&cells[label])?)))? {
            *times.entry(time).or_insert(false) |= label; // a time may come up once for each entity
        }
        Ok(LabelSource::Times(times))
    }

    /// Parses each row with `row`.
    fn rows<T>(mut self, row: impl Fn(&StringRecord) -> Result<T, Fault>) -> Result<Vec<T>, Error> {
        let Self { path, reader, .. } = &mut self;
        let failed = |position: Option<&Position>, fault| Error {
            file: path.clone(),
            line: position.map(Position::line),
            fault,
        };
        let (mut out, mut record) = (Vec::new(), StringRecord::new());
        while reader
            .read_record(&mut record)
            .map_err(|error| failed(error.position().cloned().as_ref(), error.into()))?
        {
            out.push(row(&record).map_err(|fault| failed(record.position(), fault))?);
        }
        Ok(out)
    }
}

fn is_anomaly(cell: &str) -> Result<bool, Fault> {
    match cell {
        "0" | "0.0" | "false" => Ok(false),
        "1" | "1.0" | "true" => Ok(true),
        cell => Err(Fault::Label(cell.to_owned())),
    }
}

fn time(cells: &StringRecord, column: usize) -> Result<i64, Fault> {
    Ok(parse_time(&cells[column])?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("l.csv");
        fs::write(&path, text).unwrap();
        (dir, path)
    }

    /// Two hosts in turn, each with a row a second.
    fn table() -> Table {
        let times = (0..6).map(|row| row / 2 * 1_000_000_000).collect();
        let entities = vec!["host=a".to_owned(), "host=b".to_owned()];
        Table { series: vec![0, 1, 0, 1, 0, 1], entities, times, sources: (0..6).collect(), ..Table::default() }
    }

    fn labels(text: &str) -> Result<String, Error> {
        let (_dir, path) = file(text);
        let labels = Labels::read(&path)?.of(&table())?;
        Ok(labels.into_iter().map(|label| if label { '#' } else { '.' }).collect())
    }

    #[test]
    fn labels_are_given_by_row_by_time_or_by_window() {
        for (text, expected) in [
            ("label\n0\n1\n1.0\nfalse\n0\n1\n", ".##..#"),
            ("time,label\n2,1\n0,0\n1,0\n1,1\n", "..####"),
            ("start,end\n1,2\n", "..##.."),
            ("start,end\n0,1\n2,9\n", "##..##"),
            ("start,end,entity\n0,2,host=b\n", ".#.#.."),
            ("start,end,series\n0,1,\n0,2,host=b\n", "##.#.."),
            ("start,end\n", "......"),
        ] {
            assert_eq!(labels(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn errors_name_their_line() {
        for (text, what) in [
            ("label\n0\n", "1 labels where the input has 6 rows"),
            ("time,label\n0,0\n", "no label for the time 1970-01-01T00:00:01Z"),
            ("label\n0\nx\n", "l.csv:3: the label `x`"),
            ("label\n0\n\"\"\n", "l.csv:3: the label ``"),
            ("start,end\n2,1\n", "l.csv:2: the window ends before"),
            ("start,end\nsoon,1\n", "l.csv:2: `soon` is no time"),
            ("start,end\n1\n", "l.csv:2"),
            ("a,b\n1,2\n", "neither a column `label`"),
            ("", "neither a column `label`"),
        ] {
            let error = labels(text).unwrap_err().to_string();
            assert!(error.contains(what), "{text:?}: {error}");
        }
        assert!(Labels::read(Path::new("/nowhere.csv")).unwrap_err().to_string().starts_with("/nowhere.csv: "));
    }

    /// The result of `of_series` for two series with a row a second from 100 on, of ten and of five rows.
    fn of_two(text: &str) -> Result<(String, Vec<String>), Error> {
        let (_dir, path) = file(text);
        let series = |name: &str, rows: i64| Table {
            series: vec![0; rows as usize],
            entities: vec![name.to_owned()],
            times: (100..100 + rows).map(|second| second * 1_000_000_000).collect(),
            sources: (0..rows as u64).collect(),
            ..Table::default()
        };
        let (cpu, memory) = (series("cpu", 10), series("memory", 5));
        let SeriesLabels { labels, notes } = Labels::read(&path)?.of_series(&[&cpu, &memory])?;
        let text = |labels: &Vec<bool>| labels.iter().map(|label| if *label { '#' } else { '.' }).collect::<String>();
        Ok((labels.iter().map(text).collect::<Vec<_>>().join(" "), notes))
    }

    #[test]
    fn windows_are_checked_against_the_series() {
        let quiet = |text: &str| of_two(text).map(|(labels, notes)| (labels, notes.len()));
        assert_eq!(quiet("start,end\n101,103\n").unwrap(), (".##....... .##..".to_owned(), 0));
        assert_eq!(quiet("start,end,series\n101,103,memory\n").unwrap(), (".......... .##..".to_owned(), 0));
        assert_eq!(quiet("start,end\n108,999\n").unwrap(), ("........## .....".to_owned(), 0));
        let (labels, notes) = of_two("start,end,series\n0,50,\n102,103,\n106,107,memory\n").unwrap();
        assert_eq!(labels, "..#....... ..#..");
        assert_eq!(
            notes,
            [
                "1 labelled window counts for nothing: outside of the input's time",
                "1 labelled window counts for nothing: no row in it"
            ]
        );
        let error = of_two("start,end,series\n101,103,memry\n").unwrap_err().to_string();
        assert!(error.ends_with("l.csv:2: the input has no series `memry`; did you mean `memory`?"), "{error}");
        let error = of_two("start,end\n1,5\n200,300\n").unwrap_err().to_string();
        assert!(
            error.contains("from 1970-01-01T00:00:01Z to 1970-01-01T00:05:00Z, are all outside")
                && error.contains("from 1970-01-01T00:01:40Z to 1970-01-01T00:01:49Z"),
            "{error}"
        );
    }

    #[test]
    fn a_column_of_the_input_may_hold_them() {
        let (_dir, path) = file("time,cpu,bad\n0,0.5,0\n1,7,1\n2,,1\n3,0.5,0\n");
        // The third row of the input had no value, and made no row.
        let table = Table { series: vec![0; 3], times: vec![0; 3], sources: vec![0, 1, 3], ..Table::default() };
        let read = Labels::read_column(&path, "bad").unwrap().of(&table).unwrap();
        assert_eq!(read, [false, true, false]);
        let error = Labels::read_column(&path, "worse").unwrap_err().to_string();
        assert!(error.contains("no column `worse`"), "{error}");
    }

    #[test]
    fn scores_of_a_replay_are_read() {
        let (_dir, path) = file("time,cpu,score\n2024-01-01T00:00:00Z,,\n2024-01-01T00:01:00Z,2.5,2.5\n");
        let (table, scores) = read_scores(&path).unwrap();
        assert_eq!((table.len(), scores.len(), scores[1].to_bits()), (2, 2, 2.5_f64.to_bits()));
        assert!(scores[0].is_nan() && table.times[1] - table.times[0] == 60_000_000_000);
        for (text, what) in
            [("time,cpu\n", "`time` and `score`"), ("time,score\n1,inf\n", "l.csv:2: `inf` is no score")]
        {
            let (_dir, path) = file(text);
            let error = read_scores(&path).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
    }
}
