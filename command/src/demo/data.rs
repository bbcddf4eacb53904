//! The recording: the server's metrics as lines, and the labelled incidents. `examples/demo/README.md` documents their source.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};
use qualm_offline::history::parse_time;

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

impl Recording {
    /// The recording in the binary.
    pub(super) fn load() -> Result<Self> {
        Self::parse(SERVER, LABELS)
    }

    fn parse(server: &str, labels: &str) -> Result<Self> {
        let mut rows = server.lines();
        let header =
            rows.next().and_then(|header| header.strip_prefix("time,")).context("the first column is no `time`")?;
        let names: Vec<&str> = header.split(',').collect();
        let lines = rows.map(|row| Line::parse(row, &names)).collect::<Result<Vec<_>, _>>()?;
        let incidents = labels.lines().skip(1).map(Incident::parse).collect::<Result<Vec<_>, _>>()?;
        if lines.is_empty() || !lines.is_sorted_by(|one, next| one.time < next.time) {
            bail!("its rows are not in the order of their times");
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
    fn parse(row: &str, names: &[&str]) -> Result<Self> {
        let mut cells = row.split(',');
        let time = parse_time(cells.next().unwrap_or_default())?;
        let mut text = format!("server,host={HOST}");
        let mut left = names.iter();
        let mut before = ' ';
        for cell in cells {
            let name = left.next().with_context(|| format!("it has too many cells: `{row}`"))?;
            let _: f64 = cell.parse().ok().with_context(|| format!("`{cell}` is no number"))?;
            let _infallible = write!(text, "{before}{name}={cell}");
            before = ',';
        }
        if left.next().is_some() {
            bail!("it has too few cells: `{row}`");
        }
        let _infallible = writeln!(text, " {time}");
        Ok(Self { time, text })
    }
}

impl Incident {
    fn parse(row: &str) -> Result<Self> {
        let mut cells = row.split(',');
        let mut cell = || cells.next().with_context(|| format!("a label has too few cells: `{row}`"));
        let mut time = || anyhow::Ok(parse_time(cell()?)?);
        let (start, end) = (time()?, time()?);
        let metrics = cell()?.split_whitespace().map(str::to_owned).collect();
        if start >= end {
            bail!("a label ends before it begins: `{row}`");
        }
        Ok(Self { start, end, metrics })
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
