//! Which rows a successor is trained on.

use std::str::FromStr;

use qualm_bundle::rows::Rows;
use qualm_pipeline::INCIDENT_END_SCORE;
use qualm_system::digest::hex;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::history::parse_time;
use crate::table::Table;

/// The largest share of rows that may be left out as anomalous. Of a model that finds more, a person should have a look.
const MAX_ANOMALOUS: f64 = 0.5;

/// A time during which what is measured is not ordinary: from the first nanosecond until before the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its first nanosecond since 1970.
    pub from: i64,
    /// The first that is no longer in it.
    pub until: i64,
}

/// A text is no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no time window; write one like 2026-01-31T22:00:00Z/2026-02-01T02:00:00Z")]
pub struct NoWindow(String);

impl FromStr for Window {
    type Err = NoWindow;

    /// Two times with a slash between, as ISO 8601 has intervals.
    fn from_str(text: &str) -> Result<Self, NoWindow> {
        let none = || NoWindow(text.to_owned());
        let (from, until) = text.split_once('/').ok_or_else(none)?;
        let time = |text: &str| parse_time(text.trim()).map_err(|_| none());
        let window = Self { from: time(from)?, until: time(until)? };
        if window.from < window.until { Ok(window) } else { Err(none()) }
    }
}

/// How many rows are left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Excluded {
    /// Those in an incident.
    pub anomalous: usize,
    /// Those in a maintenance window.
    pub maintenance: usize,
}

/// Most rows are anomalous.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{anomalous} of {rows} rows were anomalous: that is no history to learn what is ordinary from. Look at the incidents; \
     declare what was planned as maintenance, or train by hand with `qualm train`"
)]
pub struct TooFew {
    /// Rows in an incident.
    pub anomalous: usize,
    /// All rows outside of maintenance windows.
    pub rows: usize,
}

/// The rows to learn from, in order of time. A row is left out where its score says that an incident begins or lasts, or where
/// it lies in a window.
///
/// # Errors
///
/// [`TooFew`].
pub fn table(rows: Rows, names: Vec<String>, maintenance: &[Window]) -> Result<(Table, Excluded), TooFew> {
    let features = names.len();
    let mut excluded = Excluded::default();
    let all = rows.len();
    let mut table = Table { names, entities: rows.entities, ..Table::default() };
    for row in 0..all {
        let time = rows.times[row];
        if maintenance.iter().any(|window| (window.from..window.until).contains(&time)) {
            excluded.maintenance += 1;
        } else if rows.scores[row] > INCIDENT_END_SCORE {
            excluded.anomalous += 1;
        } else {
            table.series.push(rows.series[row]);
            table.times.push(time);
            table.values.extend_from_slice(&rows.values[row * features..][..features]);
            table.sources.push(row as u64);
        }
    }
    let (anomalous, rows) = (excluded.anomalous, all - excluded.maintenance);
    if anomalous as f64 > MAX_ANOMALOUS * rows as f64 {
        return Err(TooFew { anomalous, rows });
    }
    table.sort();
    Ok((table, excluded))
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
    use crate::retrain::select::table as table_of;

    #[test]
    fn incidents_and_maintenance_are_left_out_and_the_rest_is_in_order() {
        let rows = Rows {
            times: vec![30, 10, 20, 40, 50],
            series: vec![0, 1, 0, 0, 1],
            entities: vec!["host=a".into(), "host=b".into()],
            values: vec![3.0, 1.0, 2.0, 4.0, 5.0],
            scores: vec![0.2, f64::NAN, 0.5, 0.51, 3.0],
        };
        let window = Window { from: 50, until: 60 };
        let (table, excluded) = table_of(rows.clone(), vec!["m".into()], &[window]).unwrap();
        assert_eq!((table.times, table.values, table.series), (vec![10, 20, 30], vec![1.0, 2.0, 3.0], vec![1, 0, 0]));
        assert_eq!(excluded, Excluded { anomalous: 1, maintenance: 1 });
        let most = Rows { scores: vec![2.0, 2.0, 2.0, 0.0, 0.0], ..rows };
        assert_eq!(table_of(most, vec!["m".into()], &[]).unwrap_err(), TooFew { anomalous: 3, rows: 5 });
    }

    #[test]
    fn a_window_has_two_times() {
        let window: Window = "2026-01-31T22:00:00Z/2026-02-01T02:00:00Z".parse().unwrap();
        assert_eq!(window.until - window.from, 4 * 3_600_000_000_000);
        for text in ["2026-01-31T22:00:00Z", "2026-02-01T02:00:00Z/2026-01-31T22:00:00Z", "a/b", ""] {
            assert_eq!(text.parse::<Window>(), Err(NoWindow(text.to_owned())));
        }
    }
}
