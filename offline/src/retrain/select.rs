//! Which rows a successor is trained on: those of the newest regime, without incidents and maintenance.

use qualm_bundle::rows::{Rows, Window};
use qualm_core::trained::alarm;
use qualm_core::trained::calibrate::MIN_SCORES;
use qualm_drift::{Options, Reference, newest_regime};
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

/// The shares of rows beyond two quantiles that the tail of ordinary rows is judged by: even where as many rows as the second share
/// are of incidents, it is theirs.
const BULK: (f64, f64) = (0.2, 0.05);

/// The share of what begins an incident that it lasts at.
const LASTS: f64 = 0.6;

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
    /// The share of ordinary rows that it may report.
    pub rate: f64,
    /// Whether its threshold adapts to each entity, with the scores of [`mod@alarm`].
    pub adapts: bool,
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
    leave_incidents_out(rows, &mut order, incumbent);
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

/// Leaves the rows of incidents out, reported or not.
///
/// An incident begins with a row beyond the incumbent's threshold that also stands out among these rows: where metrics drift, a
/// threshold is exceeded by much that is ordinary now. How far out ordinary rows lie follows from the bulk of them, so that many
/// incidents do not hide one another.
fn leave_incidents_out(rows: &Rows, order: &mut Vec<usize>, incumbent: &Incumbent<'_>) {
    let units = |row: usize| {
        let score = rows.scores[row];
        if incumbent.adapts { alarm::units(score) } else { score }
    };
    let begin = tail(order.iter().map(|row| units(*row)), TAIL * incumbent.rate).max(1.0);
    let mut lasts = vec![false; rows.entities.len()];
    order.retain(|row| {
        let (units, lasts) = (units(*row), &mut lasts[rows.series[*row] as usize]);
        // What is not scored changes nothing.
        *lasts = if units.is_nan() { *lasts } else { units > if *lasts { LASTS * begin } else { begin } };
        !*lasts
    });
}

/// What a share `rate` of ordinary rows exceed, by two quantiles of all rows, assuming that the tail is exponential; 0 of few rows.
fn tail(units: impl Iterator<Item = f64>, rate: f64) -> f64 {
    let mut sorted: Vec<f64> = units.filter(|units| units.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    if sorted.len() < MIN_SCORES {
        return 0.0;
    }
    let quantile = |share: f64| sorted.get(((1.0 - share) * sorted.len() as f64) as usize).copied().unwrap_or(0.0);
    let (near, far) = (quantile(BULK.0), quantile(BULK.1));
    near + (far - near) * (BULK.0 / rate).ln() / (BULK.0 / BULK.1).ln()
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

    const ANY: Incumbent<'static> = Incumbent { reference: None, rate: 1e-4, adapts: false };

    #[test]
    fn incidents_and_maintenance_are_left_out_and_the_rest_is_in_order() {
        let rows = Rows {
            times: vec![30, 10, 20, 40, 50, 60, 70, 80],
            series: vec![0, 1, 0, 0, 1, 0, 0, 0],
            entities: vec!["host=a".into(), "host=b".into()],
            values: vec![3.0, 1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0],
            scores: vec![0.2, f64::NAN, 0.7, 1.01, 3.0, f64::NAN, 0.61, 0.6],
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
    fn incidents_are_left_out_that_were_not_reported_since_others_were() {
        let mut rows = shifted(20_000, 20_000);
        // By `alarm`, below a half outside of incidents: of ordinary rows a quarter at most.
        rows.scores.iter_mut().for_each(|score| *score *= 0.1);
        for incident in 0..50 {
            rows.scores[incident * 400..][..10].fill(0.4);
        }
        let adapts = Incumbent { reference: None, rate: 1e-3, adapts: true };
        let (_, excluded) = table(&rows, vec!["m".into()], &[], &adapts);
        assert_eq!(excluded.anomalous, 500, "a fortieth of the rows do not hide one another");
    }

    #[test]
    fn rows_of_an_earlier_regime_are_left_out() {
        let ordinary = shifted(7200, 7200);
        let options = Options::default();
        let reference = Reference::new(&ordinary.times, &ordinary.values, 1, &ordinary.scores, options.window).unwrap();
        let incumbent = Incumbent { reference: Some((&reference, options)), rate: 1e-4, adapts: false };
        let (kept, excluded) = table(&shifted(14_400, 9000), vec!["m".into()], &[], &incumbent);
        assert!((9000..9720).contains(&excluded.earlier), "{excluded:?}");
        assert_eq!((excluded.anomalous, kept.len()), (0, 14_400 - excluded.earlier));
        // Few are better than none.
        let (kept, _) = table(&shifted(1500, 1400), vec!["m".into()], &[], &incumbent);
        assert!(kept.len() >= LEAST_ROWS);
    }
}
