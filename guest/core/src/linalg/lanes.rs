//! A matrix times four columns at once.
//!
//! Rows are scored four at a time, each in a lane of its own: a lane's sums are formed in the same order whatever the
//! other lanes hold, so that a row's score does not depend on the batch that it came in. Four lanes by four rows of the
//! matrix are eight vectors of two doubles, which both WebAssembly and a plain x86-64 keep in registers; and with a loop
//! body of this size the sandbox's check of the deadline costs little.

use ndarray::{Array2, ArrayView2, Axis};

/// Rows that are scored at once.
pub(crate) const LANES: usize = 4;

/// Rows of a matrix that are multiplied at once.
const BLOCK: usize = 4;

/// One number of each of four rows.
pub(crate) type Lanes = [f64; LANES];

/// A matrix as its multiplication reads it: blocks of four rows, and in each block column after column. The last block is
/// filled up with zeros.
#[derive(Debug, Clone)]
pub(crate) struct Blocks {
    rows: usize,
    columns: usize,
    numbers: Vec<f64>,
}

impl Blocks {
    pub(crate) fn new(matrix: ArrayView2<'_, f64>) -> Self {
        let mut numbers = Vec::with_capacity(padded(matrix.nrows()) * matrix.ncols());
        for block in matrix.axis_chunks_iter(Axis(0), BLOCK) {
            for column in block.columns() {
                numbers.extend((0..BLOCK).map(|row| column.get(row).copied().unwrap_or_default()));
            }
        }
        Self { rows: matrix.nrows(), columns: matrix.ncols(), numbers }
    }

    /// The matrix again.
    pub(crate) fn to_matrix(&self) -> Array2<f64> {
        let place = |row: usize, column: usize| (row / BLOCK * self.columns + column) * BLOCK + row % BLOCK;
        Array2::from_shape_fn((self.rows, self.columns), |(row, column)| self.numbers[place(row, column)])
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Multiplies; `out` holds as many as there are rows, filled up to whole blocks ([`padded`]).
    pub(crate) fn multiply(&self, columns: &[Lanes], out: &mut [Lanes]) {
        let blocks = self.numbers.as_chunks::<BLOCK>().0.chunks_exact(self.columns);
        for (block, out) in blocks.zip(out.as_chunks_mut::<BLOCK>().0) {
            let mut sums = [[0.0; LANES]; BLOCK];
            for (factors, lanes) in block.iter().zip(columns) {
                for (sums, factor) in sums.iter_mut().zip(factors) {
                    for (sum, x) in sums.iter_mut().zip(lanes) {
                        *sum += factor * x;
                    }
                }
            }
            *out = sums;
        }
    }
}

/// The columns of up to four rows of so many features. Lanes without a row repeat the first one.
pub(crate) fn gather(rows: &[f64], features: usize, columns: &mut [Lanes]) {
    let row = |lane: usize| rows.get(lane * features..(lane + 1) * features).unwrap_or(&rows[..features]);
    let values = row(0).iter().zip(row(1)).zip(row(2)).zip(row(3));
    for (column, (((a, b), c), d)) in columns.iter_mut().zip(values) {
        *column = [*a, *b, *c, *d];
    }
}

/// The number of rows, rounded up to whole blocks.
pub(crate) fn padded(rows: usize) -> usize {
    rows.next_multiple_of(BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_matrix_product() {
        for (rows, columns) in [(1, 1), (4, 3), (5, 7), (11, 2)] {
            let element = |row: usize, column: usize| (row * 10 + column) as f64;
            let matrix = Array2::from_shape_fn((rows, columns), |(row, column)| element(row, column));
            let lanes: Vec<Lanes> = (0..columns).map(|at| [1.0, at as f64, -2.0, 0.5]).collect();
            let mut out = vec![[f64::NAN; LANES]; padded(rows)];
            let blocks = Blocks::new(matrix.view());
            assert_eq!(blocks.to_matrix(), matrix);
            blocks.multiply(&lanes, &mut out);
            for (row, out) in out.iter().enumerate() {
                for (lane, out) in out.iter().enumerate() {
                    let products = (0..columns).map(|column| element(row, column) * lanes[column][lane]);
                    let sum = products.fold(0.0, |sum, product| sum + product);
                    assert_eq!(out.to_bits(), (if row < rows { sum } else { 0.0 }).to_bits(), "{row}, {lane}");
                }
            }
        }
    }
}
