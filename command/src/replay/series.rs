//! The rows of each series that a replay keeps, to compare them with labels.

use std::collections::HashMap;

use qualm_offline::evaluate::feedback::Series;
use qualm_pipeline::line::unescape;
use qualm_pipeline::pipeline::Verdict;

use qualm::Pipeline;
use qualm::config::Config;

/// The series of all detectors with all rows: [`Series`] documents the memory that this takes.
#[derive(Debug)]
pub(super) struct ReplayedSeries {
    detectors: Vec<Detector>,
    series: Vec<Series>,
    /// Whether each series is a column of the input.
    by_column: bool,
    /// The column of the input that holds the labels.
    labels: Option<&'static str>,
}

#[derive(Debug)]
struct Detector {
    name: String,
    /// The features of its vectors.
    features: Option<Vec<String>>,
    false_alarm_rate: Option<f64>,
    /// The index of each series by name: a series' number may be assigned again.
    indexes: HashMap<Vec<u8>, usize>,
}

impl ReplayedSeries {
    /// Empty. `by_column` says that each series is a column of the input; `labels` is the column that is none.
    pub(super) fn new(config: &Config, pipeline: &Pipeline, by_column: bool, labels: Option<&'static str>) -> Self {
        let detector = |(lane, detector): (usize, &qualm::config::Detector)| Detector {
            name: detector.name.clone(),
            features: pipeline.features(lane),
            // A model has a threshold of its own, and so have the members of an ensemble.
            false_alarm_rate: detector.parameters().map(|parameters| parameters.false_alarm_rate),
            indexes: HashMap::new(),
        };
        let detectors = config.detector.iter().enumerate().map(detector).collect();
        Self { detectors, series: Vec::new(), by_column, labels }
    }

    /// Adds a row of the row `source` of the input.
    pub(super) fn add(&mut self, verdict: &Verdict<'_>, source: u64) {
        let Self { detectors, series, by_column, labels } = self;
        let Verdict { lane, time, values, score, anomaly, contributions, reason, band, .. } = *verdict;
        let Detector { name, features, false_alarm_rate, indexes } = &mut detectors[lane];
        let key = series_name(verdict, *by_column);
        if *by_column && labels.is_some_and(|labels| labels.as_bytes() == key) {
            return;
        }
        let index = indexes.get(&key).copied().unwrap_or_else(|| {
            let text = String::from_utf8_lossy(&key).into_owned();
            let features = features.clone().unwrap_or_else(|| vec![text.clone()]);
            let name = if text.is_empty() { name.clone() } else { text };
            series.push(Series::new(name, features, *false_alarm_rate));
            indexes.insert(key, series.len() - 1);
            series.len() - 1
        });
        let series = &mut series[index];
        series.add(time, source, values, score, anomaly, contributions);
        series.add_details(reason, band);
    }

    /// The series, each with its rows in order of time.
    pub(super) fn finish(mut self) -> Vec<Series> {
        self.series.iter_mut().for_each(Series::sort);
        self.series
    }
}

/// A series' name, unique within its detector: the column, or else measurement, tags and field as line protocol has them; of
/// vectors their entity's tags, empty where there is one entity alone.
fn series_name(verdict: &Verdict<'_>, by_column: bool) -> Vec<u8> {
    match (verdict.head, verdict.key) {
        (_, key) if by_column => unescape(key).into_owned(),
        (head, []) => head.strip_prefix(b",").unwrap_or(head).to_vec(),
        (head, key) => [head, b" ", key].concat(),
    }
}
