//! What a window, or a table, says of each column, of score and of alarms.

use crate::alarms::Alarms;
use crate::bins;
use crate::effects::{Compared, compare, in_units};
use crate::moments::{Moments, is_known};
use crate::reference::{Distribution, MAX_BINS, Reference};
use crate::sample::{SAMPLE, nearest_rank};
use crate::window::{BLOCKS, Column, Window, is_alarm};

/// What is found in some rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence {
    pub(crate) rows: u64,
    /// Each feature's statistics and tests, and then the score's.
    pub(crate) columns: Vec<(Column, Compared)>,
    /// The median and 95 % quantile of scores that are not reported; `None` without any.
    pub(crate) median: Option<f64>,
    pub(crate) p95: Option<f64>,
    pub(crate) alarms: [Alarms; BLOCKS],
    /// For the samples of columns, one after another.
    sorted: Vec<f64>,
}

impl Evidence {
    /// With room for a window over rows of such a reference.
    pub(crate) fn new(reference: &Reference) -> Self {
        let columns = Vec::with_capacity(reference.features.len() + 1);
        Self { columns, sorted: Vec::with_capacity(BLOCKS * SAMPLE), ..Self::default() }
    }

    /// Takes what a window has.
    pub(crate) fn of_window(&mut self, reference: &Reference, window: &Window) {
        self.begin(window.rows(), window.alarms());
        for (at, distribution) in reference.features.iter().chain([&reference.score]).enumerate() {
            window.sample(at, &mut self.sorted);
            self.add(distribution, window.column(at));
        }
    }

    /// Takes all rows of a table, whose lengths fit. Its alarms are counted in as many parts as a window has.
    pub(crate) fn of_table(&mut self, reference: &Reference, values: &[f64], scores: &[f64]) {
        let part = scores.len().div_ceil(BLOCKS).max(1);
        let mut alarms = [Alarms::default(); BLOCKS];
        alarms.iter_mut().zip(scores.chunks(part)).for_each(|(alarms, scores)| *alarms = in_order(scores));
        self.begin(scores.len() as u64, alarms);
        let features = reference.features.len();
        for (at, distribution) in reference.features.iter().enumerate() {
            self.add_values(distribution, values.iter().skip(at).step_by(features).copied());
        }
        self.add_values(&reference.score, scores.iter().copied().filter(|score| !is_alarm(*score)));
    }

    fn begin(&mut self, rows: u64, alarms: [Alarms; BLOCKS]) {
        (self.rows, self.alarms) = (rows, alarms);
        self.columns.clear();
    }

    fn add_values(&mut self, distribution: &Distribution, values: impl Iterator<Item = f64>) {
        let mut column = Column { rows: 0.0, moments: Moments::default(), counts: [0.0; MAX_BINS] };
        self.sorted.clear();
        self.sorted.extend(values.inspect(|_| column.rows += 1.0).filter(|value| is_known(*value)));
        for value in &self.sorted {
            column.moments.add(*value);
            column.counts[bins::bin(&distribution.edges, *value)] += 1.0;
        }
        self.sorted.sort_unstable_by(f64::total_cmp);
        self.add(distribution, column);
    }

    /// Adds a column whose sample stands in `sorted`. The last that is added is the score's.
    fn add(&mut self, distribution: &Distribution, column: Column) {
        self.columns.push((column, compare(distribution, &column, &self.sorted)));
        self.median = nearest_rank(&self.sorted, 0.5);
        self.p95 = nearest_rank(&self.sorted, 0.95);
    }
}

/// The alarms of these rows, where those that follow one another are one incident.
fn in_order(scores: &[f64]) -> Alarms {
    let mut alarms = Alarms::default();
    let mut before = false;
    for score in scores.iter().filter(|score| is_known(**score)) {
        let alarm = is_alarm(*score);
        alarms.rows += 1.0;
        alarms.reported += f64::from(u8::from(alarm));
        alarms.incidents += f64::from(u8::from(alarm && !before));
        before = alarm;
    }
    alarms
}

/// By how much a quantile of the score differs, in the reference's spread; 0 where there is none.
pub(crate) fn shift(reference: &Distribution, then: Option<f64>, now: Option<f64>) -> f64 {
    let distance = then.zip(now).map_or(0.0, |(then, now)| (now - then).abs());
    in_units(distance, reference.spread(), reference.rounding())
}
