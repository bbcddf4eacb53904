//! A matrix times four columns at once.
//!
//! Rows are scored four at a time, each in a lane of its own: a lane's sums are formed in the same order whatever the
//! other lanes hold, so that a row's score does not depend on the batch that it came in. Four lanes by four rows of the
//! matrix are eight vectors of two doubles, which both WebAssembly and a plain x86-64 keep in registers; and with a loop
//! body of this size the sandbox's check of the deadline costs little.

/// Rows that are scored at once.
pub(crate) const LANES: usize = 4;

/// Rows of a matrix that are multiplied at once.
const BLOCK: usize = 4;

/// One number of each of four rows.
pub(crate) type Lanes = [f64; LANES];

/// A matrix as its multiplication reads it: blocks of four rows, and in each block column after column. The last block is
/// filled up with zeros.
#[derive(Debug)]
pub(crate) struct Blocks {
    columns: usize,
    blocks: Vec<f64>,
}

impl Blocks {
    /// Of a matrix of so many rows and columns, by its elements.
    pub(crate) fn new(rows: usize, columns: usize, element: impl Fn(usize, usize) -> f64) -> Self {
        let mut blocks = Vec::with_capacity(padded(rows) * columns);
        for block in (0..rows).step_by(BLOCK) {
            for column in 0..columns {
                blocks.extend((block..block + BLOCK).map(|row| if row < rows { element(row, column) } else { 0.0 }));
            }
        }
        Self { columns, blocks }
    }

    /// Multiplies; `out` holds as many as there are rows, filled up to whole blocks ([`padded`]).
    pub(crate) fn multiply(&self, columns: &[Lanes], out: &mut [Lanes]) {
        let blocks = self.blocks.as_chunks::<BLOCK>().0.chunks_exact(self.columns);
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
            let lanes: Vec<Lanes> = (0..columns).map(|at| [1.0, at as f64, -2.0, 0.5]).collect();
            let mut out = vec![[f64::NAN; LANES]; padded(rows)];
            Blocks::new(rows, columns, element).multiply(&lanes, &mut out);
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
