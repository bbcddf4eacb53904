//! Keeps the rows of a detector on disk.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use qualm_bundle::rows::{Ring, Rows};
use tracing::{info, warn};

use super::Plan;

/// The most values that wait to be written, some 8 MB with all that belongs to them.
const MAX_VALUES: usize = 1 << 20;

/// The most rows that wait.
const MAX_ROWS: usize = 8192;

/// For how long rows wait at most: so much is lost if the process is killed.
const MAX_WAIT: Duration = Duration::from_mins(15);

/// The most entities of which there are rows in memory.
const MAX_ENTITIES: usize = 100_000;

/// Keeps rows. Where they cannot be written it says so once, and tries again with the next ones.
#[derive(Debug)]
pub(crate) struct Keeper {
    detector: String,
    ring: Ring,
    /// Those that are not written yet.
    rows: Rows,
    /// The number of each entity in `rows`, by the number of its series.
    places: HashMap<u32, u32>,
    /// The names of series.
    names: HashMap<u32, String>,
    since: Instant,
    is_failing: bool,
}

impl Keeper {
    /// Opens the directory of a detector's rows.
    ///
    /// # Errors
    ///
    /// If it cannot be used.
    pub(crate) fn open(plan: &Plan, features: Vec<String>) -> io::Result<Self> {
        let ring = Ring::open(&plan.rows(), features, plan.options.rows as u64)?;
        let (rows, places, names) = (Rows::default(), HashMap::new(), HashMap::new());
        Ok(Self {
            detector: plan.detector.clone(),
            ring,
            rows,
            places,
            names,
            since: Instant::now(),
            is_failing: false,
        })
    }

    /// From now on a series is called so.
    pub(crate) fn name(&mut self, series: u32, name: String) {
        if self.names.len() < MAX_ENTITIES || self.names.contains_key(&series) {
            self.names.insert(series, name);
            self.places.remove(&series);
        }
    }

    /// Takes rows, and writes those that wait if they are many or have waited for long. Rows of series without a name are not
    /// kept.
    pub(crate) fn keep(&mut self, series: &[u32], times: &[i64], values: &[f64], scores: &[f64]) {
        if self.rows.is_empty() {
            self.since = Instant::now();
        }
        let features = values.len() / series.len().max(1);
        for (row, series) in series.iter().enumerate() {
            let Some(place) = self.place(*series) else { continue };
            self.rows.series.push(place);
            self.rows.times.push(times[row]);
            self.rows.values.extend_from_slice(&values[row * features..][..features]);
            self.rows.scores.push(scores[row]);
            if self.rows.len() >= MAX_ROWS || self.rows.values.len() >= MAX_VALUES {
                self.flush();
            }
        }
        if self.since.elapsed() >= MAX_WAIT {
            self.flush();
        }
    }

    fn place(&mut self, series: u32) -> Option<u32> {
        if let Some(place) = self.places.get(&series) {
            return Some(*place);
        }
        let name = self.names.get(&series)?.clone();
        let place = self.rows.entities.len() as u32;
        self.rows.entities.push(name);
        self.places.insert(series, place);
        Some(place)
    }

    /// Writes the rows that wait. Where that fails they are given up: metrics go on, and disks come back.
    pub(crate) fn flush(&mut self) {
        if self.rows.is_empty() {
            return;
        }
        match self.ring.write(&self.rows) {
            Ok(()) if self.is_failing => {
                info!("detector `{}`: rows are kept again for training", self.detector);
                self.is_failing = false;
            }
            Ok(()) => {}
            Err(error) => {
                if !self.is_failing {
                    warn!(
                        "detector `{}`: rows cannot be kept for training ({error}); it is tried again, and not said again",
                        self.detector
                    );
                }
                self.is_failing = true;
            }
        }
        self.rows.clear();
        self.places.clear();
        self.since = Instant::now();
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    fn keeper(state: &Path) -> (Plan, Keeper) {
        let options = config::Retrain { enabled: true, ..config::Retrain::default() };
        let plan = Plan { detector: "host/1".to_owned(), state: state.to_owned(), options };
        let keeper = Keeper::open(&plan, vec!["a".to_owned(), "b".to_owned()]).unwrap();
        (plan, keeper)
    }

    #[test]
    fn rows_are_kept_with_the_names_of_their_series() {
        let root = tempfile::tempdir().unwrap();
        let (plan, mut keeper) = keeper(root.path());
        keeper.name(7, "host=a".to_owned());
        keeper.name(3, "host=b".to_owned());
        keeper.keep(&[7, 3, 9], &[1, 2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[0.1, 0.2, 0.3]);
        // The number comes to mean another.
        keeper.name(7, "host=c".to_owned());
        keeper.keep(&[7], &[4], &[7.0, 8.0], &[0.4]);
        drop(keeper);
        let rows = Rows::read(&plan.rows(), &["a".to_owned(), "b".to_owned()]).unwrap().rows;
        assert_eq!((rows.times, rows.series), (vec![1, 2, 4], vec![0, 1, 2]));
        assert_eq!(rows.entities, ["host=a", "host=b", "host=c"]);
        assert_eq!(rows.values, [1.0, 2.0, 3.0, 4.0, 7.0, 8.0]);
        assert!(plan.rows().starts_with(root.path().join("rows")) && plan.rows().ends_with("host%2F1"));
    }

    #[test]
    fn many_rows_are_written_at_once_and_failure_loses_rows_only() {
        let root = tempfile::tempdir().unwrap();
        let (plan, mut keeper) = keeper(root.path());
        keeper.name(0, String::new());
        let many = |keeper: &mut Keeper| {
            keeper.keep(&vec![0; MAX_ROWS], &vec![1; MAX_ROWS], &vec![0.5; 2 * MAX_ROWS], &vec![0.0; MAX_ROWS]);
        };
        many(&mut keeper);
        assert!(keeper.ring.bytes() > 0 && keeper.rows.is_empty());
        std::fs::remove_dir_all(plan.rows()).unwrap();
        many(&mut keeper);
        assert!(keeper.is_failing && keeper.rows.is_empty(), "nothing piles up");
        std::fs::create_dir_all(plan.rows()).unwrap();
        many(&mut keeper);
        assert!(!keeper.is_failing);
    }
}
