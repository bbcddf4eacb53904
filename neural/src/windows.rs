//! Windows of rows, made when a batch needs them.

use std::ops::Range;

/// Prepared rows, and which of their cells are known.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Cells in a row.
    pub features: usize,
    /// Row after row, the oldest first.
    pub values: &'a [f32],
    /// For each of `values`, whether it is known. One that is not is 0 for a network, and does not count in its error.
    pub known: &'a [bool],
}

/// Why there are no windows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowsError {
    /// The lengths contradict one another.
    #[error("{values} values, {known} marks of what is known, and {features} features do not make rows")]
    Shape {
        /// How many values there are.
        values: usize,
        /// How many of them are marked.
        known: usize,
        /// Cells in a row.
        features: usize,
    },
    /// A run that is not in the rows.
    #[error("the run {}..{} lies outside of {rows} rows", .run.start, .run.end)]
    Run {
        /// The run.
        run: Range<usize>,
        /// How many rows there are.
        rows: usize,
    },
    /// A known value is no number.
    #[error("row {row} has no finite value in feature {feature}, though it is known")]
    NotFinite {
        /// The row, from 0.
        row: usize,
        /// The feature, from 0.
        feature: usize,
    },
    /// All runs are shorter than a window, or nothing in them is known.
    #[error("no window of {window} rows: the longest uninterrupted run with known values has {longest} rows")]
    None {
        /// Rows in a window.
        window: usize,
        /// Rows of the longest run.
        longest: usize,
    },
}

/// Windows of the rows of uninterrupted runs.
#[derive(Debug, Clone)]
pub struct Windows<'a> {
    rows: Rows<'a>,
    window: usize,
    /// The first row of each window.
    starts: Vec<usize>,
    newest: Newest,
}

/// What is special about the newest row of a window, which is the one that is scored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Newest {
    /// Whether a network does not see it, and so has to expect it from the rows before.
    pub hidden: bool,
    /// How many times its mean loss counts besides that of the whole window.
    pub weight: f32,
}

/// A cell of a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cell {
    /// What a network sees: 0 where the cell is not known, or hidden.
    pub(crate) input: f32,
    /// What it should make of it.
    pub(crate) target: f32,
    /// How much its loss counts; nothing where it is not known.
    pub(crate) weight: f32,
}

impl<'a> Windows<'a> {
    /// A window at every `stride`th row of each run, as far as `window` rows follow in it. One without a known cell is left out.
    ///
    /// # Errors
    ///
    /// If there are none, or what is given contradicts itself.
    pub fn new(rows: Rows<'a>, runs: &[Range<usize>], window: usize, stride: usize) -> Result<Self, WindowsError> {
        let Rows { features, values, known } = rows;
        if features == 0 || values.len() != known.len() || !values.len().is_multiple_of(features) {
            return Err(WindowsError::Shape { values: values.len(), known: known.len(), features });
        }
        let count = values.len() / features;
        let mut starts = Vec::new();
        for run in runs {
            if run.start > run.end || run.end > count {
                return Err(WindowsError::Run { run: run.clone(), rows: count });
            }
            let cells = run.start * features..run.end * features;
            let odd = cells.clone().find(|&cell| known[cell] && !values[cell].is_finite());
            if let Some(cell) = odd {
                return Err(WindowsError::NotFinite { row: cell / features, feature: cell % features });
            }
            let last = (run.end + 1).saturating_sub(window);
            starts.extend(
                (run.start..last)
                    .step_by(stride.max(1))
                    .filter(|&start| known[start * features..(start + window) * features].contains(&true)),
            );
        }
        if window == 0 || starts.is_empty() {
            return Err(WindowsError::None { window, longest: runs.iter().map(Range::len).max().unwrap_or(0) });
        }
        Ok(Self { rows, window, starts, newest: Newest { hidden: false, weight: 0.0 } })
    }

    /// The same windows with another treatment of their newest row.
    #[must_use]
    pub fn with_newest(self, newest: Newest) -> Self {
        Self { newest, ..self }
    }

    /// How many there are, at least one.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Rows in a window.
    #[must_use]
    pub fn window(&self) -> usize {
        self.window
    }

    /// Cells in a row.
    #[must_use]
    pub fn features(&self) -> usize {
        self.rows.features
    }

    /// What all of these are made of, for a digest.
    pub(crate) fn digest(&self, add: &mut impl FnMut(&[u8])) {
        for length in [self.starts.len(), self.window, self.rows.features, self.rows.values.len()] {
            add(&(length as u64).to_le_bytes());
        }
        add(&self.newest.weight.to_le_bytes());
        add(&[u8::from(self.newest.hidden)]);
        for &start in &self.starts {
            add(&(start as u64).to_le_bytes());
        }
        for (value, known) in self.rows.values.iter().zip(self.rows.known) {
            add(&if *known { value.to_le_bytes() } else { f32::NAN.to_le_bytes() });
        }
    }

    /// The row of window `index` that is `at` rows after its oldest.
    pub(crate) fn row(&self, index: usize, at: usize) -> impl Iterator<Item = Cell> + use<'a> {
        let Rows { features, values, known } = self.rows;
        let row = self.starts[index] + at;
        let cells = row * features..(row + 1) * features;
        let values = values[cells.clone()].iter().zip(&known[cells]);
        let newest = at + 1 == self.window;
        let hidden = newest && self.newest.hidden;
        let weight = if newest { 1.0 + self.newest.weight * self.window as f32 } else { 1.0 };
        values.map(move |(&value, &known)| {
            let target = if known { value } else { 0.0 };
            Cell { input: if hidden { 0.0 } else { target }, target, weight: if known { weight } else { 0.0 } }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known_cell(value: f32) -> Cell {
        Cell { input: value, target: value, weight: 1.0 }
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "one run")]
    fn the_newest_row_is_hidden_and_counts_more() {
        let values = [1.0, 2.0, 3.0, 4.0];
        let rows = Rows { features: 1, values: &values, known: &[true, true, true, true] };
        let windows = Windows::new(rows, &[0..4], 3, 1).unwrap().with_newest(Newest { hidden: true, weight: 2.0 });
        let cells: Vec<Cell> = (0..3).flat_map(|at| windows.row(1, at)).collect();
        let newest = Cell { input: 0.0, target: 4.0, weight: 7.0 };
        assert_eq!(
            cells,
            [known_cell(2.0), known_cell(3.0), newest],
            "its mean counts twice, beside that of three rows"
        );
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "one run")]
    fn windows_lie_within_runs() {
        let values: Vec<f32> = (0..20).map(|value| value as f32).collect();
        let known = [true; 20];
        let rows = Rows { features: 2, values: &values, known: &known };
        let windows = Windows::new(rows, &[0..4, 4..10], 3, 2).unwrap();
        assert_eq!(windows.starts, [0, 4, 6]);
        assert_eq!(windows.row(1, 2).collect::<Vec<_>>(), [known_cell(12.0), known_cell(13.0)]);
        assert_eq!(Windows::new(rows, &[0..4, 4..6], 5, 1).unwrap_err(), WindowsError::None { window: 5, longest: 4 });
        assert!(matches!(Windows::new(rows, &[8..11], 3, 1), Err(WindowsError::Run { rows: 10, .. })));
        let known: Vec<bool> = (0..20).map(|cell| cell >= 8).collect();
        let windows = Windows::new(Rows { known: &known, ..rows }, &[0..10], 4, 1).unwrap();
        assert_eq!(windows.starts, [1, 2, 3, 4, 5, 6], "the first has nothing that is known");
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "one run")]
    fn a_value_that_is_known_must_be_finite() {
        let values = [0.0, f32::NAN, 1.0, 2.0];
        let rows = Rows { features: 2, values: &values, known: &[true, false, true, true] };
        let windows = Windows::new(rows, &[0..2], 2, 1).unwrap();
        assert_eq!(windows.row(0, 0).collect::<Vec<_>>(), [known_cell(0.0), Cell { weight: 0.0, ..known_cell(0.0) }]);
        let rows = Rows { known: &[true; 4], ..rows };
        assert_eq!(Windows::new(rows, &[0..2], 2, 1).unwrap_err(), WindowsError::NotFinite { row: 0, feature: 1 });
    }
}
