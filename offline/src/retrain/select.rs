//! Which rows a successor is trained on: those of the newest regime, without incidents and maintenance.

use qualm_bundle::rows::{Rows, Window};
use qualm_core::trained::calibrate::{Calibration, Threshold};
use qualm_drift::{Options, Reference, newest_regime};
use qualm_pipeline::INCIDENT_END_SCORE;
use qualm_system::digest::hex;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::table::Table;
use crate::train::MIN_ROWS;

/// As many rows are kept, whatever they look like: twice what a training needs.
const LEAST_ROWS: usize = 2 * MIN_ROWS;

/// The share of the rate of alarms that rows are left out at. Ordinary rows have a tail, which the successor's threshold is set by:
/// with all of it gone that the incumbent would report, its successor would report twice as much, and so on.
const TAIL: f64 = 0.1;

/// How many rows are left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Excluded {
    /// Those before the newest regime.
    pub earlier: usize,
    /// Those in an incident.
    pub anomalous: usize,
    /// Those in a maintenance window.
    pub maintenance: usize,
}

/// How an incumbent that was trained on other rows is taken into account.
#[derive(Debug)]
pub struct Incumbent<'a> {
    /// What its rows looked like, and how much of the newest is compared with it; `None` of a model of an earlier version, of
    /// which all rows are of one regime.
    pub reference: Option<(&'a Reference, Options)>,
    /// The share of ordinary rows that it may report, where its threshold is fixed: it reports more where metrics drift.
    /// `None` where its threshold adapts, so that it does not.
    pub fixed_rate: Option<f64>,
}

/// The rows to learn from, in order of time: those that look like the newest, but for those that lie in a maintenance window
/// or an incident.
#[must_use]
pub fn table(rows: &Rows, names: Vec<String>, maintenance: &[Window], incumbent: &Incumbent<'_>) -> (Table, Excluded) {
    let mut excluded = Excluded::default();
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|row| rows.times[*row]); // stable
    order.retain(|row| !maintenance.iter().any(|window| window.contains(rows.times[*row])));
    excluded.maintenance = rows.len() - order.len();
    let mut table = taken(rows, &order, names);
    if let Some((reference, options)) = &incumbent.reference
        && let Ok(first) = newest_regime(reference, &table.times, &table.values, options)
    {
        excluded.earlier = first.min(order.len().saturating_sub(LEAST_ROWS));
        order.drain(..excluded.earlier);
    }
    let before = order.len();
    leave_incidents_out(rows, &mut order, incumbent.fixed_rate);
    excluded.anomalous = before - order.len();
    if order.len() < table.len() {
        table = taken(rows, &order, table.names);
    }
    (table, excluded)
}

fn taken(rows: &Rows, order: &[usize], names: Vec<String>) -> Table {
    let features = names.len();
    Table {
        names,
        entities: rows.entities.clone(),
        series: order.iter().map(|row| rows.series[*row]).collect(),
        times: order.iter().map(|row| rows.times[*row]).collect(),
        values: order.iter().flat_map(|row| &rows.values[row * features..][..features]).copied().collect(),
        sources: order.iter().map(|row| *row as u64).collect(),
    }
}

/// Leaves the rows of incidents out. An incident begins with a row that the incumbent reports and, by a fixed threshold, that
/// stands out among these rows as well: where metrics drift, such a threshold is exceeded by much that is ordinary now.
fn leave_incidents_out(rows: &Rows, order: &mut Vec<usize>, fixed_rate: Option<f64>) {
    let calibration = fixed_rate.and_then(|rate| {
        let scores = order.iter().map(|row| rows.scores[*row]).filter(|score| score.is_finite());
        Calibration::fit(&scores.collect::<Vec<_>>(), Threshold::FalseAlarmRate(TAIL * rate)).ok()
    });
    let begin = calibration.map_or(1.0, |calibration| calibration.threshold.max(1.0));
    let end = calibration.map_or(0.0, |calibration| f64::midpoint(calibration.ordinary, begin)).max(INCIDENT_END_SCORE);
    let mut lasts = vec![false; rows.entities.len()];
    order.retain(|row| {
        let (score, lasts) = (rows.scores[*row], &mut lasts[rows.series[*row] as usize]);
        // What is not scored changes nothing.
        *lasts = if score.is_nan() { *lasts } else { score > if *lasts { end } else { begin } };
        !*lasts
    });
}

/// The SHA-256 of times and values, for the provenance.
pub(super) fn digest(table: &Table) -> String {
    let mut digest = Sha256::new();
    table.times.iter().for_each(|time| digest.update(time.to_le_bytes()));
    table.values.iter().for_each(|value| digest.update(value.to_le_bytes()));
    hex(&digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: Incumbent<'static> = Incumbent { reference: None, fixed_rate: Some(1e-4) };

    #[test]
    fn incidents_and_maintenance_are_left_out_and_the_rest_is_in_order() {
        let rows = Rows {
            times: vec![30, 10, 20, 40, 50, 60, 70, 80],
            series: vec![0, 1, 0, 0, 1, 0, 0, 0],
            entities: vec!["host=a".into(), "host=b".into()],
            values: vec![3.0, 1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0],
            scores: vec![0.2, f64::NAN, 0.7, 1.01, 3.0, f64::NAN, 0.51, 0.5],
        };
        let window = Window { from: 50, until: 60 };
        let (table, excluded) = table(&rows, vec!["m".into()], &[window], &ANY);
        assert_eq!((table.times, table.series), (vec![10, 20, 30, 80], vec![1, 0, 0, 0]));
        assert_eq!((table.values, table.sources), (vec![1.0, 2.0, 3.0, 8.0], vec![1, 2, 0, 7]));
        assert_eq!(excluded, Excluded { earlier: 0, anomalous: 3, maintenance: 1 });
    }

    /// A row a minute with a value that is 3 deviations larger from `shift` on, and its scores by a threshold of as many.
    fn shifted(count: usize, shift: usize) -> Rows {
        let noise = |row: usize| (row * 7919 % 1009) as f64 / 1009.0;
        let values: Vec<f64> = (0..count).map(|row| noise(row) + if row < shift { 0.0 } else { 0.9 }).collect();
        Rows {
            times: (0..count as i64).map(|row| row * 60_000_000_000).collect(),
            series: vec![0; count],
            entities: vec![String::new()],
            scores: values.iter().map(|value| (value - 0.5).abs() / 0.6).collect(),
            values,
        }
    }

    #[test]
    fn what_has_become_ordinary_is_no_incident() {
        let mut rows = shifted(20_000, 0);
        let (kept, excluded) = table(&rows, vec!["m".into()], &[], &ANY);
        assert_eq!((kept.len(), excluded), (20_000, Excluded::default()), "two thirds of the scores are above 1");
        rows.scores[500..600].fill(9.0);
        let (_, excluded) = table(&rows, vec!["m".into()], &[], &ANY);
        assert_eq!(excluded.anomalous, 100);
    }

    #[test]
    fn rows_of_an_earlier_regime_are_left_out() {
        let ordinary = shifted(7200, 7200);
        let options = Options::default();
        let reference = Reference::new(&ordinary.times, &ordinary.values, 1, &ordinary.scores, options.window).unwrap();
        let incumbent = Incumbent { reference: Some((&reference, options)), fixed_rate: Some(1e-4) };
        let (kept, excluded) = table(&shifted(14_400, 9000), vec!["m".into()], &[], &incumbent);
        assert!((9000..9720).contains(&excluded.earlier), "{excluded:?}");
        assert_eq!((excluded.anomalous, kept.len()), (0, 14_400 - excluded.earlier));
        // Few are better than none.
        let (kept, _) = table(&shifted(1500, 1400), vec!["m".into()], &[], &incumbent);
        assert!(kept.len() >= LEAST_ROWS);
    }
}
