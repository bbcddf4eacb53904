//! The statistics of each feature in training, for detecting drift.

use std::ops::Range;

use qualm_bundle::manifest::Reference;

use crate::table::Table;

/// The statistics of each feature in these rows. A feature without values has those of a single 0.
pub(super) fn of(table: &Table, rows: Range<usize>) -> Vec<Reference> {
    let features = table.features();
    let values = table.batch(rows.clone()).values;
    let reference = |feature: usize| {
        let column = values.iter().skip(feature).step_by(features).copied();
        let mut present: Vec<f64> = column.filter(|value| !value.is_nan()).collect();
        let missing = 1.0 - present.len() as f64 / rows.len().max(1) as f64;
        if present.is_empty() {
            present.push(0.0);
        }
        present.sort_unstable_by(f64::total_cmp);
        let count = present.len() as f64;
        let mean = present.iter().map(|value| value / count).sum::<f64>();
        let variance = present.iter().map(|value| (value - mean) * ((value - mean) / count)).sum::<f64>();
        let at = |tenth: usize| present[(present.len() - 1) * tenth / 10];
        Reference { missing, mean, deviation: variance.sqrt(), quantiles: (0..=10).map(at).collect() }
    };
    (0..features).map(reference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_ignores_missing_values() {
        let table = Table {
            names: vec!["a".into(), "b".into()],
            series: vec![0; 5],
            times: vec![0; 5],
            values: vec![1.0, f64::NAN, 2.0, 7.0, 3.0, f64::NAN, 4.0, 7.0, 100.0, 100.0],
            ..Table::default()
        };
        let references = of(&table, 0..4);
        assert_eq!((references[0].mean, references[0].missing, references[1].missing), (2.5, 0.0, 0.5));
        assert_eq!((references[0].quantiles[0], references[0].quantiles[10], references[1].mean), (1.0, 4.0, 7.0));
        assert!((references[0].deviation - 1.25_f64.sqrt()).abs() < 1e-12 && references[1].deviation == 0.0);
    }
}
