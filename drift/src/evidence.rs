//! What a window, or a table, says of each column, of score and of alarms.

use crate::alarms::{Alarms, calm};
use crate::bins;
use crate::effects::{Compared, KsPValue, compare, in_units};
use crate::moments::{Moments, is_known};
use crate::reference::{Distribution, MAX_BINS, Reference};
use crate::sample::{SAMPLE, nearest_rank};
use crate::two_sample::{ks_asymptotic, ks_p_value};
use crate::window::{BLOCKS, Column, Window, is_alarm};

/// What is found in some rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evidence {
    pub(crate) rows: u64,
    /// Each feature's statistics and tests, and then the score's.
    pub(crate) columns: Vec<(Column, Compared)>,
    /// The median and 95 % quantile of scores that are not reported.
    pub(crate) median: Quantile,
    pub(crate) p95: Quantile,
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
            self.add(distribution, window.column(at), ks_asymptotic);
        }
        self.add_quantiles(|sorted| window.calm_scores(sorted));
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
        let unreported = |scores: &[f64]| scores.iter().copied().filter(|score| !is_alarm(*score)).collect::<Vec<_>>();
        self.add_values(&reference.score, unreported(scores).into_iter());
        self.add_quantiles(|sorted| {
            let mut parts: [Vec<f64>; BLOCKS] = Default::default();
            for (to, scores) in parts.iter_mut().zip(scores.chunks(part)) {
                *to = unreported(scores);
                to.retain(|score| is_known(*score));
                to.sort_unstable_by(f64::total_cmp);
            }
            let p95 = parts.each_ref().map(|part| nearest_rank(part, 0.95).unwrap_or(f64::NEG_INFINITY));
            sorted.clear();
            parts.iter().zip(calm(&p95)).filter(|(_, calm)| *calm).for_each(|(part, _)| sorted.extend(part));
            sorted.sort_unstable_by(f64::total_cmp);
        });
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
        self.add(distribution, column, ks_p_value);
    }

    /// Adds a column whose sample stands in `sorted`.
    fn add(&mut self, distribution: &Distribution, column: Column, ks: KsPValue) {
        self.columns.push((column, compare(distribution, &column, &self.sorted, ks)));
    }

    /// Takes the quantiles of the scores that stand in `sorted`: all, and then those of calm blocks, which `calm` puts there.
    fn add_quantiles(&mut self, calm: impl FnOnce(&mut Vec<f64>)) {
        (self.median.all, self.p95.all) = (nearest_rank(&self.sorted, 0.5), nearest_rank(&self.sorted, 0.95));
        calm(&mut self.sorted);
        (self.median.calm, self.p95.calm) = (nearest_rank(&self.sorted, 0.5), nearest_rank(&self.sorted, 0.95));
    }
}

/// A quantile of the score; `None` without scores.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Quantile {
    /// Of all rows.
    pub(crate) all: Option<f64>,
    /// Of all blocks but those with the largest scores.
    calm: Option<f64>,
}

impl Quantile {
    /// By how much it differs, in the reference's spread; 0 where there is none. Only calm blocks may be larger: incidents last for
    /// some hours, and not all of their rows need be reported.
    pub(crate) fn shift(&self, reference: &Distribution, then: Option<f64>) -> f64 {
        let larger = self.calm.zip(then).map_or(0.0, |(now, then)| now - then);
        let smaller = self.all.zip(then).map_or(0.0, |(now, then)| then - now);
        in_units(larger.max(smaller).max(0.0), reference.spread(), reference.rounding())
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
