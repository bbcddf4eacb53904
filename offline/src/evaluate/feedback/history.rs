//! What is kept of a series that is replayed.

use std::collections::HashMap;

use qualm_contract::{Band, Reason};
use qualm_pipeline::Unit;

use crate::table::Table;

/// The rows of one series: their values, their scores, and which of them alarm.
///
/// In memory a row takes 37 bytes, one more value, 8 bytes, for each feature beyond the first, and 24 bytes where bands are
/// known: 38 series of 28,000 rows are 40 MB, or 65 MB.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Times, values, and places in the input. Its only entity is the series.
    pub table: Table,
    /// A score for each row; NaN for none.
    pub scores: Vec<f64>,
    /// Whether each row alarms: those of an incident, from the one that reports it. Rows in it that have no score do too.
    pub alarms: Vec<bool>,
    /// The feature that contributed most to a row's score, where the detector said so.
    pub causes: HashMap<usize, usize>,
    /// Why rows are anomalies, where the detector said so.
    pub reasons: HashMap<usize, Reason>,
    /// The share of ordinary values that may alarm, where that is configured.
    pub false_alarm_rate: Option<f64>,
    /// What would have been ordinary, in the values' unit: none as long as nothing is known, and of no row behind its end.
    bands: Vec<Band>,
    unit: Unit,
}

impl Series {
    /// One without rows. A series of single values has one feature.
    #[must_use]
    pub fn new(name: String, features: Vec<String>, false_alarm_rate: Option<f64>) -> Self {
        let table = Table { names: features, entities: vec![name], ..Table::default() };
        Self {
            table,
            scores: Vec::new(),
            alarms: Vec::new(),
            causes: HashMap::new(),
            reasons: HashMap::new(),
            false_alarm_rate,
            bands: Vec::new(),
            unit: Unit::default(),
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.table.entities[0]
    }

    /// Adds a row: when it was, which row of the input brought it, its values, its score, whether it alarms, and how much
    /// each value contributed, where the detector says so.
    pub fn add(&mut self, time: i64, source: u64, values: &[f64], score: f64, alarm: bool, contributions: &[f64]) {
        let Self { table, scores, alarms, causes, .. } = self;
        // A row below the threshold may belong to an incident and not be explained: then all are 0.
        let explained = alarm && contributions.iter().any(|contribution| *contribution != 0.0);
        let largest = contributions.iter().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b));
        if let Some((most, _)) = largest.filter(|_| explained) {
            causes.insert(table.len(), most);
        }
        table.series.push(0);
        table.times.push(time);
        table.sources.push(source);
        table.values.extend_from_slice(values);
        if alarm {
            let unscored = scores.iter().rev().take_while(|score| score.is_nan()).count();
            let scored = alarms.len() - unscored;
            let (before, gap) = alarms.split_at_mut(scored);
            if before.last() == Some(&true) {
                gap.fill(true); // no row without a score ends an incident
            }
        }
        scores.push(score);
        alarms.push(alarm);
    }

    /// Says more of the row that was added last: why it is an anomaly, and what would have been ordinary.
    pub fn add_details(&mut self, reason: Reason, band: Band) {
        let Some(row) = self.table.len().checked_sub(1) else { return };
        if reason != Reason::None {
            self.reasons.insert(row, reason);
        }
        // A band is of one value.
        let band = self.unit.around(self.table.values[row * self.table.features()], self.scores[row], band);
        if band.is_known() {
            self.bands.resize(row, Band::UNKNOWN);
            self.bands.push(band);
        }
    }

    /// What would have been ordinary in a row.
    pub(crate) fn band(&self, row: usize) -> Band {
        self.bands.get(row).copied().unwrap_or(Band::UNKNOWN)
    }

    /// Whether any band is known.
    pub(crate) fn has_bands(&self) -> bool {
        !self.bands.is_empty()
    }

    /// Puts the rows in the order of their times: some may have come late.
    pub fn sort(&mut self) {
        let Self { table, scores, alarms, causes, reasons, bands, .. } = self;
        if table.times.is_sorted() {
            return;
        }
        let mut order: Vec<usize> = (0..table.len()).collect();
        order.sort_by_key(|&row| table.times[row]); // stable
        *scores = order.iter().map(|&row| scores[row]).collect();
        *alarms = order.iter().map(|&row| alarms[row]).collect();
        let rows = || order.iter().enumerate();
        *causes = rows().filter_map(|(row, was)| Some((row, *causes.get(was)?))).collect();
        *reasons = rows().filter_map(|(row, was)| Some((row, *reasons.get(was)?))).collect();
        if !bands.is_empty() {
            bands.resize(order.len(), Band::UNKNOWN);
            *bands = order.iter().map(|&row| bands[row]).collect();
        }
        table.sort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_a_score_does_not_part_an_alarm() {
        let mut series = Series::new("a".to_owned(), vec!["x".to_owned()], None);
        for (time, (score, alarm)) in
            [(f64::NAN, false), (2.0, true), (f64::NAN, false), (0.7, true), (f64::NAN, false), (0.1, false)]
                .into_iter()
                .enumerate()
        {
            series.add(time as i64, time as u64, &[1.0], score, alarm, &[0.0]);
        }
        assert_eq!(series.alarms, [false, true, true, true, false, false]);
        assert!(series.causes.is_empty(), "nothing was explained");
    }

    const BAND: Band = Band { expected: 5.0, lower: 4.0, upper: 6.0 };

    #[test]
    fn rows_that_came_late_stand_where_they_belong() {
        let mut series = Series::new("a".to_owned(), vec!["x".to_owned(), "y".to_owned()], None);
        series.add(2, 0, &[1.0, 2.0], 0.5, false, &[0.9, 0.1]);
        series.add(3, 1, &[3.0, 4.0], 7.0, true, &[0.1, 0.9]);
        series.add_details(Reason::Novel, BAND);
        series.add(1, 2, &[5.0, 6.0], f64::NAN, false, &[]);
        series.sort();
        assert_eq!((series.name(), &series.table.times[..]), ("a", &[1, 2, 3][..]));
        assert_eq!((&series.table.sources[..], &series.alarms[..]), (&[2, 0, 1][..], &[false, false, true][..]));
        assert_eq!(series.table.values, [5.0, 6.0, 1.0, 2.0, 3.0, 4.0]);
        assert!(series.scores[0].is_nan() && series.scores[2] > 1.0);
        assert_eq!(series.causes, HashMap::from([(2, 1)]), "only of rows that alarm");
        assert_eq!(series.reasons, HashMap::from([(2, Reason::Novel)]));
        assert_eq!([0, 1, 2, 3].map(|row| series.band(row).is_known()), [false, false, true, false]);
    }
}
