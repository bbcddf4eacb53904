//! The recording: the server's metrics as lines, and the labelled incidents. `examples/demo/README.md` documents their source.

use std::fmt::Write as _;

use qualm_offline::history::{BadTime, parse_time};

const SERVER: &str = include_str!("../../../examples/demo/server.csv");
const LABELS: &str = include_str!("../../../examples/demo/labels.csv");

/// The server: a machine of the Server Machine Dataset.
pub(super) const HOST: &str = "machine-1-3";

/// Nanoseconds in a minute.
pub(super) const MINUTE: i64 = 60_000_000_000;

/// The metrics of a server, and its labelled incidents, which the detector never gets.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recording {
    /// In order of time.
    pub(super) lines: Vec<Line>,
    pub(super) incidents: Vec<Incident>,
    /// Fields of each line.
    pub(super) metrics: usize,
}

/// A line of line protocol, with its end.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) time: i64,
    pub(super) text: String,
}

/// A contiguous stretch of labelled time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Incident {
    pub(super) start: i64,
    /// The first time after it.
    pub(super) end: i64,
    /// The labelled metrics; may be empty.
    pub(super) metrics: Vec<String>,
}

/// Why the recording or its labels cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The header.
    #[error("the first column is no `time`")]
    Header,
    /// A row of the recording.
    #[error("it has too {} cells: `{row}`", if *.too_many { "many" } else { "few" })]
    Cells {
        /// The row.
        row: String,
        /// More than the header has, not fewer.
        too_many: bool,
    },
    /// A cell.
    #[error("`{0}` is no number")]
    Number(String),
    /// A time.
    #[error(transparent)]
    Time(#[from] BadTime),
    /// The rows' order.
    #[error("its rows are not in the order of their times")]
    Order,
    /// A label without all its cells.
    #[error("a label has too few cells: `{0}`")]
    LabelCells(String),
    /// A label whose times are reversed.
    #[error("a label ends before it begins: `{0}`")]
    LabelTimes(String),
}

impl Recording {
    /// The recording in the binary.
    pub(super) fn load() -> Result<Self, DataError> {
        Self::parse(SERVER, LABELS)
    }

    fn parse(server: &str, labels: &str) -> Result<Self, DataError> {
        let mut rows = server.lines();
        let header = rows.next().and_then(|header| header.strip_prefix("time,")).ok_or(DataError::Header)?;
        let names: Vec<&str> = header.split(',').collect();
        let lines = rows.map(|row| Line::parse(row, &names)).collect::<Result<Vec<_>, _>>()?;
        let incidents = labels.lines().skip(1).map(Incident::parse).collect::<Result<Vec<_>, _>>()?;
        if lines.is_empty() || !lines.is_sorted_by(|one, next| one.time < next.time) {
            return Err(DataError::Order);
        }
        Ok(Self { lines, incidents, metrics: names.len() })
    }

    /// The duration in nanoseconds, the last line's minute included.
    pub(super) fn duration(&self) -> i64 {
        self.lines.last().map_or(0, |last| last.time + MINUTE - self.start())
    }

    /// The first time.
    pub(super) fn start(&self) -> i64 {
        self.lines.first().map_or(0, |first| first.time)
    }
}

impl Line {
    fn parse(row: &str, names: &[&str]) -> Result<Self, DataError> {
        let mut cells = row.split(',');
        let miscounted = |too_many| DataError::Cells { row: row.to_owned(), too_many };
        let time = parse_time(cells.next().unwrap_or_default())?;
        let mut text = format!("server,host={HOST}");
        let mut left = names.iter();
        let mut before = ' ';
        for cell in cells {
            let name = left.next().ok_or_else(|| miscounted(true))?;
            let _: f64 = cell.parse().map_err(|_| DataError::Number(cell.to_owned()))?;
            let _infallible = write!(text, "{before}{name}={cell}");
            before = ',';
        }
        if left.next().is_some() {
            return Err(miscounted(false));
        }
        let _infallible = writeln!(text, " {time}");
        Ok(Self { time, text })
    }
}

impl Incident {
    fn parse(row: &str) -> Result<Self, DataError> {
        let mut cells = row.split(',');
        let mut cell = || cells.next().ok_or_else(|| DataError::LabelCells(row.to_owned()));
        let mut time = || Ok::<_, DataError>(parse_time(cell()?)?);
        let (start, end) = (time()?, time()?);
        let metrics = cell()?.split_whitespace().map(str::to_owned).collect();
        if start < end { Ok(Self { start, end, metrics }) } else { Err(DataError::LabelTimes(row.to_owned())) }
    }

    /// The duration in minutes.
    pub(super) fn minutes(&self) -> i64 {
        (self.end - self.start) / MINUTE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_lines_and_labels_incidents() {
        let server = "time,m00,m07\n2024-01-01T00:00:00Z,0.5,0\n2024-01-01T00:01:00Z,1,0.25\n";
        let labels = "start,end,metrics\n2024-01-01T00:01:00Z,2024-01-01T00:03:00Z,m00 m07\n";
        let recording = Recording::parse(server, labels).unwrap();
        let texts: Vec<&str> = recording.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "server,host=machine-1-3 m00=0.5,m07=0 1704067200000000000\n",
                "server,host=machine-1-3 m00=1,m07=0.25 1704067260000000000\n"
            ]
        );
        assert_eq!((recording.metrics, recording.duration()), (2, 2 * MINUTE));
        let [incident] = recording.incidents.as_slice() else { panic!("one label, one incident") };
        assert_eq!((incident.start, incident.minutes()), (recording.lines[1].time, 2));
        assert_eq!(incident.metrics, ["m00", "m07"]);
    }

    #[test]
    fn malformed_data_are_errors() {
        let labels = "start,end,metrics\n";
        for server in
            ["m00\n1\n", "time,m00\n", "time,m00\n1,2,3\n", "time,m00\n1\n", "time,m00\n1,x\n", "time,m00\n2,1\n1,1\n"]
        {
            Recording::parse(server, labels).expect_err(server);
        }
        for label in ["1", "1,2", "2,1,m00", "x,2,m00"] {
            Recording::parse("time,m00\n1,1\n", &format!("{labels}{label}\n")).expect_err(label);
        }
    }

    /// What `examples/demo/README.md` states.
    #[test]
    fn the_recording_is_as_its_readme_states() {
        let recording = Recording::load().unwrap();
        assert_eq!((recording.lines.len(), recording.metrics, recording.duration()), (2880, 30, 2880 * MINUTE));
        assert!(recording.lines.windows(2).all(|two| two[1].time - two[0].time == MINUTE), "a row a minute, no gap");
        let incidents: Vec<(i64, i64, usize)> = recording
            .incidents
            .iter()
            .map(|incident| ((incident.start - recording.start()) / MINUTE, incident.minutes(), incident.metrics.len()))
            .collect();
        assert_eq!(incidents, [(380, 61, 10), (1176, 225, 2), (1820, 56, 8), (2620, 11, 0)]);
        let field = |name: &str| recording.lines[0].text.contains(&format!("{name}="));
        assert!(recording.incidents.iter().flat_map(|incident| &incident.metrics).all(|name| field(name)));
        assert!(recording.lines.iter().all(|line| !line.text.contains("label")), "labels never reach the detector");
        assert!(SERVER.len() + LABELS.len() < 1_000_000, "the binary contains it");
    }
}
