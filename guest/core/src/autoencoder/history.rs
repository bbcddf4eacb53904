//! Rows to train networks on: prepared, and one series after another.

use std::ops::Range;

use ndarray::ArrayView2;

use crate::linalg::as_rows;
use crate::trained::{FitError, Rows};

/// The share of each series' rows, the last ones, that decides when training stops.
const VALIDATION: f64 = 0.15;

/// Prepared rows of several series. Windows lie within a run, which has rows of one series only.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// Values in a row.
    pub features: usize,
    /// Rows × features numbers; 0 where there is no value.
    pub values: Vec<f32>,
    /// For each of `values`, whether there was one.
    pub known: Vec<bool>,
    /// The rows to learn from, by run.
    pub training: Vec<Range<usize>>,
    /// The rows that decide when training stops, by run.
    pub validation: Vec<Range<usize>>,
}

impl History {
    /// Of the rows and what the stages in front made of them. Runs are at least a window long.
    pub(super) fn new(rows: Rows<'_>, prepared: ArrayView2<'_, f64>, window: usize) -> Result<Self, FitError> {
        let features = rows.features();
        let mut places: Vec<(u32, usize)> =
            rows.with_series().enumerate().map(|(at, (series, _))| (series, at)).collect();
        places.sort_unstable();
        let originals: Vec<&[f64]> = rows.with_series().map(|(_, row)| row).collect();
        let prepared: Vec<&[f64]> = as_rows(prepared).collect();
        let (mut values, mut known) = (Vec::with_capacity(places.len() * features), Vec::new());
        for (_, at) in &places {
            let there = originals[*at].iter().map(|value| !value.is_nan());
            values
                .extend(prepared[*at].iter().zip(there.clone()).map(|(x, there)| if there { *x as f32 } else { 0.0 }));
            known.extend(there);
        }
        let (mut training, mut validation) = (Vec::new(), Vec::new());
        let mut start = 0;
        for series in places.chunk_by(|one, next| one.0 == next.0) {
            let end = start + series.len();
            let middle = end - (series.len() as f64 * VALIDATION) as usize;
            for (run, part) in [(start..middle, &mut training), (middle..end, &mut validation)] {
                if run.len() >= window {
                    part.push(run);
                }
            }
            start = end;
        }
        if training.is_empty() || validation.is_empty() {
            let needed = (window as f64 / VALIDATION) as usize + 1;
            return Err(FitError(format!(
                "no entity has rows enough to learn windows of {window} from; one needs {needed} rows for training"
            )));
        }
        Ok(Self { features, values, known, training, validation })
    }

    /// The window that ends with a row: what a network sees, and the newest row with NaN for what is missing.
    pub(super) fn window(&self, end: usize, length: usize, input: &mut Vec<f32>, newest: &mut Vec<f64>) {
        let row = |at: usize| at * self.features..(at + 1) * self.features;
        input.clear();
        input.extend_from_slice(&self.values[row(end + 1 - length).start..row(end).end]);
        newest.clear();
        let cells = self.values[row(end)].iter().zip(&self.known[row(end)]);
        newest.extend(cells.map(|(value, known)| if *known { f64::from(*value) } else { f64::NAN }));
    }
}
