//! History as a table: one row for each entity and time, one column for each feature.
//!
//! The pipeline that joins live metrics into vectors makes it, so that training and scoring see the same rows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use qualm_bundle::manifest::{self, Feature};
use qualm_contract::{Batch, BatchScorer, Error, Transform, Verdicts, Wanted};
use qualm_pipeline::vector::Shape;
use qualm_pipeline::{Lane, Limits, Pipeline, Selector};
use qualm_pipeline::{glob, line};

use crate::history::feed::Feed;
use crate::history::{self, Input};

/// The tag that identifies entities by default.
const DEFAULT_ENTITY_TAG: &str = "host";

/// A table of feature values, in order of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// The features' names, in the order of the columns.
    pub names: Vec<String>,
    /// The entity of each row, as an index of [`entities`](Self::entities). Its length is the number of rows.
    pub series: Vec<u32>,
    /// The name of each entity: its tags as in line protocol, such as `host=a`; empty without tags.
    pub entities: Vec<String>,
    /// When each row was measured: nanoseconds since 1970.
    pub times: Vec<i64>,
    /// The values in row-major order, one for each feature; NaN is missing.
    pub values: Vec<f64>,
    /// The row of the input with each row's last value, counted from 0: not every row of the input completes one.
    pub sources: Vec<u64>,
}

impl Table {
    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Values in a row.
    #[must_use]
    pub fn features(&self) -> usize {
        self.names.len()
    }

    /// The rows in `range` as a batch.
    #[must_use]
    pub fn batch(&self, range: std::ops::Range<usize>) -> Batch<'_> {
        let features = self.features();
        Batch {
            series: &self.series[range.clone()],
            times: &self.times[range.clone()],
            values: &self.values[range.start * features..range.end * features],
        }
    }

    /// One feature's values, NaN for what is missing.
    pub fn column(&self, feature: usize) -> impl Iterator<Item = f64> + '_ {
        self.values.iter().skip(feature).step_by(self.features().max(1)).copied()
    }

    /// Reads history. `shape` defines its vectors, see [`discover`]; `measurement` names the metrics of formats without
    /// measurements.
    ///
    /// # Errors
    ///
    /// The file, the line and what is wrong there.
    pub fn read(path: &Path, measurement: &str, shape: &Shape) -> Result<Self, history::Error> {
        let mut feed = Feed::new(Input::open(path, measurement)?)?;
        let limits = Limits { max_series: usize::MAX, ttl: i64::MAX };
        let lane = Lane::vectors("table", shape.clone(), Selector::default(), limits);
        let mut pipeline = Pipeline::new(vec![lane], 0);
        let names = shape.features.iter().map(|feature| feature.name.clone()).collect();
        let mut table = Self { names, ..Self::default() };
        // The row of the input of each event.
        let (mut rows_of_events, mut rows) = (Vec::new(), 0);
        loop {
            let filled = feed.fill(pipeline.input(), |row, _| {
                rows_of_events.extend(row.has_line.then_some(rows));
                rows += 1;
            })?;
            pipeline.run(filled, feed.now().max(0), &mut [Unscored]);
            table.take(&pipeline, &rows_of_events);
            if feed.has_ended() {
                break;
            }
        }
        pipeline.finish(feed.now().max(0), &mut [Unscored]);
        table.take(&pipeline, &rows_of_events);
        table.sort();
        Ok(table)
    }

    /// Adds the rows of the pipeline's last run.
    fn take(&mut self, pipeline: &Pipeline, rows_of_events: &[u64]) {
        for verdict in pipeline.verdicts() {
            let series = verdict.series as usize;
            while self.entities.len() <= series {
                let tags = pipeline.lanes()[0].tags(self.entities.len() as u32);
                self.entities.push(String::from_utf8_lossy(tags).trim_start_matches(',').to_owned());
            }
            self.series.push(verdict.series);
            self.times.push(verdict.time);
            self.values.extend_from_slice(verdict.values);
            self.sources.push(rows_of_events.get(verdict.event as usize).copied().unwrap_or_default());
        }
    }

    /// Sorts the rows by time.
    pub(crate) fn sort(&mut self) {
        if self.times.is_sorted() {
            return;
        }
        let features = self.features();
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|&row| self.times[row]); // stable
        self.series = order.iter().map(|&row| self.series[row]).collect();
        self.sources = order.iter().map(|&row| self.sources[row]).collect();
        self.values = order.iter().flat_map(|&row| &self.values[row * features..][..features]).copied().collect();
        self.times = order.iter().map(|&row| self.times[row]).collect();
    }
}

/// A detector that scores nothing, to run the pipeline for its rows.
struct Unscored;

impl BatchScorer for Unscored {
    fn score_batch(&mut self, _: Batch<'_>, _: Wanted, _: &mut Verdicts) -> Result<(), Error> {
        Ok(())
    }

    fn forget_series(&mut self, _: &[u32]) -> Result<(), Error> {
        Ok(())
    }
}

/// The definition of vectors, as in a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Vectors {
    /// Tags that identify an entity.
    pub entity: Vec<String>,
    /// Values within the same interval make one vector; with 0, only those with the same time.
    pub interval: Duration,
    /// The features.
    pub features: Vec<Feature>,
}

impl Vectors {
    /// The pipeline's equivalent.
    ///
    /// # Errors
    ///
    /// Names the feature whose glob is invalid.
    pub fn shape(&self) -> Result<Shape, manifest::Error> {
        manifest::shape(&self.features, &self.entity, self.interval)
    }
}

/// Derives vectors from history: a feature for every numeric field and combination of tags other than those that identify
/// the entity (`host` by default). Rows of a CSV file are vectors; values of other files are joined in intervals of the most
/// frequent step of a series.
///
/// # Errors
///
/// If the file cannot be read, or has no numeric field.
pub fn discover(path: &Path, measurement: &str, entity: Option<&[String]>) -> Result<Vectors, history::Error> {
    let mut input = Input::open(path, measurement)?;
    let columns = input.columns().map(<[String]>::to_vec);
    if let Some(columns) = columns {
        let feature = |name: String| Feature {
            name: name.clone(),
            measurement: measurement.to_owned(),
            field: name,
            tags: BTreeMap::new(),
            transform: Transform::None,
            reference: None,
        };
        let features = columns.into_iter().map(feature).collect();
        return Ok(Vectors { entity: Vec::new(), interval: Duration::ZERO, features });
    }
    let entity = entity.map_or_else(|| vec![DEFAULT_ENTITY_TAG.to_owned()], <[String]>::to_vec);
    let mut found = Discovered { entity, ..Discovered::default() };
    let mut line = Vec::new();
    while let Some(row) = input.next(&mut line)? {
        if row.has_line {
            found.take(&line, row.time);
        }
        line.clear();
    }
    found.vectors().ok_or_else(|| history::Error::new(path, history::Fault::NoField))
}

/// Tags and their values, by name.
type Tags = Vec<(String, String)>;

/// The features, tags and steps of a file.
#[derive(Default)]
struct Discovered {
    /// The tags that identify entities, and whether any event has them.
    entity: Vec<String>,
    has_entity: bool,
    /// Measurement, tags but for the entity's, and field.
    features: BTreeSet<(String, Tags, String)>,
    /// The last time of each head, and the number of each step.
    last: BTreeMap<Vec<u8>, i64>,
    steps: BTreeMap<i64, u64>,
}

impl Discovered {
    fn take(&mut self, event: &[u8], time: Option<i64>) {
        let mut fields = Vec::new();
        let Ok((head_end, _)) = line::read_event(event, &mut fields) else { return };
        fields.retain(|field| !field.boolean);
        if fields.is_empty() {
            return;
        }
        let head = &event[..head_end];
        let text = |name: &[u8]| String::from_utf8_lossy(&line::unescape(name)).into_owned();
        let mut parts = line::head_parts(head);
        let measurement = text(parts.next().unwrap_or_default());
        let mut tags: Tags = parts.filter_map(line::tag).map(|(key, value)| (text(key), text(value))).collect();
        let count = tags.len();
        tags.retain(|(key, _)| !self.entity.contains(key));
        self.has_entity |= tags.len() < count;
        tags.sort_unstable();
        for field in &fields {
            let feature = (measurement.clone(), tags.clone(), text(field.key(event)));
            if !self.features.contains(&feature) {
                self.features.insert(feature);
            }
        }
        if let Some(time) = time
            && let Some(last) = self.last.insert(head.to_vec(), time).filter(|last| *last < time)
        {
            *self.steps.entry(time - last).or_default() += 1;
        }
    }

    fn vectors(self) -> Option<Vectors> {
        if self.features.is_empty() {
            return None;
        }
        let interval = self.steps.iter().max_by_key(|(_, count)| **count).map_or(0, |(step, _)| *step);
        let features = self.features.into_iter().map(|(measurement, tags, field)| {
            let values: Vec<_> = tags.iter().map(|(_, value)| value.as_str()).collect();
            let name = [&[measurement.as_str()], &values[..], &[field.as_str()]].concat().join(".");
            let tags = tags.into_iter().map(|(key, value)| (key, glob::escape(&value))).collect();
            Feature { name, measurement, field, tags, transform: Transform::None, reference: None }
        });
        let entity = if self.has_entity { self.entity } else { Vec::new() };
        Some(Vectors { entity, interval: Duration::from_nanos(interval as u64), features: features.collect() })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(name: &str, text: &str) -> (Vectors, Table) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        let vectors = discover(&path, "m", None).unwrap();
        let table = Table::read(&path, "m", &vectors.shape().unwrap()).unwrap();
        (vectors, table)
    }

    #[test]
    fn a_row_of_csv_is_a_vector() {
        let (vectors, table) = read("a.csv", "time,a,b\n1,10,20\n2,,21\n3,,\n4,12,22\n5,13,23\n");
        assert_eq!((vectors.interval, table.names), (Duration::ZERO, vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(table.times, [1, 2, 4, 5].map(|second| second * 1_000_000_000));
        assert_eq!(table.sources, [0, 1, 3, 4]);
        assert_eq!(table.entities, [""]);
        assert!(table.values[2].is_nan() && table.values[3].to_bits() == 21_f64.to_bits());
        assert_eq!(table.values[4..], [12.0, 22.0, 13.0, 23.0]);
    }

    #[test]
    fn lines_are_joined_by_host_and_step() {
        let lines = (0..10).map(|line| {
            let (at, host) = (line / 2, ["a", "b"][line % 2]);
            let time = 1_700_000_000_000_000_000 + at * 10_000_000_000;
            format!(
                "cpu,cpu=cpu-total,host={host} idle={at},name=\"x\" {time}\ndisk,host={host},path=/,fs=ext4 used={at}i {time}\n"
            )
        });
        let text: String = lines.collect();
        let (vectors, table) = read("a.lp", &text);
        assert_eq!((vectors.interval, vectors.entity), (Duration::from_secs(10), vec!["host".to_owned()]));
        assert_eq!(table.names, ["cpu.cpu-total.idle", "disk.ext4./.used"]);
        assert_eq!((table.len(), table.entities), (10, vec!["host=a".to_owned(), "host=b".to_owned()]));
        assert_eq!(table.values[16..], [4.0, 4.0, 4.0, 4.0]);
        assert_eq!(table.sources[..2], [1, 3]);
    }
}
