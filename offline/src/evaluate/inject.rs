//! Injects synthetic anomalies into ordinary rows, to evaluate a detector without labels.
//!
//! The anomalies have shapes that incidents have in metrics: a spike, a level shift, a broken correlation, a stuck value, a
//! burst of noise. The result compares detectors on the same rows; it does not predict what they find in production.
//! Anomalies that the rows had before count as false alarms.
//!
//! Amplitudes are in standard deviations. A robust spread is unsuitable: many metrics are idle most of the time, and a few
//! robust spreads of an idle metric are indistinguishable from its ordinary activity.

use std::ops::Range;

use serde::Serialize;

use super::events::Sequences;
use super::metrics::Ranking;
use super::random::Random;
use super::spread::Spread;
use crate::table::Table;

/// Rows for each injected anomaly, so that most stay ordinary.
const ROWS_PER_ANOMALY: usize = 200;
/// The length of an anomaly other than a spike, in rows.
const LENGTH: Range<usize> = 8..40;
/// The length of a spike, in rows.
const SPIKE: Range<usize> = 1..4;
/// Unchanged rows between two anomalies of a series.
const GAP: usize = 2;
/// Candidate positions for an anomaly, of which the one that changes most is taken: holding a value that is constant anyway
/// is no anomaly.
const CANDIDATES: usize = 8;

/// A shape of anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One to three rows shifted by 3 to 8 deviations.
    Spike,
    /// Longer rows shifted by 3 to 8 deviations.
    LevelShift,
    /// Values of some features from another time: each ordinary, but not in combination.
    CorrelationBreak,
    /// The last value, repeated.
    Flatline,
    /// Noise of 2 to 4 deviations.
    NoiseBurst,
}

/// An injected anomaly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injection {
    /// Its shape.
    pub kind: Kind,
    /// Its rows, counted from the first of the range.
    pub rows: Vec<usize>,
}

/// Rows with injected anomalies.
#[derive(Debug, Clone, PartialEq)]
pub struct Injected {
    /// Row after row.
    pub values: Vec<f64>,
    /// Whether each row belongs to an anomaly.
    pub labels: Vec<bool>,
    /// The anomalies.
    pub injections: Vec<Injection>,
}

/// Injects anomalies into a copy of some rows, deterministically for a seed: one for each 200 rows. If no value varies, or a
/// series has too few rows, nothing is injected, and no row has a label.
#[must_use]
pub fn inject(table: &Table, range: Range<usize>, seed: u64) -> (Vec<f64>, Vec<bool>) {
    let Injected { values, labels, .. } = injections(table, range, seed);
    (values, labels)
}

/// The objective of training: the area under the precision–recall curve of rows from [`inject`]; 0 if nothing was injected.
#[must_use]
pub fn objective(scores: &[f64], labels: &[bool]) -> f64 {
    Ranking::new(scores, labels).auc_pr().unwrap_or(0.0)
}

/// As [`inject`], with the position of each anomaly.
#[must_use]
pub fn injections(table: &Table, range: Range<usize>, seed: u64) -> Injected {
    let batch = table.batch(range);
    let features = table.features();
    let spreads = Spread::of_each(batch.values, features);
    let varying: Vec<usize> = (0..features).filter(|feature| spreads[*feature].deviation > 0.0).collect();
    let rows = Rows { given: batch.values, features, spreads, varying };
    let mut out =
        Injected { values: batch.values.to_vec(), labels: vec![false; batch.series.len()], injections: Vec::new() };
    if rows.varying.is_empty() {
        return out;
    }
    let mut random = Random::new(seed);
    let mut kinds = Kind::ALL.iter().copied().cycle();
    for sequence in Sequences::new(batch.series).rows() {
        for slot in sequence.chunks_exact(ROWS_PER_ANOMALY.min(sequence.len().max(1))) {
            // One slot for each anomaly, so that none overlap; series shorter than a slot are skipped.
            if slot.len() < LENGTH.end + 2 * GAP {
                continue;
            }
            let Some(kind) = kinds.next() else { break };
            let change = rows.most_changing(kind, slot, sequence, &mut random);
            for (row, feature, value) in change.cells {
                out.values[row * features + feature] = value;
            }
            change.rows.iter().for_each(|row| out.labels[*row] = true);
            out.injections.push(Injection { kind, rows: change.rows });
        }
    }
    out
}

/// The rows to change, with their statistics.
struct Rows<'a> {
    given: &'a [f64],
    features: usize,
    spreads: Vec<Spread>,
    /// The features that vary.
    varying: Vec<usize>,
}

/// The changes of a candidate anomaly.
#[derive(Default)]
struct Change {
    rows: Vec<usize>,
    /// Row, feature and new value.
    cells: Vec<(usize, usize, f64)>,
    /// The sum of all changes, in deviations.
    amount: f64,
}

impl Rows<'_> {
    fn most_changing(&self, kind: Kind, slot: &[usize], sequence: &[usize], random: &mut Random) -> Change {
        // A spike, shift or burst is equally strong anywhere; the others depend on the values.
        let candidates = if matches!(kind, Kind::CorrelationBreak | Kind::Flatline) { CANDIDATES } else { 1 };
        let changes: Vec<Change> = (0..candidates).map(|_| self.change(kind, slot, sequence, random)).collect();
        let larger = |largest: Change, next: Change| if next.amount > largest.amount { next } else { largest };
        changes.into_iter().reduce(larger).unwrap_or_default()
    }

    fn change(&self, kind: Kind, slot: &[usize], sequence: &[usize], random: &mut Random) -> Change {
        let lengths = if kind == Kind::Spike { SPIKE } else { LENGTH };
        let length = lengths.start + random.below(lengths.len());
        let start = GAP + random.below(slot.len() - length - 2 * GAP + 1);
        let window = &slot[start..start + length];
        // The same number of rows elsewhere in the series, wrapping around its end.
        let place = sequence.partition_point(|row| *row < window[0]);
        let away = length + random.below(sequence.len().saturating_sub(2 * length).max(1));
        let elsewhere = |at: usize| sequence[(place + away + at) % sequence.len()];
        let mut change = Change { rows: window.to_vec(), ..Change::default() };
        for feature in self.affected_features(kind, random) {
            let deviation = self.spreads[feature].deviation;
            let shift = random.sign() * random.within(3.0..8.0) * deviation;
            let noise = random.within(2.0..4.0) * deviation;
            let held = self.value(slot[start - 1], feature);
            for (at, row) in window.iter().enumerate() {
                let value = self.value(*row, feature);
                let new = match kind {
                    Kind::Spike | Kind::LevelShift => value + shift,
                    Kind::CorrelationBreak => self.value(elsewhere(at), feature),
                    Kind::Flatline => held,
                    Kind::NoiseBurst => value + noise * random.normal(),
                };
                // Missing values stay missing.
                if !value.is_nan() && new.is_finite() {
                    change.amount += (new - value).abs() / deviation;
                    change.cells.push((*row, feature, new));
                }
            }
        }
        change
    }

    /// The features that an anomaly affects: one to three; for a broken correlation, up to half of them.
    fn affected_features(&self, kind: Kind, random: &mut Random) -> Vec<usize> {
        let most = if kind == Kind::CorrelationBreak { self.varying.len() / 2 } else { 3 };
        let count = 1 + random.below(most.clamp(1, self.varying.len()));
        let mut left = self.varying.clone();
        (0..count).map(|_| left.swap_remove(random.below(left.len()))).collect()
    }

    fn value(&self, row: usize, feature: usize) -> f64 {
        self.given[row * self.features + feature]
    }
}

impl Kind {
    /// All shapes.
    pub const ALL: [Self; 5] =
        [Self::Spike, Self::LevelShift, Self::CorrelationBreak, Self::Flatline, Self::NoiseBurst];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Spike => "spike",
            Self::LevelShift => "level shift",
            Self::CorrelationBreak => "broken correlation",
            Self::Flatline => "stuck value",
            Self::NoiseBurst => "burst of noise",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::servers;
    use super::*;

    #[test]
    fn each_kind_is_injected_and_labelled() {
        let table = servers(2, 2000, 4, 1);
        let injected = injections(&table, 0..table.len(), 3);
        for kind in Kind::ALL {
            let many = injected.injections.iter().filter(|injection| injection.kind == kind).count();
            assert_eq!(many, 4, "{kind:?}: 20 slots of 200 rows for five kinds");
        }
        let mut labelled: Vec<usize> =
            injected.injections.iter().flat_map(|injection| injection.rows.iter().copied()).collect();
        labelled.sort_unstable();
        let marked = injected.labels.iter().enumerate().filter(|(_, label)| **label).map(|(row, _)| row);
        assert_eq!(labelled, marked.collect::<Vec<_>>(), "two never share a row");
        for (row, (new, old)) in injected.values.chunks(4).zip(table.values.chunks(4)).enumerate() {
            assert!(injected.labels[row] || new == old, "an ordinary row is as it was");
        }
        for injection in &injected.injections {
            let series = table.series[injection.rows[0]];
            assert!(injection.rows.iter().all(|row| table.series[*row] == series));
            let changed = |row: &&usize| injected.values[**row * 4..][..4] != table.values[**row * 4..][..4];
            assert!(injection.rows.iter().filter(changed).count() * 2 > injection.rows.len(), "{injection:?}");
        }
    }

    #[test]
    fn a_spike_is_far_out_and_a_stuck_value_is_stuck() {
        let table = servers(1, 2000, 3, 1);
        let injected = injections(&table, 0..2000, 1);
        for injection in &injected.injections {
            let column = |feature: usize| injection.rows.iter().map(move |row| row * 3 + feature);
            let differs = |cell: &usize| injected.values[*cell].to_bits() != table.values[*cell].to_bits();
            let features = (0..3).filter(|feature| column(*feature).any(|cell| differs(&cell)));
            for feature in features {
                let deviation = Spread::of(table.column(feature)).deviation;
                match injection.kind {
                    Kind::Spike | Kind::LevelShift => assert!(
                        column(feature)
                            .all(|cell| (injected.values[cell] - table.values[cell]).abs() > 2.9 * deviation)
                    ),
                    Kind::Flatline => {
                        let first = injected.values[injection.rows[0] * 3 + feature].to_bits();
                        assert!(column(feature).all(|cell| injected.values[cell].to_bits() == first));
                    }
                    Kind::CorrelationBreak => {
                        let there = |cell: usize| {
                            table.column(feature).any(|old| old.to_bits() == injected.values[cell].to_bits())
                        };
                        assert!(column(feature).all(there), "values that were there");
                    }
                    Kind::NoiseBurst => assert!(column(feature).all(|cell| differs(&cell))),
                }
            }
        }
    }

    #[test]
    fn rows_count_from_the_start_of_the_range_and_a_seed_decides() {
        let table = servers(1, 1200, 2, 1);
        let (values, labels) = inject(&table, 200..1200, 5);
        assert_eq!((values.len(), labels.len()), (2000, 1000));
        assert_eq!(inject(&table, 200..1200, 5), (values.clone(), labels.clone()));
        assert_ne!(inject(&table, 200..1200, 6).1, labels);
        let before = &table.values[400..];
        assert!(
            labels.iter().enumerate().all(|(row, label)| *label || values[row * 2..][..2] == before[row * 2..][..2])
        );
    }

    #[test]
    fn constant_and_short_series_get_no_anomalies() {
        let mut table = servers(1, 400, 2, 1);
        table.values.fill(7.0);
        let (values, labels) = inject(&table, 0..400, 1);
        assert!(values == table.values && !labels.contains(&true));
        assert_eq!(objective(&vec![0.5; 400], &labels).to_bits(), 0);
        let short = servers(1, 20, 2, 1);
        assert!(!inject(&short, 0..20, 1).1.contains(&true));
        assert!(!inject(&short, 7..7, 1).1.contains(&true));
    }

    #[test]
    fn missing_values_stay_missing() {
        let mut table = servers(1, 1000, 2, 1);
        table.values.iter_mut().step_by(2).for_each(|value| *value = f64::NAN);
        let (values, labels) = inject(&table, 0..1000, 1);
        assert!(values.iter().step_by(2).all(|value| value.is_nan()) && labels.contains(&true));
    }

    #[test]
    fn the_objective_is_1_for_a_perfect_ranking() {
        let labels = [false, true, false];
        assert_eq!(objective(&[0.0, 2.0, 0.5], &labels).to_bits(), 1.0_f64.to_bits());
        assert!(objective(&[2.0, 0.0, 0.5], &labels) < 0.5);
    }
}
