//! The rows of a replayed series, kept for feedback.

use std::collections::HashMap;

use qualm_contract::{Band, Reason};
use qualm_pipeline::Unit;

use crate::table::Table;

/// The rows of one series: their values and scores, and which of them alarm.
///
/// A row takes 37 bytes, 8 bytes more for each feature beyond the first, and 24 bytes more with bands: 38 series of 28,000
/// rows take 40 MB, or 65 MB with bands.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Times, values, and row numbers of the input. Its only entity is the series.
    pub table: Table,
    /// The score of each row; NaN without.
    pub scores: Vec<f64>,
    /// Whether each row alarms: the rows of an incident from the one that reports it, including those without a score.
    pub alarms: Vec<bool>,
    /// The feature that contributed most to a row's score, if the detector reports contributions.
    pub causes: HashMap<usize, usize>,
    /// The reasons of anomalous rows, if the detector reports them.
    pub reasons: HashMap<usize, Reason>,
    /// The configured false alarm rate, if any.
    pub false_alarm_rate: Option<f64>,
    /// The expected bands in the values' unit; rows after its end have none.
    bands: Vec<Band>,
    unit: Unit,
}

impl Series {
    /// A series without rows. One of single values has one feature.
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

    /// The series' name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.table.entities[0]
    }

    /// Adds a row: its time, the row of the input that completed it, its values, its score, whether it alarms, and the
    /// contribution of each value, if the detector reports them.
    pub fn add(&mut self, time: i64, source: u64, values: &[f64], score: f64, alarm: bool, contributions: &[f64]) {
        let Self { table, scores, alarms, causes, .. } = self;
        // A row below the threshold may belong to an incident and have no explanation: then all contributions are 0.
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
                gap.fill(true); // rows without a score do not end an incident
            }
        }
        scores.push(score);
        alarms.push(alarm);
    }

    /// Adds the reason and the expected band of the last row.
    pub fn add_details(&mut self, reason: Reason, band: Band) {
        let Some(row) = self.table.len().checked_sub(1) else { return };
        if reason != Reason::None {
            self.reasons.insert(row, reason);
        }
        // A band is of the first value.
        let band = self.unit.around(self.table.values[row * self.table.features()], self.scores[row], band);
        if band.is_known() {
            self.bands.resize(row, Band::UNKNOWN);
            self.bands.push(band);
        }
    }

    /// The expected band of a row.
    pub(crate) fn band(&self, row: usize) -> Band {
        self.bands.get(row).copied().unwrap_or(Band::UNKNOWN)
    }

    /// Whether any band is known.
    pub(crate) fn has_bands(&self) -> bool {
        !self.bands.is_empty()
    }

    /// Sorts the rows by time: some may be late.
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
    fn a_row_without_a_score_does_not_split_an_alarm() {
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
    fn late_rows_are_sorted_in() {
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
